// The handshake's crypto on the OpenSSL inside Node: what is fastest and passes a test of its own; `name` says which.
import { equal, fromHex } from "../base/bytes.ts";
import type { Crypto } from "../wireguard/crypto.ts";
import { secret } from "../wireguard/secret.ts";
import { type SecretCrypto, wiping } from "../wireguard/secretcrypto.ts";
import { directAead } from "./aead.ts";
import { opensslBlake2s } from "./blake2s.ts";
import { opensslMac } from "./blake2smac.ts";
import { nobleSymmetric } from "./noblesymmetric.ts";
import { nodeCrypto } from "./node.ts";
import { type Scratch, scratch, scratchIn } from "./scratch.ts";
import { directX25519, type X25519 } from "./x25519.ts";

const SCRATCH = 1024;

/** The handshake's primitives. One instance a thread. */
export function opensslCrypto(): Crypto {
  const x25519 = directX25519(scratch(SCRATCH));
  const curve = x25519 && rightX25519(x25519) ? returning(x25519) : undefined;
  const mac = opensslMac((key, ...parts) => nobleSymmetric.mac(key, ...parts));
  const crypto: Crypto = { ...nodeCrypto, ...curve, ...(mac && rightMac(mac) && { mac }), name: curve ? "openssl (direct)" : "node" };
  return { ...crypto, inPlace: (memory) => inPlace(crypto, scratchIn(memory)) };
}

/** What of it works on `memory` directly, and of the rest what `crypto` makes of it. */
export function inPlace(crypto: Crypto, memory: Scratch): SecretCrypto {
  const right = wiping(crypto);
  const [curve, hashes, aead] = [directX25519(memory), opensslBlake2s(memory), directAead(memory)];
  return {
    ...right,
    ...(curve && rightX25519(curve) && curve),
    ...(hashes && rightHashes(hashes, right) && hashes),
    ...(aead && rightAead(aead, right) && aead),
  };
}

/** As a Crypto has them. */
const returning = (x: X25519): Pick<Crypto, "publicKey" | "dh"> => ({
  publicKey: (privateKey) => {
    const out = new Uint8Array(32);
    x.publicKey(out, privateKey);
    return out;
  },
  dh: (privateKey, publicKey) => {
    const out = secret();
    return x.dh(out, privateKey, publicKey) ? out : undefined;
  },
});

// RFC 7748 section 6.1, and a point of low order.
function rightX25519(x: X25519): boolean {
  const key = fromHex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")!;
  const other = fromHex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")!;
  const out = new Uint8Array(32);
  if (!x.dh(out, key, other) || !equal(out, fromHex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")!)) return false;
  if (x.dh(out, key, new Uint8Array(32))) return false;
  x.publicKey(out, key);
  return equal(out, fromHex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")!);
}

function rightMac(mac: Crypto["mac"]): boolean {
  const message = new Uint8Array(116).fill(7);
  return [16, 32].every((n) => equal(mac(message.subarray(0, n), message), nobleSymmetric.mac(message.subarray(0, n), message)));
}

const bytes = (n: number, from: number): Uint8Array => new Uint8Array(n).map((_, i) => from + 31 * i);
const LENGTHS = [0, 1, 12, 16, 32, 48, 64];

function rightHashes(tested: Pick<SecretCrypto, "hash" | "kdf">, right: SecretCrypto): boolean {
  const of = (c: typeof tested, n: number): Uint8Array => {
    const out = bytes(128, 0);
    c.hash(out.subarray(0, 32), bytes(32, 1), bytes(n, 2));
    c.kdf([out.subarray(32, 64), out.subarray(64, 96), out.subarray(96)], bytes(32, 3), bytes(n, 4));
    return out;
  };
  return LENGTHS.every((n) => equal(of(tested, n), of(right, n)));
}

function rightAead(tested: Pick<SecretCrypto, "seal" | "open">, right: SecretCrypto): boolean {
  return LENGTHS.every((n) => {
    const [mine, its, opened] = [new Uint8Array(n + 16), new Uint8Array(n + 16), new Uint8Array(n)];
    tested.seal(mine, bytes(32, 1), bytes(n, 2), bytes(32, 3));
    right.seal(its, bytes(32, 1), bytes(n, 2), bytes(32, 3));
    if (!equal(mine, its) || !tested.open(opened, bytes(32, 1), mine, bytes(32, 3)) || !equal(opened, bytes(n, 2))) return false;
    mine[n]! ^= 1;
    return !tested.open(opened, bytes(32, 1), mine, bytes(32, 3));
  });
}
