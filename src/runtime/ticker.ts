// When the control thread takes its turns: at once when the worker says so, and every TICK ms while the device is up, for the protocol's timers.

/** The timers are in seconds with 333 ms of jitter; what must be quick comes as a signal. */
const TICK = 25;

export class Ticker {
  readonly #turn: () => boolean;
  #timer: NodeJS.Timeout | undefined;
  #again = false;
  #inTurn = false;
  #stopped = false;

  /** `turn`: one turn of the control thread; true: there are timers to watch. */
  constructor(turn: () => boolean) {
    this.#turn = turn;
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
    let timersRun: boolean;
    try {
      timersRun = this.#turn();
    } finally {
      this.#inTurn = false;
    }
    if (this.#again) {
      this.#again = false;
      // Other events have their turn in between.
      setImmediate(() => this.now());
    }
    if (timersRun) this.soon();
  }

  /** A turn within TICK ms. */
  soon(): void {
    if (this.#stopped || this.#inTurn) return;
    this.#timer ??= setTimeout(() => this.now(), TICK);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}
