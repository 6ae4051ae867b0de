// Sealed messages that wait for the end of a round, to leave in one system call for each address family. Each lies in a slot of its own until then.
// Where a send fails, the rest still goes.
import { EADDRNOTAVAIL, EINTR, EINVAL, ENETUNREACH, ENODEV } from "../sys/errno.ts";
import { errno } from "../sys/ffi.ts";
import { Messages } from "../sys/messages.ts";
import type { Slab } from "../sys/slab.ts";
import { type DataHalf, ENDPOINT_WORDS, SEND_HEADROOM, SEND_TAILROOM } from "../wireguard/index.ts";

const LONGEST_PACKET = 65_535;
const LINE = 64;
/** An odd number of cache lines, so that the slots' starts do not fight for one cache set. */
const SLOT: number = (Math.ceil((SEND_HEADROOM + LONGEST_PACKET + SEND_TAILROOM) / LINE) | 1) * LINE + 32 * LINE;

/** The kernel's words for "this source address is of no use (any more)". */
const isStaleSource = (e: number): boolean => e === EINVAL || e === ENETUNREACH || e === EADDRNOTAVAIL || e === ENODEV;

export class Outbox {
  readonly #messages: Messages;
  readonly #data: DataHalf;
  readonly #slots: number;
  readonly #endpoint: number;
  readonly #peers: Int32Array;
  readonly #lengths: Int32Array;
  #n = 0;

  constructor(slab: Slab, capacity: number, data: DataHalf) {
    this.#messages = new Messages(slab, capacity);
    this.#data = data;
    this.#slots = slab.take(capacity * SLOT, LINE);
    this.#endpoint = slab.take(4 * ENDPOINT_WORDS);
    this.#peers = new Int32Array(capacity);
    this.#lengths = new Int32Array(capacity);
  }

  get full(): boolean {
    return this.#n === this.#messages.count;
  }

  /** Offset of the free slot: SEND_HEADROOM, a packet of any length, SEND_TAILROOM. Not when it is full. */
  get slot(): number {
    return this.#slots + this.#n * SLOT;
  }

  /** Keeps the message that the data half just made in the free slot. One for a peer without an endpoint is dropped. */
  add(): void {
    const data = this.#data;
    if (!data.endpoint(data.peer, this.#endpoint)) return data.sendFailed(data.peer, data.messageLength);
    const i = this.#n++;
    this.#messages.setData(i, data.messageAt, data.messageLength);
    this.#messages.setDestination(i, this.#endpoint);
    this.#peers[i] = data.peer;
    this.#lengths[i] = data.messageLength;
  }

  /** Sends all. A descriptor of -1: there is no such socket. */
  flush(v4: number, v6: number): void {
    const n = this.#n;
    this.#n = 0;
    for (let i = 0; i < n;) {
      const six = this.#messages.isIpv6(i);
      let end = i + 1;
      while (end < n && this.#messages.isIpv6(end) === six) end++;
      this.#sendRun(six ? v6 : v4, i, end);
      i = end;
    }
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
      this.#data.sendFailed(peer, this.#lengths[i]!);
      i++;
    }
  }
}
