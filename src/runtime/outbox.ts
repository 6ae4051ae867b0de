// Sealed messages that wait to leave in one system call. They lie one after the other in an area of their own; those of equal length to one peer become
// one datagram that the kernel segments. Where a send fails, the rest still goes.
import { EADDRNOTAVAIL, EINTR, EINVAL, EIO, ENETUNREACH, ENODEV } from "../sys/errno.ts";
import { errno } from "../sys/ffi.ts";
import { LONGEST4, SEGMENTS } from "../sys/msghdr.ts";
import { isRefusedRun, Outgoing } from "../sys/outgoing.ts";
import type { Slab } from "../sys/slab.ts";
import { ENDPOINT_WORDS, SEAL_ROOM, SEAL_TAIL, type Sender } from "../wireguard/index.ts";

const LINE = 64;
/** One packet of the greatest length, or the segments of one, twice over. */
const AREA = 320 << 10;
/** Sealed bytes from which on sending is worth a system call, though more may come: they are still in the cache. */
const ENOUGH = 64 << 10;
/** Datagrams, each of up to SEGMENTS messages, and messages in one call. */
const DATAGRAMS = 128;
const MESSAGES = 1024;
/** Longest datagram, whichever the family. */
const LONGEST = LONGEST4;

/** Flushes after which segments of a length that did not fit are tried again: the way may be another by then. */
const TRY_AGAIN = 1024;

/** The kernel's words for "this source address is of no use (any more)". */
const isStaleSource = (e: number): boolean => e === EINVAL || e === ENETUNREACH || e === EADDRNOTAVAIL || e === ENODEV;

export class Outbox {
  readonly #out: Outgoing;
  readonly #sender: Sender;
  readonly #area: number;
  readonly #endpoint: number;
  /** Of each datagram that is finished: its peer. */
  readonly #peers = new Int32Array(DATAGRAMS);
  readonly #fault: () => void;
  /** Where the next message may be made. */
  #next = 0;
  /** The datagram under way: its peer (-1: none), the length of its messages, their number and bytes, and whether it may grow. */
  #peer = -1;
  #segment = 0;
  #count = 0;
  #bytes = 0;
  #grows = false;
  /** Version of the endpoint that the socket address was made of. */
  #version = -1;
  /** Longest message that may be a segment; 0: no segmentation. Where it was lowered, flushes until it is tried again. */
  #longest: number;
  #lowered = 0;

  /** `segmentation`: UDP_SEGMENT may be used; `fault` is called when the kernel turns out not to do it. */
  constructor(slab: Slab, sender: Sender, segmentation: boolean, fault: () => void) {
    this.#out = new Outgoing(slab, DATAGRAMS, MESSAGES);
    this.#sender = sender;
    this.#area = slab.take(AREA, LINE);
    this.#endpoint = slab.take(4 * ENDPOINT_WORDS);
    this.#longest = segmentation ? LONGEST : 0;
    this.#fault = fault;
    this.#next = this.#area;
  }

  /** Whether there is room for a packet of `length` bytes more. */
  fits(length: number): boolean {
    return this.#out.hasRoom(1) && this.#next + LINE + SEAL_ROOM + length + SEAL_TAIL <= this.#area + AREA;
  }
  /** Sending now is worth it. */
  get enough(): boolean {
    return this.#next - this.#area >= ENOUGH;
  }

  /** Where the packet that becomes the payload of the next message is to be made. */
  get place(): number {
    return (this.#next + SEAL_ROOM + LINE - 1) & -LINE;
  }

  /** Keeps the message that the sender just made at `place`. One for a peer without an endpoint is dropped. */
  add(): void {
    const { peer, messageAt, messageLength } = this.#sender;
    this.#next = messageAt + messageLength;
    const same = this.#peer === peer && this.#sender.endpointIs(peer, this.#version);
    const grows = same && this.#grows && messageLength <= this.#segment && this.#count < SEGMENTS && this.#bytes + messageLength <= LONGEST;
    if (!grows) {
      this.#finish();
      if (!same && !this.#address(peer)) return this.#sender.sendFailed(peer, messageLength, 1);
      this.#peer = peer;
      this.#segment = messageLength;
      this.#grows = messageLength <= this.#longest;
    }
    this.#out.append(messageAt, messageLength);
    this.#count++;
    this.#bytes += messageLength;
    // Only the last segment may be shorter.
    if (messageLength < this.#segment) this.#grows = false;
  }

  #address(peer: number): boolean {
    this.#peer = -1;
    if (!this.#sender.endpoint(peer, this.#endpoint)) return false;
    this.#version = this.#sender.endpointVersion;
    this.#out.start(this.#endpoint);
    return true;
  }

  #finish(): void {
    if (this.#count === 0) return;
    this.#peers[this.#out.finish(this.#count > 1 ? this.#segment : 0)] = this.#peer;
    this.#count = 0;
    this.#bytes = 0;
    this.#grows = false;
  }

  /** Sends all. A descriptor of -1: there is no such socket. */
  flush(v4: number, v6: number): void {
    this.#sender.run();
    this.#finish();
    const out = this.#out;
    const { n } = out;
    if (n > 0 && this.#lowered > 0 && --this.#lowered === 0) this.#longest = LONGEST;
    for (let i = 0; i < n;) {
      const six = out.isIpv6(i);
      let end = i + 1;
      while (end < n && out.isIpv6(end) === six) end++;
      this.#sendRun(six ? v6 : v4, i, end);
      i = end;
    }
    out.clear();
    this.#next = this.#area;
  }

  #sendRun(fd: number, from: number, end: number): void {
    const out = this.#out;
    for (let i = from; i < end;) {
      const sent = fd < 0 ? -1 : out.send(fd, i, end - i);
      if (sent > 0) {
        i += sent;
        continue;
      }
      const e = fd < 0 ? 0 : errno();
      if (e === EINTR) continue;
      if (isStaleSource(e) && out.hasSource(i)) {
        // The same ciphertext once more, from whatever address the kernel chooses.
        this.#sender.clearSource(this.#peers[i]!);
        out.clearSource(i);
        continue;
      }
      if (out.segment(i) > 0 && isRefusedRun(e)) this.#sendSegments(fd, i, e);
      else this.#sender.sendFailed(this.#peers[i]!, out.length(i), out.count(i));
      i++;
    }
  }

  // The kernel did not cut the datagram: each of its messages goes by itself.
  #sendSegments(fd: number, i: number, why: number): void {
    const out = this.#out;
    let went = false;
    for (let first = 0; first < out.count(i);) {
      const sent = out.sendPlain(fd, i, first);
      if (sent > 0) {
        first += sent;
        went = true;
      } else if (errno() !== EINTR) {
        this.#sender.sendFailed(this.#peers[i]!, Math.min(out.segment(i), out.length(i) - first * out.segment(i)), 1);
        first++;
      }
    }
    // Refused one by one as well: it was not the cutting (port 0 is EINVAL, too).
    if (!went) return;
    // EIO: the way out cannot checksum. EINVAL and EMSGSIZE: segments of this length do not fit the path.
    if (why === EIO) {
      this.#longest = 0;
      this.#lowered = 0;
      this.#fault();
    } else {
      this.#longest = Math.min(this.#longest, out.segment(i) - 1);
      this.#lowered = TRY_AGAIN;
    }
  }
}
