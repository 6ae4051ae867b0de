// X25519 by OpenSSL's internal functions, where the process exports them: the keys go through scratch memory, which is wiped, and no key object is left
// to the garbage collector. 31 µs, against 140 and more with objects made from raw keys.
import { bindOptional } from "../sys/ffi.ts";
import type { SecretCrypto } from "../wireguard/secretcrypto.ts";
import type { Scratch } from "./scratch.ts";

const multiply = bindOptional("int ossl_x25519(uintptr_t out, uintptr_t privateKey, uintptr_t publicKey)");
const derive = bindOptional("void ossl_x25519_public_from_private(uintptr_t out, uintptr_t privateKey)");

export type X25519 = Pick<SecretCrypto, "publicKey" | "dh">;

/** `scratch`: 96 bytes. undefined when this process does not export the functions. */
export function directX25519({ u8, at }: Scratch): X25519 | undefined {
  if (!multiply || !derive) return undefined;
  const result = u8.subarray(0, 32);
  const used = u8.subarray(0, 96);
  return {
    publicKey(out, privateKey) {
      u8.set(privateKey, 32);
      derive(at, at + 32);
      out.set(result);
      used.fill(0);
    },
    dh(out, privateKey, publicKey) {
      u8.set(privateKey, 32);
      u8.set(publicKey, 64);
      const good = multiply(at, at + 32, at + 64) === 1;
      out.set(result);
      used.fill(0);
      // It says 0 of a shared secret of zeros: that is what was written.
      return good;
    },
  };
}
