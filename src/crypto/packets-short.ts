// Short packets (acknowledgements, keepalives, voice) in WebAssembly: one call that stays in JavaScript's world costs a third less than four foreign ones,
// whose way there and back is most of what a short packet costs. 64 bytes: 220 ns; directly 315, by EVP 610 (bench/crypto.ts). Source: chachapoly.wat.
import { fromHex } from "../base/bytes.ts";
import type { PacketCrypto } from "../wireguard/crypto.ts";
import { CHACHAPOLY_WASM } from "./chachapoly.wasm.ts";

/** The longest text that chachapoly.wat takes: two blocks of key stream. */
export const SHORT = 128;

type Functions = {
  readonly crypt: (keyAt: number, counterLo: number, counterHi: number, from: number, to: number, length: number, open: 0 | 1) => 0 | 1;
};

/** `long`, over the same memory, with texts of up to SHORT bytes taken from it. */
export function shortPackets(memory: WebAssembly.Memory, long: PacketCrypto): PacketCrypto {
  const { crypt } = new WebAssembly.Instance<Functions>(new WebAssembly.Module(fromHex(CHACHAPOLY_WASM)!), { env: { memory } }).exports;
  const u8 = new Uint8Array(memory.buffer);
  const word = (at: number): number => u8[at]! | (u8[at + 1]! << 8) | (u8[at + 2]! << 16) | (u8[at + 3]! << 24);
  return {
    name: `${long.name}; short: WebAssembly`,
    seal(keyAt, counterLo, counterHi, from, to, length) {
      // Halves of 2^31 and more would be boxed.
      if (length <= SHORT) crypt(keyAt, counterLo | 0, counterHi | 0, from, to, length, 0);
      else long.seal(keyAt, counterLo, counterHi, from, to, length);
    },
    open(keyAt, counterAt, from, to, length) {
      if (length <= SHORT) return crypt(keyAt, word(counterAt), word(counterAt + 4), from, to, length, 1) === 1;
      return long.open(keyAt, counterAt, from, to, length);
    },
  };
}
