// Options of a TCP header (RFC 9293, 7323, 2018).
import type { Part } from "./part.ts";
import { bytes, generated, number, type Row, uint } from "./row.ts";

const KINDS: Readonly<Record<number, string>> = {
  0: "End of Option List",
  1: "No-Operation",
  2: "Maximum Segment Size",
  3: "Window Scale",
  4: "SACK Permitted",
  5: "SACK",
  8: "Time Stamp Option",
};
/** How the line of all options calls them. */
const NAMES: Readonly<Record<number, string>> = {
  0: "End of Option List (EOL)",
  1: "No-Operation (NOP)",
  2: "Maximum segment size",
  3: "Window scale",
  4: "SACK permitted",
  5: "SACK",
  8: "Timestamps",
};
const kind = (p: Part): number => p.uint(0, 1) ?? 0;

export function optionsOf(p: Part): Part[] {
  const found: Part[] = [];
  for (let at = 20; at < p.length && found.length < 40;) {
    const k = p.uint(at, 1);
    const length = k === 0 || k === 1 ? 1 : (p.uint(at + 1, 1) ?? 0);
    if (k === undefined || length === 0 || (k > 1 && length < 2) || at + length > p.length) break;
    found.push(p.element(at, length));
    if (k === 0) break;
    at += length;
  }
  return found;
}

const option = (k: number, name: string, title: (p: Part) => string, rows: readonly Row[] = []): Row => ({
  ...bytes(name, "", 0),
  each: (p) => optionsOf(p).filter((o) => kind(o) === k),
  line: (_: Uint8Array, p: Part) => `TCP Option - ${title(p)}`,
  rows: [uint("tcp.option_kind", "Kind", 0, 1, { words: KINDS }), ...(k > 1 ? [uint("tcp.option_len", "Length", 1, 1)] : []), ...rows],
});
const OPTIONS: Readonly<Record<number, Row>> = {
  0: option(0, "tcp.options.eol", () => NAMES[0]!),
  1: option(1, "tcp.options.nop", () => NAMES[1]!),
  2: option(2, "tcp.options.mss", (p) => `${NAMES[2]}: ${p.uint(2, 2)} bytes`, [uint("tcp.options.mss_val", "MSS Value", 2, 2)]),
  3: option(3, "tcp.options.wscale", (p) => `${NAMES[3]}: ${p.uint(2, 1)} (multiply by ${2 ** Math.min(14, p.uint(2, 1) ?? 0)})`, [
    uint("tcp.options.wscale.shift", "Shift count", 2, 1),
    generated(number("tcp.options.wscale.multiplier", "Multiplier", (p) => 2 ** Math.min(14, p.uint(2, 1) ?? 0))),
  ]),
  4: option(4, "tcp.options.sack_perm", () => NAMES[4]!),
  5: option(5, "tcp.options.sack", () => NAMES[5]!, [
    {
      ...number("tcp.options.sack_le", "left edge", (p) => p.uint(0, 4)),
      each: (p) => Array.from({ length: Math.floor((p.length - 2) / 8) }, (_, i) => p.element(2 + i * 8, 8)),
    },
    {
      ...number("tcp.options.sack_re", "right edge", (p) => p.uint(4, 4)),
      each: (p) => Array.from({ length: Math.floor((p.length - 2) / 8) }, (_, i) => p.element(2 + i * 8, 8)),
    },
  ]),
  8: option(8, "tcp.options.timestamp", (p) => `${NAMES[8]}: TSval ${p.uint(2, 4)}, TSecr ${p.uint(6, 4)}`, [
    uint("tcp.options.timestamp.tsval", "Timestamp value", 2, 4),
    uint("tcp.options.timestamp.tsecr", "Timestamp echo reply", 6, 4),
  ]),
};
const unknown: Row = option(-1, "tcp.options.unknown", (p) => `Unknown (${kind(p)})`);

/** Options in the order in which they stand: one row for each kind, each on the parts of its kind. */
export const TCP_OPTIONS: Row = {
  ...bytes("tcp.options", "Options", 20),
  place: (p) => [20, Math.max(0, p.length - 20)],
  read: (p) => (p.length > 20 ? p.bytesAt(20, p.length - 20) : undefined),
  line: (v: Uint8Array, p: Part) =>
    `Options: (${v.length} bytes)${optionsOf(p)
      .map((o) => `, ${NAMES[kind(o)] ?? "Unknown"}`)
      .join("")}`,
  inOrder: true,
  rows: [...Object.values(OPTIONS), { ...unknown, each: (p) => optionsOf(p).filter((o) => !OPTIONS[kind(o)]) }],
};

/** What the Info column says of them: " MSS=1460 SACK_PERM TSval=1 TSecr=0 WS=128". */
export function optionsInfo(p: Part): string {
  if (p.length <= 20) return "";
  const says = (o: Part): string => {
    const k = kind(o);
    if (k === 2) return ` MSS=${o.uint(2, 2)}`;
    if (k === 3) return ` WS=${2 ** Math.min(14, o.uint(2, 1) ?? 0)}`;
    if (k === 4) return " SACK_PERM";
    if (k === 8) return ` TSval=${o.uint(2, 4)} TSecr=${o.uint(6, 4)}`;
    return "";
  };
  return optionsOf(p).map(says).join("");
}
