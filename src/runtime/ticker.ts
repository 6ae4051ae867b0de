// When the control thread takes its turns: at once when the worker says so; else as often as the protocol's timers need it.

/** The timers are in seconds with 333 ms of jitter; what must be quick comes as a signal. While packets flow … */
const BUSY_MS = 25;
/** … and while nothing does. */
const QUIET_MS = 100;

/** After a turn: when the next one is due. */
export type Pace = "busy" | "quiet" | "none";

export class Ticker {
  readonly #turn: () => Pace;
  readonly #broken: (error: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #wait = 0;
  #again = false;
  #inTurn = false;
  #stopped = false;

  /** `turn`: one turn of the control thread. What it throws ends the ticker and goes to `broken`. */
  constructor(turn: () => Pace, broken: (error: unknown) => void) {
    this.#turn = turn;
    this.#broken = broken;
  }

  /** A turn at once; within a turn, another one right after it. */
  now(): void {
    if (this.#stopped) return;
    if (this.#inTurn) {
      this.#again = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#inTurn = true;
    let pace: Pace;
    try {
      pace = this.#turn();
    } catch (error) {
      this.stop();
      return this.#broken(error);
    } finally {
      this.#inTurn = false;
    }
    if (this.#again) {
      this.#again = false;
      // Other events have their turn in between.
      setImmediate(() => this.now());
    } else if (pace !== "none") this.#after(pace === "busy" ? BUSY_MS : QUIET_MS);
  }

  /** A turn within BUSY_MS. */
  soon(): void {
    if (this.#inTurn || (this.#timer && this.#wait === BUSY_MS)) return;
    clearTimeout(this.#timer);
    this.#after(BUSY_MS);
  }

  #after(ms: number): void {
    this.#wait = ms;
    if (!this.#stopped) this.#timer = setTimeout(() => this.now(), ms);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}
