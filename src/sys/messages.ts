// Vectors of datagrams for recvmmsg(2) and sendmmsg(2), laid out once in the slab: per datagram only lengths and pointers change. Struct layouts are
// those of 64-bit Linux (the same on x86_64 and aarch64).
import { ENDPOINT_WORDS, EndpointRecord } from "../wireguard/endpoint.ts";
import { bind } from "./ffi.ts";
import type { Slab } from "./slab.ts";
import { AF_INET, AF_INET6, SOCKADDR_IN, SOCKADDR_IN6 } from "./udp.ts";

const { FAMILY, PORT, SCOPE, ADDRESS, SOURCE, INTERFACE } = EndpointRecord;

const recvmmsg = bind("int recvmmsg(int, uintptr_t, unsigned int, int, uintptr_t)");
const sendmmsg = bind("int sendmmsg(int, uintptr_t, unsigned int, int)");

const MSG_DONTWAIT = 0x40;
const MSG_TRUNC = 0x20;
// struct mmsghdr: msghdr { name 0, namelen 8, iov 16, iovlen 24, control 32, controllen 40, flags 48 }, msg_len 56.
const HEADER = 64;
const IOVEC = 16;
const NAME = 32;
const CONTROL = 64;
// struct cmsghdr { len u64, level i32, type i32 }, data at 16.
const SOL_IP = 0;
const IP_PKTINFO = 8;
const SOL_IPV6 = 41;
const IPV6_PKTINFO = 50;
const CMSG_HEADER = 16;
const PKTINFO4_LEN = CMSG_HEADER + 12;
const PKTINFO4_SPACE = 32;
const PKTINFO6_LEN = CMSG_HEADER + 20;
const PKTINFO6_SPACE = 40;

/** fe80::/10, from the first word of an address in memory (little-endian, as every machine that Node runs on). */
const isLinkLocal = (word: number): boolean => (word & 0xc0ff) === 0x80fe;

export class Messages {
  readonly count: number;
  readonly #slab: Slab;
  readonly #headers: number;
  readonly #iovecs: number;
  readonly #names: number;
  readonly #controls: number;

