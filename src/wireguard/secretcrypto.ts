// The handshake's primitives on secrets that stay where they are: results are written to `out`, nothing secret is returned or left behind. An
// implementation may be part of a Crypto (crypto.ts); wiping() makes one of any other.
import { wipe } from "../base/bytes.ts";
import type { Crypto } from "./crypto.ts";

/** Keys, hashes and `ad` have 32 bytes; other inputs at most LONGEST_INPUT. An output may be an input too. */
export interface SecretCrypto {
  /** BLAKE2s-256 of `a` and `b` (RFC 7693). */
  hash(out: Uint8Array, a: Uint8Array, b: Uint8Array): void;
  /** HKDF over HMAC of BLAKE2s-256 (Noise section 4.3): one to three outputs. */
  kdf(out: readonly Uint8Array[], key: Uint8Array, input: Uint8Array): void;
  /** X25519 of the private key and the base point (RFC 7748). */
  publicKey(out: Uint8Array, privateKey: Uint8Array): void;
  /** X25519. False, and zeros, when the shared secret is all zero. */
  dh(out: Uint8Array, privateKey: Uint8Array, publicKey: Uint8Array): boolean;
  /** ChaCha20-Poly1305 (RFC 8439) with a nonce of zeros: ciphertext and tag. */
  seal(out: Uint8Array, key: Uint8Array, plaintext: Uint8Array, ad: Uint8Array): void;
  /** False when the tag is wrong; `out` is then as it was. */
  open(out: Uint8Array, key: Uint8Array, sealed: Uint8Array, ad: Uint8Array): boolean;
}
export const LONGEST_INPUT = 64;

const NONCE_0 = new Uint8Array(12);
const NOTHING = new Uint8Array(0);
const BYTES = [1, 2, 3].map((b) => new Uint8Array([b]));

/** Of a crypto that returns what it makes: wiped as soon as it was copied. What that crypto leaves behind itself is its own affair. */
export function wiping(crypto: Crypto): SecretCrypto {
  const move = (out: Uint8Array, made: Uint8Array | undefined): boolean => {
    if (made) out.set(made);
    wipe(made);
    return made !== undefined;
  };
  return {
    hash: (out, a, b) => void move(out, crypto.hash(a, b)),
    kdf(out, key, input) {
      const extracted = crypto.hmac(key, input);
      for (const [i, o] of out.entries()) move(o, crypto.hmac(extracted, out[i - 1] ?? NOTHING, BYTES[i]!));
      wipe(extracted);
    },
    publicKey: (out, privateKey) => void move(out, crypto.publicKey(privateKey)),
    dh: (out, privateKey, publicKey) => move(out, crypto.dh(privateKey, publicKey)) || (wipe(out), false),
    seal: (out, key, plaintext, ad) => void move(out, crypto.seal(key, NONCE_0, plaintext, ad)),
    open: (out, key, sealed, ad) => move(out, crypto.open(key, NONCE_0, sealed, ad)),
  };
}
