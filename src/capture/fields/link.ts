// Link layers and ARP: Ethernet, VLAN tags, Linux cooked captures, BSD loopback.
import { formatIp } from "../../base/ip.ts";
import type { Part } from "./part.ts";
import { bytes, flag, formatMac, hidden, ipv4, mac, macName, macText, number, type Protocol, type Row, text, uint, when } from "./row.ts";
import { ARPHRD, ETHERTYPES } from "./words.ts";

const oui = (name: string, label: string, at: number): Row => hidden(uint(name, label, at, 3));
const bit = (name: string, label: string, at: number, mask: number, words: readonly [string, string]): Row => flag(name, label, at, 3, mask, words);
const LG = ["Locally administered address (this is NOT the factory default)", "Globally unique address (factory default)"] as const;
const IG = ["Group address (multicast/broadcast)", "Individual address (unicast)"] as const;

/** An Ethernet address with what Wireshark tells of it. */
function address(name: string, label: string, at: number): Row {
  const resolved = (field: string, words: string): Row =>
    text(
      field,
      words,
      (p) => {
        const m = p.bytesAt(at, 6);
        return m && macName(m);
      },
      { mode: "hidden" },
    );
  return mac(name, label, at, {
    rows: [
      resolved(`${name}_resolved`, `${label} (resolved)`),
      oui(`${name}.oui`, `${label} OUI`, at),
      mac("eth.addr", "Address", at),
      resolved("eth.addr_resolved", "Address (resolved)"),
      oui("eth.addr.oui", "Address OUI", at),
      bit(`${name}.lg`, "LG bit", at, 0x020000, LG),
      hidden(bit("eth.lg", "LG bit", at, 0x020000, LG)),
      bit(`${name}.ig`, "IG bit", at, 0x010000, IG),
      hidden(bit("eth.ig", "IG bit", at, 0x010000, IG)),
    ],
  });
}

/** What stands behind the packet that an Ethernet frame carries: up to 60 bytes it is padding, else a trailer. */
function rest(p: Part): { at: number; length: number; padding: boolean } | undefined {
  const carried = p.scope.ends(p);
  if (carried === undefined || carried >= p.end) return undefined;
  return { at: carried - p.at, length: p.end - carried, padding: carried - p.at < 60 };
}
const behind = (name: string, label: string, padding: boolean): Row => ({
  ...bytes(name, label, 0),
  place: (p) => [rest(p)!.at, rest(p)!.length],
  read: (p) => {
    const found = rest(p);
    return found && found.padding === padding ? p.bytesAt(found.at, found.length) : undefined;
  },
});

const isLength = (p: Part): boolean => (p.uint(12, 2) ?? 0) <= 1500;
export const ETHERNET: Protocol = {
  name: "eth",
  stack: "eth:ethertype",
  title: (p) => `${isLength(p) ? "IEEE 802.3 Ethernet" : `Ethernet II, Src: ${macText(p.bytesAt(6, 6)!)}, Dst: ${macText(p.bytesAt(0, 6)!)}`}`,
  rows: [
    address("eth.dst", "Destination", 0),
    address("eth.src", "Source", 6),
    when((p) => !isLength(p), uint("eth.type", "Type", 12, 2, { base: "hex", words: ETHERTYPES, other: "Unknown" })),
    when(isLength, uint("eth.len", "Length", 12, 2)),
    behind("eth.padding", "Padding", true),
    behind("eth.trailer", "Trailer", false),
  ],
};

const PRIORITIES = [
  "Best Effort (default)",
  "Background",
  "Excellent Effort",
  "Critical Applications",
  "Video, < 100ms latency and jitter",
  "Voice, < 10ms latency and jitter",
  "Internetwork Control",
  "Network Control",
];
export const VLAN: Protocol = {
  name: "vlan",
  stack: "vlan:ethertype",
  title: (p) => `802.1Q Virtual LAN, PRI: ${p.uint(0, 2)! >> 13}, DEI: ${(p.uint(0, 2)! >> 12) & 1}, ID: ${p.uint(0, 2)! & 0xfff}`,
  rows: [
    uint("vlan.priority", "Priority", 0, 2, { mask: 0xe000, words: Object.fromEntries(PRIORITIES.map((w, i) => [i, w])) }),
    flag("vlan.dei", "DEI", 0, 2, 0x1000, ["Eligible", "Ineligible"]),
    uint("vlan.id", "ID", 0, 2, { mask: 0x0fff }),
    uint("vlan.etype", "Type", 2, 2, { base: "hex", words: ETHERTYPES, other: "Unknown" }),
  ],
};

