// Do two captures' clocks agree? A data message that was captured where it was sent and where it arrived has arrived after it was sent.

const MAX_WAITING = 4096;
/** Of the counters, one in so many: enough to measure, few enough to remember. */
const EVERY = 16n;

export class Skew {
  readonly #sent = new Map<string, bigint>();
  /** Smallest time from sending to arriving by the two clocks, by "sender receiver": nanoseconds. */
  readonly least: Map<string, bigint> = new Map();
  messages = 0;

  add(way: string, receiver: number, counter: bigint, time: bigint, sent: boolean): void {
    if (counter % EVERY !== 0n) return;
    const key = `${way} ${receiver} ${counter}`;
    const other = this.#sent.get(key);
    if (other === undefined) {
      const oldest = this.#sent.size >= MAX_WAITING ? this.#sent.keys().next().value : undefined;
      if (oldest !== undefined) this.#sent.delete(oldest);
      // Whichever capture shows it first: the difference has a sign.
      this.#sent.set(key, sent ? time : -time);
      return;
    }
    if (other >= 0n === sent) return;
    this.#sent.delete(key);
    this.messages++;
    const took = sent ? -other - time : time - other;
    const least = this.least.get(way);
    if (least === undefined || took < least) this.least.set(way, took);
  }
}
