// Keys as wg(8) reads and writes them: 44 characters of base64, from files and standard input only. They stay bytes all the way.
import { createPrivateKey, createPublicKey } from "node:crypto";
import { readFile } from "node:fs/promises";
import { base64Value, isZero, toBase64, utf8, wipe } from "../../base/bytes.ts";
import { TortieError } from "../../base/errors.ts";
import { failure } from "./words.ts";

const TEXT_LENGTH = 44;

/** The key of exactly 44 base64 characters, or undefined; without branches or look-ups on the characters. */
export function keyFromBase64(text: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  if (text.length !== TEXT_LENGTH || text[TEXT_LENGTH - 1] !== 61) return undefined;
  const key = new Uint8Array(32);
  let bad = 0;
  for (let i = 0; i < 11; i++) {
    const v = [0, 1, 2, 3].map((j) => (4 * i + j === TEXT_LENGTH - 1 ? 0 : base64Value(text[4 * i + j]!)));
    for (const d of v) bad |= d >> 8;
    const bits = ((v[0]! & 63) << 18) | ((v[1]! & 63) << 12) | ((v[2]! & 63) << 6) | (v[3]! & 63);
    key[3 * i] = bits >> 16;
    key[3 * i + 1] = bits >> 8;
    if (i < 10) key[3 * i + 2] = bits;
    else bad |= bits & 255;
  }
  if (bad === 0) return key;
  wipe(key);
  return undefined;
}

/** A key in an argument or a file. Secret ones are not repeated in the error. */
export function parseKey(text: Uint8Array, secret: boolean): Uint8Array<ArrayBuffer> {
  const key = keyFromBase64(text);
  if (key) return key;
  throw new TortieError(`Key is not the correct length or format: \`${secret ? "(hidden)" : Buffer.from(text).toString()}'`);
}

const isBlank = (c: number): boolean => c === 32 || (c >= 9 && c <= 13);

/** The key in a file; an empty one (or /dev/null) is the zero key, which clears. */
export async function keyOfFile(path: string): Promise<Uint8Array> {
  const content = await readFile(path).catch((e: unknown) => {
    throw failure("fopen", e);
  });
  try {
    if (content.length === 0) return new Uint8Array(32);
    if (content.length < TEXT_LENGTH) throw new TortieError("Invalid length key in key file");
    const trailing = content.subarray(TEXT_LENGTH).find((c) => !isBlank(c));
    if (trailing !== undefined) throw new TortieError(`Found trailing character in key file: \`${String.fromCharCode(trailing)}'`);
    return parseKey(content.subarray(0, TEXT_LENGTH), true);
  } finally {
    wipe(content);
  }
}

/** The key on standard input: 44 characters, then blanks or NULs at most. `program` begins the error. */
export function keyOfInput(input: Uint8Array, program: string): Uint8Array {
  const malformed = new TortieError(`${program}: Key is not the correct length or format`);
  if (input.length < TEXT_LENGTH) throw malformed;
  if (input.subarray(TEXT_LENGTH).some((c) => c !== 0 && !isBlank(c))) throw new TortieError(`${program}: Trailing characters found after key`);
  const key = keyFromBase64(input.subarray(0, TEXT_LENGTH));
  if (!key) throw malformed;
  return key;
}

// RFC 8410: the DER of an X25519 private key is this and the 32 bytes.
const PKCS8 = new Uint8Array([0x30, 0x2e, 0x02, 0x01, 0, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04, 0x20]);

/** X25519(private, base point). */
export function publicKeyOf(privateKey: Uint8Array): Uint8Array {
  const der = Buffer.alloc(PKCS8.length + 32);
  der.set(PKCS8);
  der.set(privateKey, PKCS8.length);
  try {
    const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
    return createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-32);
  } finally {
    wipe(der);
  }
}

export const isSet = (key: Uint8Array | undefined): key is Uint8Array => key !== undefined && !isZero(key);
export const base64OrNone = (key: Uint8Array | undefined): string => (isSet(key) ? toBase64(key) : "(none)");
export const argument = (text: string): Uint8Array => utf8(text);
