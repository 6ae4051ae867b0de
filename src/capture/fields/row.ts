// A field is a row: its name, its type, how it is read, where it stands, and how it is shown. The tree, `-T fields`, JSON and display filters all use
// the same rows. Names, labels and words are Wireshark's (`tshark -G fields` of 4.0).
import { formatIp } from "../../base/ip.ts";
import { toHex } from "../../base/bytes.ts";
import { formatTime } from "../moment.ts";
import type { Pane, Part } from "./part.ts";

/**
 * Types of values: uint a number or bigint; time ns since 1970 and duration ns, bigint; float a number; ipv4, ipv6, ether, bytes and protocol their bytes;
 * none has no value, it is there or not.
 */
export type FieldType = "uint" | "bool" | "float" | "time" | "duration" | "string" | "ipv4" | "ipv6" | "ether" | "bytes" | "none" | "protocol";
export type Value = number | bigint | string | boolean | Uint8Array;

export type Row = {
  /** Display filter name; "" for a line that is no field. */
  readonly name: string;
  readonly type: FieldType;
  readonly label: string;
  /** The value, or undefined when the part has no such field. */
  readonly read: (p: Part) => Value | undefined;
  readonly base?: "dec" | "hex";
  /** Words for values. */
  readonly words?: Words;
  /** Of an integer, bytes: digits of its hexadecimal form. */
  readonly size?: number;
  /** Where the bytes are: offset in the part, and length. */
  readonly place?: readonly [offset: number, length: number] | ((p: Part) => readonly [offset: number, length: number]);
  readonly pane?: Pane;
  /** What the tree shows after the label. */
  readonly shown?: (v: never, p: Part) => string;
  /** The whole line of the tree. */
  readonly line?: (v: never, p: Part) => string;
  /** generated: not on the wire, in [brackets]. hidden: not in the tree, yet in filters, fields and JSON. */
  readonly mode?: "generated" | "hidden";
  readonly rows?: readonly Row[];
  /** The row stands once for each of these parts. */
  readonly each?: (p: Part) => readonly Part[];
  /** The elements of its rows stand in the order of the bytes, not of the rows: options. */
  readonly inOrder?: boolean;
};

export type Protocol = {
  /** Filter name. */
  readonly name: string;
  /** First line of its tree. */
  readonly title: (p: Part) => string;
  readonly rows: readonly Row[];
  /** Names in frame.protocols, when they are others. */
  readonly stack?: string;
};

type Look = Pick<Row, "mode" | "rows" | "pane">;
type Words = Readonly<Record<number, string>>;

export const hex = (n: number | bigint, digits: number): string => `0x${n.toString(16).padStart(digits, "0")}`;
export function formatMac(mac: Uint8Array): string {
  let out = "";
  for (let i = 0; i < mac.length; i++) out += i === 0 ? PAIRS[mac[i]!]! : `:${PAIRS[mac[i]!]!}`;
  return out;
}
const PAIRS: readonly string[] = Array.from({ length: 256 }, (_, b) => b.toString(16).padStart(2, "0"));

/** "010. .... = " of a byte's upper three bits. */
export function pattern(value: number, mask: number, size: number): string {
  let out = "";
  for (let bit = size * 8 - 1; bit >= 0; bit--) {
    const inMask = Math.floor(mask / 2 ** bit) % 2 === 1;
    out += (inMask ? String(Math.floor(value / 2 ** bit) % 2) : ".") + (bit % 4 === 0 && bit > 0 ? " " : "");
  }
  return `${out} = `;
}
const lowestBit = (mask: number): number => {
  let shift = 0;
  while (Math.floor(mask / 2 ** shift) % 2 === 0) shift++;
  return shift;
};
const masked = (raw: number, mask: number): number => {
  const shift = lowestBit(mask);
  const width = Math.floor(mask / 2 ** shift);
  return Number((BigInt(raw) >> BigInt(shift)) & BigInt(width));
};

type UintOptions = Look & { base?: "dec" | "hex"; words?: Words; other?: string; mask?: number; shown?: (v: number, p: Part) => string };

