// Finds the UDP datagram of a frame without making anything: what a capture of millions of packets is sifted with. decode() explains a frame, layer by
// layer; its naive twin in the test says that both find the same.
import type { DecodeOptions } from "./decode.ts";
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, isVlan, LINK_ETHERNET, LINK_IPV4, LINK_IPV6, LINK_RAW, LINK_SLL, LINK_SLL2 } from "./link.ts";

/** A datagram is in the fields; there is none; or only decode() can tell (fragments, encapsulations, extension headers, rare link layers). */
export type Finding = "udp" | "none" | "ask";

/** One may be used for any number of frames; its fields are those of the last find() that said "udp". */
export class UdpFinder {
  /** Offsets of source and destination address in the frame, and their length: 4 or 16. */
  src = 0;
  dst = 0;
  addressLength: 4 | 16 = 4;
  srcPort = 0;
  dstPort = 0;
  /** Offset of the payload, and one past its last captured byte. */
  payload = 0;
  end = 0;
  /** Bytes of payload on the wire. */
  length = 0;
  readonly #tunnels: ReadonlySet<number>;

  constructor(options: DecodeOptions = {}) {
    this.#tunnels = new Set([...(options.vxlanPorts ?? [4789, 8472]), ...(options.genevePorts ?? [6081])]);
  }

  find(b: Uint8Array, link: number): Finding {
    let at = 0;
    let type = 0;
    if (link === LINK_ETHERNET) {
      if (b.length < 14) return "none";
      type = (b[12]! << 8) | b[13]!;
      at = 14;
    } else if (link === LINK_SLL2) {
      if (b.length < 20) return "none";
      type = (b[0]! << 8) | b[1]!;
      at = 20;
    } else if (link === LINK_SLL) {
      if (b.length < 16) return "none";
      type = (b[14]! << 8) | b[15]!;
      at = 16;
    } else if (link === LINK_IPV4) type = ETHERTYPE_IPV4;
    else if (link === LINK_IPV6) type = ETHERTYPE_IPV6;
    else if (link !== LINK_RAW) return "ask";
    for (let n = 0; isVlan(type); n++) {
      if (n === 4) return "ask";
      if (b.length < at + 4) return "none";
      type = (b[at + 2]! << 8) | b[at + 3]!;
      at += 4;
    }
    if (type === 0) type = b.length > at && b[at]! >> 4 === 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4;
    if (type === ETHERTYPE_IPV4) return this.#ipv4(b, at);
    if (type === ETHERTYPE_IPV6) return this.#ipv6(b, at);
    return type === 0x6558 ? "ask" : "none";
  }

  #ipv4(b: Uint8Array, at: number): Finding {
    if (b.length - at < 20) return "none";
    const first = b[at]!;
    const header = (first & 15) * 4;
    if (first >> 4 !== 4 || header < 20) return "none";
    if ((((b[at + 6]! & 0x3f) << 8) | b[at + 7]!) !== 0) return "ask";
    const protocol = b[at + 9]!;
    if (protocol !== 17) return isTunnel(protocol) ? "ask" : "none";
    const total = (b[at + 2]! << 8) | b[at + 3]!;
    this.src = at + 12;
    this.dst = at + 16;
    this.addressLength = 4;
    return this.#udp(b, at + header, total < header ? b.length : Math.min(b.length, at + total));
  }

  #ipv6(b: Uint8Array, at: number): Finding {
    if (b.length - at < 40 || b[at]! >> 4 !== 6) return "none";
    const next = b[at + 6]!;
    // UDP, or what no extension header is: anything else is walked by decode().
    if (next !== 17) return next === 6 || next === 58 || next === 50 || next === 59 ? "none" : "ask";
    this.src = at + 8;
    this.dst = at + 24;
    this.addressLength = 16;
    return this.#udp(b, at + 40, Math.min(b.length, at + 40 + ((b[at + 4]! << 8) | b[at + 5]!)));
  }

  #udp(b: Uint8Array, at: number, end: number): Finding {
    if (end - at < 8) return "none";
    this.srcPort = (b[at]! << 8) | b[at + 1]!;
    this.dstPort = (b[at + 2]! << 8) | b[at + 3]!;
    if (this.#tunnels.has(this.dstPort)) return "ask";
    const total = (b[at + 4]! << 8) | b[at + 5]!;
    this.payload = at + 8;
    this.end = total < 8 ? end : Math.min(end, at + total);
    const captured = this.end - this.payload;
    this.length = total - 8 > captured ? total - 8 : captured;
    return "udp";
  }
}

/** IP in IP, and GRE. */
const isTunnel = (protocol: number): boolean => protocol === 4 || protocol === 41 || protocol === 47;
