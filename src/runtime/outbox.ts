// Sealed messages that wait for the end of a round, to leave in one system call for each address family. Each lies in a slot of its own until then.
// Where a send fails, the rest still goes.
import { EADDRNOTAVAIL, EINTR, EINVAL, ENETUNREACH, ENODEV } from "../sys/errno.ts";
import { errno } from "../sys/ffi.ts";
import { Outgoing } from "../sys/outgoing.ts";
import type { Slab } from "../sys/slab.ts";
import { type DataHalf, ENDPOINT_WORDS, SEND_HEADROOM, SEND_TAILROOM } from "../wireguard/index.ts";

const LONGEST_PACKET = 65_535;
const LINE = 64;
/** An odd number of cache lines, so that the slots' starts do not fight for one cache set. */
const SLOT: number = (Math.ceil((SEND_HEADROOM + LONGEST_PACKET + SEND_TAILROOM) / LINE) | 1) * LINE + 32 * LINE;

/** The kernel's words for "this source address is of no use (any more)". */
const isStaleSource = (e: number): boolean => e === EINVAL || e === ENETUNREACH || e === EADDRNOTAVAIL || e === ENODEV;

export class Outbox {
  readonly #messages: Outgoing;
  readonly #data: DataHalf;
  readonly #slots: number;
  readonly #endpoint: number;
  readonly #peers: Int32Array;

  constructor(slab: Slab, capacity: number, data: DataHalf) {
    this.#messages = new Outgoing(slab, capacity, capacity);
    this.#data = data;
    this.#slots = slab.take(capacity * SLOT, LINE);
    this.#endpoint = slab.take(4 * ENDPOINT_WORDS);
    this.#peers = new Int32Array(capacity);
  }

  get full(): boolean {
    return !this.#messages.hasRoom(1);
  }

  /** Offset of the free slot: SEND_HEADROOM, a packet of any length, SEND_TAILROOM. Not when it is full. */
  get slot(): number {
    return this.#slots + this.#messages.n * SLOT;
  }

  /** Keeps the message that the data half just made in the free slot. One for a peer without an endpoint is dropped. */
  add(): void {
    const data = this.#data;
    if (!data.endpoint(data.peer, this.#endpoint)) return data.sendFailed(data.peer, data.messageLength);
    this.#messages.start(this.#endpoint);
    this.#messages.append(data.messageAt, data.messageLength);
    this.#peers[this.#messages.finish(0)] = data.peer;
  }

  /** Sends all. A descriptor of -1: there is no such socket. */
  flush(v4: number, v6: number): void {
    const n = this.#messages.n;
    for (let i = 0; i < n;) {
      const six = this.#messages.isIpv6(i);
      let end = i + 1;
      while (end < n && this.#messages.isIpv6(end) === six) end++;
      this.#sendRun(six ? v6 : v4, i, end);
      i = end;
    }
    this.#messages.clear();
  }

  #sendRun(fd: number, from: number, end: number): void {
    for (let i = from; i < end;) {
      const sent = fd < 0 ? -1 : this.#messages.send(fd, i, end - i);
      if (sent > 0) {
        i += sent;
        continue;
      }
      const e = fd < 0 ? 0 : errno();
      if (e === EINTR) continue;
      const peer = this.#peers[i]!;
      if (isStaleSource(e) && this.#messages.hasSource(i)) {
        // The same ciphertext once more, from whatever address the kernel chooses.
        this.#data.clearSource(peer);
        this.#messages.clearSource(i);
        continue;
      }
      this.#data.sendFailed(peer, this.#messages.length(i));
      i++;
    }
  }
}
