// The crypto interfaces on @noble: pure JavaScript, for browsers, and the oracle that the others are tested against.
import { x25519 } from "@noble/curves/ed25519.js";
import type { Crypto } from "../wireguard/crypto.ts";
import { attempt, nobleSymmetric } from "./noblesymmetric.ts";

export { noblePackets } from "./noblesymmetric.ts";
export { wasmOpener, type WasmOpener } from "./wasmopener.ts";

export const nobleCrypto: Crypto = {
  ...nobleSymmetric,
  publicKey: (privateKey) => x25519.getPublicKey(privateKey),
  dh: (privateKey, publicKey) => attempt(() => x25519.getSharedSecret(privateKey, publicKey)),
};