/** The tag that a provider puts before its customer's (0x88a8). The name of its last field is Wireshark's. */
export const PROVIDER_VLAN: Protocol = {
  name: "ieee8021ad",
  stack: "ieee8021ad:ethertype",
  title: (p) => `IEEE 802.1ad, ID: ${p.uint(0, 2)! & 0xfff}`,
  rows: [
    uint("ieee8021ad.priority", "Priority", 0, 2, { mask: 0xe000 }),
    uint("ieee8021ad.dei", "DEI", 0, 2, { mask: 0x1000 }),
    uint("ieee8021ad.id", "ID", 0, 2, { mask: 0x0fff }),
    uint("ieee8021ah.etype", "Type", 2, 2, { base: "hex", words: ETHERTYPES, other: "Unknown" }),
  ],
};

const PACKET_TYPES = ["Unicast to us", "Broadcast", "Multicast", "Unicast to another host", "Sent by us"];
const words = Object.fromEntries(PACKET_TYPES.map((w, i) => [i, w]));
/** Both versions hold the same in another order. */
const version = (p: Part): number => (p.length === 20 ? 2 : 1);
const cooked = (v: 1 | 2, rows: readonly Row[]): Row[] => rows.map((r) => when((p) => version(p) === v, r));
const source = (at: number, lengthAt: number, size: number): Row[] => [
  when((p) => p.uint(lengthAt, size) === 6, mac("sll.src.eth", "Source", at)),
  when((p) => p.uint(lengthAt, size) === 4, ipv4("sll.src.ipv4", "Source", at)),
];
const unused = (at: number, lengthAt: number, size: number): Row => ({
  ...bytes("sll.unused", "Unused", at),
  place: (p) => [at + (p.uint(lengthAt, size) ?? 0), 8 - (p.uint(lengthAt, size) ?? 0)],
  read: (p) => {
    const used = p.uint(lengthAt, size);
    return used === undefined || used > 7 ? undefined : p.bytesAt(at + used, 8 - used);
  },
});
const etype = (at: number): Row => uint("sll.etype", "Protocol", at, 2, { base: "hex", words: ETHERTYPES, other: "Unknown" });
export const COOKED: Protocol = {
  name: "sll",
  stack: "sll:ethertype",
  title: (p) => `Linux cooked capture v${version(p)}`,
  rows: [
    ...cooked(2, [
      etype(0),
      uint("sll.ifindex", "Interface index", 4, 4),
      uint("sll.hatype", "Link-layer address type", 8, 2, { words: ARPHRD, other: "Unknown" }),
      uint("sll.pkttype", "Packet type", 10, 1, { words, other: "Unknown" }),
      uint("sll.halen", "Link-layer address length", 11, 1),
      ...source(12, 11, 1),
      unused(12, 11, 1),
    ]),
    ...cooked(1, [
      uint("sll.pkttype", "Packet type", 0, 2, { words, other: "Unknown" }),
      uint("sll.hatype", "Link-layer address type", 2, 2, { words: ARPHRD, other: "Unknown" }),
      uint("sll.halen", "Link-layer address length", 4, 2),
      ...source(6, 4, 2),
      unused(6, 4, 2),
      etype(14),
    ]),
  ],
};

const FAMILIES: Readonly<Record<number, string>> = { 2: "IP", 10: "IPv6", 24: "IPv6", 28: "IPv6", 30: "IPv6" };
export const NULL: Protocol = {
  name: "null",
  title: () => "Null/Loopback",
  rows: [
    number("null.family", "Family", (p) => (p.layer?.kind === "null" ? p.layer.family : undefined), {
      place: [0, 4],
      shown: (v: number) => `${FAMILIES[v] ?? "Unknown"} (${v})`,
    }),
  ],
};

const operation = (p: Part): string => ({ 1: "request", 2: "reply" })[p.uint(6, 2) ?? 0] ?? "unknown";
export const ARP: Protocol = {
  name: "arp",
  title: (p) => `Address Resolution Protocol (${operation(p)})`,
  rows: [
    uint("arp.hw.type", "Hardware type", 0, 2, { words: ARPHRD, other: "Unknown" }),
    uint("arp.proto.type", "Protocol type", 2, 2, { base: "hex", words: ETHERTYPES, other: "Unknown" }),
    uint("arp.hw.size", "Hardware size", 4, 1),
    uint("arp.proto.size", "Protocol size", 5, 1),
    uint("arp.opcode", "Opcode", 6, 2, { words: { 1: "request", 2: "reply", 3: "reverse request", 4: "reverse reply" }, other: "Unknown" }),
    mac("arp.src.hw_mac", "Sender MAC address", 8),
    ipv4("arp.src.proto_ipv4", "Sender IP address", 14),
    mac("arp.dst.hw_mac", "Target MAC address", 18),
    ipv4("arp.dst.proto_ipv4", "Target IP address", 24),
  ],
};
/** ARP's Info column. */
export const arpInfo = (p: Part): string => {
  const ip = (at: number): string => formatIp(p.bytesAt(at, 4) ?? new Uint8Array(4));
  return p.uint(6, 2) === 1 ? `Who has ${ip(24)}? Tell ${ip(14)}` : `${ip(14)} is at ${formatMac(p.bytesAt(8, 6) ?? new Uint8Array(6))}`;
};
