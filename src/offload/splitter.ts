// Splitting what a TUN with TSO and USO hands over: one read is up to 64 KiB of one flow, to be cut into packets of the link's size (the kernel does the
// same in tcp_gso_segment and __udp_gso_segment, and completes checksums in skb_checksum_help). Local users can send malformed ones, so nothing in the
// virtio header is believed before it is checked, and its hdr_len not at all.
import type { Simd } from "./simd.ts";
import { fold, swap } from "./sum.ts";
import {
  Gso,
  GSO_ECN,
  Ip4,
  IP4_HEADER,
  Ip6,
  IP6_HEADER,
  NEEDS_CHECKSUM,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  Tcp,
  TCP_HEADER,
  TcpFlag,
  Udp,
  UDP_HEADER,
  Virtio,
  VIRTIO_HEADER,
} from "./virtio.ts";

/** Bytes of shared memory that a Splitter keeps for itself; also the longest IP and transport headers it splits. */
export const SPLITTER_SCRATCH = 256;

/**
 * Cuts into packets that stand by themselves: next() copies one to where it is told, headers and payload. No allocation.
 *
 *     for (let n = splitter.begin(at, length); n > 0; n--) {
 *       splitter.next(to);
 *       seal(to, splitter.packetLength);
 *     }
 */
export class Splitter {
  /** Of the packet that next() made. All but the last have the same length; the last is not longer. */
  packetLength = 0;

  readonly #u8: Uint8Array;
  readonly #simd: Simd;
  /** Where the headers are kept, with the fields that every segment shares. */
  readonly #scratch: number;

  #type: number = Gso.NONE;
  /** Of the next segment: where its payload starts. */
  #at = 0;
  #end = 0;
  #header = 0;
  #transport = 0;
  #size = 0;
  #sequence = 0;
  #id = 0;
  #flags = 0;
  /** Of one that is not split: where its sum starts, and where from there the checksum goes; -1: it has one. */
  #start = 0;
  #check = -1;

  /** `scratch`: offset of SPLITTER_SCRATCH bytes of the memory. */
  constructor(memory: WebAssembly.Memory, simd: Simd, scratch: number) {
    this.#u8 = new Uint8Array(memory.buffer);
    this.#simd = simd;
    this.#scratch = scratch;
  }

  /**
   * Takes the virtio header at `at` and the IP packet of `length` bytes behind it: they are only read. Answers the number of segments, at least 1, or 0
   * when it is malformed.
   */
  begin(at: number, length: number): number {
    const u8 = this.#u8;
    const packet = at + VIRTIO_HEADER;
    const needs = (u8[at]! & NEEDS_CHECKSUM) !== 0;
    const start = this.#half(at + Virtio.CHECKSUM_START);
    const offset = this.#half(at + Virtio.CHECKSUM_OFFSET);
    const type = u8[at + Virtio.GSO_TYPE]! & ~GSO_ECN;
    this.packetLength = 0;
    this.#type = type;
    if (length < IP4_HEADER || (needs && start + offset + 2 > length)) return 0;
    this.#at = packet;
    this.#end = packet + length;
    if (type === Gso.NONE) {
      this.#start = start;
      this.#check = needs ? offset : -1;
      return 1;
    }
    return this.#beginGso(packet, length, type, needs, start, offset);
  }

