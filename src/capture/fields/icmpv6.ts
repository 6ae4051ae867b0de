// ICMPv6 (RFC 4443) with neighbour discovery (RFC 4861) and multicast listener reports (RFC 3810).
import { formatIp } from "../../base/ip.ts";
import { checksum, pseudoSum } from "../../packet/checksum.ts";
import { milliseconds, statusRow, sumText } from "./icmp.ts";
import type { Part } from "./part.ts";
import { also, bytes, flag, formatMac, generated, hex, ipv6, mac, mark, number, type Protocol, type Row, uint, when } from "./row.ts";

const TYPES: Readonly<Record<number, string>> = {
  1: "Destination Unreachable",
  2: "Packet Too Big",
  3: "Time Exceeded",
  4: "Parameter Problem",
  128: "Echo (ping) request",
  129: "Echo (ping) reply",
  130: "Multicast Listener Query",
  131: "Multicast Listener Report",
  132: "Multicast Listener Done",
  133: "Router Solicitation",
  134: "Router Advertisement",
  135: "Neighbor Solicitation",
  136: "Neighbor Advertisement",
  137: "Redirect",
  143: "Multicast Listener Report Message v2",
};
const CODES: Readonly<Record<number, readonly string[]>> = {
  1: [
    "no route to destination",
    "Administratively prohibited",
    "Beyond scope of source address",
    "Address unreachable",
    "Port unreachable",
    "Source address failed ingress/egress policy",
    "Reject route to destination",
  ],
  3: ["hop limit exceeded in transit", "fragment reassembly time exceeded"],
  4: ["erroneous header field encountered", "unrecognized Next Header type encountered", "unrecognized IPv6 option encountered"],
};
const type = (p: Part): number => p.uint(0, 1) ?? -1;
const is =
  (...types: readonly number[]) =>
  (p: Part): boolean =>
    types.includes(type(p));
const only = (types: readonly number[], rows: readonly Row[]): Row[] => rows.map((r) => when(is(...types), r));

function sumIsRight(p: Part): boolean | undefined {
  const ip = p.carrier;
  if (p.quoted || ip?.protocol.name !== "ipv6") return undefined;
  const end = ip.scope.payloadEnd(ip);
  if (end !== p.end) return undefined;
  return checksum(p.bytes.subarray(p.at, p.end), pseudoSum(ip.bytesAt(8, 16)!, ip.bytesAt(24, 16)!, 58, p.end - p.at)) === 0;
}

/** Options of neighbour discovery stand behind the fixed part, which differs by type. */
const FIXED: Readonly<Record<number, number>> = { 133: 8, 134: 16, 135: 24, 136: 24, 137: 40 };
const OPTIONS: Readonly<Record<number, string>> = {
  1: "Source link-layer address",
  2: "Target link-layer address",
  3: "Prefix information",
  4: "Redirected header",
  5: "MTU",
  14: "Nonce",
  24: "Route Information",
  25: "Recursive DNS Server",
  31: "DNS Search List Option",
};
function optionsOf(p: Part): Part[] {
  const found: Part[] = [];
  const fixed = p.at === p.layer?.at ? FIXED[type(p)] : undefined;
  for (let at = fixed ?? Infinity; p.at + at + 8 <= p.end && found.length < 64;) {
    const length = p.uint(at + 1, 1)! * 8;
    if (length === 0 || p.at + at + length > p.end) break;
    found.push(p.element(at, length));
    at += length;
  }
  return found;
}
const optionType = (p: Part): number => p.uint(0, 1) ?? 0;
const ofOption = (t: readonly number[], row: Row): Row => when((p) => t.includes(optionType(p)), row);
const linkAddress = mac("icmpv6.opt.linkaddr", "Link-layer address", 2);
const option: Row = {
  ...mark("icmpv6.opt", "", () => true, { place: (p) => [0, p.length] }),
  each: optionsOf,
  line: (_: string, p: Part) => {
    const m = optionType(p) < 3 ? p.bytesAt(2, 6) : undefined;
    return `ICMPv6 Option (${OPTIONS[optionType(p)] ?? `Unknown ${optionType(p)}`}${m ? ` : ${formatMac(m)}` : ""})`;
  },
  rows: [
    uint("icmpv6.opt.type", "Type", 0, 1, { words: OPTIONS, other: "Unknown" }),
    uint("icmpv6.opt.length", "Length", 1, 1, { shown: (v) => `${v} (${v * 8} bytes)` }),
    ofOption([1, 2], linkAddress),
    ofOption([1], also("icmpv6.opt.src_linkaddr", "Source Link-layer address", linkAddress)),
    ofOption([2], also("icmpv6.opt.target_linkaddr", "Target Link-layer address", linkAddress)),
    ofOption([14], bytes("icmpv6.opt.nonce", "Nonce", 2)),
    ofOption([5], uint("icmpv6.opt.mtu", "MTU", 4, 4)),
    ofOption([3], uint("icmpv6.opt.prefix.length", "Prefix Length", 2, 1)),
    ofOption([3], ipv6("icmpv6.opt.prefix", "Prefix", 16)),
  ],
};

