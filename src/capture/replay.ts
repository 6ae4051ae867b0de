// Replays a recorded handshake with whatever secrets are at hand, and says how far it came (whitepaper 5.4; sections 1.2 and 1.3).
// Each step is preceded by its Noise token. A step whose Diffie-Hellman value cannot be had from the secrets ends the replay.
import { utf8, wipe } from "../base/bytes.ts";
import type { Crypto } from "../wireguard/crypto.ts";
import { Initiation, Response } from "../wireguard/messages.ts";
import type { InitiationMessage, ResponseMessage } from "./message.ts";
import type { Secrets, StaticKey } from "./secrets.ts";

const CONSTRUCTION = utf8("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s");
const IDENTIFIER = utf8("WireGuard v1 zx2c4 Jason@zx2c4.com");
const NONCE_ZERO = new Uint8Array(12);
const EMPTY = new Uint8Array(0);

/** What message 1 gave up, and the state to go on with. */
export type ReplayedInitiation = {
  readonly responder: StaticKey;
  /** S_i, opened from the message. */
  readonly initiatorStatic: Uint8Array | undefined;
  /** TAI64N, 12 bytes. */
  readonly timestamp: Uint8Array | undefined;
  /** Chaining key and hash after the message; undefined when it could not be followed to its end. */
  readonly state: { readonly chainingKey: Uint8Array; readonly hash: Uint8Array } | undefined;
};

export type TransportKeys = { readonly toResponder: Uint8Array; readonly toInitiator: Uint8Array };
export type ReplayedResponse =
  | { readonly kind: "open"; readonly keys: TransportKeys; readonly presharedKey: Uint8Array }
  /** ee and se were computed, but no pre-shared key at hand authenticates the message. */
  | { readonly kind: "psk" }
  /** No ephemeral private key of this handshake. */
  | { readonly kind: "no ephemeral" }
  /** An ephemeral key, but with the static private key of the other side. */
  | { readonly kind: "other side"; readonly ephemeral: "initiator" | "responder" };

function kdf(crypto: Crypto, chainingKey: Uint8Array, input: Uint8Array, n: 1 | 2 | 3): Uint8Array[] {
  const prk = crypto.hmac(chainingKey, input);
  const out: Uint8Array[] = [];
  for (let i = 1; i <= n; i++) out.push(crypto.hmac(prk, out[i - 2] ?? EMPTY, Uint8Array.of(i)));
  wipe(prk);
  return out;
}

/** Follows message 1 to `addressee`, whom mac1 tells. undefined when nobody's key opens it. Without mac1 in the capture every known static key is tried. */
export function replayInitiation(
  crypto: Crypto,
  m: InitiationMessage,
  secrets: Secrets,
  addressee: StaticKey | undefined,
): ReplayedInitiation | undefined {
  if (addressee) return follow(crypto, m, secrets, addressee);
  if (m.bytes.length >= Initiation.MAC2) return undefined;
  for (const candidate of secrets.statics()) {
    const got = follow(crypto, m, secrets, candidate);
    if (got.initiatorStatic) return got;
  }
  return undefined;
}

function follow(crypto: Crypto, m: InitiationMessage, secrets: Secrets, responder: StaticKey): ReplayedInitiation {
  const nothing: ReplayedInitiation = { responder, initiatorStatic: undefined, timestamp: undefined, state: undefined };
  if (m.bytes.length < Initiation.MAC1) return nothing;
  const sealedStatic = m.bytes.subarray(Initiation.STATIC, Initiation.TIMESTAMP);
  const sealedTime = m.bytes.subarray(Initiation.TIMESTAMP, Initiation.MAC1);
  const ephemeral = secrets.ephemeral(m.ephemeral);
  let ck = crypto.hash(CONSTRUCTION);
  // <- s
  let h = crypto.hash(crypto.hash(ck, IDENTIFIER), responder.publicKey);
  // -> e
  [ck] = kdf(crypto, ck, m.ephemeral, 1) as [Uint8Array];
  h = crypto.hash(h, m.ephemeral);
  // -> es
  const es = ephemeral ? crypto.dh(ephemeral.privateKey, responder.publicKey) : responder.privateKey && crypto.dh(responder.privateKey, m.ephemeral);
  if (!es) return nothing;
  let k: Uint8Array;
  [ck, k] = kdf(crypto, ck, es, 2) as [Uint8Array, Uint8Array];
  wipe(es);
  // -> s
  const initiatorStatic = crypto.open(k, NONCE_ZERO, sealedStatic, h);
  if (!initiatorStatic) return nothing;
  h = crypto.hash(h, sealedStatic);
  // -> ss
  const own = secrets.static(initiatorStatic)?.privateKey;
  const ss = own ? crypto.dh(own, responder.publicKey) : responder.privateKey && crypto.dh(responder.privateKey, initiatorStatic);
  if (!ss) return { ...nothing, initiatorStatic };
  [ck, k] = kdf(crypto, ck, ss, 2) as [Uint8Array, Uint8Array];
  wipe(ss);
  // -> {t}
  const timestamp = crypto.open(k, NONCE_ZERO, sealedTime, h);
  wipe(k);
  if (!timestamp) return { ...nothing, initiatorStatic };
  h = crypto.hash(h, sealedTime);
  return { responder, initiatorStatic, timestamp, state: { chainingKey: ck, hash: h } };
}

