// Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s (Noise protocol framework, revision 34, sections 5, 7.5 and 9), as WireGuard uses it (whitepaper section 5.4).
// It knows tokens and payloads, not WireGuard's message layouts: those are in handshake.ts. A failed step wipes the transcript.
import { utf8, wipe } from "../base/bytes.ts";
import type { Crypto } from "./crypto.ts";
import type { SecretCrypto } from "./secretcrypto.ts";
import { type Cells, Secrets } from "./secrets.ts";

const NOTHING = new Uint8Array(0);
const TAG = 16;

/** A key pair of X25519. `private` is the owner's to wipe. */
export type Pair = { readonly private: Uint8Array; readonly public: Uint8Array };

/** What a handshake starts from, per protocol name and prologue. Not secret. */
export type Start = { readonly chain: Uint8Array; readonly hash: Uint8Array };
export function start(crypto: Crypto, prologue: Uint8Array): Start {
  const chain = crypto.hash(utf8("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"));
  return { chain, hash: crypto.hash(chain, prologue) };
}

/** The chaining key, the hash of the transcript, and the key of the moment. One serves for all handshakes of a device: a message is worked on at a time. */
export class Transcript {
  readonly #crypto: SecretCrypto;
  readonly #cells: Pick<Cells, "chain" | "hash" | "key" | "shared">;
  readonly #both: readonly Uint8Array[];
  readonly #three: readonly Uint8Array[];

