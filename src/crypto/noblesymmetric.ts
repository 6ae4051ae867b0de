// @noble's hashes and ciphers, without its curve: that takes 15 ms to load, and where OpenSSL is at hand only the others fill its gaps (noble.ts has all).
import { chacha20poly1305, xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { blake2s } from "@noble/hashes/blake2.js";
import { hmac } from "@noble/hashes/hmac.js";
import { concat } from "../base/bytes.ts";
import type { Crypto, PacketCrypto } from "../wireguard/crypto.ts";

/** noble throws where we answer undefined: a wrong tag, too short an input, a shared secret of zeros. */
export function attempt(f: () => Uint8Array): Uint8Array | undefined {
  try {
    return f();
  } catch {
    return undefined;
  }
}

export const nobleSymmetric: Omit<Crypto, "publicKey" | "dh"> = {
  name: "noble",
  hash: (...parts) => blake2s(concat(...parts)),
  mac: (key, ...parts) => blake2s(concat(...parts), { key, dkLen: 16 }),
  hmac: (key, ...parts) => hmac(blake2s, key, concat(...parts)),
  seal: (key, nonce, plaintext, ad) => chacha20poly1305(key, nonce, ad).encrypt(plaintext),
  open: (key, nonce, sealed, ad) => attempt(() => chacha20poly1305(key, nonce, ad).decrypt(sealed)),
  xseal: (key, nonce, plaintext, ad) => xchacha20poly1305(key, nonce, ad).encrypt(plaintext),
  xopen: (key, nonce, sealed, ad) => attempt(() => xchacha20poly1305(key, nonce, ad).decrypt(sealed)),
  random: (into) => void globalThis.crypto.getRandomValues(into as Uint8Array<ArrayBuffer>),
};

/** Packets in `memory`. It copies and allocates: for tests and browsers. */
export function noblePackets(memory: ArrayBufferLike): PacketCrypto {
  const u8 = new Uint8Array(memory);
  const nonce = new Uint8Array(12);
  const counter = new DataView(nonce.buffer);
  return {
    name: "noble",
    seal(keyAt, counterLo, counterHi, from, to, length) {
      counter.setUint32(4, counterLo, true);
      counter.setUint32(8, counterHi, true);
      u8.set(chacha20poly1305(u8.slice(keyAt, keyAt + 32), nonce).encrypt(u8.slice(from, from + length)), to);
    },
    open(keyAt, counterAt, from, to, length) {
      nonce.set(u8.subarray(counterAt, counterAt + 8), 4);
      const plaintext = attempt(() => chacha20poly1305(u8.slice(keyAt, keyAt + 32), nonce).decrypt(u8.slice(from, from + length + 16)));
      if (plaintext) u8.set(plaintext, to);
      else u8.fill(0, to, to + length);
      return plaintext !== undefined;
    },
  };
}
