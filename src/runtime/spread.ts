// How many of several data workers are given packets: the first alone while it has time to spare, else all. Another one costs something for every packet
// (the kernel looks up the flow's queue, a session's words travel between processors), and gains nothing unless the first has a processor for itself and
// that is not enough: where it waits for its turn behind other threads, another thread of ours would wait with it.
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { threadTime } from "../sys/threadclock.ts";
import { useQueue } from "../sys/tun.ts";
import { Mail } from "./mailbox.ts";
import type { Sockets } from "./sockets.ts";

const WINDOW_MS = 500;
/** Of a processor: from here on the first worker needs help … */
const FULL = 0.9;
/** … and below this, all workers together, hardly a packet flows: what lies in a queue that is taken away is lost. */
const LITTLE = 0.02;

/** Whether all workers are to be given packets. `now`: whether they are; `shares`: of a processor, what each worker has used lately. */
export const spreads = (now: boolean, shares: readonly number[]): boolean => (now ? shares.reduce((a, b) => a + b, 0) >= LITTLE : shares[0]! >= FULL);

export type SpreadParts = {
  readonly mails: readonly Int32Array[];
  /** Queues of the TUN, one a worker. */
  readonly tuns: readonly number[];
  readonly sockets: Sockets;
  readonly log: Log;
  readonly clock: Pick<Clock, "now">;
  /** Off: all workers are given packets at all times. */
  readonly parking: boolean;
};

export class Spread {
  readonly #parts: SpreadParts;
  #all = true;
  #since: number;
  #used: readonly number[];

  /** For workers that are ready, of which all are given packets. */
  constructor(parts: SpreadParts) {
    this.#parts = parts;
    this.#since = parts.clock.now();
    this.#used = this.#times();
  }

  #times(): number[] {
    return this.#parts.mails.map((mail) => threadTime(mail[Mail.CLOCK]!));
  }

  /** To be called often: it looks back twice a second. */
  look(): void {
    const now = this.#parts.clock.now();
    const past = now - this.#since;
    if (!this.#parts.parking || past < WINDOW_MS) return;
    const used = this.#times();
    const shares = used.map((time, i) => (time - this.#used[i]!) / past);
    this.#since = now;
    this.#used = used;
    const all = spreads(this.#all, shares);
    if (all !== this.#all) this.give(all);
  }

  /** All workers are given packets, or the first alone. Where the kernel refuses, it stays as it was: that costs time, nothing else. */
  give(all: boolean): void {
    const { mails, tuns, sockets, log } = this.#parts;
    this.#all = all;
    sockets.gather(!all);
    for (const fd of tuns.slice(1)) useQueue(fd, all);
    log.debug("data workers with packets", { workers: all ? mails.length : 1 });
  }
}
