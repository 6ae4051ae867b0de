// How far another machine's clock is from ours: asked for its time several times, the quickest answer tells best (as NTP does it, RFC 5905).

export type ClockOffset = {
  /** Its clock minus ours, in ns. */
  readonly offset: bigint;
  /** Half of the way there and back, and the clocks' step, in ns: the offset is not further off. */
  readonly error: bigint;
};

/** Times are told in ms. */
const STEP = 1_000_000n;

export class ClockComparison {
  #asked: bigint[] = [];
  best: ClockOffset | undefined;
  answers = 0;

  /** A question leaves, at our time `now`. Answers come in the order of questions. */
  ask(now: bigint): void {
    this.#asked.push(now);
  }
  /** Its time as an answer told it, which is here at our time `now`. */
  answer(time: bigint, now: bigint): void {
    const asked = this.#asked.shift();
    if (asked === undefined) return;
    this.answers++;
    const half = (now - asked) / 2n;
    const error = half + STEP;
    if (this.best && this.best.error <= error) return;
    this.best = { offset: time - (asked + half), error };
  }
}

/** Less than this is no matter: clocks that NTP holds are closer. */
const NOTABLE = 10_000_000n;

/** Whether times are better told by our clock. */
export const isNotable = ({ offset, error }: ClockOffset): boolean => {
  const size = offset < 0n ? -offset : offset;
  return size > NOTABLE && size > 2n * error;
};

const ms = (ns: bigint): string => (Number(ns) / 1e6).toFixed(1);
/** For people: "12.3 ms ahead of this machine's, ± 0.4 ms". */
export const offsetText = ({ offset, error }: ClockOffset): string =>
  `${ms(offset < 0n ? -offset : offset)} ms ${offset < 0n ? "behind" : "ahead of"} this machine's, ± ${ms(error)} ms`;
