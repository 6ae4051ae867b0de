// IPv4 (RFC 791) and IPv6 (RFC 8200) with its extension headers and fragments.
import type { Ip } from "../base/ip.ts";
import type { Ipv4Layer, Ipv6Layer } from "./layer.ts";
import { u16, u32, type Walk } from "./walk.ts";

/** Addresses are views that are made when they are asked for: they cost more than all the rest. */
class Ipv4 implements Ipv4Layer {
  readonly kind = "ipv4";
  declare readonly bytes: Uint8Array;
  declare readonly at: number;
  declare readonly length: number;
  declare readonly end: number;
  declare readonly tos: number;
  declare readonly totalLength: number;
  declare readonly id: number;
  declare readonly dontFragment: boolean;
  declare readonly moreFragments: boolean;
  declare readonly fragmentOffset: number;
  declare readonly ttl: number;
  declare readonly protocol: number;
  declare readonly checksum: number;

  constructor(b: Uint8Array, at: number, length: number, end: number) {
    const word = u16(b, at + 6);
    this.bytes = b;
    this.at = at;
    this.length = length;
    this.end = end;
    this.tos = b[at + 1]!;
    this.totalLength = u16(b, at + 2);
    this.id = u16(b, at + 4);
    this.dontFragment = (word & 0x4000) !== 0;
    this.moreFragments = (word & 0x2000) !== 0;
    this.fragmentOffset = (word & 0x1fff) * 8;
    this.ttl = b[at + 8]!;
    this.protocol = b[at + 9]!;
    this.checksum = u16(b, at + 10);
  }
  get src(): Ip {
    return this.bytes.subarray(this.at + 12, this.at + 16);
  }
  get dst(): Ip {
    return this.bytes.subarray(this.at + 16, this.at + 20);
  }
}

class Ipv6 implements Ipv6Layer {
  readonly kind = "ipv6";
  readonly length = 40;
  declare readonly bytes: Uint8Array;
  declare readonly at: number;
  declare readonly end: number;
  declare readonly trafficClass: number;
  declare readonly flowLabel: number;
  declare readonly payloadLength: number;
  declare readonly nextHeader: number;
  declare readonly hopLimit: number;

  constructor(b: Uint8Array, at: number, end: number) {
    const word = u32(b, at);
    this.bytes = b;
    this.at = at;
    this.end = end;
    this.trafficClass = (word >>> 20) & 255;
    this.flowLabel = word & 0xfffff;
    this.payloadLength = u16(b, at + 4);
    this.nextHeader = b[at + 6]!;
    this.hopLimit = b[at + 7]!;
  }
  get src(): Ip {
    return this.bytes.subarray(this.at + 8, this.at + 24);
  }
  get dst(): Ip {
    return this.bytes.subarray(this.at + 24, this.at + 40);
  }
}

export function decodeIpv4(bytes: Uint8Array, w: Walk): void {
  const { at, end: most } = w;
  const left = most - at;
  const length = left > 0 ? (bytes[at]! & 15) * 4 : 0;
  if (left < 20 || length < 20 || bytes[at]! >> 4 !== 4) return w.data(at, most, left < 20 ? "truncated" : "unknown");
  const totalLength = u16(bytes, at + 2);
  // A length of 0 is a packet too large for the field (BIG TCP); a larger one than captured is a cut packet; a smaller one ends before link padding.
  const end = totalLength < length ? most : Math.min(most, at + totalLength);
  const layer = new Ipv4(bytes, at, length, end);
  w.layers.push(layer);
  const from = at + length;
  if (from > end) w.data(end, end, "truncated");
  else if (layer.fragmentOffset > 0) w.data(from, end, "fragment");
  else w.go("protocol", layer.protocol, from, end);
}

const MAX_EXTENSIONS = 16;

export function decodeIpv6(bytes: Uint8Array, w: Walk): void {
  const { at, end: most } = w;
  const left = most - at;
  if (left < 40 || bytes[at]! >> 4 !== 6) return w.data(at, most, left < 40 ? "truncated" : "unknown");
  const payloadLength = u16(bytes, at + 4);
  let header = bytes[at + 6]!;
  // 0 with a hop-by-hop header is a jumbogram.
  const end = payloadLength === 0 && header === 0 ? most : Math.min(most, at + 40 + payloadLength);
  w.layers.push(new Ipv6(bytes, at, end));
  let from = at + 40;
  for (let n = 0; n < MAX_EXTENSIONS; n++) {
    if (header === 44) {
      if (end - from < 8) return w.data(from, end, "truncated");
      const word = u16(bytes, from + 2);
      const fragmentOffset = word & 0xfff8;
      header = bytes[from]!;
      w.layers.push({
        kind: "fragment",
        at: from,
        length: 8,
        end,
        nextHeader: header,
        fragmentOffset,
        moreFragments: (word & 1) !== 0,
        id: u32(bytes, from + 4),
      });
      from += 8;
      if (fragmentOffset > 0) return w.data(from, end, "fragment");
    } else if (header === 0 || header === 43 || header === 60 || header === 51) {
      if (end - from < 8) return w.data(from, end, "truncated");
      const length = header === 51 ? (bytes[from + 1]! + 2) * 4 : (bytes[from + 1]! + 1) * 8;
      if (from + length > end) return w.data(from, end, "truncated");
      w.layers.push({ kind: "extension", at: from, length, end, header, nextHeader: bytes[from]! });
      header = bytes[from]!;
      from += length;
    } else return header === 59 ? w.stop() : w.go("protocol", header, from, end);
  }
  w.data(from, end, "unknown");
}
