// The node's private key: made here, kept in memory-backed /run for a device that has to start anew, and nowhere else.
import { randomBytes } from "node:crypto";
import { chmodSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fromBase64, fromUtf8, toBase64, utf8, wipe } from "../../base/bytes.ts";
import { TortieError } from "../../base/errors.ts";
import { opensslCrypto } from "../../crypto/openssl.ts";

/** 32 random bytes, clamped (RFC 7748, section 5). */
export function makeKey(): Uint8Array {
  const key = new Uint8Array(randomBytes(32));
  key[0]! &= 248;
  key[31] = (key[31]! & 127) | 64;
  return key;
}

export const publicKeyOf = (privateKey: Uint8Array): Uint8Array => opensslCrypto().publicKey(privateKey);

/** The key of a file; undefined when there is none. Throws TortieError when the file is not a key, or others can read it. */
export function loadKey(file: string): Uint8Array | undefined {
  let bytes: Buffer;
  try {
    const status = lstatSync(file);
    if (!status.isFile() || (status.mode & 0o077) !== 0)
      throw new TortieError(`Cannot use the key in "${file}": others than its owner can reach it`, { hint: `Remove it: a new key is made.` });
    bytes = readFileSync(file);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw thrown;
  }
  const key = fromBase64(fromUtf8(bytes).trim());
  wipe(bytes);
  if (key?.length === 32) return key;
  wipe(key);
  throw new TortieError(`Cannot use the key in "${file}": it is not base64 of 32 bytes`, { hint: `Remove it: a new key is made.` });
}

/** Writes the key whole or not at all, 0600 in a directory of 0700. */
export function saveKey(file: string, key: Uint8Array): void {
  const directory = dirname(file);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if ((statSync(directory).mode & 0o077) !== 0) chmodSync(directory, 0o700);
  const text = utf8(`${toBase64(key)}\n`);
  try {
    rmSync(`${file}.new`, { force: true });
    writeFileSync(`${file}.new`, text, { mode: 0o600, flag: "wx" });
    renameSync(`${file}.new`, file);
  } finally {
    wipe(text);
  }
}

/** Overwrites and removes the key. */
export function removeKey(file: string): void {
  try {
    writeFileSync(file, new Uint8Array(45), { flag: "r+" });
  } catch {
    // there was none
  }
  rmSync(file, { force: true });
}
