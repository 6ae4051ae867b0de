// Encapsulations: VXLAN, Geneve, GRE, ESP.
import { bytes, flag, hex, hidden, number, type Protocol, type Row, uint, when } from "./row.ts";
import type { Part } from "./part.ts";
import { ETHERTYPES } from "./words.ts";

export const VXLAN: Protocol = {
  name: "vxlan",
  title: () => "Virtual eXtensible Local Area Network",
  rows: [
    uint("vxlan.flags", "Flags", 0, 2, {
      base: "hex",
      shown: (v) => `${hex(v, 4)}${v & 0x8000 ? ", GBP Extension" : ""}${v & 0x0800 ? ", VXLAN Network ID (VNI)" : ""}`,
      rows: [
        flag("vxlan.flag_g", "GBP Extension", 0, 2, 0x8000, ["Defined", "Not defined"]),
        flag("vxlan.flag_i", "VXLAN Network ID (VNI)", 0, 2, 0x0800, ["True", "False"]),
        flag("vxlan.flag_d", "Don't Learn", 0, 2, 0x0040, ["True", "False"]),
        flag("vxlan.flag_a", "Policy Applied", 0, 2, 0x0008, ["True", "False"]),
        { ...uint("vxlan.flags_reserved", "Reserved(R)", 0, 2, { base: "hex", mask: 0x77b7 }), read: (p) => (p.uint(0, 2) ?? 0) & 0x77b7 },
      ],
    }),
    uint("vxlan.gbp", "Group Policy ID", 2, 2),
    uint("vxlan.vni", "VXLAN Network Identifier (VNI)", 4, 3),
    uint("vxlan.reserved8", "Reserved", 7, 1),
  ],
};

export const GENEVE: Protocol = {
  name: "geneve",
  title: (p) => `Generic Network Virtualization Encapsulation, VNI: ${hex(p.uint(4, 3) ?? 0, 6)}`,
  rows: [
    number("geneve.version", "Version", (p) => (p.uint(0, 1) ?? 0) >> 6, { place: [0, 1] }),
    // Wireshark has one name for the length of all options and of each.
    number("geneve.option.length", "Length", (p) => p.length - 8, { place: [0, 1], shown: (v: number) => `${v} bytes` }),
    uint("geneve.flags", "Flags", 1, 1, {
      base: "hex",
      shown: (v) => `${hex(v, 2)}${v & 0x80 ? ", OAM" : ""}${v & 0x40 ? ", Critical Options Present" : ""}`,
      rows: [
        flag("geneve.flags.oam", "Operations, Administration and Management Frame", 1, 1, 0x80, ["True", "False"]),
        flag("geneve.flags.critical", "Critical Options Present", 1, 1, 0x40, ["True", "False"]),
        flag("geneve.flags.reserved", "Reserved", 1, 1, 0x3f, ["True", "False"]),
      ],
    }),
    uint("geneve.proto_type", "Protocol Type", 2, 2, { base: "hex", words: ETHERTYPES, other: "Unknown" }),
    uint("geneve.vni", "Virtual Network Identifier (VNI)", 4, 3, { base: "hex", shown: (v) => `${hex(v, 6)} (${v})` }),
    hidden(uint("geneve.reserved", "Reserved", 7, 1, { base: "hex" })),
    {
      ...bytes("geneve.options", "Options", 8),
      place: (p) => [8, p.length - 8],
      read: (p) => (p.length > 8 ? p.bytesAt(8, p.length - 8) : undefined),
      line: (v: Uint8Array) => `Options: (${v.length} bytes)`,
    },
  ],
};

const has =
  (mask: number) =>
  (p: Part): boolean =>
    ((p.uint(0, 2) ?? 0) & mask) !== 0;
/** Optional words stand in a row: checksum and offset when C or R is set, then key, then sequence number. */
const keyAt = (p: Part): number => (has(0xc000)(p) ? 8 : 4);
const sequenceAt = (p: Part): number => keyAt(p) + (has(0x2000)(p) ? 4 : 0);
const word = (name: string, label: string, mask: number, at: (p: Part) => number, base: "dec" | "hex"): Row => ({
  ...number(name, label, (p) => (has(mask)(p) ? p.uint(at(p), 4) : undefined), { base, size: 4 }),
  place: (p) => [at(p), 4],
});
const yesNo = ["Yes", "No"] as const;
export const GRE: Protocol = {
  name: "gre",
  title: (p) => `Generic Routing Encapsulation (${greName(p.uint(2, 2) ?? 0)})`,
  rows: [
    uint("gre.flags_and_version", "Flags and Version", 0, 2, {
      base: "hex",
      rows: [
        flag("gre.flags.checksum", "Checksum Bit", 0, 2, 0x8000, yesNo),
        flag("gre.flags.routing", "Routing Bit", 0, 2, 0x4000, yesNo),
        flag("gre.flags.key", "Key Bit", 0, 2, 0x2000, yesNo),
        flag("gre.flags.sequence_number", "Sequence Number Bit", 0, 2, 0x1000, yesNo),
        flag("gre.flags.strict_source_route", "Strict Source Route Bit", 0, 2, 0x0800, yesNo),
        uint("gre.flags.recursion_control", "Recursion control", 0, 2, { mask: 0x0700 }),
        uint("gre.flags.reserved", "Flags (Reserved)", 0, 2, { mask: 0x00f8 }),
        uint("gre.flags.version", "Version", 0, 2, { mask: 7, words: { 0: "GRE", 1: "Enhanced GRE" } }),
      ],
    }),
    uint("gre.proto", "Protocol Type", 2, 2, { base: "hex", shown: (v) => `${greName(v)} (${hex(v, 4)})` }),
    when(has(0xc000), uint("gre.checksum", "Checksum", 4, 2, { base: "hex" })),
    when(has(0xc000), uint("gre.offset", "Offset", 6, 2)),
    word("gre.key", "Key", 0x2000, keyAt, "hex"),
    word("gre.sequence_number", "Sequence Number", 0x1000, sequenceAt, "dec"),
  ],
};
const greName = (type: number): string => (type === 0x0800 ? "IP" : (ETHERTYPES[type] ?? "Unknown"));

export const ESP: Protocol = {
  name: "esp",
  title: () => "Encapsulating Security Payload",
  rows: [uint("esp.spi", "ESP SPI", 0, 4, { base: "hex", shown: (v) => `${hex(v, 8)} (${v})` }), uint("esp.sequence", "ESP Sequence", 4, 4)],
};
