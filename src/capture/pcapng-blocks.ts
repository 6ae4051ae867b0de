// The outer form of pcapng: blocks and options, little-endian as we write them (draft-ietf-opsawg-pcapng; section 4.3).
import { concat, utf8 } from "../base/bytes.ts";

export type Option = { readonly code: number; readonly value: Uint8Array };

export const option = (code: number, value: Uint8Array): Option => ({ code, value });
/** None when there is no text; cut to what an option's length field can say. */
export const textOption = (code: number, text: string | undefined): Option[] =>
  text === undefined ? [] : [{ code, value: utf8(text).subarray(0, 65_535) }];
export function u64Option(code: number, n: bigint): Option {
  const value = new Uint8Array(8);
  new DataView(value.buffer).setBigUint64(0, n, true);
  return { code, value };
}

/** A whole block; `body` is already padded to a multiple of 4. */
export function block(type: number, body: Uint8Array, options: readonly Option[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const o of options) {
    const head = new Uint8Array(4);
    const v = new DataView(head.buffer);
    v.setUint16(0, o.code, true);
    v.setUint16(2, o.value.length, true);
    parts.push(head, o.value, new Uint8Array((4 - (o.value.length % 4)) % 4));
  }
  if (options.length > 0) parts.push(new Uint8Array(4));
  const inner = concat(body, ...parts);
  const head = new Uint8Array(8);
  const total = inner.length + 12;
  new DataView(head.buffer).setUint32(0, type, true);
  new DataView(head.buffer).setUint32(4, total, true);
  const tail = new Uint8Array(4);
  new DataView(tail.buffer).setUint32(0, total, true);
  return concat(head, inner, tail);
}
