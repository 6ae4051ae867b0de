// IPv4, IPv6 and its extension headers.
import { formatIp } from "../../base/ip.ts";
import type { Part } from "./part.ts";
import { also, bytes, flag, generated, hex, hidden, ipv4, ipv6, mark, number, type Protocol, type Row, text, uint, when } from "./row.ts";
import { DSCP, dsText, ECN, PROTOCOL_NUMBERS } from "./words.ts";

const hostName = (name: string, label: string, at: number, length: number): Row =>
  text(
    name,
    label,
    (p) => {
      const ip = p.bytesAt(at, length);
      return ip && (p.scope.names?.get(formatIp(ip)) ?? formatIp(ip));
    },
    { mode: "hidden" },
  );
const named = (v: Uint8Array, p: Part): string => {
  const name = p.scope.names?.get(formatIp(v));
  return name ? `${name} (${formatIp(v)})` : formatIp(v);
};
const ends = (p: Part, from: number, to: number, length: number): string =>
  `Src: ${named(p.bytesAt(from, length)!, p)}, Dst: ${named(p.bytesAt(to, length)!, p)}`;

const address4 = (side: "src" | "dst", label: string, at: number): Row[] => {
  const row = ipv4(`ip.${side}`, `${label} Address`, at, { shown: named });
  return [
    row,
    also("ip.addr", "Source or Destination Address", row),
    hostName(`ip.${side}_host`, `${label} Host`, at, 4),
    hostName("ip.host", "Source or Destination Host", at, 4),
  ];
};

export const IPV4: Protocol = {
  name: "ip",
  title: (p) => `Internet Protocol Version 4, ${ends(p, 12, 16, 4)}`,
  rows: [
    uint("ip.version", "Version", 0, 1, { mask: 0xf0 }),
    {
      ...uint("ip.hdr_len", "Header Length", 0, 1, { mask: 0x0f, shown: (v) => `${v} bytes (${v / 4})` }),
      read: (p) => {
        const first = p.uint(0, 1);
        return first === undefined ? undefined : (first & 15) * 4;
      },
    },
    uint("ip.dsfield", "Differentiated Services Field", 1, 1, {
      base: "hex",
      shown: (v) => `${hex(v, 2)} (${dsText(v)})`,
      rows: [
        uint("ip.dsfield.dscp", "Differentiated Services Codepoint", 1, 1, { mask: 0xfc, words: DSCP, other: "Unknown" }),
        uint("ip.dsfield.ecn", "Explicit Congestion Notification", 1, 1, { mask: 3, words: ECN }),
      ],
    }),
    uint("ip.len", "Total Length", 2, 2),
    uint("ip.id", "Identification", 4, 2, { base: "hex", shown: (v) => `${hex(v, 4)} (${v})` }),
    uint("ip.flags", "Flags", 6, 1, {
      base: "hex",
      mask: 0xe0,
      shown: (v) => `${hex(v, 1)}${v & 4 ? ", Reserved bit" : ""}${v & 2 ? ", Don't fragment" : ""}${v & 1 ? ", More fragments" : ""}`,
      rows: [
        flag("ip.flags.rb", "Reserved bit", 6, 1, 0x80),
        flag("ip.flags.df", "Don't fragment", 6, 1, 0x40),
        flag("ip.flags.mf", "More fragments", 6, 1, 0x20),
      ],
    }),
    // In units of 8 bytes, as on the wire; shown in bytes.
    uint("ip.frag_offset", "Fragment Offset", 6, 2, { mask: 0x1fff, shown: (v) => String(v * 8) }),
    uint("ip.ttl", "Time to Live", 8, 1),
    uint("ip.proto", "Protocol", 9, 1, { words: PROTOCOL_NUMBERS, other: "Unknown" }),
    uint("ip.checksum", "Header Checksum", 10, 2, { base: "hex", shown: (v) => `${hex(v, 4)} [validation disabled]` }),
    generated(number("ip.checksum.status", "Header checksum status", (p) => (p.end >= p.at + 12 ? 2 : undefined), { shown: () => "Unverified" })),
    ...address4("src", "Source", 12),
    ...address4("dst", "Destination", 16),
  ],
};

