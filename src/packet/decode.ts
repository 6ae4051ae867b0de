// Decodes a frame into its layers, through every encapsulation that pods' packets are met in: VLAN, VXLAN, Geneve, GRE, IP in IP, ICMP errors.
// Reads any bytes without throwing; what cannot be explained is a data layer that says why.
import { decodeIpv4, decodeIpv6 } from "./ip.ts";
import type { Layer } from "./layer.ts";
import { decodeLink, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_TEB, isVlan, LINK_ETHERNET, LINK_RAW } from "./link.ts";
import { decodeGre } from "./overlay.ts";
import { decodeTransport } from "./transport.ts";

export type DecodeOptions = {
  /** UDP ports of VXLAN. @default 4789, 8472 */
  vxlanPorts?: readonly number[];
  /** UDP ports of Geneve. @default 6081 */
  genevePorts?: readonly number[];
};
/** What comes next: an EtherType, an IP protocol, or a link layer, in bytes `at` to `end`. */
export type Next =
  | { readonly kind: "ethertype"; readonly type: number; readonly at: number; readonly end: number }
  | { readonly kind: "protocol"; readonly protocol: number; readonly family: 4 | 6; readonly at: number; readonly end: number }
  | { readonly kind: "link"; readonly link: number; readonly at: number; readonly end: number }
  | { readonly kind: "data"; readonly why?: "fragment" | "unknown" | "truncated"; readonly at: number; readonly end: number };
export type Decoded = { readonly layers: readonly Layer[]; readonly next: Next | undefined };

/** Encapsulations within one another that are followed (section 7.5). */
const MAX_DEPTH = 6;
const MAX_LAYERS = 64;

/** Layers of a frame of this link type. */
export function decode(bytes: Uint8Array, link: number, options: DecodeOptions = {}): Layer[] {
  const layers: Layer[] = [];
  let depth = 0;
  let next: Next | undefined = { kind: "link", link, at: 0, end: bytes.length };
  while (next) {
    const n: Next = next;
    if (n.kind === "data" || depth > MAX_DEPTH || layers.length >= MAX_LAYERS) {
      const why = n.kind === "data" ? n.why : "too deep";
      if (n.end > n.at || why) layers.push({ kind: "data", at: n.at, length: n.end - n.at, end: n.end, ...(why ? { why } : {}) });
      break;
    }
    const step: Decoded = decodeOne(bytes, n, options);
    layers.push(...step.layers);
    if (step.layers.some(isDeeper)) depth++;
    else if (n.kind === "protocol" && (n.protocol === 4 || n.protocol === 41)) depth++;
    next = step.next;
  }
  return layers;
}

const isDeeper = (l: Layer): boolean => l.kind === "vxlan" || l.kind === "geneve" || l.kind === "gre" || l.kind === "quote";

function decodeOne(bytes: Uint8Array, n: Exclude<Next, { kind: "data" }>, options: DecodeOptions): Decoded {
  const { at, end } = n;
  const view = end === bytes.length ? bytes : bytes.subarray(0, end);
  if (n.kind === "protocol") return n.protocol === 47 ? decodeGre(view, at) : decodeTransport(view, n, options);
  if (n.kind === "link") {
    const { layer, type } = decodeLink(view, at, n.link);
    const from = layer ? at + layer.length : at;
    const layers = layer ? [layer] : [];
    if (type === -1)
      return { layers, next: { kind: "data", why: end - at < 14 && n.link === LINK_ETHERNET ? "truncated" : "unknown", at: from, end } };
    return { layers, next: { kind: "ethertype", type, at: from, end } };
  }
  return decodeEthertype(view, n);
}

function decodeEthertype(view: Uint8Array, n: { type: number; at: number; end: number }): Decoded {
  const { at, end, type } = n;
  const v = new DataView(view.buffer, view.byteOffset, view.length);
  if (isVlan(type) && end - at >= 4) {
    const tag = v.getUint16(at);
    const inner = v.getUint16(at + 2);
    return {
      layers: [{ kind: "vlan", at, length: 4, end, id: tag & 0xfff, priority: tag >> 13, type: inner }],
      next: { kind: "ethertype", type: inner, at: at + 4, end },
    };
  }
  const version = end > at ? view[at]! >> 4 : 0;
  if (type === ETHERTYPE_IPV4 || (type === 0 && version === 4)) return decodeIpv4(view, at);
  if (type === ETHERTYPE_IPV6 || (type === 0 && version === 6)) return decodeIpv6(view, at);
  if (type === ETHERTYPE_ARP && end - at >= 28 && v.getUint16(at + 2) === ETHERTYPE_IPV4 && view[at + 4] === 6 && view[at + 5] === 4) {
    return {
      layers: [
        {
          kind: "arp",
          at,
          length: 28,
          end,
          operation: v.getUint16(at + 6),
          senderMac: view.subarray(at + 8, at + 14),
          senderIp: view.subarray(at + 14, at + 18),
          targetMac: view.subarray(at + 18, at + 24),
          targetIp: view.subarray(at + 24, at + 28),
        },
      ],
      next: undefined,
    };
  }
  if (type === ETHERTYPE_TEB) return { layers: [], next: { kind: "link", link: LINK_ETHERNET, at, end } };
  return { layers: [], next: { kind: "data", why: "unknown", at, end } };
}

/** Layers of an IP packet without a link layer. */
export const decodeIp = (bytes: Uint8Array, options?: DecodeOptions): Layer[] => decode(bytes, LINK_RAW, options);
