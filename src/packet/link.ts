// Link layers of capture files, by their LINKTYPE_ value (https://www.tcpdump.org/linktypes.html; section 4.2).
import type { Layer } from "./layer.ts";

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
export const isVlan = (type: number): boolean => type === 0x8100 || type === 0x88a8 || type === 0x9100;

/** The link layer's header and the EtherType of what follows; -1 = nothing we know. Type 0 = an IP packet whose version nibble decides. */
export function decodeLink(bytes: Uint8Array, at: number, link: number): { layer: Layer | undefined; type: number } {
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const left = bytes.length - at;
  const end = bytes.length;
  if (link === LINK_ETHERNET) {
    if (left < 14) return { layer: undefined, type: -1 };
    const type = v.getUint16(at + 12);
    return { layer: { kind: "ethernet", at, length: 14, end, dst: bytes.subarray(at, at + 6), src: bytes.subarray(at + 6, at + 12), type }, type };
  }
  if (link === LINK_RAW || link === 12 || link === 14) return { layer: undefined, type: 0 };
  if (link === LINK_IPV4) return { layer: undefined, type: ETHERTYPE_IPV4 };
  if (link === LINK_IPV6) return { layer: undefined, type: ETHERTYPE_IPV6 };
  if (link === LINK_SLL && left >= 16) {
    const type = v.getUint16(at + 14);
    return { layer: { kind: "cooked", version: 1, at, length: 16, end, packetType: v.getUint16(at), arphrd: v.getUint16(at + 2), type }, type };
  }
  if (link === LINK_SLL2 && left >= 20) {
    const type = v.getUint16(at);
    const ifindex = v.getUint32(at + 4);
    return {
      layer: { kind: "cooked", version: 2, at, length: 20, end, packetType: bytes[at + 10]!, arphrd: v.getUint16(at + 8), type, ifindex },
      type,
    };
  }
  if ((link === LINK_NULL || link === LINK_LOOP) && left >= 4) {
    // The family stands in the byte order of the machine that wrote the file, which the file does not tell.
    const big = v.getUint32(at);
    const family = link === LINK_NULL && big > 0xffff ? v.getUint32(at, true) : big;
    const type = family === 2 ? ETHERTYPE_IPV4 : [10, 24, 28, 30].includes(family) ? ETHERTYPE_IPV6 : -1;
    return { layer: { kind: "null", at, length: 4, end, family }, type };
  }
  return { layer: undefined, type: -1 };
}
