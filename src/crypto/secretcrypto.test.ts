// Every SecretCrypto against noble, and that it leaves nothing in its scratch.
import { describe, expect, test } from "vitest";
import { isZero, toHex } from "../base/bytes.ts";
import { LONGEST_INPUT, type SecretCrypto, wiping } from "../wireguard/secretcrypto.ts";
import { directAead } from "./aead.ts";
import { opensslBlake2s } from "./blake2s.ts";
import { nobleCrypto } from "./noble.ts";
import { nodeCrypto } from "./node.ts";
import { opensslCrypto } from "./openssl.ts";
import { scratch } from "./scratch.ts";
import { directX25519 } from "./x25519.ts";

const bytes = (n: number, seed: number): Uint8Array => new Uint8Array(n).map((_, i) => (i + 1) * seed);
const memory = new Uint8Array(new SharedArrayBuffer(4096), 1024, 1024);
const oracle = wiping(nobleCrypto);

describe.for([
  ["openssl", opensslCrypto().inPlace!(memory)],
  ["node", wiping(nodeCrypto)],
] as const)("%s", ([, crypto]) => {
  /** The outputs of the same calls on both, which must be equal; then the scratch must be empty. */
  const same = (outputs: number[], run: (c: SecretCrypto, out: Uint8Array[]) => unknown): void => {
    const [mine, right] = [outputs.map((n) => new Uint8Array(n)), outputs.map((n) => new Uint8Array(n))];
    expect(run(crypto, mine)).toEqual(run(oracle, right));
    expect(mine.map(toHex)).toEqual(right.map(toHex));
    expect(isZero(memory), "scratch").toBe(true);
  };
  test("hashes and key derivation, of every length", () => {
    for (let n = 0; n <= LONGEST_INPUT; n++) {
      same([32], (c, [out]) => c.hash(out!, bytes(32, 3), bytes(n, 5)));
      for (const outputs of [[32], [32, 32], [32, 32, 32]]) same(outputs, (c, out) => c.kdf(out, bytes(32, 7), bytes(n, 11)));
    }
  });
  test("an output may be an input", () => {
    const [a, b] = [bytes(32, 3), bytes(32, 3)];
    for (const [c, x] of [
      [crypto, a],
      [oracle, b],
    ] as const) {
      c.hash(x, x, x);
      c.kdf([x, bytes(32, 1)], x, x);
      c.dh(x, x, bytes(32, 9));
    }
    expect(toHex(a)).toBe(toHex(b));
  });
  test("curve: public keys, shared secrets, and zeros of a point of low order", () => {
    for (let i = 1; i < 20; i++) {
      same([32], (c, [out]) => c.publicKey(out!, bytes(32, i)));
      same([32], (c, [out]) => c.dh(out!, bytes(32, i), bytes(32, i + 77)));
    }
    const out = bytes(32, 1);
    expect(crypto.dh(out, bytes(32, 3), new Uint8Array(32))).toBe(false);
    expect(isZero(out)).toBe(true);
  });
  test("sealing and opening, of every length; a wrong tag, key or ad opens nothing", () => {
    for (let n = 0; n <= LONGEST_INPUT; n++) {
      const [key, text, ad, sealed] = [bytes(32, 3), bytes(n, 5), bytes(32, 7), new Uint8Array(n + 16)];
      same([n + 16], (c, [out]) => c.seal(out!, key, text, ad));
      crypto.seal(sealed, key, text, ad);
      same([n], (c, [out]) => c.open(out!, key, sealed, ad));
      sealed[n]! ^= 1;
      same([n], (c, [out]) => c.open(out!, key, sealed, ad));
      sealed[n]! ^= 1;
      same([n], (c, [out]) => c.open(out!, bytes(32, 4), sealed, ad));
      same([n], (c, [out]) => c.open(out!, key, sealed, bytes(32, 8)));
    }
    for (let n = 0; n < 16; n++) expect(crypto.open(new Uint8Array(0), bytes(32, 3), bytes(n, 1), bytes(32, 7))).toBe(false);
  });
});

describe.skipIf(!directX25519(scratch(96)))("direct", () => {
  test("this Node has all of it", () => {
    expect([opensslBlake2s(scratch(1024)), directAead(scratch(1024))].every(Boolean)).toBe(true);
  });
  test("what is too long is refused, not cut", () => {
    const [hashes, aead] = [opensslBlake2s(scratch(1024))!, directAead(scratch(1024))!];
    const [out, long] = [new Uint8Array(32), new Uint8Array(200)];
    expect(() => hashes.hash(out, out, long)).toThrow(RangeError);
    expect(() => hashes.kdf([out], out, long)).toThrow(RangeError);
    expect(() => aead.seal(new Uint8Array(300), out, long, out)).toThrow(RangeError);
    expect(() => aead.open(long, out, long, out)).toThrow(RangeError);
  });
});
