// DER, the bytes of X.509: only writing, only what a certificate needs. ITU-T X.690.

export type Der = Uint8Array;

const length = (n: number): number[] => {
  if (n < 128) return [n];
  const bytes: number[] = [];
  for (let rest = n; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest & 255);
  return [128 | bytes.length, ...bytes];
};

/** A value under a tag. */
export const tagged = (tag: number, ...parts: Uint8Array[]): Der => {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag, ...length(content.length)]), content]);
};
export const sequence = (...parts: Der[]): Der => tagged(0x30, ...parts);
export const set = (...parts: Der[]): Der => tagged(0x31, ...parts);
export const octets = (bytes: Uint8Array): Der => tagged(0x04, bytes);
/** A bit string of whole bytes. */
export const bits = (bytes: Uint8Array, unused = 0): Der => tagged(0x03, Uint8Array.of(unused), bytes);
export const boolean = (value: boolean): Der => tagged(0x01, Uint8Array.of(value ? 255 : 0));
export const utf8String = (text: string): Der => tagged(0x0c, Buffer.from(text));
/** Context-specific and constructed. */
export const explicit = (n: number, part: Der): Der => tagged(0xa0 | n, part);
/** Context-specific and primitive. */
export const implicit = (n: number, bytes: Uint8Array): Der => tagged(0x80 | n, bytes);

/** An unsigned integer from its bytes. */
export function integer(bytes: Uint8Array): Der {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const rest = bytes.subarray(start);
  return tagged(0x02, rest[0]! >= 128 ? Uint8Array.of(0) : new Uint8Array(), rest);
}

/** "1.2.840.10045.4.3.2". */
export function oid(text: string): Der {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const n of rest) {
    const groups = [n & 127];
    for (let left = n >> 7; left > 0; left >>= 7) groups.unshift((left & 127) | 128);
    bytes.push(...groups);
  }
  return tagged(0x06, Uint8Array.from(bytes));
}

/** UTCTime until 2049, GeneralizedTime after, as RFC 5280 4.1.2.5 asks. */
export function time(ms: number): Der {
  const text = `${new Date(ms).toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`;
  return Number(text.slice(0, 4)) < 2050 ? tagged(0x17, Buffer.from(text.slice(2))) : tagged(0x18, Buffer.from(text));
}