const RECORDS: Readonly<Record<number, string>> = {
  1: "Include",
  2: "Exclude",
  3: "Changed to include",
  4: "Changed to exclude",
  5: "Allow new sources",
  6: "Block old sources",
};
function recordsOf(p: Part): Part[] {
  const found: Part[] = [];
  const count = p.uint(6, 2) ?? 0;
  for (let at = 8; found.length < count && p.at + at + 20 <= p.end;) {
    const length = 20 + p.uint(at + 1, 1)! * 4 + p.uint(at + 2, 2)! * 16;
    found.push(p.element(at, length));
    at += length;
  }
  return found;
}
const record: Row = {
  ...mark("icmpv6.mldr.mar", "", () => true, { place: (p) => [0, p.length] }),
  each: (p) => (type(p) === 143 ? recordsOf(p) : []),
  line: (_: string, p: Part) =>
    `Multicast Address Record ${RECORDS[p.uint(0, 1) ?? 0] ?? "Unknown"}: ${formatIp(p.bytesAt(4, 16) ?? new Uint8Array(16))}`,
  rows: [
    uint("icmpv6.mldr.mar.record_type", "Record Type", 0, 1, { words: RECORDS, other: "Unknown" }),
    uint("icmpv6.mldr.mar.aux_data_len", "Aux Data Len", 1, 1),
    uint("icmpv6.mldr.mar.nb_sources", "Number of Sources", 2, 2),
    ipv6("icmpv6.mldr.mar.multicast_address", "Multicast Address", 4),
    {
      ...ipv6("icmpv6.mldr.mar.source_address", "Source Address", 0),
      each: (p) => Array.from({ length: Math.min(p.uint(2, 2) ?? 0, Math.floor((p.length - 20) / 16)) }, (_, i) => p.element(20 + i * 16, 16)),
    },
  ],
};