  /** @default cells: memory of its own */
  constructor(crypto: SecretCrypto, cells: Pick<Cells, "chain" | "hash" | "key" | "shared"> = new Secrets({ peers: 0 }).cells) {
    this.#crypto = crypto;
    this.#cells = cells;
    this.#both = [cells.chain, cells.key];
    this.#three = [cells.chain, cells.shared, cells.key];
  }
  /** A copy's source: the two cells that outlive a message. (The key does not: both messages end with one that is used up.) */
  get chain(): Uint8Array {
    return this.#cells.chain;
  }
  get hash(): Uint8Array {
    return this.#cells.hash;
  }
  /** Goes on from there: a protocol's start, or what save() kept. */
  resume(from: Start): void {
    this.#cells.chain.set(from.chain);
    this.#cells.hash.set(from.hash);
  }
  save(to: Start): void {
    to.chain.set(this.#cells.chain);
    to.hash.set(this.#cells.hash);
  }
  mixHash(x: Uint8Array): void {
    this.#crypto.hash(this.#cells.hash, this.#cells.hash, x);
  }
  /** Mixes into the chaining key alone, where the key of the moment would not be used. */
  mixChain(x: Uint8Array): void {
    this.#crypto.kdf([this.#cells.chain], this.#cells.chain, x);
  }
  mixKey(x: Uint8Array): void {
    this.#crypto.kdf(this.#both, this.#cells.chain, x);
  }
  /** mixKey or mixChain of a Diffie-Hellman result. False, and wiped: a key of low order. */
  mixDh(privateKey: Uint8Array, publicKey: Uint8Array, how: "key" | "chain"): boolean {
    const { shared } = this.#cells;
    const good = this.#crypto.dh(shared, privateKey, publicKey);
    if (!good) this.wipe();
    else if (how === "key") this.mixKey(shared);
    else this.mixChain(shared);
    wipe(shared);
    return good;
  }
  mixPsk(psk: Uint8Array): void {
    const { chain, shared: tau } = this.#cells;
    this.#crypto.kdf(this.#three, chain, psk);
    this.mixHash(tau);
    wipe(tau);
  }
  /** Into `out`, TAG bytes longer than the plaintext. */
  seal(out: Uint8Array, plaintext: Uint8Array): void {
    this.#crypto.seal(out, this.#cells.key, plaintext, this.#cells.hash);
    this.mixHash(out);
  }
  /** undefined, and wiped: not genuine. */
  open(sealed: Uint8Array): Uint8Array | undefined {
    const plaintext = new Uint8Array(Math.max(0, sealed.length - TAG));
    if (this.#crypto.open(plaintext, this.#cells.key, sealed, this.#cells.hash)) {
      this.mixHash(sealed);
      return plaintext;
    }
    this.wipe();
    return undefined;
  }
  /** The two transport keys: initiator to responder, responder to initiator. */
  split(first: Uint8Array, second: Uint8Array): void {
    this.#crypto.kdf([first, second], this.#cells.chain, NOTHING);
  }
  wipe(): void {
    wipe(this.#cells.chain, this.#cells.hash, this.#cells.key, this.#cells.shared);
  }
}

/** Message 1 as its sender makes it, into `out`. `ss`: DH of the static keys. False: the responder's key is of low order. */
export function writeInitiation(
  t: Transcript,
  from: Start,
  a: { local: Pair; ephemeral: Pair; remote: Uint8Array; ss: Uint8Array; payload: Uint8Array },
  out: { static: Uint8Array; payload: Uint8Array },
): boolean {
  t.resume(from);
  // <- s
  t.mixHash(a.remote);
  // -> e
  t.mixHash(a.ephemeral.public);
  t.mixChain(a.ephemeral.public);
  // es
  if (!t.mixDh(a.ephemeral.private, a.remote, "key")) return false;
  // s
  t.seal(out.static, a.local.public);
  // ss
  t.mixKey(a.ss);
  t.seal(out.payload, a.payload);
  return true;
}

/** Message 1 as its receiver reads it, as far as the sender's static key: who it is decides about the rest. undefined: not genuine. */
export function readInitiator(t: Transcript, from: Start, a: { local: Pair; ephemeral: Uint8Array; static: Uint8Array }): Uint8Array | undefined {
  t.resume(from);
  t.mixHash(a.local.public);
  t.mixHash(a.ephemeral);
  t.mixChain(a.ephemeral);
  return t.mixDh(a.local.private, a.ephemeral, "key") ? t.open(a.static) : undefined;
}

/** The rest of message 1: its payload. */
export function readInitiationPayload(t: Transcript, ss: Uint8Array, payload: Uint8Array): Uint8Array | undefined {
  t.mixKey(ss);
  return t.open(payload);
}

/** Message 2 as its sender makes it, into `out`, after the transcript of message 1. False: a key of low order. */
export function writeResponse(
  t: Transcript,
  a: { ephemeral: Pair; remoteEphemeral: Uint8Array; remote: Uint8Array; psk: Uint8Array; payload: Uint8Array },
  out: Uint8Array,
): boolean {
  const { ephemeral, remoteEphemeral, remote, psk, payload } = a;
  // <- e, ee, se, psk
  t.mixHash(ephemeral.public);
  t.mixChain(ephemeral.public);
  if (!t.mixDh(ephemeral.private, remoteEphemeral, "chain") || !t.mixDh(ephemeral.private, remote, "chain")) return false;
  t.mixPsk(psk);
  t.seal(out, payload);
  return true;
}

/** Message 2 as its receiver reads it, after the transcript of message 1. undefined: not genuine. */
export function readResponse(
  t: Transcript,
  a: { local: Pair; ephemeral: Pair; remoteEphemeral: Uint8Array; psk: Uint8Array; payload: Uint8Array },
): Uint8Array | undefined {
  const { local, ephemeral, remoteEphemeral, psk, payload } = a;
  t.mixHash(remoteEphemeral);
  t.mixChain(remoteEphemeral);
  if (!t.mixDh(ephemeral.private, remoteEphemeral, "chain") || !t.mixDh(local.private, remoteEphemeral, "chain")) return undefined;
  t.mixPsk(psk);
  return t.open(payload);
}

/** A fresh pair, its private half in `into`. */
export function generate(crypto: { readonly random: Crypto["random"] }, secret: SecretCrypto, into: Uint8Array): Pair {
  crypto.random(into);
  clamp(into);
  const pair = { private: into, public: new Uint8Array(32) };
  secret.publicKey(pair.public, into);
  return pair;
}

/** RFC 7748 section 5. */
export function clamp(key: Uint8Array): void {
  key[0]! &= 248;
  key[31] = (key[31]! & 127) | 64;
}

/** WireGuard's prologue. */
export const PROLOGUE: Uint8Array = utf8("WireGuard v1 zx2c4 Jason@zx2c4.com");