/** "Name (5)", "0x0800", "5". */
export const uintText = (
  v: number | bigint,
  o: { base?: "dec" | "hex"; size: number; words?: Words | undefined; other?: string | undefined },
): string => {
  const plain = o.base === "hex" ? hex(v, o.size * 2) : String(v);
  const word = o.words?.[Number(v)] ?? o.other;
  return word === undefined ? plain : `${word} (${plain})`;
};

/** An unsigned integer of `size` bytes at `offset`, or the bits of it that `mask` has. */
export function uint(name: string, label: string, offset: number, size: number, o: UintOptions = {}): Row {
  const { mask, base = "dec", words, other, shown, ...look } = o;
  const text = (v: number, p: Part): string => shown?.(v, p) ?? uintText(v, { base, size, words, other });
  const common = { name, label, type: "uint", base, size, place: [offset, size], ...(words ? { words } : {}), ...look } as const;
  if (mask === undefined) return { ...common, read: (p) => p.uint(offset, size), shown: text };
  const fast = size < 4 || mask < 0x80000000;
  const shift = lowestBit(mask);
  return {
    ...common,
    read: (p) => {
      const raw = p.uint(offset, size);
      return raw === undefined ? undefined : fast ? (raw & mask) >>> shift : masked(raw, mask);
    },
    line: (v: number, p: Part) => `${pattern(p.uint(offset, size)!, mask, size)}${label}: ${text(v, p)}`,
  };
}

/** One bit. */
export function flag(
  name: string,
  label: string,
  offset: number,
  size: number,
  mask: number,
  [yes, no]: readonly [string, string] = ["Set", "Not set"],
  look: Look = {},
): Row {
  return {
    name,
    label,
    type: "bool",
    place: [offset, size],
    read: (p) => {
      const raw = p.uint(offset, size);
      return raw === undefined ? undefined : masked(raw, mask) !== 0;
    },
    line: (v: boolean, p: Part) => `${pattern(p.uint(offset, size)!, mask, size)}${label}: ${v ? yes : no}`,
    ...look,
  };
}

/** An unsigned integer that is worked out. */
export const number = (name: string, label: string, read: (p: Part) => number | bigint | undefined, o: Partial<Row> = {}): Row => ({
  name,
  label,
  type: "uint",
  read,
  ...o,
});
export const truth = (name: string, label: string, read: (p: Part) => boolean | undefined, o: Partial<Row> = {}): Row => ({
  name,
  label,
  type: "bool",
  read,
  ...o,
});
export const text = (name: string, label: string, read: (p: Part) => string | undefined, o: Partial<Row> = {}): Row => ({
  name,
  label,
  type: "string",
  read,
  ...o,
});
/** Bytes; without a length all that are left. */
export const bytes = (name: string, label: string, offset: number, length?: number, o: Partial<Row> = {}): Row => ({
  name,
  label,
  type: "bytes",
  place: (p) => [offset, length ?? Math.max(0, p.end - p.at - offset)],
  read: (p) => {
    const found = p.bytesAt(offset, length ?? p.end - p.at - offset);
    return found && (found.length > 0 || length === 0) ? found : undefined;
  },
  ...o,
});
export const mac = (name: string, label: string, offset: number, o: Partial<Row> = {}): Row => ({
  name,
  label,
  type: "ether",
  place: [offset, 6],
  read: (p) => p.bytesAt(offset, 6),
  ...o,
});
export const ipv4 = (name: string, label: string, offset: number, o: Partial<Row> = {}): Row => ({
  name,
  label,
  type: "ipv4",
  place: [offset, 4],
  read: (p) => p.bytesAt(offset, 4),
  ...o,
});
export const ipv6 = (name: string, label: string, offset: number, o: Partial<Row> = {}): Row => ({
  name,
  label,
  type: "ipv6",
  place: [offset, 16],
  read: (p) => p.bytesAt(offset, 16),
  ...o,
});
export const duration = (name: string, label: string, read: (p: Part) => bigint | undefined, o: Partial<Row> = {}): Row => ({
  name,
  label,
  type: "duration",
  read,
  ...o,
});
/** There or not; it may hold other rows. */
export const mark = (name: string, label: string, when: (p: Part) => boolean, o: Partial<Row> = {}): Row => ({
  name,
  label,
  type: "none",
  read: (p) => (when(p) ? "" : undefined),
  ...o,
});
/** A line that is no field, over other rows. */
export const heading = (label: string, rows: readonly Row[], o: Partial<Row> = {}): Row => ({
  name: "",
  label,
  type: "none",
  read: () => "",
  rows,
  ...o,
});
export const hidden = (row: Row): Row => ({ ...row, mode: "hidden" });
export const generated = (row: Row): Row => ({ ...row, mode: "generated" });
/** The same field by another name: ip.addr is ip.src and ip.dst. */
export const also = (name: string, label: string, row: Row): Row => ({ ...row, name, label, mode: "hidden", rows: [] });
/** The row in parts that fit only. */
export const when = (fits: (p: Part) => boolean, row: Row): Row => {
  const rows = row.rows && row.rows.length > 0 ? { rows: row.rows.map((r) => when(fits, r)) } : {};
  return { ...row, read: (p) => (fits(p) ? row.read(p) : undefined), ...rows };
};

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const LAST_SECOND = 8_640_000_000_000n;
/** "Nov 23, 2026 07:15:50.969489000 UTC". */
export function formatMoment(ns: bigint): string {
  const seconds = ns / 1_000_000_000n;
  if (ns < 0n || seconds > LAST_SECOND) return formatTime(ns);
  const d = new Date(Number(seconds) * 1000);
  const two = (n: number): string => String(n).padStart(2, "0");
  const clock = `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}:${two(d.getUTCSeconds())}.${String(ns % 1_000_000_000n).padStart(9, "0")}`;
  return `${MONTHS[d.getUTCMonth()]} ${String(d.getUTCDate()).padStart(2, " ")}, ${d.getUTCFullYear()} ${clock} UTC`;
}