const address6 = (side: "src" | "dst", label: string, at: number): Row[] => {
  const row = ipv6(`ipv6.${side}`, `${label} Address`, at, { shown: named });
  return [
    row,
    also("ipv6.addr", "Source or Destination Address", row),
    hostName(`ipv6.${side}_host`, `${label} Host`, at, 16),
    hostName("ipv6.host", "Source or Destination Host", at, 16),
  ];
};

/** The extension headers hang in the tree of their IPv6 header: elements of `kind`. */
const extensions =
  (numbers: readonly number[]) =>
  (p: Part): readonly Part[] =>
    p.extensions.filter((e) => numbers.includes(extensionOf(e)));
const extensionOf = (p: Part): number => (p.layer?.kind === "extension" ? p.layer.header : p.layer?.kind === "fragment" ? 44 : -1);

const OPTIONS: Readonly<Record<number, string>> = { 0: "Pad1", 1: "PadN", 5: "Router Alert", 0xc2: "Jumbo Payload", 0xc9: "Home Address" };
const optionKind = (p: Part): number => p.uint(0, 1) ?? 0;
function optionsOf(p: Part): Part[] {
  const found: Part[] = [];
  for (let at = 2; at < p.length && found.length < 64;) {
    const length = p.uint(at, 1) === 0 ? 1 : 2 + (p.uint(at + 1, 1) ?? 0);
    if (at + length > p.length || p.at + at + length > p.end) break;
    found.push(p.element(at, length));
    at += length;
  }
  return found;
}
const option: Row = {
  ...mark("ipv6.opt", "", () => true, { place: (p) => [0, p.length] }),
  each: optionsOf,
  line: (_: string, p: Part) => OPTIONS[optionKind(p)] ?? `Unknown IPv6 Option (${optionKind(p)})`,
  rows: [
    uint("ipv6.opt.type", "Type", 0, 1, {
      base: "hex",
      words: OPTIONS,
      other: "Unknown",
      rows: [
        uint("ipv6.opt.type.action", "Action", 0, 1, {
          mask: 0xc0,
          words: { 0: "Skip and continue", 1: "Discard", 2: "Discard, send ICMP Parameter Problem", 3: "Discard, send ICMP if not multicast" },
        }),
        flag("ipv6.opt.type.change", "May Change", 0, 1, 0x20, ["Yes", "No"]),
        uint("ipv6.opt.type.rest", "Low-Order Bits", 0, 1, { mask: 0x1f, base: "hex" }),
      ],
    }),
    when((p) => optionKind(p) !== 0, uint("ipv6.opt.length", "Length", 1, 1)),
    when(
      (p) => optionKind(p) === 5,
      uint("ipv6.opt.router_alert", "Router Alert", 2, 2, { words: { 0: "MLD", 1: "RSVP", 2: "Active Networks" }, other: "Unknown" }),
    ),
    when((p) => optionKind(p) === 0, bytes("ipv6.opt.pad1", "Pad1", 0, 0, { shown: () => "<none>" })),
    when((p) => optionKind(p) === 1, {
      ...bytes("ipv6.opt.padn", "PadN", 2, undefined, { shown: (v: Uint8Array) => (v.length === 0 ? "<none>" : "".padEnd(v.length * 2, "0")) }),
      read: (p) => p.bytesAt(2, p.length - 2),
    }),
    when((p) => optionKind(p) === 0xc2, uint("ipv6.opt.jumbo", "Payload Length", 2, 4)),
  ],
};
const header = (name: string, title: string, number_: number, rows: (prefix: string) => readonly Row[]): Row => ({
  ...mark(name, title, () => true, { place: (p) => [0, p.length] }),
  each: extensions([number_]),
  rows: rows(name),
});
const common = (prefix: string): Row[] => [
  uint(`${prefix}.nxt`, "Next Header", 0, 1, { words: PROTOCOL_NUMBERS, other: "Unknown" }),
  uint(`${prefix}.len`, "Length", 1, 1),
  generated(number(`${prefix}.len_oct`, "Length", (p) => p.length, { shown: (v: number) => `${v} bytes` })),
];

