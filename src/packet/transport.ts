// What IP carries: UDP (RFC 768), TCP (RFC 9293), ICMP (RFC 792, 4443), ESP, and IP itself (RFC 2003, 2473).
import type { DecodeOptions } from "./decode.ts";
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "./link.ts";
import { decodeGeneve, decodeVxlan } from "./overlay.ts";
import { u16, u32, type Walk } from "./walk.ts";

export function decodeTransport(b: Uint8Array, w: Walk, options: DecodeOptions): void {
  const { at, end, number: protocol } = w;
  const left = end - at;
  switch (protocol) {
    case 4:
      return w.go("ethertype", ETHERTYPE_IPV4, at, end);
    case 41:
      return w.go("ethertype", ETHERTYPE_IPV6, at, end);
    case 17:
      return left < 8 ? w.data(at, end, "truncated") : decodeUdp(b, w, options);
    case 6: {
      if (left < 20) return w.data(at, end, "truncated");
      const length = Math.min(left, Math.max(20, (b[at + 12]! >> 4) * 4));
      w.layers.push({
        kind: "tcp",
        at,
        length,
        end,
        srcPort: u16(b, at),
        dstPort: u16(b, at + 2),
        sequence: u32(b, at + 4),
        acknowledgement: u32(b, at + 8),
        flags: u16(b, at + 12) & 0x1ff,
        window: u16(b, at + 14),
        checksum: u16(b, at + 16),
      });
      return w.data(at + length, end);
    }
    case 1:
    case 58: {
      if (left < 4) return w.data(at, end, "truncated");
      const length = Math.min(8, left);
      const kind = protocol === 1 ? "icmp" : "icmpv6";
      const type = b[at]!;
      w.layers.push({ kind, at, length, end, type, code: b[at + 1]!, checksum: u16(b, at + 2), rest: left >= 8 ? u32(b, at + 4) : 0 });
      const quotes = kind === "icmp" ? type === 3 || type === 4 || type === 5 || type === 11 || type === 12 : type >= 1 && type <= 4;
      if (!quotes || left <= 8) return w.data(at + length, end);
      w.layers.push({ kind: "quote", at: at + 8, length: 0, end });
      w.depth++;
      return w.go("ethertype", b[at + 8]! >> 4 === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6, at + 8, end);
    }
    case 51: {
      // In IPv4 the authentication header (RFC 4302) is a protocol like any other; in IPv6 ip.ts walks it. What follows it is not encrypted.
      const length = left < 12 ? 0 : (b[at + 1]! + 2) * 4;
      if (length < 12 || length > left) return w.data(at, end, "truncated");
      const next = b[at]!;
      w.layers.push({ kind: "extension", at, length, end, header: 51, nextHeader: next });
      return w.go("protocol", next, at + length, end);
    }
    case 50:
      if (left < 8) return w.data(at, end, "truncated");
      w.layers.push({ kind: "esp", at, length: 8, end, spi: u32(b, at), sequence: u32(b, at + 4) });
      return w.data(at + 8, end);
    default:
      return w.data(at, end, "unknown");
  }
}

const VXLAN_PORTS: readonly number[] = [4789, 8472];
const GENEVE_PORTS: readonly number[] = [6081];

function decodeUdp(b: Uint8Array, w: Walk, options: DecodeOptions): void {
  const { at } = w;
  const totalLength = u16(b, at + 4);
  // 0 = larger than the field can say; larger than the packet = cut, or a segmentation super-datagram whose header was not rewritten.
  const end = totalLength < 8 ? w.end : Math.min(w.end, at + totalLength);
  const dstPort = u16(b, at + 2);
  w.layers.push({ kind: "udp", at, length: 8, end, srcPort: u16(b, at), dstPort, totalLength, checksum: u16(b, at + 6) });
  const from = at + 8;
  const isInner = (options.vxlanPorts ?? VXLAN_PORTS).includes(dstPort)
    ? decodeVxlan(b, from, end, w)
    : (options.genevePorts ?? GENEVE_PORTS).includes(dstPort) && decodeGeneve(b, from, end, w);
  if (!isInner) w.data(from, end);
}
