// UDP and TCP.
import type { Part } from "./part.ts";
import { also, bytes, duration, flag, generated, heading, hex, number, type Protocol, type Row, text, uint } from "./row.ts";
import { TCP_OPTIONS } from "./tcpoptions.ts";

/** Sums of locally sent packets are wrong in captures (offload): they are not verified. One of UDP may be left out: 0. */
const unverified = (prefix: string, at: number): Row[] => {
  const isAbsent = (p: Part): boolean => prefix === "udp" && p.uint(at, 2) === 0;
  const status = (of: (p: Part) => number | undefined): Row =>
    generated(number(`${prefix}.checksum.status`, "Checksum Status", of, { shown: (v: number) => (v === 3 ? "Not present" : "Unverified") }));
  return [
    uint(`${prefix}.checksum`, "Checksum", at, 2, {
      base: "hex",
      shown: (v, p) => `${hex(v, 4)}${isAbsent(p) ? " [zero-value ignored]" : " [unverified]"}`,
      rows: [status((p) => (isAbsent(p) ? 3 : undefined))],
    }),
    status((p) => (isAbsent(p) ? undefined : 2)),
  ];
};
const stream = (name: string): Row => generated(number(name, "Stream index", (p) => p.flow?.stream));
const times = (prefix: string, of: string): Row => ({
  ...generated(
    heading("Timestamps", [
      generated(duration(`${prefix}.time_relative`, `Time since first frame${of}`, (p) => p.flow?.sinceFirst)),
      generated(duration(`${prefix}.time_delta`, `Time since previous frame${of}`, (p) => p.flow?.sincePrevious)),
    ]),
  ),
  read: (p) => (p.quoted ? undefined : ""),
});
const port = (prefix: string, side: "src" | "dst", label: string, at: number): Row => uint(`${prefix}.${side}port`, `${label} Port`, at, 2);
const ports = (prefix: string): Row[] => {
  const src = port(prefix, "src", "Source", 0);
  const dst = port(prefix, "dst", "Destination", 2);
  return [src, dst, also(`${prefix}.port`, "Source or Destination Port", src), also(`${prefix}.port`, "Source or Destination Port", dst)];
};

const udpPayload = (p: Part): number => Math.max(0, p.end - p.at - 8);
export const UDP: Protocol = {
  name: "udp",
  title: (p) => `User Datagram Protocol, Src Port: ${p.uint(0, 2)}, Dst Port: ${p.uint(2, 2)}`,
  rows: [
    ...ports("udp"),
    uint("udp.length", "Length", 4, 2),
    ...unverified("udp", 6),
    stream("udp.stream"),
    times("udp", ""),
    bytes("udp.payload", "UDP payload", 8, undefined, {
      line: (_: Uint8Array, p: Part) => `UDP payload (${udpPayload(p)} byte${udpPayload(p) === 1 ? "" : "s"})`,
    }),
  ],
};

const FLAGS = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE"];
/** "SYN, ACK". */
export const flagNames = (flags: number): string => FLAG_NAMES[flags & 0x1ff]!;
const FLAG_NAMES = Array.from({ length: 0x200 }, (_, flags) => FLAGS.filter((_, i) => flags & (1 << i)).join(", "));
const letters = (flags: number): string => Array.from("RRRACEUAPRSF", (c, i) => (flags & (0x800 >> i) ? c : "·")).join("");
const COMPLETENESS = (c: number): string => {
  if (c === 0) return "Incomplete";
  if (c & 32 || c & 16) return c & 8 ? "Complete, WITH_DATA" : "Complete, NO_DATA";
  return `Incomplete${c & 8 ? ", DATA" : c & 4 ? ", ESTABLISHED" : c & 2 ? ", CLIENT_ESTABLISHED" : ", SYN_SENT"}`;
};
const relative = (v: number, p: Part, what: string): string => (p.flow?.tcp ? `${v}    (relative ${what} number)` : String(v));
export const segmentLength = (p: Part): number => Math.max(0, (p.carrier?.scope.payloadEnd(p.carrier) ?? p.end) - p.at - p.length);

