// Datagrams sent many at a time (sendmmsg(2)), where the kernel may cut one message into many datagrams (udp(7), UDP_SEGMENT). A message is gathered from
// pieces; everything else is laid out once in the slab.
import { EndpointRecord } from "../wireguard/endpoint.ts";
import { EINVAL, EIO, EMSGSIZE } from "./errno.ts";
import { bind } from "./ffi.ts";
import {
  Cmsg,
  Header,
  INT,
  INT_SPACE,
  IOVEC,
  IP_PKTINFO,
  IP_TOS,
  IPV6_PKTINFO,
  IPV6_TCLASS,
  MSG_DONTWAIT,
  NAME,
  PKTINFO4,
  PKTINFO4_SPACE,
  PKTINFO6,
  PKTINFO6_SPACE,
  SEGMENT,
  SEGMENTS,
  SOL_IP,
  SOL_IPV6,
  SOL_UDP,
  UDP_SEGMENT,
} from "./msghdr.ts";
import type { Slab } from "./slab.ts";
import { AF_INET, AF_INET6, SOCKADDR_IN, SOCKADDR_IN6 } from "./udp.ts";

const { FAMILY, PORT, SCOPE, ADDRESS, SOURCE, INTERFACE } = EndpointRecord;

const sendmmsg = bind("int sendmmsg(int, uintptr_t, unsigned int, int)");

// A destination: socket address, then control messages in this order, so that each combination that is needed is one stretch: the size of segments and
// the source, either of them, source and type of service, or the latter alone.
const SEGMENT_AT = NAME;
const SOURCE_AT = SEGMENT_AT + INT_SPACE;
const DESTINATION = 128;

/** fe80::/10, from the first word of an address in memory (little-endian, as every machine that Node runs on). */
const isLinkLocal = (word: number): boolean => (word & 0xc0ff) === 0x80fe;

/**
 * The kernel's words for "not as a run": the link computes no checksums (EIO, on older kernels), or a segment does not fit the path (EINVAL, on newer
 * kernels EMSGSIZE). The same bytes go as single datagrams: sendPlain(). EINVAL also means a bad source.
 */
export const isRefusedRun = (e: number): boolean => e === EIO || e === EINVAL || e === EMSGSIZE;

/** Bytes of the slab that it takes. */
const outgoingSize = (messages: number, pieces: number): number =>
  (messages + SEGMENTS) * Header.BYTES + (messages + 1) * DESTINATION + pieces * IOVEC;

/**
 * To send: start() when the message goes elsewhere than the one before (also the one before clear()), append() its pieces, finish(); then send(), and
 * clear().
 */
export class Outgoing {
  /** Messages that are finished. */
  n = 0;

  readonly #slab: Slab;
  readonly #messages: number;
  readonly #mostPieces: number;
  readonly #headers: number;
  readonly #address: number;
  /** Headers for the pieces of one message, each as a message of its own. */
  readonly #plain: number;
  readonly #plainAddress: number;
  readonly #iovecs: number;
  /** One more than messages: the last one of before clear() is still good, and nothing overwrites it meanwhile. */
  readonly #destinations: number;
  #destination = 0;
  #pieces = 0;
  #firstPiece = 0;
  #bytes = 0;
  /** Of messages: destination, 1: from its source; size of segments; first piece, number of pieces; bytes. */
  readonly #to: Int32Array;
  readonly #sourced: Int32Array;
  readonly #segments: Int32Array;
  readonly #first: Int32Array;
  readonly #count: Int32Array;
  readonly #lengths: Int32Array;
  /** Of destinations: bytes of the source's control message and of that of the type of service (0: none), and the size of segments that is written. */
  readonly #sourceSpace: Int32Array;
  readonly #tosSpace: Int32Array;
  readonly #written: Int32Array;

  /** For up to `messages` messages of `pieces` pieces altogether. */
  constructor(slab: Slab, messages: number, pieces: number) {
    this.#slab = slab;
    this.#messages = messages;
    this.#mostPieces = pieces;
    const start = slab.take(outgoingSize(messages, pieces), 64);
    slab.u8.fill(0, start, start + outgoingSize(messages, pieces));
    this.#headers = start;
    this.#plain = this.#headers + messages * Header.BYTES;
    this.#destinations = this.#plain + SEGMENTS * Header.BYTES;
    this.#iovecs = this.#destinations + (messages + 1) * DESTINATION;
    this.#address = slab.base + this.#headers;
    this.#plainAddress = slab.base + this.#plain;
    this.#to = new Int32Array(messages);
    this.#sourced = new Int32Array(messages);
    this.#segments = new Int32Array(messages);
    this.#first = new Int32Array(messages);
    this.#count = new Int32Array(messages);
    this.#lengths = new Int32Array(messages);
    this.#sourceSpace = new Int32Array(messages + 1);
    this.#tosSpace = new Int32Array(messages + 1);
    this.#written = new Int32Array(messages + 1);
  }

