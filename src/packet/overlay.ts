// Encapsulations that carry pods' packets between nodes: VXLAN (RFC 7348), Geneve (RFC 8926), GRE (RFC 2784, 2890; NVGRE, ERSPAN).
import { LINK_ETHERNET } from "./link.ts";
import { u16, u32, type Walk } from "./walk.ts";

const vni = (b: Uint8Array, at: number): number => (b[at + 4]! << 16) | (b[at + 5]! << 8) | b[at + 6]!;

/** False when the bytes cannot be VXLAN. */
export function decodeVxlan(bytes: Uint8Array, at: number, end: number, w: Walk): boolean {
  if (end - at < 8 || (bytes[at]! & 0x08) === 0) return false;
  w.layers.push({ kind: "vxlan", at, length: 8, end, vni: vni(bytes, at) });
  w.depth++;
  w.go("link", LINK_ETHERNET, at + 8, end);
  return true;
}

export function decodeGeneve(bytes: Uint8Array, at: number, end: number, w: Walk): boolean {
  if (end - at < 8 || bytes[at]! >> 6 !== 0) return false;
  const length = 8 + (bytes[at]! & 0x3f) * 4;
  if (at + length > end) return false;
  const type = u16(bytes, at + 2);
  w.layers.push({ kind: "geneve", at, length, end, vni: vni(bytes, at), type });
  w.depth++;
  w.go("ethertype", type, at + length, end);
  return true;
}

export function decodeGre(bytes: Uint8Array, w: Walk): void {
  const { at, end } = w;
  if (end - at < 4) return w.data(at, end, "truncated");
  const flags = u16(bytes, at);
  const type = u16(bytes, at + 2);
  const hasKey = (flags & 0x2000) !== 0;
  const hasSequence = (flags & 0x1000) !== 0;
  const keyAt = at + 4 + (flags & 0xc000 ? 4 : 0);
  let length = keyAt - at + (hasKey ? 4 : 0) + (hasSequence ? 4 : 0);
  // ERSPAN type II has 8 bytes of its own when the sequence bit is set, type III 12; type I none.
  if (type === 0x88be && hasSequence) length += 8;
  if (type === 0x22eb) length += 12;
  if ((flags & 7) !== 0 || at + length > end) return w.data(at, end, (flags & 7) !== 0 ? "unknown" : "truncated");
  w.layers.push({ kind: "gre", at, length, end, type, ...(hasKey ? { key: u32(bytes, keyAt) } : {}) });
  w.depth++;
  if (type === 0x88be || type === 0x22eb) w.go("link", LINK_ETHERNET, at + length, end);
  else w.go("ethertype", type, at + length, end);
}
