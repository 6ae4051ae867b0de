// ChaCha20 and Poly1305 in WebAssembly, for where there is no OpenSSL: browsers. Source: chacha.wat.
import { fromHex } from "../base/bytes.ts";
import { CHACHA_WASM } from "./chacha.wasm.ts";

/** Arguments are byte offsets and lengths in the memory; nothing need be aligned. The first SCRATCH bytes are its own. */
export interface Chacha {
  /** ChaCha20's key stream, from `to` to `end` and up to 255 bytes further. `nonce`: offset of 16 bytes, block counter and nonce (words 12 to 15). */
  stream(key: number, nonce: number, to: number, end: number): void;
  /** Poly1305 with the 32-byte key at `key`: begin(), any number of blocks(), tag(). */
  begin(key: number): void;
  /** `top`: WHOLE, or 0 for a last block that is cut and has its 1 bit and zeros in it already. */
  blocks(at: number, count: number, top: number): void;
  /** 16 bytes to `to`. */
  tag(key: number, to: number): void;
  /**
   * Opens a WireGuard data message of 32 to 65,535 bytes, header and tag included, in place: the text is 16 bytes behind its beginning. 0 when the tag is
   * wrong: then it is as it was, and no key stream for it was made.
   */
  open(key: number, message: number, length: number): number;
}

/** What open() and Poly1305 keep and may overwrite: for the longest message a key stream. */
export const SCRATCH = 0x1_0400;
export const WHOLE = 0x100_0000;

/** `memory`: of SCRATCH bytes at least, and of any size. Throws where there is no WebAssembly with vectors, or a page forbids it ('wasm-unsafe-eval'). */
export function loadChacha(memory: WebAssembly.Memory<ArrayBuffer>): Chacha {
  return new WebAssembly.Instance<Chacha>(new WebAssembly.Module(fromHex(CHACHA_WASM)!), { env: { memory } }).exports;
}
