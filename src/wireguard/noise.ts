// Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s (Noise protocol framework, revision 34, sections 5, 7.5 and 9), as WireGuard uses it (whitepaper section 5.4).
// It knows tokens and payloads, not WireGuard's message layouts: those are in handshake.ts. A failed step wipes what it made.
import { utf8, wipe } from "../base/bytes.ts";
import type { Crypto } from "./crypto.ts";
import { keep } from "./secret.ts";

const NONCE_0 = new Uint8Array(12);
const NOTHING = new Uint8Array(0);
const BYTES = [1, 2, 3].map((b) => new Uint8Array([b]));

/** HKDF with one to three outputs of 32 bytes. */
export function kdf(crypto: Crypto, outputs: 1 | 2 | 3, key: Uint8Array, input: Uint8Array): Uint8Array[] {
  const extracted = crypto.hmac(key, input);
  const out: Uint8Array[] = [];
  for (let i = 0; i < outputs; i++) out.push(crypto.hmac(extracted, out[i - 1] ?? NOTHING, BYTES[i]!));
  wipe(extracted);
  return out;
}

/** A key pair of X25519. `private` is the owner's to wipe. */
export type Pair = { readonly private: Uint8Array; readonly public: Uint8Array };

/** What a handshake starts from, per protocol name and prologue. Not secret. */
export type Start = { readonly chain: Uint8Array; readonly hash: Uint8Array };
export function start(crypto: Crypto, prologue: Uint8Array): Start {
  const chain = crypto.hash(utf8("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"));
  return { chain, hash: crypto.hash(chain, prologue) };
}

/** The chaining key, the hash of the transcript, and the key of the moment. */
export class Transcript {
  readonly #crypto: Crypto;
  #chain: Uint8Array;
  #hash: Uint8Array;
  #key: Uint8Array = NOTHING;

