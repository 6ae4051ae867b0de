// The crypto interfaces on node:crypto alone: where Node's OpenSSL cannot be called directly. node:crypto has neither keyed BLAKE2s with a short output
// nor XChaCha20: those are noble's.
import { createHash, createHmac, createPrivateKey, createPublicKey, diffieHellman, type KeyObject, randomFillSync } from "node:crypto";
import { concat, fromHex, wipe } from "../base/bytes.ts";
import type { Crypto } from "../wireguard/crypto.ts";
import { nobleSymmetric } from "./noblesymmetric.ts";
import { open, plain, seal } from "./packets-node.ts";

// RFC 8410: what precedes the 32 bytes of an X25519 key in DER.
const PKCS8 = fromHex("302e020100300506032b656e04220420")!;
const SPKI = fromHex("302a300506032b656e032100")!;

function privateObject(key: Uint8Array): KeyObject {
  const der = concat(PKCS8, key);
  const object = createPrivateKey({ key: Buffer.from(der.buffer), format: "der", type: "pkcs8" });
  wipe(der);
  return object;
}
const publicObject = (key: Uint8Array): KeyObject => createPublicKey({ key: Buffer.from(concat(SPKI, key)), format: "der", type: "spki" });

function hash(...parts: Uint8Array[]): Uint8Array {
  const h = createHash("blake2s256");
  for (const part of parts) h.update(part);
  return plain(h.digest());
}

function hmac(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array {
  const h = createHmac("blake2s256", key);
  for (const part of parts) h.update(part);
  return plain(h.digest());
}

function dh(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
  try {
    return plain(diffieHellman({ privateKey: privateObject(privateKey), publicKey: publicObject(publicKey) }));
  } catch {
    return undefined;
  }
}

export const nodeCrypto: Crypto = {
  name: "node",
  hash,
  mac: (key, ...parts) => nobleSymmetric.mac(key, ...parts),
  hmac,
  publicKey: (privateKey) => plain(createPublicKey(privateObject(privateKey)).export({ format: "der", type: "spki" }).subarray(SPKI.length)),
  dh,
  seal,
  open,
  xseal: (...a) => nobleSymmetric.xseal(...a),
  xopen: (...a) => nobleSymmetric.xopen(...a),
  random: (into) => void randomFillSync(into),
};
