// IPv4 (RFC 791) and IPv6 (RFC 8200) with its extension headers and fragments.
import type { Decoded } from "./decode.ts";
import type { Layer } from "./layer.ts";

export function decodeIpv4(bytes: Uint8Array, at: number): Decoded {
  const left = bytes.length - at;
  const length = left > 0 ? (bytes[at]! & 15) * 4 : 0;
  if (left < 20 || length < 20 || bytes[at]! >> 4 !== 4)
    return { layers: [], next: { kind: "data", why: left < 20 ? "truncated" : "unknown", at, end: bytes.length } };
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const totalLength = v.getUint16(at + 2);
  const word = v.getUint16(at + 6);
  // A length of 0 is a packet too large for the field (BIG TCP); a larger one than captured is a cut packet; a smaller one ends before link padding.
  const end = totalLength < length ? bytes.length : Math.min(bytes.length, at + totalLength);
  const layer: Layer = {
    kind: "ipv4",
    at,
    length,
    end,
    src: bytes.subarray(at + 12, at + 16),
    dst: bytes.subarray(at + 16, at + 20),
    tos: bytes[at + 1]!,
    totalLength,
    id: v.getUint16(at + 4),
    dontFragment: (word & 0x4000) !== 0,
    moreFragments: (word & 0x2000) !== 0,
    fragmentOffset: (word & 0x1fff) * 8,
    ttl: bytes[at + 8]!,
    protocol: bytes[at + 9]!,
    checksum: v.getUint16(at + 10),
  };
  const from = at + length;
  if (from > end) return { layers: [layer], next: { kind: "data", why: "truncated", at: end, end } };
  if (layer.fragmentOffset > 0) return { layers: [layer], next: { kind: "data", why: "fragment", at: from, end } };
  return { layers: [layer], next: { kind: "protocol", protocol: layer.protocol, family: 4, at: from, end } };
}

const EXTENSIONS = new Set([0, 43, 60, 51]);
const MAX_EXTENSIONS = 16;

export function decodeIpv6(bytes: Uint8Array, at: number): Decoded {
  const left = bytes.length - at;
  if (left < 40 || bytes[at]! >> 4 !== 6)
    return { layers: [], next: { kind: "data", why: left < 40 ? "truncated" : "unknown", at, end: bytes.length } };
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const payloadLength = v.getUint16(at + 4);
  const nextHeader = bytes[at + 6]!;
  // 0 with a hop-by-hop header is a jumbogram.
  const end = payloadLength === 0 && nextHeader === 0 ? bytes.length : Math.min(bytes.length, at + 40 + payloadLength);
  const word = v.getUint32(at);
  const layers: Layer[] = [
    {
      kind: "ipv6",
      at,
      length: 40,
      end,
      src: bytes.subarray(at + 8, at + 24),
      dst: bytes.subarray(at + 24, at + 40),
      trafficClass: (word >>> 20) & 255,
      flowLabel: word & 0xfffff,
      payloadLength,
      nextHeader,
      hopLimit: bytes[at + 7]!,
    },
  ];
  let header = nextHeader;
  let from = at + 40;
  for (let n = 0; n < MAX_EXTENSIONS; n++) {
    if (header === 44) {
      if (end - from < 8) return { layers, next: { kind: "data", why: "truncated", at: from, end } };
      const w = v.getUint16(from + 2);
      const fragmentOffset = w & 0xfff8;
      const inner = bytes[from]!;
      layers.push({
        kind: "fragment",
        at: from,
        length: 8,
        end,
        nextHeader: inner,
        fragmentOffset,
        moreFragments: (w & 1) !== 0,
        id: v.getUint32(from + 4),
      });
      from += 8;
      header = inner;
      if (fragmentOffset > 0) return { layers, next: { kind: "data", why: "fragment", at: from, end } };
    } else if (EXTENSIONS.has(header)) {
      if (end - from < 8) return { layers, next: { kind: "data", why: "truncated", at: from, end } };
      const length = header === 51 ? (bytes[from + 1]! + 2) * 4 : (bytes[from + 1]! + 1) * 8;
      if (from + length > end) return { layers, next: { kind: "data", why: "truncated", at: from, end } };
      layers.push({ kind: "extension", at: from, length, end, header, nextHeader: bytes[from]! });
      header = bytes[from]!;
      from += length;
    } else return { layers, next: header === 59 ? undefined : { kind: "protocol", protocol: header, family: 6, at: from, end } };
  }
  return { layers, next: { kind: "data", why: "unknown", at: from, end } };
}
