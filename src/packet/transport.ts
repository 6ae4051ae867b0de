// What IP carries: UDP (RFC 768), TCP (RFC 9293), ICMP (RFC 792, 4443), ESP, and IP itself (RFC 2003, 2473).
import type { Decoded, DecodeOptions } from "./decode.ts";
import type { Layer } from "./layer.ts";
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "./link.ts";
import { decodeGeneve, decodeVxlan } from "./overlay.ts";

type Carried = { readonly protocol: number; readonly family: 4 | 6; readonly at: number; readonly end: number };

export function decodeTransport(bytes: Uint8Array, n: Carried, options: DecodeOptions): Decoded {
  const { at, end } = n;
  const left = end - at;
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const truncated: Decoded = { layers: [], next: { kind: "data", why: "truncated", at, end } };
  switch (n.protocol) {
    case 4:
      return { layers: [], next: { kind: "ethertype", type: ETHERTYPE_IPV4, at, end } };
    case 41:
      return { layers: [], next: { kind: "ethertype", type: ETHERTYPE_IPV6, at, end } };
    case 17:
      return left < 8 ? truncated : decodeUdp(bytes, at, options);
    case 6: {
      if (left < 20) return truncated;
      const length = Math.min(left, Math.max(20, (bytes[at + 12]! >> 4) * 4));
      const layer: Layer = {
        kind: "tcp",
        at,
        length,
        end,
        srcPort: v.getUint16(at),
        dstPort: v.getUint16(at + 2),
        sequence: v.getUint32(at + 4),
        acknowledgement: v.getUint32(at + 8),
        flags: v.getUint16(at + 12) & 0x1ff,
        window: v.getUint16(at + 14),
        checksum: v.getUint16(at + 16),
      };
      return { layers: [layer], next: { kind: "data", at: at + length, end } };
    }
    case 1:
    case 58: {
      if (left < 4) return truncated;
      const length = Math.min(8, left);
      const kind = n.protocol === 1 ? "icmp" : "icmpv6";
      const type = bytes[at]!;
      const rest = left >= 8 ? v.getUint32(at + 4) : 0;
      const layer: Layer = { kind, at, length, end, type, code: bytes[at + 1]!, checksum: v.getUint16(at + 2), rest };
      const quotes = kind === "icmp" ? [3, 4, 5, 11, 12].includes(type) : type >= 1 && type <= 4;
      if (!quotes || left <= 8) return { layers: [layer], next: { kind: "data", at: at + length, end } };
      const version = bytes[at + 8]! >> 4;
      const quoted = version === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6;
      return { layers: [layer, { kind: "quote", at: at + 8, length: 0, end }], next: { kind: "ethertype", type: quoted, at: at + 8, end } };
    }
    case 51: {
      // In IPv4 the authentication header (RFC 4302) is a protocol like any other; in IPv6 ip.ts walks it. What follows it is not encrypted.
      const length = left < 12 ? 0 : (bytes[at + 1]! + 2) * 4;
      if (length < 12 || length > left) return truncated;
      const next = bytes[at]!;
      return {
        layers: [{ kind: "extension", at, length, end, header: 51, nextHeader: next }],
        next: { kind: "protocol", protocol: next, family: n.family, at: at + length, end },
      };
    }
    case 50:
      if (left < 8) return truncated;
      return {
        layers: [{ kind: "esp", at, length: 8, end, spi: v.getUint32(at), sequence: v.getUint32(at + 4) }],
        next: { kind: "data", at: at + 8, end },
      };
    default:
      return { layers: [], next: { kind: "data", why: "unknown", at, end } };
  }
}

function decodeUdp(bytes: Uint8Array, at: number, options: DecodeOptions): Decoded {
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const totalLength = v.getUint16(at + 4);
  // 0 = larger than the field can say; larger than the packet = cut, or a segmentation super-datagram whose header was not rewritten.
  const end = totalLength < 8 ? bytes.length : Math.min(bytes.length, at + totalLength);
  const srcPort = v.getUint16(at);
  const dstPort = v.getUint16(at + 2);
  const layer: Layer = { kind: "udp", at, length: 8, end, srcPort, dstPort, totalLength, checksum: v.getUint16(at + 6) };
  const from = at + 8;
  const inner = (options.vxlanPorts ?? [4789, 8472]).includes(dstPort)
    ? decodeVxlan(bytes, from, end)
    : (options.genevePorts ?? [6081]).includes(dstPort)
      ? decodeGeneve(bytes, from, end)
      : undefined;
  return inner ? { layers: [layer, ...inner.layers], next: inner.next } : { layers: [layer], next: { kind: "data", at: from, end } };
}
