// Datagrams received many at a time (recvmmsg(2)), where the kernel may hand over many of one sender as one (udp(7), UDP_GRO). Everything is laid out once
// in the slab; per call only lengths are reset.
import { ENDPOINT_WORDS, EndpointRecord } from "../wireguard/endpoint.ts";
import { bind } from "./ffi.ts";
import {
  Cmsg,
  Header,
  INT,
  IOVEC,
  IP_PKTINFO,
  IPV6_PKTINFO,
  MSG_CTRUNC,
  MSG_DONTWAIT,
  MSG_TRUNC,
  NAME,
  PKTINFO4,
  PKTINFO6,
  SOL_IP,
  SOL_IPV6,
  SOL_UDP,
  UDP_GRO,
} from "./msghdr.ts";
import type { Slab } from "./slab.ts";
import { AF_INET6, SOCKADDR_IN6 } from "./udp.ts";

const { FAMILY, PORT, SCOPE, ADDRESS, SOURCE, INTERFACE } = EndpointRecord;

const recvmmsg = bind("int recvmmsg(int, uintptr_t, unsigned int, int, uintptr_t)");

/** Room for packet information (40), the size of segments (24), and what someone may switch on besides. */
const CONTROL = 128;
/** Free bytes before each datagram. */
export const INBOX_HEADROOM = 64;
/** The longest that UDP_GRO makes. */
const LONGEST = 65_536;
/** From buffer to buffer; cache lines besides, so that the buffers' starts do not fight for one cache set. */
const STRIDE: number = INBOX_HEADROOM + LONGEST + 32 * 64;

export class Inbox {
  readonly count: number;
  readonly #slab: Slab;
  readonly #headers: number;
  readonly #address: number;
  readonly #names: number;
  readonly #controls: number;
  readonly #buffers: number;
  /** Of what was received last: lengths (-1: to be dropped), sizes of segments, where the packet information is (word; 0: none). */
  readonly #lengths: Int32Array;
  readonly #segments: Int32Array;
  readonly #infos: Int32Array;

