// The outer form of pcapng as we write it: blocks and options, little-endian (draft-ietf-opsawg-pcapng; section 4.3).
import { utf8 } from "../base/bytes.ts";

/** A number is written as 32 bits, a bigint as 64. */
export type Option = { readonly code: number; readonly value: Uint8Array | number | bigint };

const MAX_VALUE = 65_535;

/** No option where there is no value. */
export const option = (code: number, value: Option["value"] | undefined): Option[] => (value === undefined ? [] : [{ code, value }]);
/** Cut to what an option's length field can say. */
export const textOption = (code: number, text: string | undefined): Option[] =>
  text === undefined ? [] : [{ code, value: utf8(text).subarray(0, MAX_VALUE) }];

const NONE: readonly Option[] = [];
const padded = (n: number): number => (n + 3) & ~3;
const lengthOf = ({ value }: Option): number => (typeof value === "number" ? 4 : typeof value === "bigint" ? 8 : value.length);

/** A whole block. `fill` writes a body of `length` bytes, which begins at 8 of what it is given. */
export function block(
  type: number,
  length: number,
  fill: (view: DataView, bytes: Uint8Array) => void,
  options: readonly Option[] = NONE,
): Uint8Array {
  let total = 12 + padded(length);
  for (const o of options) total += 4 + padded(lengthOf(o));
  if (options.length > 0) total += 4;
  const bytes = new Uint8Array(total);
  const v = new DataView(bytes.buffer);
  v.setUint32(0, type, true);
  v.setUint32(4, total, true);
  v.setUint32(total - 4, total, true);
  fill(v, bytes);
  let at = 8 + padded(length);
  for (const o of options) {
    const n = lengthOf(o);
    v.setUint16(at, o.code, true);
    v.setUint16(at + 2, n, true);
    at += 4;
    if (typeof o.value === "number") v.setUint32(at, o.value, true);
    else if (typeof o.value === "bigint") v.setBigUint64(at, BigInt.asUintN(64, o.value), true);
    else bytes.set(o.value, at);
    at += padded(n);
  }
  return bytes;
}