  constructor(crypto: Crypto, from: Start) {
    this.#crypto = crypto;
    this.#chain = keep(from.chain);
    this.#hash = keep(from.hash);
  }
  /** A copy without the key of the moment: both messages end with one that is used up. */
  clone(): Transcript {
    return new Transcript(this.#crypto, { chain: this.#chain, hash: this.#hash });
  }
  get hash(): Uint8Array {
    return this.#hash;
  }
  get chain(): Uint8Array {
    return this.#chain;
  }
  mixHash(x: Uint8Array): void {
    this.#hash = this.#crypto.hash(this.#hash, x);
  }
  /** Mixes into the chaining key alone, where the key of the moment would not be used. */
  mixChain(x: Uint8Array): void {
    this.#set(kdf(this.#crypto, 1, this.#chain, x));
  }
  mixKey(x: Uint8Array): void {
    this.#set(kdf(this.#crypto, 2, this.#chain, x));
  }
  mixPsk(psk: Uint8Array): void {
    const [chain, tau, key] = kdf(this.#crypto, 3, this.#chain, psk);
    this.#set([chain!, key!]);
    this.mixHash(tau!);
    wipe(tau);
  }
  seal(plaintext: Uint8Array): Uint8Array {
    const sealed = this.#crypto.seal(this.#key, NONCE_0, plaintext, this.#hash);
    this.mixHash(sealed);
    return sealed;
  }
  open(sealed: Uint8Array): Uint8Array | undefined {
    const plaintext = this.#crypto.open(this.#key, NONCE_0, sealed, this.#hash);
    if (plaintext) this.mixHash(sealed);
    return plaintext;
  }
  /** The two transport keys: initiator to responder, responder to initiator. */
  split(): [Uint8Array, Uint8Array] {
    return kdf(this.#crypto, 2, this.#chain, NOTHING) as [Uint8Array, Uint8Array];
  }
  wipe(): void {
    wipe(this.#chain, this.#hash, this.#key);
  }
  #set([chain, key]: Uint8Array[]): void {
    wipe(this.#chain, this.#key);
    this.#chain = chain!;
    this.#key = key ?? NOTHING;
  }
}

/** Message 1 as its sender makes it. `ss`: DH of the static keys. undefined: the responder's key is of low order. */
export function writeInitiation(
  crypto: Crypto,
  from: Start,
  a: { local: Pair; ephemeral: Pair; remote: Uint8Array; ss: Uint8Array; payload: Uint8Array },
): { static: Uint8Array; payload: Uint8Array; transcript: Transcript } | undefined {
  const es = crypto.dh(a.ephemeral.private, a.remote);
  if (!es) return undefined;
  const t = new Transcript(crypto, from);
  // <- s
  t.mixHash(a.remote);
  // -> e
  t.mixHash(a.ephemeral.public);
  t.mixChain(a.ephemeral.public);
  // es
  t.mixKey(es);
  wipe(es);
  // s
  const sealedStatic = t.seal(a.local.public);
  // ss
  t.mixKey(a.ss);
  return { static: sealedStatic, payload: t.seal(a.payload), transcript: t };
}

/** Message 1 as its receiver reads it, as far as the sender's static key: who it is decides about the rest. */
export function readInitiator(
  crypto: Crypto,
  from: Start,
  a: { local: Pair; ephemeral: Uint8Array; static: Uint8Array },
): { remote: Uint8Array; transcript: Transcript } | undefined {
  const es = crypto.dh(a.local.private, a.ephemeral);
  if (!es) return undefined;
  const t = new Transcript(crypto, from);
  t.mixHash(a.local.public);
  t.mixHash(a.ephemeral);
  t.mixChain(a.ephemeral);
  t.mixKey(es);
  wipe(es);
  const remote = t.open(a.static);
  if (remote) return { remote, transcript: t };
  t.wipe();
  return undefined;
}

/** The rest of message 1: its payload. The transcript is wiped on failure. */
export function readInitiationPayload(t: Transcript, ss: Uint8Array, payload: Uint8Array): Uint8Array | undefined {
  t.mixKey(ss);
  const opened = t.open(payload);
  if (!opened) t.wipe();
  return opened;
}

/** Message 2 as its sender makes it, from the transcript of message 1, which it goes on with. undefined: a key of low order; the transcript is wiped. */
export function writeResponse(
  crypto: Crypto,
  t: Transcript,
  a: { ephemeral: Pair; remoteEphemeral: Uint8Array; remote: Uint8Array; psk: Uint8Array; payload: Uint8Array },
): Uint8Array | undefined {
  const ee = crypto.dh(a.ephemeral.private, a.remoteEphemeral);
  const se = crypto.dh(a.ephemeral.private, a.remote);
  try {
    if (!ee || !se) {
      t.wipe();
      return undefined;
    }
    // <- e, ee, se, psk
    return respond(t, a.ephemeral.public, ee, se, a.psk).seal(a.payload);
  } finally {
    wipe(ee, se);
  }
}

/** Message 2 as its receiver reads it. The transcript is a copy: it is wiped on failure. */
export function readResponse(
  crypto: Crypto,
  t: Transcript,
  a: { local: Pair; ephemeral: Pair; remoteEphemeral: Uint8Array; psk: Uint8Array; payload: Uint8Array },
): Uint8Array | undefined {
  const ee = crypto.dh(a.ephemeral.private, a.remoteEphemeral);
  const se = crypto.dh(a.local.private, a.remoteEphemeral);
  const opened = ee && se && respond(t, a.remoteEphemeral, ee, se, a.psk).open(a.payload);
  wipe(ee, se);
  if (!opened) t.wipe();
  return opened;
}

function respond(t: Transcript, ephemeral: Uint8Array, ee: Uint8Array, se: Uint8Array, psk: Uint8Array): Transcript {
  t.mixHash(ephemeral);
  t.mixChain(ephemeral);
  t.mixChain(ee);
  t.mixChain(se);
  t.mixPsk(psk);
  return t;
}

/** A fresh pair whose private half lies in memory of its own. */
export function generate(crypto: Crypto, into: Uint8Array): Pair {
  crypto.random(into);
  clamp(into);
  return { private: into, public: crypto.publicKey(into) };
}

/** RFC 7748 section 5. */
export function clamp(key: Uint8Array): void {
  key[0]! &= 248;
  key[31] = (key[31]! & 127) | 64;
}

/** WireGuard's prologue. */
export const PROLOGUE: Uint8Array = utf8("WireGuard v1 zx2c4 Jason@zx2c4.com");