  /** `count` datagrams, or runs of datagrams, at a time. */
  constructor(slab: Slab, count: number) {
    this.count = count;
    this.#slab = slab;
    this.#headers = slab.take(count * Header.BYTES, 64);
    this.#address = slab.base + this.#headers;
    const iovecs = slab.take(count * IOVEC);
    this.#names = slab.take(count * NAME);
    this.#controls = slab.take(count * CONTROL);
    this.#buffers = slab.take(count * STRIDE, 64) + INBOX_HEADROOM;
    this.#lengths = new Int32Array(count);
    this.#segments = new Int32Array(count);
    this.#infos = new Int32Array(count);
    slab.u8.fill(0, this.#headers, this.#headers + count * Header.BYTES);
    for (let i = 0; i < count; i++) {
      const h = this.#headers + i * Header.BYTES;
      slab.point(h + 4 * Header.NAME, this.#names + i * NAME);
      slab.point(h + 4 * Header.IOV, iovecs + i * IOVEC);
      slab.u32[(h >>> 2) + Header.IOVLEN] = 1;
      slab.point(h + 4 * Header.CONTROL, this.#controls + i * CONTROL);
      slab.point(iovecs + i * IOVEC, this.at(i));
      slab.u32[(iovecs + i * IOVEC + 8) >>> 2] = LONGEST;
      slab.u32[(iovecs + i * IOVEC + 12) >>> 2] = 0;
    }
  }

  /**
   * Receives up to `n` datagrams or runs; how many, or -1 (errno: EAGAIN when there is none). Never blocks. `gro`: the socket has UDP_GRO on, so that
   * without its word on segments the bytes cannot be understood.
   */
  receive(fd: number, n: number, gro: boolean): number {
    const u32 = this.#slab.u32;
    for (let i = 0, h = this.#headers >>> 2; i < n; i++, h += Header.WORDS) {
      u32[h + Header.NAMELEN] = SOCKADDR_IN6;
      u32[h + Header.CONTROLLEN] = CONTROL;
      u32[h + Header.FLAGS] = 0;
    }
    const got = recvmmsg(fd, this.#address, n, MSG_DONTWAIT, 0);
    const bad = gro ? MSG_TRUNC | MSG_CTRUNC : MSG_TRUNC;
    for (let i = 0, h = this.#headers >>> 2; i < got; i++, h += Header.WORDS) {
      this.#lengths[i] = (u32[h + Header.FLAGS]! & bad) !== 0 ? -1 : u32[h + Header.LENGTH]!;
      this.#readControl(i, u32[h + Header.CONTROLLEN]!);
    }
    return got;
  }

  #readControl(i: number, controllen: number): void {
    const u32 = this.#slab.u32;
    this.#segments[i] = 0;
    this.#infos[i] = 0;
    let at = this.#controls + i * CONTROL;
    const end = at + (controllen <= CONTROL ? controllen : 0);
    while (end - at >= Cmsg.BYTES) {
      const w = at >>> 2;
      const length = u32[w + Cmsg.LENGTH]!;
      if (length < Cmsg.BYTES || length > end - at || u32[w + Cmsg.LENGTH + 1] !== 0) return;
      const level = u32[w + Cmsg.LEVEL]!;
      const type = u32[w + Cmsg.TYPE]!;
      if (level === SOL_UDP && type === UDP_GRO && length >= INT) {
        const size = u32[w + Cmsg.DATA]! | 0;
        this.#segments[i] = size > 0 && size < this.#lengths[i]! ? size : 0;
      } else if (
        (level === SOL_IP && type === IP_PKTINFO && length >= PKTINFO4) ||
        (level === SOL_IPV6 && type === IPV6_PKTINFO && length >= PKTINFO6)
      )
        this.#infos[i] = w;
      at += (length + 7) & ~7;
    }
  }

  /** Offset of datagram `i`: a multiple of 64. INBOX_HEADROOM bytes before it are free. */
  at(i: number): number {
    return this.#buffers + i * STRIDE;
  }

  /** Its length in bytes, of all segments together; -1: it did not fit, or is not known to be whole: drop it. */
  length(i: number): number {
    return this.#lengths[i]!;
  }

  /** 0: it is one datagram. Else there are several, each of so many bytes but the last, which may be shorter; less than length(i). */
  segment(i: number): number {
    return this.#segments[i]!;
  }

  /** Stores where it came from, and the address it came to, as an endpoint record at slab offset `to`. */
  source(i: number, to: number): void {
    const u32 = this.#slab.u32;
    const name = (this.#names + i * NAME) >>> 2;
    const out = to >>> 2;
    const six = this.#slab.u16[name << 1] === AF_INET6;
    u32[out + FAMILY] = six ? 6 : 4;
    // struct sockaddr_in { family 0, port 2, address 4 }, sockaddr_in6 { family 0, port 2, flowinfo 4, address 8, scope 24 }; the port in network order.
    const port = u32[name]! >>> 16;
    u32[out + PORT] = ((port & 0xff) << 8) | (port >>> 8);
    u32[out + SCOPE] = six ? u32[name + 6]! : 0;
    u32[out + ADDRESS] = six ? u32[name + 2]! : u32[name + 1]!;
    u32[out + ADDRESS + 1] = six ? u32[name + 3]! : 0;
    u32[out + ADDRESS + 2] = six ? u32[name + 4]! : 0;
    u32[out + ADDRESS + 3] = six ? u32[name + 5]! : 0;
    for (let w = SOURCE; w < ENDPOINT_WORDS; w++) u32[out + w] = 0;
    const info = this.#infos[i]!;
    if (info === 0) return;
    const data = info + Cmsg.DATA;
    if (u32[info + Cmsg.LEVEL] === SOL_IPV6) {
      u32[out + INTERFACE] = u32[data + 4]!;
      for (let w = 0; w < 4; w++) u32[out + SOURCE + w] = u32[data + w]!;
    } else {
      u32[out + INTERFACE] = u32[data]!;
      u32[out + SOURCE] = u32[data + 1]!;
    }
  }
}