  /** Whether one more message of up to `pieces` pieces has room, besides the one that is under way. */
  hasRoom(pieces: number): boolean {
    const underWay = this.#pieces > this.#firstPiece ? 1 : 0;
    return this.n + underWay < this.#messages && this.#pieces + pieces <= this.#mostPieces;
  }

  /** Forgets all messages. */
  clear(): void {
    this.n = 0;
    this.#pieces = 0;
    this.#firstPiece = 0;
    this.#bytes = 0;
  }

  /**
   * The next messages go to the endpoint record at slab offset `endpoint`, from its sticky source if it has one. `tos`: type of service or traffic class
   * (RFC 2474), 0: the socket's; with one, messages are not segmented.
   */
  start(endpoint: number, tos = 0): void {
    const u32 = this.#slab.u32;
    const d = this.#nextDestination();
    const name = this.#nameOf(d) >>> 2;
    const from = endpoint >>> 2;
    const six = u32[from + FAMILY] === 6;
    const port = u32[from + PORT]!;
    u32[name] = ((((port & 0xff) << 8) | (port >>> 8)) << 16) | (six ? AF_INET6 : AF_INET);
    if (six) {
      u32[name + 1] = 0;
      for (let w = 0; w < 4; w++) u32[name + 2 + w] = u32[from + ADDRESS + w]!;
      u32[name + 6] = u32[from + SCOPE]!;
    } else {
      u32[name + 1] = u32[from + ADDRESS]!;
      u32[name + 2] = 0;
      u32[name + 3] = 0;
    }
    this.#written[d] = 0;
    this.#sourceSpace[d] = this.#writeSource(name + SOURCE_AT / 4, from, six);
    this.#tosSpace[d] = tos === 0 ? 0 : INT_SPACE;
    if (tos !== 0) this.#writeControl(name + (SOURCE_AT + this.#sourceSpace[d]) / 4, six ? SOL_IPV6 : SOL_IP, six ? IPV6_TCLASS : IP_TOS, INT, tos);
  }

  /** The `bytes` bytes at slab offset `at` are the next piece of the message. */
  append(at: number, bytes: number): void {
    const v = this.#iovecs + this.#pieces++ * IOVEC;
    this.#slab.point(v, at);
    this.#slab.u32[(v + 8) >>> 2] = bytes;
    this.#bytes += bytes;
  }

  /**
   * Ends the message; its number. `segment`: it is cut into datagrams of so many bytes, of which the last may be shorter; up to SEGMENTS, and each piece
   * is one of them. 0: it is one datagram. No message is longer than LONGEST4 or LONGEST6.
   */
  finish(segment: number): number {
    const i = this.n++;
    if (segment !== 0) this.#writeSegment(segment);
    this.#to[i] = this.#destination;
    this.#segments[i] = segment;
    this.#first[i] = this.#firstPiece;
    this.#count[i] = this.#pieces - this.#firstPiece;
    this.#lengths[i] = this.#bytes;
    this.#firstPiece = this.#pieces;
    this.#bytes = 0;
    const h = this.#headers + i * Header.BYTES;
    this.#slab.point(h + 4 * Header.NAME, this.#nameOf(this.#destination));
    this.#slab.u32[(h >>> 2) + Header.NAMELEN] = this.isIpv6(i) ? SOCKADDR_IN6 : SOCKADDR_IN;
    this.#slab.point(h + 4 * Header.IOV, this.#iovecs + this.#first[i] * IOVEC);
    this.#slab.u32[(h >>> 2) + Header.IOVLEN] = this.#count[i]!;
    this.#sourced[i] = this.#sourceSpace[this.#destination]! === 0 ? 0 : 1;
    this.#setControl(h, i, segment);
    return i;
  }

  /** Bytes of message `i`. */
  length(i: number): number {
    return this.#lengths[i]!;
  }
  /** Its pieces: where it is segmented, so many datagrams. */
  count(i: number): number {
    return this.#count[i]!;
  }
  /** 0: it is one datagram. */
  segment(i: number): number {
    return this.#segments[i]!;
  }
  isIpv6(i: number): boolean {
    return this.#slab.u16[this.#nameOf(this.#to[i]!) >>> 1] === AF_INET6;
  }
  hasSource(i: number): boolean {
    return this.#sourced[i] === 1;
  }

