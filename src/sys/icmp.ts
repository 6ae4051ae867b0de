// ICMP echo sockets (icmp(7), raw(7), ipv6(7)): raw ones, or where that is not allowed the kernel's ping sockets. Replies carry the kernel's time of
// arrival, so what the event loop was busy with does not count as travel.
import { randomInt } from "node:crypto";
import { closeSync } from "node:fs";
import type { Ip } from "../base/ip.ts";
import { checksum } from "../packet/checksum.ts";
import { EAGAIN, EINTR } from "./errno.ts";
import { address, bind, check, errno, SysError } from "./ffi.ts";
import { interfaceIndex } from "./ifindex.ts";
import { readable } from "./poller.ts";

const socket = bind("int socket(int, int, int)");
const bindSocket = bind("int bind(int, void *, unsigned int)");
const connect = bind("int connect(int, void *, unsigned int)");
const getsockname = bind("int getsockname(int, void *, void *)");
const setsockopt = bind("int setsockopt(int, int, int, void *, unsigned int)");
const sendto = bind("intptr_t sendto(int, void *, size_t, int, void *, unsigned int)");
const recvmsg = bind("intptr_t recvmsg(int, uintptr_t, int)");
const clock = bind("int clock_gettime(int, void *)");

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const NONBLOCK_CLOEXEC = 0x80800;
const PROTOCOL = { 4: 1, 6: 58 } as const;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_BINDTODEVICE = 25;
const SO_TIMESTAMPNS = 35;
const SOL_IP = 0;
const IP_TTL = 2;
const IP_RECVTTL = 12;
const SOL_IPV6 = 41;
const IPV6_UNICAST_HOPS = 16;
const IPV6_RECVHOPLIMIT = 51;
const IPV6_HOPLIMIT = 52;
const SOL_RAW = 255;
const ICMP_FILTER = 1;
const SOL_ICMPV6 = 58;
const ICMPV6_FILTER = 1;
const CLOCK_REALTIME = 0;

const MAX_REPLY = 65_535 + 128;
const MAX_CONTROL = 512;
const RECEIVE_BUFFER = 1 << 20;

/** Types that tell something about echo requests: errors and replies. */
const WANTED = { 4: [0, 3, 4, 5, 11, 12], 6: [1, 2, 3, 4, 129] } as const;
const ECHO = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const;

export type EchoEvent = {
  readonly kind: "reply" | "error";
  readonly from: Ip;
  readonly sequence: number;
  /** Undefined when the kernel did not say. */
  readonly ttl: number | undefined;
  /** ICMP header and data. */
  readonly bytes: number;
  /** Wall time of arrival, by the kernel. */
  readonly timeNs: bigint;
  readonly type: number;
  readonly code: number;
};

export type IcmpOptions = { family: 4 | 6; interface?: string; source?: Ip; ttl?: number };

/** Wall time in nanoseconds, by the clock that stamps replies. */
export function wallNs(): bigint {
  const time = new BigInt64Array(2);
  clock(CLOCK_REALTIME, time);
  return time[0]! * 1_000_000_000n + time[1]!;
}

function socketAddress(ip: Ip, port: number, zone: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(ip.length === 4 ? 16 : 28));
  view.setUint16(0, ip.length === 4 ? AF_INET : AF_INET6, true);
  view.setUint16(2, port);
  const bytes = new Uint8Array(view.buffer);
  bytes.set(ip, ip.length === 4 ? 4 : 8);
  if (ip.length === 16) view.setUint32(24, zone, true);
  return bytes;
}
const zoneOf = (name: string | undefined): number => (name === undefined ? 0 : (interfaceIndex(name) ?? 0));

/** The address that packets to `ip` leave with. Throws SysError ("Cannot connect: ENETUNREACH") when there is no way. */
export function sourceFor(ip: Ip, options: { interface?: string; source?: Ip } = {}): Ip {
  const family = ip.length === 4 ? AF_INET : AF_INET6;
  const fd = check(socket(family, SOCK_DGRAM | NONBLOCK_CLOEXEC, 0), "open a socket");
  try {
    prepare(fd, options);
    const to = socketAddress(ip, 1025, zoneOf(options.interface));
    check(connect(fd, to, to.length), "connect");
    const local = new Uint8Array(28);
    check(getsockname(fd, local, new Uint32Array([28])), "read the own address");
    return ip.length === 4 ? local.slice(4, 8) : local.slice(8, 24);
  } finally {
    closeSync(fd);
  }
}

