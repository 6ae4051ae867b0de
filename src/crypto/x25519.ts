// X25519 by OpenSSL's internal functions, where the process exports them: the keys go straight into scratch memory, which is wiped, and no key object is
// left to the garbage collector. 31 µs, against 140 and more with objects made from raw keys.
import { bindOptional } from "../sys/ffi.ts";
import { keep } from "../wireguard/secret.ts";
import { scratch } from "./scratch.ts";

const multiply = bindOptional("int ossl_x25519(uintptr_t out, uintptr_t privateKey, uintptr_t publicKey)");
const derive = bindOptional("void ossl_x25519_public_from_private(uintptr_t out, uintptr_t privateKey)");

export type X25519 = {
  publicKey(privateKey: Uint8Array): Uint8Array;
  dh(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined;
};

export function directX25519(): X25519 | undefined {
  if (!multiply || !derive) return undefined;
  const { u8, at } = scratch(96);
  return {
    publicKey(privateKey) {
      u8.set(privateKey, 32);
      derive(at, at + 32);
      const out = u8.slice(0, 32);
      u8.fill(0);
      return out;
    },
    dh(privateKey, publicKey) {
      u8.set(privateKey, 32);
      u8.set(publicKey, 64);
      const good = multiply(at, at + 32, at + 64);
      const out = good === 1 ? keep(u8.subarray(0, 32)) : undefined;
      u8.fill(0);
      return out;
    },
  };
}
