// The crypto interfaces on node:crypto alone: where Node's OpenSSL cannot be called directly. node:crypto has neither keyed BLAKE2s with a short output
// nor XChaCha20: those are noble's.
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
  randomFillSync,
} from "node:crypto";
import { concat, fromHex, wipe } from "../base/bytes.ts";
import type { Crypto, PacketCrypto } from "../wireguard/crypto.ts";
import { nobleSymmetric } from "./noblesymmetric.ts";

const CIPHER = "chacha20-poly1305";
const TAG = 16;
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

// A Buffer's slice() shares its memory: whoever wiped a copy would wipe the original.
const plain = (b: Buffer): Uint8Array => new Uint8Array(b.buffer, b.byteOffset, b.length);

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

function seal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, ad: Uint8Array): Uint8Array {
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG });
  cipher.setAAD(ad, { plaintextLength: plaintext.length });
  return concat(cipher.update(plaintext), cipher.final(), cipher.getAuthTag());
}

function open(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array, ad: Uint8Array): Uint8Array | undefined {
  if (sealed.length < TAG) return undefined;
  const cipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG });
  cipher.setAuthTag(sealed.subarray(sealed.length - TAG));
  cipher.setAAD(ad, { plaintextLength: sealed.length - TAG });
  const plaintext = plain(cipher.update(sealed.subarray(0, sealed.length - TAG)));
  try {
    cipher.final();
    return plaintext;
  } catch {
    wipe(plaintext);
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

/** Packets in `memory`: 5 µs each, and it allocates. */
export function nodePackets(memory: ArrayBufferLike): PacketCrypto {
  const u8 = new Uint8Array(memory);
  const nonce = new Uint8Array(12);
  const counter = new DataView(nonce.buffer);
  const none = new Uint8Array(0);
  return {
    name: "node",
    seal(keyAt, counterLo, counterHi, at, length) {
      counter.setUint32(4, counterLo, true);
      counter.setUint32(8, counterHi, true);
      u8.set(seal(u8.subarray(keyAt, keyAt + 32), nonce, u8.subarray(at, at + length), none), at);
    },
    open(keyAt, counterAt, at, length) {
      nonce.set(u8.subarray(counterAt, counterAt + 8), 4);
      const plaintext = open(u8.subarray(keyAt, keyAt + 32), nonce, u8.subarray(at, at + length + TAG), none);
      if (plaintext) u8.set(plaintext, at);
      return plaintext !== undefined;
    },
  };
}