function prepare(fd: number, options: { interface?: string; source?: Ip }): void {
  if (options.interface !== undefined) {
    const name = Buffer.from(`${options.interface}\0`);
    check(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, name.length), `use the interface "${options.interface}"`);
  }
  if (options.source) {
    const from = socketAddress(options.source, 0, zoneOf(options.interface));
    check(bindSocket(fd, from, from.length), "use that source address");
  }
}

/** An echo sender and what comes back to it. */
export class IcmpSocket {
  /** ICMP identifier; of a kernel's ping socket the kernel chooses it. */
  readonly identifier: number = randomInt(0x10000);
  readonly #fd: number;
  readonly #raw: boolean;
  readonly #family: 4 | 6;
  readonly #zone: number;
  // recvmsg writes there: memory that never moves.
  readonly #data = Buffer.allocUnsafeSlow(MAX_REPLY);
  readonly #control = Buffer.allocUnsafeSlow(MAX_CONTROL);
  readonly #from = Buffer.allocUnsafeSlow(28);
  readonly #vector = Buffer.allocUnsafeSlow(16);
  readonly #message = Buffer.allocUnsafeSlow(56);

  /** Throws SysError; EPERM or EACCES when neither kind of socket is allowed. */
  constructor(options: IcmpOptions) {
    const { family } = options;
    this.#family = family;
    this.#zone = zoneOf(options.interface);
    const domain = family === 4 ? AF_INET : AF_INET6;
    const raw = socket(domain, SOCK_RAW | NONBLOCK_CLOEXEC, PROTOCOL[family]);
    this.#raw = raw >= 0;
    this.#fd = this.#raw ? raw : check(socket(domain, SOCK_DGRAM | NONBLOCK_CLOEXEC, PROTOCOL[family]), "open an ICMP socket");
    try {
      prepare(this.#fd, options);
      const set = (level: number, option: number, value: number): number => setsockopt(this.#fd, level, option, new Int32Array([value]), 4);
      set(SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
      set(SOL_SOCKET, SO_TIMESTAMPNS, 1);
      if (family === 4) set(SOL_IP, IP_RECVTTL, 1);
      else set(SOL_IPV6, IPV6_RECVHOPLIMIT, 1);
      if (this.#raw) this.#filter();
      if (options.ttl !== undefined) {
        check(family === 4 ? set(SOL_IP, IP_TTL, options.ttl) : set(SOL_IPV6, IPV6_UNICAST_HOPS, options.ttl), "set the time to live");
      }
    } catch (e) {
      closeSync(this.#fd);
      throw e;
    }
  }

  /** A raw socket is shown every ICMP packet of the host: only what matters here, so that its buffer does not overflow. A set bit blocks the type. */
  #filter(): void {
    const blocked = new Uint32Array(this.#family === 4 ? 1 : 8).fill(0xffffffff);
    for (const type of WANTED[this.#family]) blocked[type >> 5]! &= ~(1 << (type & 31));
    if (this.#family === 4) setsockopt(this.#fd, SOL_RAW, ICMP_FILTER, blocked, blocked.byteLength);
    else setsockopt(this.#fd, SOL_ICMPV6, ICMPV6_FILTER, blocked, blocked.byteLength);
  }

  /** Sends an echo request. Throws SysError. */
  send(to: Ip, sequence: number, payload: Uint8Array): void {
    const packet = new Uint8Array(8 + payload.length);
    const view = new DataView(packet.buffer);
    packet[0] = ECHO[this.#family].request;
    view.setUint16(4, this.identifier);
    view.setUint16(6, sequence);
    packet.set(payload, 8);
    // ICMPv6 checksums are the kernel's work.
    if (this.#family === 4) view.setUint16(2, checksum(packet));
    const target = socketAddress(to, 0, this.#zone);
    check(sendto(this.#fd, packet, packet.length, 0, target, target.length), "send");
  }

  /** What comes back, until `signal`. */
  async *events(signal: AbortSignal): AsyncGenerator<EchoEvent, void, undefined> {
    for (let last = false; !last;) {
      // What is there already counts, also when the end has come.
      last = signal.aborted;
      for (let event = this.#receive(); event !== "nothing"; event = this.#receive()) if (event !== "foreign") yield event;
      if (!last) await readable(this.#fd, signal);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  #receive(): EchoEvent | "foreign" | "nothing" {
    const m = this.#message;
    m.fill(0);
    this.#vector.writeBigUInt64LE(BigInt(address(this.#data)), 0);
    this.#vector.writeBigUInt64LE(BigInt(MAX_REPLY), 8);
    m.writeBigUInt64LE(BigInt(address(this.#from)), 0);
    m.writeUInt32LE(28, 8);
    m.writeBigUInt64LE(BigInt(address(this.#vector)), 16);
    m.writeBigUInt64LE(1n, 24);
    m.writeBigUInt64LE(BigInt(address(this.#control)), 32);
    m.writeBigUInt64LE(BigInt(MAX_CONTROL), 40);
    const n = recvmsg(this.#fd, address(m), 0);
    if (n < 0) {
      const failed = errno();
      if (failed === EAGAIN || failed === EINTR) return "nothing";
      throw new SysError("receive", failed);
    }
    const control = this.#controls(Number(m.readBigUInt64LE(40)));
    const packet = this.#data.subarray(0, n);
    const headerLength = this.#raw && this.#family === 4 ? 4 * ((packet[0] ?? 0) & 15) : 0;
    const from = new Uint8Array(this.#family === 4 ? this.#from.subarray(4, 8) : this.#from.subarray(8, 24));
    return this.#parse(packet.subarray(headerLength), from, control);
  }

  /** Hop count and arrival of the control messages (cmsghdr: length u64, level i32, type i32). */
  #controls(length: number): { ttl: number | undefined; timeNs: bigint } {
    let ttl: number | undefined;
    let timeNs: bigint | undefined;
    for (let at = 0; at + 16 <= length;) {
      const size = Number(this.#control.readBigUInt64LE(at));
      if (size < 16) break;
      const level = this.#control.readInt32LE(at + 8);
      const type = this.#control.readInt32LE(at + 12);
      if (level === SOL_SOCKET && type === SO_TIMESTAMPNS) {
        timeNs = this.#control.readBigInt64LE(at + 16) * 1_000_000_000n + this.#control.readBigInt64LE(at + 24);
      } else if ((level === SOL_IP && type === IP_TTL) || (level === SOL_IPV6 && type === IPV6_HOPLIMIT)) ttl = this.#control.readInt32LE(at + 16);
      at += (size + 7) & ~7;
    }
    return { ttl, timeNs: timeNs ?? wallNs() };
  }

  #parse(icmp: Buffer, from: Ip, control: { ttl: number | undefined; timeNs: bigint }): EchoEvent | "foreign" {
    if (icmp.length < 8) return "foreign";
    const [type, code] = [icmp[0]!, icmp[1]!];
    const common = { from, ...control, bytes: icmp.length, type, code };
    if (type === ECHO[this.#family].reply) {
      // A ping socket hands over its own replies only.
      if (this.#raw && icmp.readUInt16BE(4) !== this.identifier) return "foreign";
      return { kind: "reply", sequence: icmp.readUInt16BE(6), ...common };
    }
    // An error quotes the packet that it is about.
    if (!(WANTED[this.#family] as readonly number[]).includes(type)) return "foreign";
    const quoted = icmp.subarray(8);
    const inner = quoted.subarray(this.#family === 4 ? 4 * ((quoted[0] ?? 0) & 15) : 40);
    const protocol = quoted[this.#family === 4 ? 9 : 6];
    if (protocol !== PROTOCOL[this.#family] || inner.length < 8 || inner[0] !== ECHO[this.#family].request) return "foreign";
    if (inner.readUInt16BE(4) !== this.identifier) return "foreign";
    return { kind: "error", sequence: inner.readUInt16BE(6), ...common };
  }
}
