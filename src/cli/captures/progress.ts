// How far something long has come, on standard error, when that is a terminal and it takes longer than 2 s.

const PATIENCE_MS = 2000;
const REFRESH_MS = 200;

export type ProgressScreen = { readonly isTTY?: boolean; readonly columns?: number; write(text: string): unknown };

/** One line that is written over again and again, and wiped at the end. */
export class Progress {
  readonly #what: string;
  readonly #total: number | undefined;
  readonly #screen: ProgressScreen;
  readonly #now: () => number;
  readonly #start: number;
  #next: number;
  #shown = false;

  /** `what` is being done, to `total` bytes, where that is known. */
  constructor(what: string, total: number | undefined, screen: ProgressScreen = process.stderr, now: () => number = () => performance.now()) {
    this.#what = what;
    this.#total = total;
    this.#screen = screen;
    this.#now = now;
    this.#start = now();
    this.#next = screen.isTTY ? this.#start + PATIENCE_MS : Infinity;
  }

  /** So many bytes are done. Cheap: call it as often as you like. */
  at(done: number): void {
    const now = this.#now();
    if (now < this.#next) return;
    this.#next = now + REFRESH_MS;
    this.#shown = true;
    const speed = done / ((now - this.#start) / 1000);
    const parts = [`${this.#what}: ${formatBytes(done)}`];
    if (this.#total !== undefined && this.#total > 0) {
      parts[0] = `${this.#what}: ${Math.min(99, Math.floor((100 * done) / this.#total))} % of ${formatBytes(this.#total)}`;
      if (speed > 0) parts.push(`${Math.ceil(Math.max(0, this.#total - done) / speed)} s left`);
    }
    parts.splice(1, 0, `${formatBytes(speed)}/s`);
    this.#screen.write(`\r${parts.join(", ").slice(0, (this.#screen.columns ?? 80) - 1)}\x1b[K`);
  }

  end(): void {
    this.#next = Infinity;
    if (this.#shown) this.#screen.write("\r\x1b[K");
    this.#shown = false;
  }
}

const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;
function formatBytes(n: number): string {
  let unit = 0;
  for (; n >= 1000 && unit < UNITS.length - 1; unit++) n /= 1000;
  return `${unit === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${UNITS[unit]}`;
}
