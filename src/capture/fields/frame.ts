// The frame: what the capture says about a packet before its first byte.
import { formatTime } from "../moment.ts";
import type { Part } from "./part.ts";
import { bytes, duration, generated, hex, mark, number, pattern, type Protocol, type Row, text, truth, uintText } from "./row.ts";

/** Wireshark's numbers of encapsulations (wtap.h), by link type. */
const ENCAPSULATIONS: Readonly<Record<number, readonly [number, string]>> = {
  0: [15, "NULL/Loopback"],
  1: [1, "Ethernet"],
  12: [7, "Raw IP"],
  14: [7, "Raw IP"],
  101: [7, "Raw IP"],
  108: [174, "OpenBSD loopback"],
  113: [25, "Linux cooked-mode capture v1"],
  228: [129, "Raw IPv4"],
  229: [130, "Raw IPv6"],
  239: [141, "NFLOG"],
  253: [158, "Linux Netlink"],
  276: [210, "Linux cooked-mode capture v2"],
};

const packet = (p: Part): Part["scope"]["tracked"]["packet"] => p.scope.tracked.packet;
const time = (name: string, label: string, shown?: (v: bigint) => string): Row => ({
  name,
  label,
  type: "time",
  read: (p) => packet(p).time,
  ...(shown ? { shown } : {}),
});
const since =
  (from: (p: Part) => bigint | undefined) =>
  (p: Part): bigint | undefined => {
    const t = packet(p).time;
    return t === undefined ? undefined : t - (from(p) ?? t);
  };
const bitsOf = (n: number): string => `${n} bytes (${n * 8} bits)`;

const flagBits = (name: string, label: string, mask: number, o: { base?: "hex"; size?: number; words?: Record<number, string> } = {}): Row =>
  number(name, label, (p) => (packet(p).flags === undefined ? undefined : ((packet(p).flags! & mask) >>> 0) / (mask & -mask)), {
    ...(o.base ? { base: o.base } : {}),
    size: o.size ?? 4,
    line: (v: number, p: Part) =>
      `${pattern(packet(p).flags! >>> 0, mask, 4)}${label}: ${o.base ? `${o.words?.[v] ?? "Unknown"} (${hex(v, 1)})` : uintText(v, { size: 4, words: o.words })}`,
  });
const errorBit = (name: string, label: string, bit: number): Row =>
  truth(`frame.packet_flags_${name}`, label, (p) => (packet(p).flags === undefined ? undefined : (packet(p).flags! & (1 << bit)) !== 0), {
    line: (v: boolean, p: Part) => `${pattern(packet(p).flags! >>> 0, 2 ** bit, 4)}${label}: ${v ? "Set" : "Not set"}`,
  });
const isPcapng = (p: Part): boolean => p.scope.section !== undefined;

export const FRAME: Protocol = {
  name: "frame",
  stack: "",
  title: (p) => {
    const f = packet(p);
    const where = isPcapng(p) ? ` on interface ${f.iface.name ?? "unknown"}, id ${f.iface.id}` : "";
    const way = f.direction ? ` (${f.direction}bound)` : "";
    return `Frame ${f.number}: ${f.originalLength} bytes on wire (${f.originalLength * 8} bits), ${f.data.length} bytes captured (${f.data.length * 8} bits)${where}${way}`;
  },
  rows: [
    number("frame.section_number", "Section number", (p) => p.scope.section),
    number("frame.interface_id", "Interface id", (p) => (isPcapng(p) ? packet(p).iface.id : undefined), {
      shown: (v: number, p: Part) => `${v} (${packet(p).iface.name ?? "unknown"})`,
      rows: [
        text("frame.interface_name", "Interface name", (p) => (isPcapng(p) ? (packet(p).iface.name ?? "unknown") : undefined)),
        text("frame.interface_description", "Interface description", (p) => packet(p).iface.description),
      ],
    }),
    number("frame.packet_flags", "Packet flags", (p) => (packet(p).flags === undefined ? undefined : packet(p).flags! >>> 0), {
      base: "hex",
      size: 4,
      rows: [
        flagBits("frame.packet_flags_direction", "Direction", 3, { base: "hex", words: { 0: "Unknown", 1: "Inbound", 2: "Outbound" } }),
        flagBits("frame.packet_flags_reception_type", "Reception type", 0x1c, {
          words: { 0: "Not specified", 1: "Unicast", 2: "Multicast", 3: "Broadcast", 4: "Promiscuous" },
        }),
        flagBits("frame.packet_flags_fcs_length", "FCS length", 0x1e0),
        flagBits("frame.packet_flags_reserved", "Reserved", 0xfe00),
        errorBit("crc_error", "CRC error", 24),
        errorBit("packet_too_error", "Packet too long error", 25),
        errorBit("packet_too_short_error", "Packet too short error", 26),
        errorBit("wrong_inter_frame_gap_error", "Wrong interframe gap error", 27),
        errorBit("unaligned_frame_error", "Unaligned frame error", 28),
        errorBit("start_frame_delimiter_error", "Start frame delimiter error", 29),
        errorBit("preamble_error", "Preamble error", 30),
        errorBit("symbol_error", "Symbol error", 31),
      ],
    }),
    number("frame.drop_count", "Drop Count", (p) => packet(p).dropped),
    number("frame.encap_type", "Encapsulation type", (p) => ENCAPSULATIONS[packet(p).iface.link]?.[0], {
      shown: (v: number, p: Part) => `${ENCAPSULATIONS[packet(p).iface.link]![1]} (${v})`,
    }),
    time("frame.time", "Arrival Time"),
    generated(duration("frame.offset_shift", "Time shift for this packet", (p) => (packet(p).time === undefined ? undefined : 0n))),
    time("frame.time_epoch", "Epoch Time", (v) => `${formatTime(v)} seconds`),
    generated(
      duration(
        "frame.time_delta",
        "Time delta from previous captured frame",
        since((p) => p.scope.previous),
      ),
    ),
    generated(
      duration(
        "frame.time_delta_displayed",
        "Time delta from previous displayed frame",
        since((p) => p.scope.shown),
      ),
    ),
    generated(
      duration(
        "frame.time_relative",
        "Time since reference or first frame",
        since((p) => p.scope.first),
      ),
    ),
    number("frame.number", "Frame Number", (p) => packet(p).number),
    number("frame.len", "Frame Length", (p) => packet(p).originalLength, { shown: bitsOf }),
    number("frame.cap_len", "Capture Length", (p) => packet(p).data.length, { shown: bitsOf }),
    generated(truth("frame.marked", "Frame is marked", () => false)),
    generated(truth("frame.ignored", "Frame is ignored", () => false)),
    number(
      "frame.p2p_dir",
      "Point-to-Point Direction",
      (p) => (packet(p).direction === undefined ? undefined : packet(p).direction === "in" ? 1 : 0),
      {
        shown: (v: number) => (v === 1 ? "Received (1)" : "Sent (0)"),
      },
    ),
    generated(text("frame.protocols", "Protocols in frame", (p) => p.scope.protocols())),
  ],
};