  #beginGso(packet: number, length: number, type: number, needs: boolean, start: number, offset: number): number {
    const u8 = this.#u8;
    if (type !== Gso.TCP4 && type !== Gso.TCP6 && type !== Gso.UDP) return 0;
    const version = u8[packet]! >>> 4;
    const protocol = type === Gso.UDP ? PROTOCOL_UDP : PROTOCOL_TCP;
    let transport: number;
    if (version === 4 && type !== Gso.TCP6) {
      transport = (u8[packet]! & 15) * 4;
      if (transport < IP4_HEADER || u8[packet + Ip4.PROTOCOL] !== protocol) return 0;
      // A fragment cannot be split as a whole could.
      if ((u8[packet + Ip4.FRAGMENT]! & 0x3f) !== 0 || u8[packet + Ip4.FRAGMENT + 1] !== 0) return 0;
      if (needs && start !== transport) return 0;
    } else if (version === 6 && type !== Gso.TCP4) {
      // Extension headers are the kernel's to skip: it says where the transport header starts.
      transport = needs ? start : IP6_HEADER;
      if (transport < IP6_HEADER || (transport === IP6_HEADER && u8[packet + Ip6.NEXT_HEADER] !== protocol)) return 0;
    } else return 0;
    const check = type === Gso.UDP ? Udp.CHECKSUM : Tcp.CHECKSUM;
    if (needs && offset !== check) return 0;
    let header = transport + UDP_HEADER;
    if (type !== Gso.UDP) {
      if (transport + Tcp.CHECKSUM > length) return 0;
      const own = (u8[packet + transport + Tcp.DATA_OFFSET]! >>> 4) * 4;
      if (own < TCP_HEADER) return 0;
      header = transport + own;
    }
    const size = this.#half(packet - VIRTIO_HEADER + Virtio.GSO_SIZE);
    if (size === 0 || header > length || header > SPLITTER_SCRATCH) return 0;
    this.#keep(packet, length, version, transport, header, check, needs);
    this.#size = size;
    return Math.max(1, Math.ceil((length - header) / size));
  }

  // Keeps the headers, and of the transport's checksum what all segments share: the pseudo header without its length.
  #keep(packet: number, length: number, version: number, transport: number, header: number, check: number, needs: boolean): void {
    const u8 = this.#u8;
    const s = this.#scratch;
    const pseudo = needs ? this.#half(packet + transport + check) : this.#pseudo(packet, version, length - transport);
    this.#simd.copy(s, packet, header);
    // One's complement subtraction is adding the complement.
    this.#store(s + transport + check, fold(pseudo + (~swap(length - transport) & 0xffff)));
    if (version === 4) {
      this.#id = (u8[s + Ip4.ID]! << 8) | u8[s + Ip4.ID + 1]!;
      this.#store(s + Ip4.CHECKSUM, 0);
    }
    if (check === Tcp.CHECKSUM) {
      const q = s + transport + Tcp.SEQUENCE;
      this.#sequence = (u8[q]! << 24) | (u8[q + 1]! << 16) | (u8[q + 2]! << 8) | u8[q + 3]!;
      this.#flags = u8[s + transport + Tcp.FLAGS]!;
    }
    this.#transport = transport;
    this.#header = header;
    this.#at = packet + header;
  }

  #pseudo(packet: number, version: number, length: number): number {
    const protocol = this.#type === Gso.UDP ? PROTOCOL_UDP : PROTOCOL_TCP;
    const addresses = version === 4 ? this.#simd.sum(packet + Ip4.SOURCE, 8) : this.#simd.sum(packet + Ip6.SOURCE, 32);
    return fold(addresses + swap(protocol) + swap(length));
  }

  /** Makes the next packet at `to`, its checksums complete: up to as many bytes as begin() was given. To be called at most as often as begin() said. */
  next(to: number): void {
    if (this.#type === Gso.NONE) {
      this.#whole(to);
      return;
    }
    const u8 = this.#u8;
    const s = this.#scratch;
    const transport = this.#transport;
    const header = this.#header;
    const payload = Math.min(this.#size, this.#end - this.#at);
    const length = header + payload;
    const last = this.#at + payload === this.#end;
    this.#simd.copy(to, s, header);
    // Then the sum over the copy: one pass for both was slower (57 ns and not 40 for 1368 bytes), WebAssembly's vectors being half as wide as memory.copy's.
    this.#simd.copy(to + header, this.#at, payload);
    if (u8[s]! >>> 4 === 4) {
      this.#storeBig(to + Ip4.TOTAL_LENGTH, length);
      this.#storeBig(to + Ip4.ID, this.#id);
      this.#store(to + Ip4.CHECKSUM, ~this.#simd.sum(to, transport) & 0xffff);
      this.#id = (this.#id + 1) & 0xffff;
    } else this.#storeBig(to + Ip6.PAYLOAD_LENGTH, length - IP6_HEADER);
    const t = to + transport;
    const own = swap(length - transport);
    if (this.#type === Gso.UDP) {
      this.#store(t + Udp.LENGTH, own);
      this.#store(t + Udp.CHECKSUM, fold(this.#half(t + Udp.CHECKSUM) + own));
      this.#store(t + Udp.CHECKSUM, ~this.#simd.sum(t, length - transport) & 0xffff || 0xffff);
    } else {
      const q = this.#sequence;
      u8[t + Tcp.SEQUENCE] = q >>> 24;
      u8[t + Tcp.SEQUENCE + 1] = q >>> 16;
      u8[t + Tcp.SEQUENCE + 2] = q >>> 8;
      u8[t + Tcp.SEQUENCE + 3] = q;
      this.#sequence = (q + payload) | 0;
      u8[t + Tcp.FLAGS] = last ? this.#flags : this.#flags & ~(TcpFlag.FIN | TcpFlag.PSH);
      this.#flags &= ~TcpFlag.CWR;
      this.#store(t + Tcp.CHECKSUM, fold(this.#half(t + Tcp.CHECKSUM) + own));
      this.#store(t + Tcp.CHECKSUM, ~this.#simd.sum(t, length - transport) & 0xffff);
    }
    this.#at += payload;
    this.packetLength = length;
  }

  // One that is not split.
  #whole(to: number): void {
    const length = this.#end - this.#at;
    const start = this.#start;
    this.#simd.copy(to, this.#at, length);
    if (this.#check >= 0) this.#store(to + start + this.#check, ~this.#simd.sum(to + start, length - start) & 0xffff || 0xffff);
    this.packetLength = length;
  }

  // Little-endian, as the sums are.
  #half(at: number): number {
    return this.#u8[at]! | (this.#u8[at + 1]! << 8);
  }
  #store(at: number, value: number): void {
    this.#u8[at] = value;
    this.#u8[at + 1] = value >>> 8;
  }
  #storeBig(at: number, value: number): void {
    this.#u8[at] = value >>> 8;
    this.#u8[at + 1] = value;
  }
}