  constructor(slab: Slab, count: number) {
    this.count = count;
    this.#slab = slab;
    this.#headers = slab.take(count * HEADER, 64);
    this.#iovecs = slab.take(count * IOVEC);
    this.#names = slab.take(count * NAME);
    this.#controls = slab.take(count * CONTROL);
    for (let i = 0; i < count; i++) {
      const h = this.#headers + i * HEADER;
      slab.point(h, this.#names + i * NAME);
      slab.point(h + 16, this.#iovecs + i * IOVEC);
      slab.u32[(h + 24) >>> 2] = 1;
      slab.point(h + 32, this.#controls + i * CONTROL);
    }
  }

  /** Datagram `i` is (to be) the `bytes` bytes at slab offset `at`. */
  setData(i: number, at: number, bytes: number): void {
    const v = this.#iovecs + i * IOVEC;
    this.#slab.point(v, at);
    this.#slab.u32[(v + 8) >>> 2] = bytes;
  }

  /** Receives up to `n` datagrams into what setData named; what came, or -1 (errno: EAGAIN when there is none). Never blocks. */
  receive(fd: number, n: number): number {
    const u32 = this.#slab.u32;
    for (let i = 0; i < n; i++) {
      const h = (this.#headers + i * HEADER) >>> 2;
      u32[h + 2] = SOCKADDR_IN6;
      u32[h + 10] = CONTROL;
      u32[h + 12] = 0;
    }
    return recvmmsg(fd, this.#slab.base + this.#headers, n, MSG_DONTWAIT, 0);
  }

  /** Length of received datagram `i`, or -1 when it did not fit. */
  length(i: number): number {
    const h = (this.#headers + i * HEADER) >>> 2;
    return (this.#slab.u32[h + 12]! & MSG_TRUNC) !== 0 ? -1 : this.#slab.u32[h + 14]!;
  }

  /** Stores where received datagram `i` came from, and the address it came to, as an endpoint record at slab offset `to`. */
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
    if (u32[((this.#headers + i * HEADER) >>> 2) + 10]! < PKTINFO4_LEN) return;
    const control = (this.#controls + i * CONTROL) >>> 2;
    const data = control + (CMSG_HEADER >>> 2);
    const level = u32[control + 2]!;
    const type = u32[control + 3]!;
    if (level === SOL_IP && type === IP_PKTINFO) {
      u32[out + INTERFACE] = u32[data]!;
      u32[out + SOURCE] = u32[data + 1]!;
    } else if (level === SOL_IPV6 && type === IPV6_PKTINFO) {
      u32[out + INTERFACE] = u32[data + 4]!;
      for (let w = 0; w < 4; w++) u32[out + SOURCE + w] = u32[data + w]!;
    }
  }

  /** Datagram `i` goes to the endpoint record at slab offset `endpoint`, from its sticky source if it has one. */
  setDestination(i: number, endpoint: number): void {
    const u32 = this.#slab.u32;
    const h = (this.#headers + i * HEADER) >>> 2;
    const name = (this.#names + i * NAME) >>> 2;
    const from = endpoint >>> 2;
    const six = u32[from + FAMILY] === 6;
    const port = u32[from + PORT]!;
    u32[name] = ((((port & 0xff) << 8) | (port >>> 8)) << 16) | (six ? AF_INET6 : AF_INET);
    if (six) {
      u32[name + 1] = 0;
      for (let w = 0; w < 4; w++) u32[name + 2 + w] = u32[from + ADDRESS + w]!;
      u32[name + 6] = u32[from + SCOPE]!;
      u32[h + 2] = SOCKADDR_IN6;
    } else {
      u32[name + 1] = u32[from + ADDRESS]!;
      u32[name + 2] = 0;
      u32[name + 3] = 0;
      u32[h + 2] = SOCKADDR_IN;
    }
    this.#setSource(i, from, six);
  }

  // The address only, not the interface: packets follow the routes as they are now. A link-local address means nothing without its interface.
  #setSource(i: number, from: number, six: boolean): void {
    const u32 = this.#slab.u32;
    const h = (this.#headers + i * HEADER) >>> 2;
    const control = (this.#controls + i * CONTROL) >>> 2;
    const data = control + (CMSG_HEADER >>> 2);
    const source = from + SOURCE;
    if ((u32[source]! | u32[source + 1]! | u32[source + 2]! | u32[source + 3]!) === 0) {
      u32[h + 10] = 0;
      return;
    }
    u32[control + 1] = 0;
    if (six) {
      u32[control] = PKTINFO6_LEN;
      u32[control + 2] = SOL_IPV6;
      u32[control + 3] = IPV6_PKTINFO;
      for (let w = 0; w < 4; w++) u32[data + w] = u32[source + w]!;
      u32[data + 4] = isLinkLocal(u32[source]!) ? u32[from + INTERFACE]! : 0;
      u32[h + 10] = PKTINFO6_SPACE;
    } else {
      u32[control] = PKTINFO4_LEN;
      u32[control + 2] = SOL_IP;
      u32[control + 3] = IP_PKTINFO;
      u32[data] = 0;
      u32[data + 1] = u32[source]!;
      u32[data + 2] = 0;
      u32[h + 10] = PKTINFO4_SPACE;
    }
  }

  /** The kernel chooses the source address of datagram `i`. */
  clearSource(i: number): void {
    this.#slab.u32[((this.#headers + i * HEADER) >>> 2) + 10] = 0;
  }

  hasSource(i: number): boolean {
    return this.#slab.u32[((this.#headers + i * HEADER) >>> 2) + 10] !== 0;
  }

  isIpv6(i: number): boolean {
    return this.#slab.u16[(this.#names + i * NAME) >>> 1] === AF_INET6;
  }

  /** Sends datagrams [first, first + n): how many went, or -1 (errno) when the first of them failed. Never blocks. */
  send(fd: number, first: number, n: number): number {
    return sendmmsg(fd, this.#slab.base + this.#headers + first * HEADER, n, MSG_DONTWAIT);
  }
}
