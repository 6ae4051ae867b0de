// When the control thread takes its turns: at once when the worker says so; else as often as the protocol's timers need it.

/** The timers are in seconds with 333 ms of jitter; what must be quick comes as a signal. While packets flow … */
const BUSY_MS = 25;
/** … and while nothing does. */
const QUIET_MS = 100;

/** In a flood of handshake messages the worker has something new all the time; between two turns the data path has the processor to itself. */
const LOADED_MS = 4;

/** After a turn: when the next one is due. "loaded": not before, whoever asks. */
export type Pace = "loaded" | "busy" | "quiet" | "none";
const WAIT = { loaded: LOADED_MS, busy: BUSY_MS, quiet: QUIET_MS } as const;

export class Ticker {
  readonly #turn: () => Pace;
  readonly #broken: (error: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #wait = 0;
  #again = false;
  #inTurn = false;
  #resting = false;
  #stopped = false;

  /** `turn`: one turn of the control thread. What it throws ends the ticker and goes to `broken`. */
  constructor(turn: () => Pace, broken: (error: unknown) => void) {
    this.#turn = turn;
    this.#broken = broken;
  }

  /** A turn at once; within a turn, another one right after it. */
  now(): void {
    if (this.#stopped || this.#resting) return;
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
    this.#resting = pace === "loaded";
    if (this.#again && !this.#resting) {
      this.#again = false;
      // Other events have their turn in between.
      setImmediate(() => this.now());
    } else if (pace !== "none") this.#after(WAIT[pace]);
    this.#again = false;
  }

  /** A turn within BUSY_MS. */
  soon(): void {
    if (this.#inTurn || (this.#timer && this.#wait <= BUSY_MS)) return;
    clearTimeout(this.#timer);
    this.#after(BUSY_MS);
  }

  #after(ms: number): void {
    this.#wait = ms;
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#resting = false;
      this.now();
    }, ms);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}
