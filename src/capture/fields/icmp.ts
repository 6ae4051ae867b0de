// ICMP (RFC 792).
import { checksum } from "../../packet/checksum.ts";
import type { Part } from "./part.ts";
import { bytes, duration, generated, hex, number, type Protocol, type Row, uint, when } from "./row.ts";

const TYPES: Readonly<Record<number, string>> = {
  0: "Echo (ping) reply",
  3: "Destination unreachable",
  4: "Source quench (flow control)",
  5: "Redirect",
  8: "Echo (ping) request",
  9: "Router advertisement",
  10: "Router solicitation",
  11: "Time-to-live exceeded",
  12: "Parameter problem",
  13: "Timestamp request",
  14: "Timestamp reply",
  15: "Information request",
  16: "Information reply",
  17: "Address mask request",
  18: "Address mask reply",
  42: "Extended Echo request",
  43: "Extended Echo reply",
};
const CODES: Readonly<Record<number, readonly string[]>> = {
  3: [
    "Network unreachable",
    "Host unreachable",
    "Protocol unreachable",
    "Port unreachable",
    "Fragmentation needed",
    "Source route failed",
    "Destination network unknown",
    "Destination host unknown",
    "Source host isolated",
    "Network administratively prohibited",
    "Host administratively prohibited",
    "Network unreachable for TOS",
    "Host unreachable for TOS",
    "Communication administratively filtered",
    "Host precedence violation",
    "Precedence cutoff in effect",
  ],
  5: ["Redirect for network", "Redirect for host", "Redirect for TOS and network", "Redirect for TOS and host"],
  11: ["Time to live exceeded in transit", "Fragment reassembly time exceeded"],
};
const type = (p: Part): number => p.uint(0, 1) ?? -1;
const isEcho = (p: Part): boolean => type(p) === 0 || type(p) === 8;
const isError = (p: Part): boolean => [3, 4, 5, 11, 12].includes(type(p));

/** The sum is right: 0 over the whole message. undefined when it was cut. */
export const sumIsRight = (p: Part): boolean | undefined => {
  if (p.quoted) return undefined;
  const carried = p.carrier && p.scope.payloadEnd(p.carrier);
  if (carried !== undefined && carried > p.end) return undefined;
  return checksum(p.bytes.subarray(p.at, p.end)) === 0;
};
const STATUS = ["Bad", "Good", "Unverified"];
export const status = (ok: boolean | undefined): number => (ok === undefined ? 2 : ok ? 1 : 0);
export const sumText = (p: Part, v: number, ok: boolean | undefined): string =>
  `${hex(v, 4)} [${ok === undefined ? "unverified" : ok ? "correct" : "incorrect"}]${p.quoted ? " [in ICMP error packet]" : ""}`;
export const statusRow = (name: string, ok: (p: Part) => boolean | undefined): Row =>
  generated(number(name, "Checksum Status", (p) => status(ok(p)), { shown: (v: number) => STATUS[v]! }));

/** Bytes of it. */
export const PING_TIME = 8;
/** ping puts the time into its data: seconds and microseconds, when they are plausible; Linux' are 64-bit little-endian. */
export function pingTime(p: Part): bigint | undefined {
  const time = p.scope.tracked.packet.time;
  const data = p.bytesAt(8, 8);
  if (!isEcho(p) || !data || time === undefined || p.end - p.at < 24) return undefined;
  const v = new DataView(data.buffer, data.byteOffset, 8);
  const now = Number(time / 1_000_000_000n);
  if (v.getUint32(4, true) === 0 && Math.abs(v.getUint32(0, true) - now) <= 86_400) return BigInt(v.getUint32(0, true)) * 1_000_000_000n;
  return undefined;
}

export const ICMP: Protocol = {
  name: "icmp",
  title: () => "Internet Control Message Protocol",
  rows: [
    uint("icmp.type", "Type", 0, 1, { shown: (v) => (TYPES[v] === undefined ? String(v) : `${v} (${TYPES[v]})`) }),
    uint("icmp.code", "Code", 1, 1, { shown: (v, p) => (CODES[type(p)]?.[v] === undefined ? String(v) : `${v} (${CODES[type(p)]![v]})`) }),
    uint("icmp.checksum", "Checksum", 2, 2, { base: "hex", shown: (v, p) => sumText(p, v, sumIsRight(p)) }),
    statusRow("icmp.checksum.status", sumIsRight),
    ...[
      uint("icmp.ident", "Identifier (BE)", 4, 2, { shown: (v) => `${v} (${hex(v, 4)})` }),
      swapped("icmp.ident_le", "Identifier (LE)", 4),
      uint("icmp.seq", "Sequence Number (BE)", 6, 2, { shown: (v) => `${v} (${hex(v, 4)})` }),
      swapped("icmp.seq_le", "Sequence Number (LE)", 6),
    ].map((r) => when(isEcho, r)),
    when((p) => isError(p) && !(type(p) === 3 && p.uint(1, 1) === 4) && type(p) !== 5 && type(p) !== 12, bytes("icmp.unused", "Unused", 4, 4)),
    when((p) => type(p) === 3 && p.uint(1, 1) === 4, uint("icmp.mtu", "MTU of next hop", 6, 2)),
    generated(number("icmp.resp_to", "Request frame", (p) => p.flow?.answers)),
    generated({
      name: "icmp.resptime",
      label: "Response time",
      type: "float",
      read: (p) => milliseconds(p.flow?.after),
      shown: (v: number) => `${v.toFixed(3)} ms`,
    }),
    { name: "icmp.data_time", label: "Timestamp from icmp data", type: "time", place: [8, 8], read: pingTime },
    generated(
      duration("icmp.data_time_relative", "Timestamp from icmp data (relative)", (p) => {
        const sent = pingTime(p);
        return sent === undefined ? undefined : p.scope.tracked.packet.time! - sent;
      }),
    ),
  ],
};
function swapped(name: string, label: string, at: number): Row {
  const row = uint(name, label, at, 2, { shown: (v) => `${v} (${hex(v, 4)})` });
  return {
    ...row,
    read: (p) => {
      const v = p.uint(at, 2);
      return v === undefined ? undefined : ((v & 255) << 8) | (v >> 8);
    },
  };
}
export const milliseconds = (ns: bigint | undefined): number | undefined => (ns === undefined ? undefined : Number(ns) / 1e6);

/** ICMP's Info column. */
export function icmpInfo(p: Part): string {
  const t = type(p);
  const code = CODES[t]?.[p.uint(1, 1) ?? -1];
  if (!isEcho(p)) {
    const name = TYPES[t] ?? `Unknown ICMP (obsolete or malformed?)`;
    return t === 3 || t === 11 || t === 5 ? `${name} (${code ?? "unknown code"})` : name;
  }
  const seq = p.uint(6, 2) ?? 0;
  const answers = p.flow?.answers;
  const ttl = p.carrier?.protocol.name === "ip" ? `, ttl=${p.carrier.uint(8, 1)}` : "";
  return (
    `Echo (ping) ${t === 8 ? "request" : "reply  "}  id=${hex(p.uint(4, 2) ?? 0, 4)}, seq=${seq}/${((seq & 255) << 8) | (seq >> 8)}${ttl}` +
    (answers === undefined ? "" : ` (request in ${answers})`)
  );
}