  /** The kernel chooses the source address of message `i`. */
  clearSource(i: number): void {
    this.#sourced[i] = 0;
    this.#setControl(this.#headers + i * Header.BYTES, i, this.#segments[i]!);
  }

  /** Sends messages [first, first + n), which are of one address family: how many went, or -1 (errno) when the first of them failed. Never blocks. */
  send(fd: number, first: number, n: number): number {
    return sendmmsg(fd, this.#address + first * Header.BYTES, n, MSG_DONTWAIT);
  }

  /** Sends the pieces of message `i` from piece `first` on, each as a datagram of its own: how many went, or -1 (errno) when the first of them failed. */
  sendPlain(fd: number, i: number, first: number): number {
    const u32 = this.#slab.u32;
    const message = (this.#headers + i * Header.BYTES) >>> 2;
    const n = Math.min(this.#count[i]! - first, SEGMENTS);
    for (let k = 0, h = this.#plain; k < n; k++, h += Header.BYTES) {
      u32[(h >>> 2) + Header.NAME] = u32[message + Header.NAME]!;
      u32[(h >>> 2) + Header.NAME + 1] = u32[message + Header.NAME + 1]!;
      u32[(h >>> 2) + Header.NAMELEN] = u32[message + Header.NAMELEN]!;
      this.#slab.point(h + 4 * Header.IOV, this.#iovecs + (this.#first[i]! + first + k) * IOVEC);
      u32[(h >>> 2) + Header.IOVLEN] = 1;
      this.#setControl(h, i, 0);
    }
    return sendmmsg(fd, this.#plainAddress, n, MSG_DONTWAIT);
  }

  #nameOf(destination: number): number {
    return this.#destinations + destination * DESTINATION;
  }

  #nextDestination(): number {
    this.#destination = this.#destination === this.#messages ? 0 : this.#destination + 1;
    return this.#destination;
  }

  // Of the control messages of message `i`, those that the header at `h` shall carry.
  #setControl(h: number, i: number, segment: number): void {
    const d = this.#to[i]!;
    const source = this.#sourced[i] === 1 ? this.#sourceSpace[d]! : 0;
    const at = segment !== 0 ? SEGMENT_AT : source !== 0 ? SOURCE_AT : SOURCE_AT + this.#sourceSpace[d]!;
    this.#slab.point(h + 4 * Header.CONTROL, this.#nameOf(d) + at);
    this.#slab.u32[(h >>> 2) + Header.CONTROLLEN] = (segment === 0 ? 0 : INT_SPACE) + source + this.#tosSpace[d]!;
  }

  // Messages that are not sent yet may share the destination: another size needs another one.
  #writeSegment(segment: number): void {
    const written = this.#written[this.#destination]!;
    if (written === segment) return;
    if (written !== 0) {
      const from = this.#destination;
      const to = this.#nextDestination();
      this.#slab.u8.copyWithin(this.#nameOf(to), this.#nameOf(from), this.#nameOf(from) + DESTINATION);
      this.#sourceSpace[to] = this.#sourceSpace[from]!;
      this.#tosSpace[to] = 0;
    }
    this.#written[this.#destination] = segment;
    this.#writeControl((this.#nameOf(this.#destination) + SEGMENT_AT) >>> 2, SOL_UDP, UDP_SEGMENT, SEGMENT, segment);
  }

  #writeControl(w: number, level: number, type: number, length: number, value: number): void {
    const u32 = this.#slab.u32;
    u32[w + Cmsg.LENGTH] = length;
    u32[w + Cmsg.LEVEL] = level;
    u32[w + Cmsg.TYPE] = type;
    u32[w + Cmsg.DATA] = value;
  }

  // The address only, not the interface: packets follow the routes as they are now. A link-local address means nothing without its interface. What it
  // takes is answered; 0: there is none.
  #writeSource(w: number, from: number, six: boolean): number {
    const u32 = this.#slab.u32;
    const source = from + SOURCE;
    if ((u32[source]! | u32[source + 1]! | u32[source + 2]! | u32[source + 3]!) === 0) return 0;
    const data = w + Cmsg.DATA;
    if (!six) {
      this.#writeControl(w, SOL_IP, IP_PKTINFO, PKTINFO4, 0);
      u32[data + 1] = u32[source]!;
      u32[data + 2] = 0;
      return PKTINFO4_SPACE;
    }
    this.#writeControl(w, SOL_IPV6, IPV6_PKTINFO, PKTINFO6, 0);
    for (let k = 0; k < 4; k++) u32[data + k] = u32[source + k]!;
    u32[data + 4] = isLinkLocal(u32[source]!) ? u32[from + INTERFACE]! : 0;
    return PKTINFO6_SPACE;
  }
}