const LEVELS = { Comment: 0x100000, Chat: 0x200000, Note: 0x400000, Warning: 0x600000, Error: 0x800000 } as const;
const GROUPS = { Comment: 0x0b000000, Sequence: 0x02000000, Decryption: 0x0d000000, Protocol: 0x09000000, Malformed: 0x07000000 } as const;
/** A remark about a packet, as Wireshark's expert system hangs it into the tree. */
export function expert(name: string, message: (p: Part) => string | undefined, level: keyof typeof LEVELS, group: keyof typeof GROUPS): Row {
  return {
    name: "_ws.expert",
    label: "Expert Info",
    type: "none",
    mode: "generated",
    read: (p) => (message(p) === undefined ? undefined : ""),
    line: (_: string, p: Part) => `Expert Info (${level}/${group}): ${message(p)}`,
    rows: [
      generated({ ...mark(name, "", (p) => message(p) !== undefined), line: (_: string, p: Part) => message(p)! }),
      text("_ws.expert.message", "Message", message, { mode: "hidden" }),
      generated(number("_ws.expert.severity", "Severity level", () => LEVELS[level], { shown: () => level })),
      generated(number("_ws.expert.group", "Group", () => GROUPS[group], { shown: () => group })),
    ],
  };
}

const noteOf = (p: Part): string | undefined => p.note;
/** Comments of the file stand before the frame. */
export const COMMENT: Protocol = {
  name: "pkt_comment",
  stack: "",
  title: () => "Packet comments",
  rows: [
    {
      ...text("frame.comment", "", noteOf),
      line: (v: string) => v,
      each: (p) => packet(p).comments.map((c) => p.remark(c)),
      rows: [expert("frame.comment.expert", noteOf, "Comment", "Comment")],
    },
  ],
};

/** Our own: whose the addresses in a packet are, from an inventory, and what an audit wrote beside it (extensions, section 8.2). */
const list = (name: string, label: string, of: (p: Part) => readonly string[]): Row =>
  generated({ ...text(name, label, noteOf), each: (p) => of(p).map((c) => p.remark(c)) });
const auditClass = (p: Part): string[] => packet(p).comments.flatMap((c) => /^LEAK ([A-Z_0-9]+)/.exec(c)?.[1] ?? []);
export const CLUSTER: Protocol = {
  name: "k8s",
  stack: "",
  title: () => "Cluster",
  rows: [
    list("k8s.pod", "Pod", (p) => p.scope.labels?.pods(p.scope.tracked) ?? []),
    list("k8s.node", "Node", (p) => p.scope.labels?.nodes(p.scope.tracked) ?? []),
    list("audit.class", "Class of the audit", auditClass),
  ],
};

export const DATA: Protocol = {
  name: "data",
  title: (p) => `Data (${p.end - p.at} byte${p.end - p.at === 1 ? "" : "s"})`,
  rows: [bytes("data.data", "Data", 0), generated(number("data.len", "Length", (p) => p.end - p.at))],
};
