// Values written in a display filter, read as the type of what they are held against.
import { utf8 } from "../../base/bytes.ts";
import { parseIp } from "../../base/ip.ts";
import type { FieldType, Value } from "../fields/row.ts";
import type { Literal } from "./syntax.ts";

/** A value, or a network that addresses are in. */
export type Wanted = { readonly value: Value; readonly bits?: number };

const DESCRIPTIONS: Readonly<Record<FieldType, string>> = {
  uint: "a whole number, as 4 or 0x04",
  bool: "True or False, or 1 or 0",
  float: "a number, as 0.5",
  time: 'a time, as "2026-11-23 07:15:50.5" (UTC) or seconds since 1970',
  duration: "seconds, as 0.25",
  string: 'a text, as "text"',
  ipv4: "an IPv4 address, as 10.0.0.1 or 10.0.0.0/8",
  ipv6: "an IPv6 address, as fd00::1 or fd00::/8",
  ether: "a MAC address, as 00:11:22:33:44:55",
  bytes: 'bytes, as 01:02:ff, or a text, as "text"',
  none: "nothing",
  protocol: 'bytes, as 01:02:ff, or a text, as "text"',
};
export const describe = (type: FieldType): string => DESCRIPTIONS[type];

/** undefined when the text is no such value. */
export function readLiteral(l: Literal, type: FieldType): Wanted | undefined {
  switch (type) {
    case "uint": {
      if (l.quoted === "char") return { value: l.text.charCodeAt(0) };
      const n = integer(l.text);
      return n === undefined ? undefined : { value: n };
    }
    case "bool":
      if (/^true$/i.test(l.text)) return { value: true };
      if (/^false$/i.test(l.text)) return { value: false };
      return integer(l.text) === undefined ? undefined : { value: integer(l.text) !== 0 };
    case "float":
      return l.text.trim() !== "" && Number.isFinite(Number(l.text)) ? { value: Number(l.text) } : undefined;
    case "duration": {
      const ns = decimal(l.text);
      return ns === undefined ? undefined : { value: ns };
    }
    case "time": {
      const ns = decimal(l.text) ?? moment(l.text);
      return ns === undefined ? undefined : { value: ns };
    }
    case "string":
      return { value: l.text };
    case "ipv4":
    case "ipv6":
      return network(l.text, type === "ipv4" ? 4 : 16);
    case "ether": {
      const b = hexBytes(l.text);
      return b?.length === 6 ? { value: b } : undefined;
    }
    case "bytes":
    case "protocol": {
      if (l.quoted) return { value: utf8(l.text) };
      const b = hexBytes(l.text);
      return b ? { value: b } : undefined;
    }
    case "none":
      return undefined;
  }
}

function integer(text: string): number | bigint | undefined {
  const t = /^0[0-7]+$/.test(text) ? `0o${text}` : text;
  if (!/^-?(0x[0-9a-fA-F]+|0b[01]+|0o[0-7]+|[0-9]+)$/.test(t)) return undefined;
  const n = t.startsWith("-") ? -BigInt(t.slice(1)) : BigInt(t);
  return n >= BigInt(Number.MIN_SAFE_INTEGER) && n <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(n) : n;
}
/** Seconds with a fraction, as ns. */
function decimal(text: string): bigint | undefined {
  const m = /^(-?)(\d+)(?:\.(\d{1,9})\d*)?$/.exec(text);
  if (!m) return undefined;
  const ns = BigInt(m[2]!) * 1_000_000_000n + BigInt((m[3] ?? "").padEnd(9, "0"));
  return m[1] ? -ns : ns;
}
const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
function moment(text: string): bigint | undefined {
  const iso = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(?:\s*(?:Z|UTC))?$/i.exec(text);
  const named = /^([a-z]{3})\s+(\d{1,2}),\s+(\d{4})(?:\s+(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(?:\s+(?:Z|UTC))?$/i.exec(text);
  const month = iso ? Number(iso[2]) - 1 : named ? MONTHS.indexOf(named[1]!.toLowerCase()) : -1;
  const m = iso ?? named;
  if (!m || month < 0 || month > 11) return undefined;
  const [year, day] = iso ? [Number(iso[1]), Number(iso[3])] : [Number(named![3]), Number(named![2])];
  const ms = Date.UTC(year, month, day, Number(m[4] ?? 0), Number(m[5] ?? 0), Number(m[6] ?? 0));
  return Number.isNaN(ms) ? undefined : BigInt(ms) * 1_000_000n + BigInt((m[7] ?? "").padEnd(9, "0"));
}

function network(text: string, length: 4 | 16): Wanted | undefined {
  const m = /^(.*?)(?:\/(\d{1,3}))?$/.exec(text)!;
  let value: Uint8Array | undefined;
  try {
    value = parseIp(m[1]!) ?? undefined;
  } catch {
    value = undefined;
  }
  if (value?.length !== length) return undefined;
  if (m[2] === undefined) return { value };
  const bits = Number(m[2]);
  return bits > length * 8 ? undefined : { value, bits };
}

/** "01:02:ff", "01-02-ff", "0102.ff00", ":ff", "0102ff", "0xff". */
function hexBytes(text: string): Uint8Array | undefined {
  const t = text.replace(/^:/, "");
  const separated = /^[0-9a-fA-F]{1,2}(?:[:.-][0-9a-fA-F]{1,2})*$/.test(t) ? t.split(/[:.-]/) : undefined;
  const joined = t.replace(/^0x/i, "").replaceAll(/[.:]/g, "");
  const parts =
    separated ??
    (/^(?:[0-9a-fA-F]{2})+$/.test(joined) && /^(0x)?[0-9a-fA-F]+$|^[0-9a-fA-F]{4}([.:][0-9a-fA-F]{4})+$/i.test(t) ? joined.match(/../g)! : undefined);
  return parts && Uint8Array.from(parts, (p) => Number.parseInt(p, 16));
}
