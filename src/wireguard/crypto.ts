// What the protocol asks of cryptography. Implementations are in src/crypto; all pass one conformance suite. Keys and outputs are Uint8Arrays; what is
// returned is fresh and belongs to the caller, who wipes what is secret.
import type { SecretCrypto } from "./secretcrypto.ts";

/** Primitives of the handshake: called a dozen times a handshake, on the control thread. */
export interface Crypto {
  /** For logs: "openssl (direct)", "node", "noble". */
  readonly name: string;
  /** BLAKE2s-256 of the concatenation (RFC 7693). 32 bytes. */
  hash(...parts: Uint8Array[]): Uint8Array;
  /** Keyed BLAKE2s with a 16-byte output; the key has 16 or 32 bytes. */
  mac(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array;
  /** HMAC (RFC 2104) over BLAKE2s-256, block length 64. 32 bytes. */
  hmac(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array;
  /** X25519 of the private key and the base point (RFC 7748). Clamping is the callee's. */
  publicKey(privateKey: Uint8Array): Uint8Array;
  /** X25519. undefined when the shared secret is all zero, which every caller treats as failure. */
  dh(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined;
  /** ChaCha20-Poly1305 (RFC 8439). Ciphertext and tag. The nonce has 12 bytes. */
  seal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, ad: Uint8Array): Uint8Array;
  /** undefined when the tag is wrong or the input is shorter than a tag. */
  open(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array, ad: Uint8Array): Uint8Array | undefined;
  /** XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03). The nonce has 24 bytes. */
  xseal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, ad: Uint8Array): Uint8Array;
  xopen(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array, ad: Uint8Array): Uint8Array | undefined;
  /** Fills with bytes of a cryptographic generator. Throws when there are none: never goes on without. */
  random(into: Uint8Array): void;
  /** For secrets that must stay where they are. `scratch`: 1024 bytes that never move, zero again after each call. Absent: wiping() stands in for it. */
  inPlace?(scratch: Uint8Array): SecretCrypto;
}

/** What seal() and open() may overwrite before the text they read … */
export const SEAL_HEADROOM = 64;
/** … and after the text they write: the tag (16) and up to 16 bytes more. */
export const SEAL_TAILROOM = 32;

/**
 * Sealing and opening of data messages, in the memory it was made for: no allocation, offsets in bytes. One instance a thread. The nonce is four zero
 * bytes and the 64-bit little-endian counter; there is no additional data. Text goes from one place to another, because the pass that enciphers it is
 * one over the memory anyway. Nothing need be aligned; it is faster when offsets and lengths are multiples of 4. When `from` is none, up to 3 bytes
 * more than SEAL_HEADROOM are overwritten before it.
 */
export interface PacketCrypto {
  readonly name: string;
  /**
   * Seals `length` bytes at `from`; ciphertext goes to `to`, its tag after it. `keyAt`: offset of the 32-byte key. The counter comes as two u32
   * halves. Overwrites up to SEAL_HEADROOM bytes before `from` (but never the last 16) and before `to`, and SEAL_TAILROOM after the ciphertext;
   * nothing from `from` on. `to` is `from`, or neither overlaps what belongs to the other.
   */
  seal(keyAt: number, counterLo: number, counterHi: number, from: number, to: number, length: number): void;
  /**
   * Opens `length` bytes at `from` (without the 16-byte tag, which follows); the plaintext goes to `to`. `counterAt`: offset of the 8-byte little-endian
   * counter in the header. False when the tag is wrong: then `to` holds zeros. Overwrites SEAL_HEADROOM bytes before `to`, and up to as many before
   * `from`, but never the last 16: the header stays. What follows is as it was.
   */
  open(keyAt: number, counterAt: number, from: number, to: number, length: number): boolean;
}

/** Sealing of data messages in place, several at a time: done for certain, and in the order of the calls, only by run(). One instance a thread. */
export interface Sealer {
  /** Messages that may wait for run(). */
  readonly capacity: number;
  /** As PacketCrypto.seal() from `at` to `at`; until run() none of what it reads or overwrites may be touched. */
  seal(keyAt: number, counterLo: number, counterHi: number, at: number, length: number): void;
  run(): void;
}

/** Opening of data messages, several at a time; of each all that is overwritten lies before what the next one reads, or elsewhere. */
export interface Opener {
  readonly capacity: number;
  /** As PacketCrypto.open(); the answer is opened()'s, after run(). The counter is read at once. */
  open(keyAt: number, counterAt: number, from: number, to: number, length: number): void;
  run(): void;
  /** What became of the `i`th open() before the last run(). */
  opened(i: number): boolean;
}

/** What the data half needs. */
export type Packets = { readonly name: string; readonly sealer: Sealer; readonly opener: Opener };
