// ChaCha20-Poly1305 from the two primitives that official Node binaries export from their own OpenSSL: no context to set up, no EVP layer, and keys
// stay where they are. RFC 8439 section 2.8 with the fixed nonce of WireGuard (four zero bytes, 64-bit counter) and no additional data.
//
// A foreign call costs some 15 ns and 5 to 9 ns an argument, fill() of 64 bytes 30 ns, a word of Uint32Array 0.4 ns: so there are as few calls as the
// primitives allow, and words are written one by one.
import { address, bindOptional } from "../sys/ffi.ts";
import type { PacketCrypto } from "../wireguard/crypto.ts";
import { writeLength, writePolyInput } from "./polyinput.ts";
import { scratch } from "./scratch.ts";

const chacha = bindOptional("void ChaCha20_ctr32(uintptr_t out, uintptr_t in, size_t length, uintptr_t key, uintptr_t counter)");
const polySize = bindOptional("size_t Poly1305_ctx_size()");
const polyInit = bindOptional("void Poly1305_Init(uintptr_t ctx, uintptr_t key)");
const polyUpdate = bindOptional("void Poly1305_Update(uintptr_t ctx, uintptr_t in, size_t length)");
const polyFinal = bindOptional("void Poly1305_Final(uintptr_t ctx, uintptr_t mac)");

// Offsets in the scratch: block counter and nonce (16), computed tag (16), padding (16) and lengths (16), Poly1305's context.
const COUNTER = 0;
const TAG = 16;
const TAIL = 32;
const CONTEXT = 64;
const CONTEXT_SIZE = 512;
/** Words that padding and lengths take after a ciphertext at most; and the tag is among the first. */
const TAIL_WORDS = 7;

/** undefined when this Node does not export the primitives (distributions that link a shared libcrypto). */
export function directPackets(memory: ArrayBufferLike, base: number = address(new Uint8Array(memory))): PacketCrypto | undefined {
  if (!chacha || !polySize || !polyInit || !polyUpdate || !polyFinal || polySize() > CONTEXT_SIZE) return undefined;
  const u8 = new Uint8Array(memory);
  const u32 = new Uint32Array(memory, 0, memory.byteLength >>> 2);
  const { u8: s8, u32: s32, at: sAt } = scratch(CONTEXT + CONTEXT_SIZE);
  const counter = sAt + COUNTER;
  const tag = sAt + TAG;
  const context = sAt + CONTEXT;
  const saved = new Uint32Array(TAIL_WORDS);

  // The pass over 64 bytes and the text that follows them: the first block's key stream is Poly1305's key, the text starts with block 1. Only the first
  // 32 bytes of that block are used, so only they need to be zero.
  const encipher = (keyAt: number, from: number, to: number, length: number): void => {
    const w = (from - 64) >>> 2;
    for (let i = 0; i < 8; i++) u32[w + i] = 0;
    if ((from & 3) !== 0) u32[w + 8] = 0;
    chacha(base + to - 64, base + from - 64, 64 + length, base + keyAt, counter);
    polyInit(context, base + to - 64);
  };

  return {
    name: "openssl (direct)",
    seal(keyAt, counterLo, counterHi, from, to, length) {
      s32[2] = counterLo;
      s32[3] = counterHi;
      encipher(keyAt, from, to, length);
      const end = to + length;
      const padded = (length + 15) & ~15;
      writePolyInput(u8, u32, to, length);
      polyUpdate(context, base + to, padded + 16);
      polyFinal(context, base + end);
    },
    open(keyAt, counterAt, from, to, length) {
      if ((counterAt & 3) === 0) {
        s32[2] = u32[counterAt >>> 2]!;
        s32[3] = u32[(counterAt >>> 2) + 1]!;
      } else for (let i = 0; i < 8; i++) s8[8 + i] = u8[counterAt + i]!;
      encipher(keyAt, from, to, length);
      const end = from + length;
      const padding = -length & 15;
      let differing = 0;
      if (((from | length) & 3) === 0) {
        // Padding and lengths take the place of the tag, and of what follows it, for the moment.
        const w = end >>> 2;
        const words = (padding >>> 2) + 4;
        for (let i = 0; i < words; i++) {
          saved[i] = u32[w + i]!;
          u32[w + i] = 0;
        }
        u32[w + words - 2] = length;
        polyUpdate(context, base + from, length + padding + 16);
        for (let i = 0; i < words; i++) u32[w + i] = saved[i]!;
        polyFinal(context, tag);
        for (let i = 0; i < 4; i++) differing |= s32[TAG / 4 + i]! ^ saved[i]!;
      } else {
        polyUpdate(context, base + from, length);
        writeLength(s8, TAIL + 24, length);
        polyUpdate(context, sAt + TAIL + 16 - padding, padding + 16);
        polyFinal(context, tag);
        for (let i = 0; i < 16; i++) differing |= s8[TAG + i]! ^ u8[end + i]!;
      }
      if (differing === 0) return true;
      u8.fill(0, to, to + length);
      return false;
    },
  };
}
