// ChaCha20-Poly1305 from the two primitives that official Node binaries export from their own OpenSSL: no context to set up, no EVP layer, and keys
// stay where they are. RFC 8439 section 2.8 with the fixed nonce of WireGuard (four zero bytes, 64-bit counter) and no additional data.
import { address, bindOptional } from "../sys/ffi.ts";
import type { PacketCrypto } from "../wireguard/crypto.ts";
import { scratch } from "./scratch.ts";

const chacha = bindOptional("void ChaCha20_ctr32(uintptr_t out, uintptr_t in, size_t length, uintptr_t key, uintptr_t counter)");
const polySize = bindOptional("size_t Poly1305_ctx_size()");
const polyInit = bindOptional("void Poly1305_Init(uintptr_t ctx, uintptr_t key)");
const polyUpdate = bindOptional("void Poly1305_Update(uintptr_t ctx, uintptr_t in, size_t length)");
const polyFinal = bindOptional("void Poly1305_Final(uintptr_t ctx, uintptr_t mac)");

// Offsets in the scratch: block counter and nonce (16), key block (64), computed tag (16), padding (16) and lengths (16), Poly1305's context.
const COUNTER = 0;
const BLOCK = 64;
const TAG = 128;
const TAIL = 144;
const CONTEXT = 192;
const CONTEXT_SIZE = 512;

/** undefined when this Node does not export the primitives (distributions that link a shared libcrypto). */
export function directPackets(memory: ArrayBufferLike): PacketCrypto | undefined {
  if (!chacha || !polySize || !polyInit || !polyUpdate || !polyFinal || polySize() > CONTEXT_SIZE) return undefined;
  const u8 = new Uint8Array(memory);
  const base = address(u8);
  const { u8: s8, u32: s32, at: sAt } = scratch(CONTEXT + CONTEXT_SIZE);
  const counter = sAt + COUNTER;
  const block = sAt + BLOCK;
  const tag = sAt + TAG;
  const context = sAt + CONTEXT;
  return {
    name: "openssl (direct)",
    seal(keyAt, counterLo, counterHi, at, length) {
      s32[0] = 0;
      s32[2] = counterLo;
      s32[3] = counterHi;
      // One pass over 64 zeros and the plaintext: the first block's key stream is Poly1305's key, the payload starts with block 1.
      u8.fill(0, at - 64, at);
      chacha(base + at - 64, base + at - 64, 64 + length, base + keyAt, counter);
      polyInit(context, base + at - 64);
      const padded = (length + 15) & ~15;
      u8.fill(0, at + length, at + padded + 16);
      writeLength(u8, at + padded + 8, length);
      polyUpdate(context, base + at, padded + 16);
      polyFinal(context, base + at + length);
    },
    open(keyAt, counterAt, at, length) {
      s32[0] = 0;
      for (let i = 0; i < 8; i++) s8[8 + i] = u8[counterAt + i]!;
      s8.fill(0, BLOCK, BLOCK + 64);
      chacha(block, block, 64, base + keyAt, counter);
      polyInit(context, block);
      polyUpdate(context, base + at, length);
      // Padding and lengths come from the scratch: what follows the datagram may be the next one.
      const padding = -length & 15;
      writeLength(s8, TAIL + 24, length);
      polyUpdate(context, sAt + TAIL + 16 - padding, padding + 16);
      polyFinal(context, tag);
      let differing = 0;
      for (let i = 0; i < 16; i++) differing |= s8[TAG + i]! ^ u8[at + length + i]!;
      if (differing !== 0) return false;
      s32[0] = 1;
      chacha(base + at, base + at, length, base + keyAt, counter);
      return true;
    },
  };
}

function writeLength(b: Uint8Array, at: number, length: number): void {
  b[at] = length;
  b[at + 1] = length >>> 8;
  b[at + 2] = length >>> 16;
}
