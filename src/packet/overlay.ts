// Encapsulations that carry pods' packets between nodes: VXLAN (RFC 7348), Geneve (RFC 8926), GRE (RFC 2784, 2890; NVGRE, ERSPAN).
import type { Decoded } from "./decode.ts";
import { LINK_ETHERNET } from "./link.ts";

/** undefined when the bytes cannot be VXLAN. */
export function decodeVxlan(bytes: Uint8Array, at: number, end: number): Decoded | undefined {
  if (end - at < 8 || (bytes[at]! & 0x08) === 0) return undefined;
  const vni = (bytes[at + 4]! << 16) | (bytes[at + 5]! << 8) | bytes[at + 6]!;
  return { layers: [{ kind: "vxlan", at, length: 8, end, vni }], next: { kind: "link", link: LINK_ETHERNET, at: at + 8, end } };
}

export function decodeGeneve(bytes: Uint8Array, at: number, end: number): Decoded | undefined {
  if (end - at < 8 || bytes[at]! >> 6 !== 0) return undefined;
  const length = 8 + (bytes[at]! & 0x3f) * 4;
  if (at + length > end) return undefined;
  const vni = (bytes[at + 4]! << 16) | (bytes[at + 5]! << 8) | bytes[at + 6]!;
  const type = (bytes[at + 2]! << 8) | bytes[at + 3]!;
  return { layers: [{ kind: "geneve", at, length, end, vni, type }], next: { kind: "ethertype", type, at: at + length, end } };
}

export function decodeGre(bytes: Uint8Array, at: number): Decoded {
  const end = bytes.length;
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (end - at < 4) return { layers: [], next: { kind: "data", why: "truncated", at, end } };
  const flags = v.getUint16(at);
  const type = v.getUint16(at + 2);
  const hasKey = (flags & 0x2000) !== 0;
  const hasSequence = (flags & 0x1000) !== 0;
  const keyAt = at + 4 + (flags & 0xc000 ? 4 : 0);
  let length = keyAt - at + (hasKey ? 4 : 0) + (hasSequence ? 4 : 0);
  // ERSPAN type II has 8 bytes of its own when the sequence bit is set, type III 12; type I none.
  if (type === 0x88be && hasSequence) length += 8;
  if (type === 0x22eb) length += 12;
  if ((flags & 7) !== 0 || at + length > end)
    return { layers: [], next: { kind: "data", why: (flags & 7) !== 0 ? "unknown" : "truncated", at, end } };
  const layer = { kind: "gre", at, length, end, type, ...(hasKey ? { key: v.getUint32(keyAt) } : {}) } as const;
  const from = at + length;
  if (type === 0x88be || type === 0x22eb) return { layers: [layer], next: { kind: "link", link: LINK_ETHERNET, at: from, end } };
  return { layers: [layer], next: { kind: "ethertype", type, at: from, end } };
}
