// DER, the bytes of X.509, as far as certificates and requests for them need it. ITU-T X.690.

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

/** One value as it was read: its tag, its content, and both with the length between. Views of the bytes. */
export type Element = { readonly tag: number; readonly content: Uint8Array; readonly whole: Uint8Array };

/** The values that stand one after the other in `bytes`. Throws SyntaxError: not DER. */
export function elements(bytes: Uint8Array): Element[] {
  const fail = (why: string): never => {
    throw new SyntaxError(`malformed DER: ${why}`);
  };
  const found: Element[] = [];
  for (let at = 0; at < bytes.length;) {
    const start = at;
    const tag = bytes[at++]!;
    if ((tag & 31) === 31) fail("a tag of several bytes");
    let size = bytes[at++] ?? fail("it ends too early");
    if (size >= 128) {
      const count = size & 127;
      if (count === 0 || count > 4) fail("a length that is not definite or too large");
      size = 0;
      for (let i = 0; i < count; i++) size = size * 256 + (bytes[at++] ?? fail("it ends too early"));
      if (size < (count === 1 ? 128 : 256 ** (count - 1))) fail("a length that could be shorter");
    }
    if (size > bytes.length - at) fail("it ends too early");
    at += size;
    found.push({ tag, content: bytes.subarray(at - size, at), whole: bytes.subarray(start, at) });
  }
  return found;
}
