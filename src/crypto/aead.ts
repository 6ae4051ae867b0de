// ChaCha20-Poly1305 with additional data and a nonce of zeros, for the fields of handshake messages, from the two primitives that official Node binaries
// export (as packets-direct.ts does for packets): no context that would keep a key. 0.6 µs, against 5 with node:crypto. RFC 8439 section 2.8.
import { bindOptional } from "../sys/ffi.ts";
import { LONGEST_INPUT, type SecretCrypto } from "../wireguard/secretcrypto.ts";
import type { Scratch } from "./scratch.ts";

const chacha = bindOptional("void ChaCha20_ctr32(uintptr_t out, uintptr_t in, size_t length, uintptr_t key, uintptr_t counter)");
const polySize = bindOptional("size_t Poly1305_ctx_size()");
const polyInit = bindOptional("void Poly1305_Init(uintptr_t ctx, uintptr_t key)");
const polyUpdate = bindOptional("void Poly1305_Update(uintptr_t ctx, uintptr_t in, size_t length)");
const polyFinal = bindOptional("void Poly1305_Final(uintptr_t ctx, uintptr_t mac)");

// Offsets in the scratch: block counter and nonce, key, additional data, the block of key stream that is Poly1305's key, text and its tag or what Poly1305
// reads after it (padding and lengths), computed tag, Poly1305's context.
const TAG_LENGTH = 16;
const AD_LENGTH = 32;
const COUNTER = 0;
const KEY = 16;
const AD = 48;
const BLOCK = 128;
const TEXT = 192;
const TAG: number = TEXT + LONGEST_INPUT + 32;
const CONTEXT: number = TAG + 32;
const CONTEXT_SIZE = 512;
const SIZE: number = CONTEXT + CONTEXT_SIZE;

export type Aead = Pick<SecretCrypto, "seal" | "open">;

/** `scratch`: 832 bytes. undefined when this process does not export the primitives. */
export function directAead({ u8, at }: Scratch): Aead | undefined {
  if (!chacha || !polySize || !polyInit || !polyUpdate || !polyFinal || polySize() > CONTEXT_SIZE) return undefined;
  const tag = u8.subarray(TAG, TAG + TAG_LENGTH);
  const used = u8.subarray(0, SIZE);
  const prepare = (key: Uint8Array, text: Uint8Array, ad: Uint8Array): void => {
    if (text.length > LONGEST_INPUT || ad.length !== AD_LENGTH) throw new RangeError(`Cannot seal or open ${text.length} bytes with ${ad.length}`);
    u8.set(key, KEY);
    u8.set(ad, AD);
    u8.set(text, TEXT);
  };
  /** The tag of the `length` bytes of ciphertext at TEXT, to TAG. */
  const authenticate = (length: number): void => {
    polyInit(at + CONTEXT, at + BLOCK);
    polyUpdate(at + CONTEXT, at + AD, AD_LENGTH);
    const padded = (length + 15) & ~15;
    u8.fill(0, TEXT + length, TEXT + padded + 16);
    u8[TEXT + padded] = AD_LENGTH;
    u8[TEXT + padded + 8] = length;
    polyUpdate(at + CONTEXT, at + TEXT, padded + 16);
    polyFinal(at + CONTEXT, at + TAG);
  };
  return {
    seal(out, key, plaintext, ad) {
      const { length } = plaintext;
      prepare(key, plaintext, ad);
      chacha(at + BLOCK, at + BLOCK, 64 + length, at + KEY, at + COUNTER);
      authenticate(length);
      out.set(u8.subarray(TEXT, TEXT + length));
      out.set(tag, length);
      used.fill(0);
    },
    open(out, key, sealed, ad) {
      const length = sealed.length - TAG_LENGTH;
      if (length < 0) return false;
      prepare(key, sealed.subarray(0, length), ad);
      chacha(at + BLOCK, at + BLOCK, 64, at + KEY, at + COUNTER);
      authenticate(length);
      let differing = 0;
      for (let i = 0; i < TAG_LENGTH; i++) differing |= u8[TAG + i]! ^ sealed[length + i]!;
      if (differing === 0) {
        u8[COUNTER] = 1;
        chacha(at + TEXT, at + TEXT, length, at + KEY, at + COUNTER);
        out.set(u8.subarray(TEXT, TEXT + length));
      }
      used.fill(0);
      return differing === 0;
    },
  };
}