export const TCP: Protocol = {
  name: "tcp",
  title: (p) => {
    const f = p.flow?.tcp;
    const ack = (p.uint(12, 2) ?? 0) & 16 ? `, Ack: ${f?.acknowledgement ?? p.uint(8, 4)}` : "";
    return `Transmission Control Protocol, Src Port: ${p.uint(0, 2)}, Dst Port: ${p.uint(2, 2)}, Seq: ${f?.sequence ?? p.uint(4, 4)}${ack}, Len: ${segmentLength(p)}`;
  },
  rows: [
    ...ports("tcp"),
    stream("tcp.stream"),
    generated(
      number("tcp.completeness", "Conversation completeness", (p) => p.flow?.tcp?.completeness, {
        shown: (v: number) => `${COMPLETENESS(v)} (${v})`,
      }),
    ),
    generated(number("tcp.len", "TCP Segment Len", segmentLength)),
    {
      ...uint("tcp.seq", "Sequence Number", 4, 4, { shown: (v, p) => relative(v, p, "sequence") }),
      read: (p) => p.flow?.tcp?.sequence ?? p.uint(4, 4),
    },
    uint("tcp.seq_raw", "Sequence Number (raw)", 4, 4),
    generated(number("tcp.nxtseq", "Next Sequence Number", (p) => p.flow?.tcp?.next, { shown: (v: number, p: Part) => relative(v, p, "sequence") })),
    {
      ...uint("tcp.ack", "Acknowledgment Number", 8, 4, {
        shown: (v, p) => ((p.uint(12, 2) ?? 0) & 16 ? relative(v, p, "ack") : String(v)),
      }),
      read: (p) => p.flow?.tcp?.acknowledgement ?? p.uint(8, 4),
    },
    uint("tcp.ack_raw", "Acknowledgment number (raw)", 8, 4),
    {
      ...uint("tcp.hdr_len", "Header Length", 12, 1, { mask: 0xf0, shown: (v) => `${v} bytes (${v / 4})` }),
      read: (p) => {
        const first = p.uint(12, 1);
        return first === undefined ? undefined : (first >> 4) * 4;
      },
    },
    {
      ...uint("tcp.flags", "Flags", 12, 2, {
        base: "hex",
        shown: (v) => `${hex(v, 3)} (${flagNames(v) || "<None>"})`,
        rows: [
          flag("tcp.flags.res", "Reserved", 12, 2, 0x0e00),
          flag("tcp.flags.ae", "Accurate ECN", 12, 2, 0x0100),
          flag("tcp.flags.cwr", "Congestion Window Reduced", 12, 2, 0x0080),
          flag("tcp.flags.ece", "ECN-Echo", 12, 2, 0x0040),
          flag("tcp.flags.urg", "Urgent", 12, 2, 0x0020),
          flag("tcp.flags.ack", "Acknowledgment", 12, 2, 0x0010),
          flag("tcp.flags.push", "Push", 12, 2, 0x0008),
          flag("tcp.flags.reset", "Reset", 12, 2, 0x0004),
          flag("tcp.flags.syn", "Syn", 12, 2, 0x0002),
          flag("tcp.flags.fin", "Fin", 12, 2, 0x0001),
          generated(text("tcp.flags.str", "TCP Flags", (p) => letters((p.uint(12, 2) ?? 0) & 0xfff))),
        ].map((r) => (r.line ? { ...r, line: (v: never, p: Part) => r.line!(v, p).replace(/^\S{4} /, "") } : r)),
      }),
      read: (p) => {
        const word = p.uint(12, 2);
        return word === undefined ? undefined : word & 0xfff;
      },
    },
    uint("tcp.window_size_value", "Window", 14, 2),
    generated(number("tcp.window_size", "Calculated window size", (p) => p.flow?.tcp?.window ?? p.uint(14, 2))),
    generated(
      number("tcp.window_size_scalefactor", "Window size scaling factor", (p) => p.flow?.tcp?.scale, {
        shown: (v: number) => (v === -1 ? "-1 (unknown)" : v === -2 ? "-2 (no window scaling used)" : String(v)),
      }),
    ),
    ...unverified("tcp", 16),
    uint("tcp.urgent_pointer", "Urgent Pointer", 18, 2),
    TCP_OPTIONS,
    times("tcp", " in this TCP stream"),
    {
      ...bytes("tcp.payload", "TCP payload", 0, undefined, { line: (v: Uint8Array) => `TCP payload (${v.length} byte${v.length === 1 ? "" : "s"})` }),
      place: (p) => [p.length, Math.max(0, p.end - p.at - p.length)],
      read: (p) => (p.end > p.at + p.length ? p.bytesAt(p.length, p.end - p.at - p.length) : undefined),
    },
  ],
};