export const IPV6: Protocol = {
  name: "ipv6",
  title: (p) => `Internet Protocol Version 6, ${ends(p, 8, 24, 16)}`,
  rows: [
    uint("ipv6.version", "Version", 0, 1, { mask: 0xf0 }),
    hidden(uint("ip.version", "Version", 0, 1, { mask: 0xf0 })),
    uint("ipv6.tclass", "Traffic Class", 0, 4, {
      base: "hex",
      mask: 0x0ff00000,
      shown: (v) => `${hex(v, 2)} (${dsText(v)})`,
      rows: [
        uint("ipv6.tclass.dscp", "Differentiated Services Codepoint", 0, 4, { mask: 0x0fc00000, words: DSCP, other: "Unknown" }),
        uint("ipv6.tclass.ecn", "Explicit Congestion Notification", 0, 4, { mask: 0x00300000, words: ECN }),
      ],
    }),
    uint("ipv6.flow", "Flow Label", 1, 3, { base: "hex", mask: 0x0fffff, shown: (v) => hex(v, 5) }),
    uint("ipv6.plen", "Payload Length", 4, 2),
    uint("ipv6.nxt", "Next Header", 6, 1, { words: PROTOCOL_NUMBERS, other: "Unknown" }),
    uint("ipv6.hlim", "Hop Limit", 7, 1),
    ...address6("src", "Source", 8),
    ...address6("dst", "Destination", 24),
    header("ipv6.hopopts", "IPv6 Hop-by-Hop Option", 0, (n) => [...common(n), option]),
    header("ipv6.dstopts", "Destination Options for IPv6", 60, (n) => [...common(n), option]),
    header("ipv6.routing", "Routing Header for IPv6", 43, (n) => [
      ...common(n),
      uint("ipv6.routing.type", "Type", 2, 1),
      uint("ipv6.routing.segleft", "Segments Left", 3, 1),
    ]),
    header("ipv6.fraghdr", "Fragment Header for IPv6", 44, () => [
      uint("ipv6.fraghdr.nxt", "Next header", 0, 1, { words: PROTOCOL_NUMBERS, other: "Unknown" }),
      uint("ipv6.fraghdr.reserved_octet", "Reserved octet", 1, 1, { base: "hex" }),
      {
        ...uint("ipv6.fraghdr.offset", "Offset", 2, 2, { mask: 0xfff8, shown: (v) => `${v} (${v * 8} bytes)` }),
      },
      uint("ipv6.fraghdr.reserved_bits", "Reserved bits", 2, 2, { mask: 6 }),
      flag("ipv6.fraghdr.more", "More Fragments", 2, 2, 1, ["Yes", "No"]),
      uint("ipv6.fraghdr.ident", "Identification", 4, 4, { base: "hex" }),
    ]),
  ],
};

export const AH: Protocol = {
  name: "ah",
  title: () => "Authentication Header",
  rows: [
    uint("ah.next_header", "Next header", 0, 1, { words: PROTOCOL_NUMBERS, other: "Unknown" }),
    uint("ah.length", "Length", 1, 1, { shown: (v) => `${v} (${(v + 2) * 4} bytes)` }),
    bytes("ah.reserved", "Reserved", 2, 2),
    uint("ah.spi", "AH SPI", 4, 4, { base: "hex" }),
    uint("ah.sequence", "AH Sequence", 8, 4),
    { ...bytes("ah.icv", "AH ICV", 12), read: (p) => p.bytesAt(12, p.length - 12), place: (p) => [12, p.length - 12] },
  ],
};