const naBit = (name: string, label: string, mask: number): Row => flag(`icmpv6.nd.na.flag.${name}`, label, 4, 4, mask);
export const ICMPV6: Protocol = {
  name: "icmpv6",
  title: () => "Internet Control Message Protocol v6",
  rows: [
    uint("icmpv6.type", "Type", 0, 1, { words: TYPES, other: "Unknown" }),
    uint("icmpv6.code", "Code", 1, 1, { shown: (v, p) => (CODES[type(p)]?.[v] ? `${v} (${CODES[type(p)]![v]})` : String(v)) }),
    uint("icmpv6.checksum", "Checksum", 2, 2, { base: "hex", shown: (v, p) => sumText(p, v, sumIsRight(p)) }),
    statusRow("icmpv6.checksum.status", sumIsRight),
    ...only(
      [128, 129],
      [
        uint("icmpv6.echo.identifier", "Identifier", 4, 2, { base: "hex" }),
        uint("icmpv6.echo.sequence_number", "Sequence", 6, 2),
        generated(number("icmpv6.resp_to", "Response To", (p) => p.flow?.answers)),
        generated({
          name: "icmpv6.resptime",
          label: "Response Time",
          type: "float",
          read: (p) => milliseconds(p.flow?.after),
          shown: (v: number) => `${v.toFixed(3)} ms`,
        }),
      ],
    ),
    ...only([1, 3, 133, 135, 137], [bytes("icmpv6.reserved", "Reserved", 4, 4)]),
    ...only([143], [bytes("icmpv6.reserved", "Reserved", 4, 2), uint("icmpv6.mldr.nb_mcast_records", "Number of Multicast Address Records", 6, 2)]),
    when(is(2), uint("icmpv6.mtu", "MTU", 4, 4)),
    when(is(4), uint("icmpv6.pointer", "Pointer", 4, 4)),
    when(is(135), ipv6("icmpv6.nd.ns.target_address", "Target Address", 8)),
    when(
      is(136),
      uint("icmpv6.nd.na.flag", "Flags", 4, 4, {
        base: "hex",
        shown: (v) => `${hex(v, 8)}${v & 0x80000000 ? ", Router" : ""}${v & 0x40000000 ? ", Solicited" : ""}${v & 0x20000000 ? ", Override" : ""}`,
        rows: [
          naBit("r", "Router", 0x80000000),
          naBit("s", "Solicited", 0x40000000),
          naBit("o", "Override", 0x20000000),
          uint("icmpv6.nd.na.flag.rsv", "Reserved", 4, 4, { mask: 0x1fffffff }),
        ],
      }),
    ),
    when(is(136), ipv6("icmpv6.nd.na.target_address", "Target Address", 8)),
    when(is(134), uint("icmpv6.nd.ra.cur_hop_limit", "Cur hop limit", 4, 1)),
    when(is(134), uint("icmpv6.nd.ra.router_lifetime", "Router lifetime (s)", 6, 2)),
    ...only(
      [130, 131, 132],
      [uint("icmpv6.mld.maximum_response_delay", "Maximum Response Delay [ms]", 4, 2), ipv6("icmpv6.mld.multicast_address", "Multicast Address", 8)],
    ),
    record,
    option,
  ],
};

/** ICMPv6's Info column. */
export function icmpv6Info(p: Part): string {
  const t = type(p);
  const name = TYPES[t] ?? `Unknown (${t})`;
  if (t === 128 || t === 129) {
    const hops = p.carrier?.protocol.name === "ipv6" ? `, hop limit=${p.carrier.uint(7, 1)}` : "";
    const answers = p.flow?.answers;
    return `${name} id=${hex(p.uint(4, 2) ?? 0, 4)}, seq=${p.uint(6, 2)}${hops}${answers === undefined ? "" : ` (request in ${answers})`}`;
  }
  if (t === 1 || t === 3 || t === 4) return `${name} (${CODES[t]?.[p.uint(1, 1) ?? -1] ?? "unknown code"})`;
  const target = p.bytesAt(8, 16);
  const own = optionsOf(p)
    .find((o) => optionType(o) === (t === 136 ? 2 : 1))
    ?.bytesAt(2, 6);
  if (t === 133 || t === 134) return `${name}${own ? ` from ${formatMac(own)}` : ""}`;
  if (t === 135 && target) return `${name} for ${formatIp(target)}${own ? ` from ${formatMac(own)}` : ""}`;
  if (t === 136 && target) {
    const flags = (p.uint(4, 1) ?? 0) >> 5;
    const words = [flags & 4 ? "rtr" : "", flags & 2 ? "sol" : "", flags & 1 ? "ovr" : ""].filter(Boolean);
    return `${name} ${formatIp(target)}${words.length > 0 ? ` (${words.join(", ")})` : ""}${own ? ` is at ${formatMac(own)}` : ""}`;
  }
  return name;
}
