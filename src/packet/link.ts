// Link layers of capture files, by their LINKTYPE_ value (https://www.tcpdump.org/linktypes.html; section 4.2).
import type { EthernetLayer } from "./layer.ts";
import { u16, u32, type Walk } from "./walk.ts";

export const LINK_NULL = 0;
export const LINK_ETHERNET = 1;
export const LINK_RAW = 101;
export const LINK_LOOP = 108;
export const LINK_SLL = 113;
export const LINK_IPV4 = 228;
export const LINK_IPV6 = 229;
export const LINK_SLL2 = 276;

const NAMES: Readonly<Record<number, string>> = {
  [LINK_NULL]: "NULL",
  [LINK_ETHERNET]: "EN10MB",
  12: "RAW",
  14: "RAW",
  [LINK_RAW]: "RAW",
  [LINK_LOOP]: "LOOP",
  [LINK_SLL]: "LINUX_SLL",
  [LINK_IPV4]: "IPV4",
  [LINK_IPV6]: "IPV6",
  239: "NFLOG",
  253: "NETLINK",
  [LINK_SLL2]: "LINUX_SLL2",
};
/** tcpdump's name, or the number. */
export const linkName = (link: number): string => NAMES[link] ?? String(link);

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_IPV6 = 0x86dd;
/** Transparent Ethernet bridging: a whole Ethernet frame follows (GRE, Geneve). */
export const ETHERTYPE_TEB = 0x6558;
export const ETHERTYPE_PROVIDER_VLAN = 0x88a8;
export const isVlan = (type: number): boolean => type === 0x8100 || type === ETHERTYPE_PROVIDER_VLAN || type === 0x9100;

class Ethernet implements EthernetLayer {
  readonly kind = "ethernet";
  readonly length = 14;
  declare readonly bytes: Uint8Array;
  declare readonly at: number;
  declare readonly end: number;
  declare readonly type: number;

  constructor(b: Uint8Array, at: number, end: number) {
    this.bytes = b;
    this.at = at;
    this.end = end;
    this.type = u16(b, at + 12);
  }
  get dst(): Uint8Array {
    return this.bytes.subarray(this.at, this.at + 6);
  }
  get src(): Uint8Array {
    return this.bytes.subarray(this.at + 6, this.at + 12);
  }
}

/** Takes the link layer's header; the EtherType of what follows, -1 = nothing we know, 0 = an IP packet whose version nibble decides. */
export function decodeLink(b: Uint8Array, w: Walk): number {
  const { at, end, number: link } = w;
  const left = end - at;
  if (link === LINK_ETHERNET) {
    if (left < 14) return -1;
    const layer = new Ethernet(b, at, end);
    w.layers.push(layer);
    w.at += 14;
    return layer.type;
  }
  if (link === LINK_RAW || link === 12 || link === 14) return 0;
  if (link === LINK_IPV4) return ETHERTYPE_IPV4;
  if (link === LINK_IPV6) return ETHERTYPE_IPV6;
  if (link === LINK_SLL && left >= 16) {
    const type = u16(b, at + 14);
    w.layers.push({ kind: "cooked", version: 1, at, length: 16, end, packetType: u16(b, at), arphrd: u16(b, at + 2), type });
    w.at += 16;
    return type;
  }
  if (link === LINK_SLL2 && left >= 20) {
    const type = u16(b, at);
    w.layers.push({
      kind: "cooked",
      version: 2,
      at,
      length: 20,
      end,
      packetType: b[at + 10]!,
      arphrd: u16(b, at + 8),
      type,
      ifindex: u32(b, at + 4),
    });
    w.at += 20;
    return type;
  }
  if ((link === LINK_NULL || link === LINK_LOOP) && left >= 4) {
    // The family stands in the byte order of the machine that wrote the file, which the file does not tell.
    const big = u32(b, at);
    const family = link === LINK_NULL && big > 0xffff ? new DataView(b.buffer, b.byteOffset + at, 4).getUint32(0, true) : big;
    w.layers.push({ kind: "null", at, length: 4, end, family });
    w.at += 4;
    return family === 2 ? ETHERTYPE_IPV4 : [10, 24, 28, 30].includes(family) ? ETHERTYPE_IPV6 : -1;
  }
  return -1;
}
