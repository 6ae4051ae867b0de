// Merging packets into super-packets for the TUN (virtio header with gso_type), by the rules of the kernel's own GRO (net/ipv4/tcp_offload.c,
// udp_offload.c): one write instead of up to 64, and one walk through the receiver's stack. The packets come from an authenticated peer and are hostile
// all the same.
import type { Simd } from "./simd.ts";
import { fold, swap } from "./sum.ts";
import {
  Gso,
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

/** Where packets go. */
export interface TunSink {
  /**
   * One packet for the TUN, virtio header first: the first `n` pieces, where piece i is the bytes [at[i], at[i] + length[i]) of the memory, to be written
   * by one write(2) or writev(2). The arrays are the caller's and change with the next call. n is 1 to MERGE_SEGMENTS.
   */
  write(at: Int32Array, length: Int32Array, n: number): void;
}

/** Free bytes needed before each packet. */
export const COALESCER_HEADROOM = 10;
/** Most packets in one: what kernels before 6.9 take. */
export const MERGE_SEGMENTS = 64;
const LONGEST = 65_535;
/** Open items at a time: flows that arrive interleaved. */
const FLOWS = 8;

export type CoalescerOptions = {
  /** Merge TCP segments. @default true */
  readonly tcp?: boolean;
  /** Merge UDP datagrams: only when the TUN was given TUN_F_USO4 and TUN_F_USO6. @default true */
  readonly udp?: boolean;
};

/** Packets of one flow that will be one; slots with at < 0 are free. */
class Item {
  at = -1;
  ports = 0;
  /** Of the headers, and of the first payload: no other is longer. */
  header = 0;
  size = 0;
  /** Sequence number that continues it, as an i32. */
  next = 0;
  /** Length of the whole packet. */
  length = 0;
  count = 0;
  readonly piecesAt: Int32Array = new Int32Array(MERGE_SEGMENTS);
  readonly piecesLength: Int32Array = new Int32Array(MERGE_SEGMENTS);
}

/**
 * Takes packets in the order of their arrival; each stays where it is until it has gone to the sink, at the latest in flush(). Within a flow order is
 * kept; flows may overtake each other. Payload is never moved: a merged packet is its first packet with changed headers, and pieces. No allocation.
 * Call flush() at the end of each round. Packets of several peers may come in one: each may send from addresses of its own only, so that no flow is two peers'.
 */
export class Coalescer {
  readonly #u8: Uint8Array;
  readonly #simd: Simd;
  readonly #sink: TunSink;
  #tcp: boolean;
  #udp: boolean;
  readonly #items: readonly Item[] = Array.from({ length: FLOWS }, () => new Item());
  #last: Item = this.#items[0]!;
  #open = 0;
  #victim = 0;

  constructor(memory: WebAssembly.Memory, simd: Simd, sink: TunSink, options: CoalescerOptions = {}) {
    this.#u8 = new Uint8Array(memory.buffer);
    this.#simd = simd;
    this.#sink = sink;
    this.#tcp = options.tcp ?? true;
    this.#udp = options.udp ?? true;
  }

  /** An IP packet, padding trimmed. The COALESCER_HEADROOM bytes before `at` are overwritten. */
  add(at: number, length: number): void {
    const last = this.#last;
    if (last.at >= 0 && this.#takes(last, at, length)) return;
    const transport = this.#transport(at, length);
    if (transport === 0) {
      if (this.#open > 0) this.#releaseHosts(at, length);
      this.#pass(at, length);
      return;
    }
    const item = this.#open > 0 ? this.#find(at, transport) : undefined;
    if (item !== undefined) {
      if (item !== last && this.#takes(item, at, length)) return;
      this.#release(item);
    }
    const header = this.#candidate(at, length, transport);
    // Nothing may follow a push in one packet.
    if (header === 0 || this.#pushes(at, header)) this.#pass(at, length);
    else this.#start(at, length, header, transport);
  }

  /** From now on nothing is merged. */
  disable(): void {
    this.#tcp = false;
    this.#udp = false;
  }

  /** Writes all that is held back. */
  flush(): void {
    if (this.#open === 0) return;
    for (const item of this.#items) if (item.at >= 0) this.#release(item);
  }

  // Where the TCP or UDP header is, or 0 when there are no ports to tell the flow by: fragments, extension headers, other protocols, nonsense.
  #transport(at: number, length: number): number {
    const u8 = this.#u8;
    if (u8[at] === 0x45) {
      if (length < IP4_HEADER + UDP_HEADER || (this.#big(at + Ip4.FRAGMENT) & 0x3fff) !== 0) return 0;
      const protocol = u8[at + Ip4.PROTOCOL];
      return protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP ? IP4_HEADER : 0;
    }
    if (length < IP6_HEADER + UDP_HEADER || u8[at]! >>> 4 !== 6) return 0;
    const protocol = u8[at + Ip6.NEXT_HEADER];
    return protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP ? IP6_HEADER : 0;
  }

  // Length of the headers, or 0 for what is never merged.
  #candidate(at: number, length: number, transport: number): number {
    const u8 = this.#u8;
    const t = at + transport;
    const own = length - transport;
    if (transport === IP4_HEADER ? this.#big(at + Ip4.TOTAL_LENGTH) !== length : this.#big(at + Ip6.PAYLOAD_LENGTH) !== own) return 0;
    if (u8[at + (transport === IP4_HEADER ? Ip4.PROTOCOL : Ip6.NEXT_HEADER)] === PROTOCOL_UDP) {
      const whole = this.#udp && own > UDP_HEADER && this.#big(t + Udp.LENGTH) === own && this.#big(t + Udp.CHECKSUM) !== 0;
      return whole ? transport + UDP_HEADER : 0;
    }
    if (!this.#tcp || own <= TCP_HEADER || (u8[t + Tcp.FLAGS]! & ~TcpFlag.PSH) !== TcpFlag.ACK) return 0;
    const header = (u8[t + Tcp.DATA_OFFSET]! >>> 4) * 4;
    return header >= TCP_HEADER && header < own ? transport + header : 0;
  }

  // The open item of the same addresses, protocol and ports.
  #find(at: number, transport: number): Item | undefined {
    const ports = this.#word(at + transport);
    for (const item of this.#items) if (item.at >= 0 && item.ports === ports && this.#sameFlow(item.at, at)) return item;
    return undefined;
  }

  #sameFlow(a: number, b: number): boolean {
    const u8 = this.#u8;
    if (u8[a] === 0x45) return u8[b] === 0x45 && u8[a + Ip4.PROTOCOL] === u8[b + Ip4.PROTOCOL] && this.#same(a + Ip4.SOURCE, b + Ip4.SOURCE, 8);
    return u8[b] !== 0x45 && u8[a + Ip6.NEXT_HEADER] === u8[b + Ip6.NEXT_HEADER] && this.#same(a + Ip6.SOURCE, b + Ip6.SOURCE, 32);
  }

  // Appends the packet if it continues the item. One that does, but whose checksum is wrong, goes on as it came: not ours to mend.
  #takes(item: Item, at: number, length: number): boolean {
    const simd = this.#simd;
    const head = item.at;
    const header = item.header;
    const payload = length - header;
    if (payload <= 0 || payload > item.size || item.length + payload > LONGEST) return false;
    // What is like a candidate is one, but for its lengths.
    if (simd.alike(head, at, header) === 0 || !this.#follows(item, at, length)) return false;
    if (item.count === 1 && simd.valid(head, item.length) === 0) return false;
    if (simd.valid(at, length) === 0) {
      this.#release(item);
      this.#pass(at, length);
    } else this.#append(item, at, payload);
    return true;
  }

  #follows(item: Item, at: number, length: number): boolean {
    const u8 = this.#u8;
    let transport = IP6_HEADER;
    if (u8[at] === 0x45) {
      if (this.#big(at + Ip4.TOTAL_LENGTH) !== length) return false;
      transport = IP4_HEADER;
      // Without DF the identification must count up, as it will where the merged packet is split again.
      if ((u8[at + Ip4.FRAGMENT]! & 0x40) === 0 && this.#big(at + Ip4.ID) !== ((this.#big(item.at + Ip4.ID) + item.count) & 0xffff)) return false;
    } else if (this.#big(at + Ip6.PAYLOAD_LENGTH) + IP6_HEADER !== length) return false;
    const t = at + transport;
    if (item.header === transport + UDP_HEADER) return this.#big(t + Udp.LENGTH) === length - transport && this.#big(t + Udp.CHECKSUM) !== 0;
    return this.#word(t + Tcp.SEQUENCE) === item.next;
  }

  #pushes(at: number, header: number): boolean {
    const transport = this.#u8[at] === 0x45 ? IP4_HEADER : IP6_HEADER;
    return header !== transport + UDP_HEADER && (this.#u8[at + transport + Tcp.FLAGS]! & TcpFlag.PSH) !== 0;
  }

  #start(at: number, length: number, header: number, transport: number): void {
    let item: Item | undefined;
    if (this.#open < FLOWS) for (item of this.#items) if (item.at < 0) break;
    if (this.#open === FLOWS) {
      this.#victim = (this.#victim + 1) % FLOWS;
      item = this.#items[this.#victim]!;
      this.#release(item);
    }
    item!.at = at;
    item!.header = header;
    item!.size = length - header;
    item!.length = length;
    item!.next = (this.#word(at + transport + Tcp.SEQUENCE) + length - header) | 0;
    item!.ports = this.#word(at + transport);
    item!.count = 1;
    item!.piecesAt[0] = at - VIRTIO_HEADER;
    item!.piecesLength[0] = length + VIRTIO_HEADER;
    this.#last = item!;
    this.#open++;
  }

  #append(item: Item, at: number, payload: number): void {
    const { header, count } = item;
    item.piecesAt[count] = at + header;
    item.piecesLength[count] = payload;
    item.count = count + 1;
    item.length += payload;
    item.next = (item.next + payload) | 0;
    this.#last = item;
    const pushes = this.#pushes(at, header);
    if (pushes) this.#u8[item.at + (this.#u8[at] === 0x45 ? IP4_HEADER : IP6_HEADER) + Tcp.FLAGS]! |= TcpFlag.PSH;
    if (pushes || payload < item.size || count + 1 === MERGE_SEGMENTS) this.#release(item);
  }

  #release(item: Item): void {
    this.#open--;
    if (item.count === 1) this.#clear(item.at);
    else this.#complete(item);
    item.at = -1;
    this.#sink.write(item.piecesAt, item.piecesLength, item.count);
  }

  // Headers of the merged packet.
  #complete(item: Item): void {
    const u8 = this.#u8;
    const simd = this.#simd;
    const { at, length, header } = item;
    const v4 = u8[at] === 0x45;
    const transport = v4 ? IP4_HEADER : IP6_HEADER;
    const protocol = v4 ? u8[at + Ip4.PROTOCOL]! : u8[at + Ip6.NEXT_HEADER]!;
    const udp = protocol === PROTOCOL_UDP;
    const check = udp ? Udp.CHECKSUM : Tcp.CHECKSUM;
    if (v4) {
      this.#store(at + Ip4.TOTAL_LENGTH, swap(length));
      this.#store(at + Ip4.CHECKSUM, 0);
      this.#store(at + Ip4.CHECKSUM, ~simd.sum(at, IP4_HEADER) & 0xffff);
    } else this.#store(at + Ip6.PAYLOAD_LENGTH, swap(length - IP6_HEADER));
    if (udp) this.#store(at + transport + Udp.LENGTH, swap(length - transport));
    const addresses = v4 ? simd.sum(at + Ip4.SOURCE, 8) : simd.sum(at + Ip6.SOURCE, 32);
    this.#store(at + transport + check, fold(addresses + swap(protocol) + swap(length - transport)));
    const v = at - VIRTIO_HEADER;
    u8[v + Virtio.FLAGS] = NEEDS_CHECKSUM;
    u8[v + Virtio.GSO_TYPE] = udp ? Gso.UDP : v4 ? Gso.TCP4 : Gso.TCP6;
    this.#store(v + Virtio.HEADER_LENGTH, header);
    this.#store(v + Virtio.GSO_SIZE, item.size);
    this.#store(v + Virtio.CHECKSUM_START, transport);
    this.#store(v + Virtio.CHECKSUM_OFFSET, check);
  }

  // Before a packet whose flow cannot be told: it may belong to any between the same hosts.
  #releaseHosts(at: number, length: number): void {
    const version = this.#u8[at]! >>> 4;
    for (const item of this.#items) {
      if (item.at < 0 || this.#u8[item.at]! >>> 4 !== version) continue;
      if (
        version === 4
          ? length >= IP4_HEADER && this.#same(item.at + Ip4.SOURCE, at + Ip4.SOURCE, 8)
          : length >= IP6_HEADER && this.#same(item.at + Ip6.SOURCE, at + Ip6.SOURCE, 32)
      )
        this.#release(item);
    }
  }

  readonly #oneAt: Int32Array = new Int32Array(1);
  readonly #oneLength: Int32Array = new Int32Array(1);
  #pass(at: number, length: number): void {
    this.#clear(at);
    this.#oneAt[0] = at - VIRTIO_HEADER;
    this.#oneLength[0] = length + VIRTIO_HEADER;
    this.#sink.write(this.#oneAt, this.#oneLength, 1);
  }

  #clear(at: number): void {
    this.#simd.zero(at - VIRTIO_HEADER, VIRTIO_HEADER);
  }

  #same(a: number, b: number, length: number): boolean {
    const u8 = this.#u8;
    for (let i = 0; i < length; i++) if (u8[a + i] !== u8[b + i]) return false;
    return true;
  }
  #big(at: number): number {
    return (this.#u8[at]! << 8) | this.#u8[at + 1]!;
  }
  // Big-endian, as an i32.
  #word(at: number): number {
    return (this.#big(at) << 16) | this.#big(at + 2);
  }
  #store(at: number, value: number): void {
    this.#u8[at] = value;
    this.#u8[at + 1] = value >>> 8;
  }
}