/** As `tshark -T json` prints a value (and `-T fields`, but for bytes: `separator` ""). */
export function formatValue(row: Pick<Row, "type" | "base" | "size" | "name">, v: Value, separator = ":"): string {
  if (v instanceof Uint8Array) {
    if (row.type === "ipv4" || row.type === "ipv6") return formatIp(v);
    return row.type === "ether" || separator === ":" ? formatMac(v) : toHex(v);
  }
  if (typeof v === "boolean") return v ? "1" : "0";
  if (row.type === "time") return row.name === "frame.time_epoch" ? formatTime(v as bigint) : formatMoment(v as bigint);
  if (row.type === "duration") return formatTime(v as bigint);
  if (row.base === "hex") return hex(v as number | bigint, (row.size ?? 4) * 2);
  return String(v);
}

/** The longest piece of bytes that a line of the tree shows. */
const SHOWN_BYTES = 36;
/** What stands after the label when the row does not say. */
export function textOf(row: Row, v: Value): string {
  if (row.type === "bool") return v ? "True" : "False";
  if (row.type === "ether") return macText(v as Uint8Array);
  if (row.type === "duration") return `${formatTime(v as bigint)} seconds`;
  if (row.type === "bytes" && (v as Uint8Array).length > SHOWN_BYTES) return `${toHex((v as Uint8Array).subarray(0, SHOWN_BYTES))}…`;
  return formatValue(row, v, "");
}

/** A MAC's name as far as it needs no register of makers. */
export function macName(m: Uint8Array): string {
  if (m.every((b) => b === 255)) return "Broadcast";
  if (m[0] === 0x33 && m[1] === 0x33) {
    const rest = m.subarray(2);
    const first = rest.findIndex((b) => b !== 0);
    return `IPv6mcast_${formatMac(rest.subarray(first < 0 ? 3 : first))}`;
  }
  if (m[0] === 1 && m[1] === 0 && m[2] === 0x5e && m[3]! < 0x80)
    return `IPv4mcast_${formatMac(m.subarray(3)).replace(/^0/, "").replaceAll(/:0/g, ":")}`;
  return formatMac(m);
}
export const macText = (m: Uint8Array): string => `${macName(m)} (${formatMac(m)})`;