/** Follows message 2 from where message 1 ended. */
export function replayResponse(
  crypto: Crypto,
  first: InitiationMessage,
  begun: ReplayedInitiation,
  m: ResponseMessage,
  secrets: Secrets,
): ReplayedResponse | undefined {
  if (!begun.state || !begun.initiatorStatic || m.bytes.length < Response.MAC1) return undefined;
  const initiatorEphemeral = secrets.ephemeral(first.ephemeral);
  const responderEphemeral = secrets.ephemeral(m.ephemeral);
  const initiatorPrivate = secrets.static(begun.initiatorStatic)?.privateKey;
  if (!initiatorEphemeral && !responderEphemeral) return { kind: "no ephemeral" };
  const ee = initiatorEphemeral
    ? crypto.dh(initiatorEphemeral.privateKey, m.ephemeral)
    : responderEphemeral && crypto.dh(responderEphemeral.privateKey, first.ephemeral);
  const se = initiatorPrivate
    ? crypto.dh(initiatorPrivate, m.ephemeral)
    : responderEphemeral && crypto.dh(responderEphemeral.privateKey, begun.initiatorStatic);
  if (!ee || !se) return { kind: "other side", ephemeral: initiatorEphemeral ? "initiator" : "responder" };
  // <- e
  let [ck] = kdf(crypto, begun.state.chainingKey, m.ephemeral, 1) as [Uint8Array];
  const hash = crypto.hash(begun.state.hash, m.ephemeral);
  // <- ee
  [ck] = kdf(crypto, ck, ee, 1) as [Uint8Array];
  // <- se
  [ck] = kdf(crypto, ck, se, 1) as [Uint8Array];
  wipe(ee, se);
  const sealed = m.bytes.subarray(Response.EMPTY, Response.MAC1);
  const candidates = [
    ...(initiatorEphemeral?.presharedKeys ?? []),
    ...(responderEphemeral?.presharedKeys ?? []),
    new Uint8Array(32),
    ...secrets.loosePresharedKeys,
  ];
  for (const presharedKey of candidates) {
    // <- psk
    const [after, t, k] = kdf(crypto, ck, presharedKey, 3) as [Uint8Array, Uint8Array, Uint8Array];
    // <- {}
    if (!crypto.open(k, NONCE_ZERO, sealed, crypto.hash(hash, t))) continue;
    const [toResponder, toInitiator] = kdf(crypto, after, EMPTY, 2) as [Uint8Array, Uint8Array];
    return { kind: "open", keys: { toResponder, toInitiator }, presharedKey };
  }
  return { kind: "psk" };
}

/** The nonce of a data message. */
export function nonceOf(counter: bigint): Uint8Array {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(4, counter, true);
  return nonce;
}

/** The cookie of a cookie reply to a message with this mac1, sent by the owner of `sender` (a public key: no secret is needed). */
export function openCookie(crypto: Crypto, sealed: Uint8Array, nonce: Uint8Array, sender: Uint8Array, mac1: Uint8Array): Uint8Array | undefined {
  return crypto.xopen(crypto.hash(utf8("cookie--"), sender), nonce, sealed, mac1);
}

/**
 * Decrypts what was captured of a cut message, without its tag: ChaCha20 is a stream cipher, so sealing the ciphertext again gives the plaintext back.
 * Nothing vouches for the result.
 */
export function openPrefix(crypto: Crypto, key: Uint8Array, counter: bigint, ciphertext: Uint8Array): Uint8Array {
  return crypto.seal(key, nonceOf(counter), ciphertext, EMPTY).subarray(0, ciphertext.length);
}

/** Opens a whole data message's ciphertext and tag. */
export function openData(crypto: Crypto, key: Uint8Array, counter: bigint, sealed: Uint8Array): Uint8Array | undefined {
  return crypto.open(key, nonceOf(counter), sealed, EMPTY);
}
/** TAI64N as nanoseconds since 1970. The base of WireGuard's labels is 2^62 + 10 (Wireshark subtracts 2^62 only and shows 10 s too much). */
export function timestampOf(tai64n: Uint8Array): bigint {
  const v = new DataView(tai64n.buffer, tai64n.byteOffset, 12);
  return (v.getBigUint64(0) - 0x4000_0000_0000_000an) * 1_000_000_000n + BigInt(v.getUint32(8));
}
