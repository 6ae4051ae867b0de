// Byte strings and their text forms. Hex and base64 are decoded by arithmetic, without table look-ups or branches on the data, because keys go
// through here (the same care as wg(8)'s encoding.c).

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** UTF-8 bytes of a text. */
export const utf8 = (text: string): Uint8Array<ArrayBuffer> => encoder.encode(text);
/** Text of UTF-8 bytes; malformed sequences become U+FFFD. */
export const fromUtf8 = (bytes: Uint8Array): string => decoder.decode(bytes);

/** One new array holding the parts one after the other. */
export function concat(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Equality in time that depends on the lengths only. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let differing = 0;
  for (let i = 0; i < a.length; i++) differing |= a[i]! ^ b[i]!;
  return differing === 0;
}

/** True when every byte is zero; time depends on the length only. */
export function isZero(bytes: Uint8Array): boolean {
  let any = 0;
  for (let i = 0; i < bytes.length; i++) any |= bytes[i]!;
  return any === 0;
}

/** Overwrites secrets. TypedArray.fill is not optimised away. */
export function wipe(...secrets: (Uint8Array | undefined)[]): void {
  for (const secret of secrets) secret?.fill(0);
}

// 0..15 -> code of '0'..'9','a'..'f': 87 = 'a' - 10, and below ten 39 less.
const hexDigit = (v: number): number => 87 + v + (((v - 10) >> 8) & ~38);

/** Lower-case hex. */
export function toHex(bytes: Uint8Array): string {
  let out = "";
  for (let i = 0; i < bytes.length; i++) out += String.fromCharCode(hexDigit(bytes[i]! >> 4), hexDigit(bytes[i]! & 15));
  return out;
}

/** Bytes of a hex text (either case), or undefined when it is not hex of an even length. */
export function fromHex(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 2 !== 0) return undefined;
  const out = new Uint8Array(text.length / 2);
  let bad = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    const digit = c ^ 48;
    const isDigit = (digit - 10) >> 8;
    const alpha = (c & ~32) - 55;
    const isAlpha = ((alpha - 10) ^ (alpha - 16)) >> 8;
    bad |= ~(isDigit | isAlpha);
    const value = (isDigit & digit) | (isAlpha & alpha);
    out[i >> 1] = i % 2 === 0 ? value << 4 : out[i >> 1]! | value;
  }
  return bad === 0 ? out : undefined;
}

/** Character code of a base64 digit of 0 to 63; without branches or look-ups. */
const base64Digit = (v: number): number => v + 65 + (((25 - v) >> 8) & 6) - (((51 - v) >> 8) & 75) - (((61 - v) >> 8) & 15) + (((62 - v) >> 8) & 3);

/** Length of the base64 of so many bytes. */
export const base64Length = (bytes: number): number => 4 * Math.ceil(bytes / 3);
/** Standard padded base64 as ASCII into `out` from `at` on: for secrets, which must not become strings. */
export function writeBase64(bytes: Uint8Array, out: Uint8Array, at = 0): void {
  for (let i = 0; i < bytes.length; i += 3) {
    const a = bytes[i]!;
    const b = bytes[i + 1] ?? 0;
    const c = bytes[i + 2] ?? 0;
    const left = bytes.length - i;
    out[at++] = base64Digit(a >> 2);
    out[at++] = base64Digit(((a & 3) << 4) | (b >> 4));
    out[at++] = left > 1 ? base64Digit(((b & 15) << 2) | (c >> 6)) : 61;
    out[at++] = left > 2 ? base64Digit(c & 63) : 61;
  }
}
/** Standard padded base64. */
export function toBase64(bytes: Uint8Array): string {
  const out = new Uint8Array(base64Length(bytes.length));
  writeBase64(bytes, out);
  return fromUtf8(out);
}

/** 0 to 63 of a base64 digit's character code, -1 of any other; without branches or look-ups. */
export const base64Value = (c: number): number =>
  -1 +
  ((((64 - c) & (c - 91)) >> 8) & (c - 64)) +
  ((((96 - c) & (c - 123)) >> 8) & (c - 70)) +
  ((((47 - c) & (c - 58)) >> 8) & (c + 5)) +
  ((((42 - c) & (c - 44)) >> 8) & 63) +
  ((((46 - c) & (c - 48)) >> 8) & 64);

/** Bytes of a standard padded base64 text; undefined when malformed, also when the unused bits of the last digit are not zero. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const out = new Uint8Array((text.length / 4) * 3 - padding);
  let bad = 0;
  let bits = 0;
  for (let i = 0, at = 0; i < text.length; i++) {
    const isPadding = i >= text.length - padding;
    const v = isPadding ? 0 : base64Value(text.charCodeAt(i));
    bad |= v >> 8;
    bits = (bits << 6) | (v & 63);
    if (i % 4 === 3) {
      for (let shift = 16; shift >= 0; shift -= 8) {
        const byte = (bits >> shift) & 255;
        if (at < out.length) out[at++] = byte;
        else bad |= byte;
      }
      bits = 0;
    }
  }
  return bad === 0 ? out : undefined;
}
