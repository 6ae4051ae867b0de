// Decodes a frame into its layers, through every encapsulation that pods' packets are met in: VLAN, VXLAN, Geneve, GRE, IP in IP, ICMP errors.
// Reads any bytes without throwing; what cannot be explained is a data layer that says why.
import { decodeIpv4, decodeIpv6 } from "./ip.ts";
import type { Layer } from "./layer.ts";
import { decodeLink, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_TEB, isVlan, LINK_ETHERNET, LINK_RAW } from "./link.ts";
import { decodeGre } from "./overlay.ts";
import { decodeTransport } from "./transport.ts";
import { u16, Walk } from "./walk.ts";

export type DecodeOptions = {
  /** UDP ports of VXLAN. @default 4789, 8472 */
  vxlanPorts?: readonly number[];
  /** UDP ports of Geneve. @default 6081 */
  genevePorts?: readonly number[];
};

/** Encapsulations within one another that are followed (section 7.5). */
const MAX_DEPTH = 6;
const MAX_LAYERS = 64;

/** Layers of a frame of this link type. */
export function decode(bytes: Uint8Array, link: number, options: DecodeOptions = {}): Layer[] {
  const w = new Walk(link, bytes.length);
  while (w.next !== "nothing" && w.next !== "data") {
    if (w.depth > MAX_DEPTH || w.layers.length >= MAX_LAYERS) w.data(w.at, w.end, "too deep");
    else if (w.next === "ethertype") decodeEthertype(bytes, w);
    else if (w.next === "protocol") decodeProtocol(bytes, w, options);
    else decodeFrame(bytes, w);
  }
  if (w.next === "data" && (w.end > w.at || w.why)) {
    const { at, end, why } = w;
    w.layers.push(why ? { kind: "data", at, length: end - at, end, why } : { kind: "data", at, length: end - at, end });
  }
  return w.layers;
}

function decodeFrame(bytes: Uint8Array, w: Walk): void {
  const { at, end, number: link } = w;
  const type = decodeLink(bytes, w);
  if (type !== -1) w.go("ethertype", type, w.at, end);
  else w.data(w.at, end, end - at < 14 && link === LINK_ETHERNET ? "truncated" : "unknown");
}

function decodeProtocol(bytes: Uint8Array, w: Walk, options: DecodeOptions): void {
  const { number, depth } = w;
  if (number === 47) decodeGre(bytes, w);
  else decodeTransport(bytes, w, options);
  if ((number === 4 || number === 41) && w.depth === depth) w.depth++;
}

function decodeEthertype(bytes: Uint8Array, w: Walk): void {
  const { at, end, number: type } = w;
  const version = end > at ? bytes[at]! >> 4 : 0;
  if (type === ETHERTYPE_IPV4 || (type === 0 && version === 4)) decodeIpv4(bytes, w);
  else if (type === ETHERTYPE_IPV6 || (type === 0 && version === 6)) decodeIpv6(bytes, w);
  else if (isVlan(type) && end - at >= 4) {
    const tag = u16(bytes, at);
    const inner = u16(bytes, at + 2);
    w.layers.push({ kind: "vlan", at, length: 4, end, id: tag & 0xfff, priority: tag >> 13, type: inner });
    w.go("ethertype", inner, at + 4, end);
  } else if (type === ETHERTYPE_ARP && end - at >= 28 && u16(bytes, at + 2) === ETHERTYPE_IPV4 && bytes[at + 4] === 6 && bytes[at + 5] === 4) {
    w.layers.push({
      kind: "arp",
      at,
      length: 28,
      end,
      operation: u16(bytes, at + 6),
      senderMac: bytes.subarray(at + 8, at + 14),
      senderIp: bytes.subarray(at + 14, at + 18),
      targetMac: bytes.subarray(at + 18, at + 24),
      targetIp: bytes.subarray(at + 24, at + 28),
    });
    w.stop();
  } else if (type === ETHERTYPE_TEB) w.go("link", LINK_ETHERNET, at, end);
  else w.data(at, end, "unknown");
}

/** Layers of an IP packet without a link layer. */
export const decodeIp = (bytes: Uint8Array, options?: DecodeOptions): Layer[] => decode(bytes, LINK_RAW, options);
