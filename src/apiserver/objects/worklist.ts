// Keys to work on, for controllers: each at most once at a time, some together (so that the store writes them together); what fails is tried again, later
// each time.
import { isApiError } from "../../api/status.ts";
import { messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";

const TOGETHER = 32;
const [FIRST_MS, LONGEST_MS] = [50, 30_000];

/** Thrown by the work when it has to be done again, although nothing failed. */
export class NotYet extends Error {}

export class Worklist {
  readonly #work: (key: string) => Promise<void>;
  readonly #log: Log;
  readonly #waiting = new Set<string>();
  /** Failures in a row. */
  readonly #failures = new Map<string, number>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #running: Promise<void> | undefined;
  #stopped = false;

  /** `work` does all that is to be done about a key now, and may be asked again at any time. */
  constructor(work: (key: string) => Promise<void>, log: Log) {
    this.#work = work;
    this.#log = log;
  }

  add(key: string): void {
    if (this.#stopped) return;
    this.#waiting.add(key);
    this.#running ??= this.#run();
  }

  /** Resolves when nothing is waiting; what failed may be waiting for its time. */
  async settled(): Promise<void> {
    while (this.#running) await this.#running;
  }

  /** Resolves when what is under way is done. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    await this.settled();
  }

  async #run(): Promise<void> {
    // What is added in one turn of the event loop is done together.
    await Promise.resolve();
    while (this.#waiting.size > 0 && !this.#stopped) {
      const batch: string[] = [];
      for (const key of this.#waiting) {
        this.#waiting.delete(key);
        if (batch.push(key) === TOGETHER) break;
      }
      await Promise.all(batch.map((key) => this.#one(key)));
    }
    this.#running = undefined;
  }

  async #one(key: string): Promise<void> {
    try {
      await this.#work(key);
      this.#failures.delete(key);
    } catch (thrown) {
      const failures = this.#failures.get(key) ?? 0;
      this.#failures.set(key, failures + 1);
      // Somebody else wrote in this moment: that is no failure. Others are said once.
      if (failures === 0 && !(thrown instanceof NotYet) && !isApiError(thrown, "Conflict"))
        this.#log.warn("a controller failed, trying again", { key, error: messageOf(thrown) });
      if (this.#stopped) return;
      const timer = setTimeout(
        () => {
          this.#timers.delete(timer);
          this.add(key);
        },
        Math.min(FIRST_MS * 2 ** failures, LONGEST_MS),
      );
      this.#timers.add(timer);
    }
  }
}
