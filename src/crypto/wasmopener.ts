// Opens a capture's data messages in WebAssembly (chacha.wat), for browsers: 2 µs for one of 1420 bytes, where noble takes 12. batchopener.ts is its like in Node.
import { concat, equal } from "../base/bytes.ts";
import { type BatchOpener, textOf } from "../capture/opener.ts";
import type { Crypto } from "../wireguard/crypto.ts";
import { DATA_HEADER } from "../wireguard/messages.ts";
import { type Chacha, loadChacha, SCRATCH } from "./chacha.ts";

const CAPACITY = 64;
/** Longest message that goes through the batch; a jumbo frame has less, and so has a part of a super-datagram. */
const LONGEST = 16_384;
const KEY = SCRATCH;
const SLOTS = KEY + 64;
const PAGE = 65_536;

export type WasmOpener = BatchOpener & {
  /** Overwrites keys and texts. */
  wipe(): void;
};

/**
 * One a thread; 1.2 MB. undefined where there is no WebAssembly with vectors, where the page's Content-Security-Policy forbids it ('wasm-unsafe-eval' is
 * wanted), or where it computes anything else than `crypto`: `wasmOpener(crypto) ?? oneByOne(crypto)`.
 */
export function wasmOpener(crypto: Pick<Crypto, "seal">): WasmOpener | undefined {
  const memory = memoryFor(CAPACITY * LONGEST);
  const chacha = memory && loaded(memory);
  if (!memory || !chacha) return undefined;
  const opener = openerIn(memory, chacha);
  return isRight(opener, crypto) ? opener : undefined;
}

function memoryFor(bytes: number): WebAssembly.Memory<ArrayBuffer> | undefined {
  if (typeof WebAssembly === "undefined") return undefined;
  return new WebAssembly.Memory<ArrayBuffer>({ initial: Math.ceil((SLOTS + bytes) / PAGE) });
}
function loaded(memory: WebAssembly.Memory<ArrayBuffer>): Chacha | undefined {
  try {
    return loadChacha(memory);
  } catch {
    return undefined;
  }
}

function openerIn(memory: WebAssembly.Memory<ArrayBuffer>, chacha: Chacha): WasmOpener {
  const u8 = new Uint8Array(memory.buffer);
  const right = new Uint8Array(CAPACITY);
  let n = 0;
  return {
    capacity: CAPACITY,
    longest: LONGEST,
    add(key, frame, at, end) {
      const slot = SLOTS + n * LONGEST;
      u8.set(key, KEY);
      u8.set(frame.subarray(at, end), slot);
      right[n++] = chacha.open(KEY, slot, end - at) === 0 ? 0 : 1;
    },
    run: () => void (n = 0),
    opened: (i) => right[i] === 1,
    memory: () => u8,
    at: (i) => SLOTS + i * LONGEST + DATA_HEADER,
    wipe: () => void u8.fill(0),
  };
}

// Around every boundary of ChaCha20's and Poly1305's blocks and of four of them; a damaged message must be refused.
function isRight(opener: WasmOpener, crypto: Pick<Crypto, "seal">): boolean {
  const key = new Uint8Array(32).map((_, i) => i * 151);
  const nonce = new Uint8Array(12).map((_, i) => (i < 4 ? 0 : i * 59));
  const right = [0, 1, 15, 16, 17, 63, 64, 65, 191, 192, 193, 447, 448, 449, 1424].every((length) => {
    const text = new Uint8Array(length).map((_, i) => i * 31);
    const message = concat(new Uint8Array(8), nonce.subarray(4), crypto.seal(key, nonce, text, new Uint8Array(0)));
    const open = (): Uint8Array | undefined => {
      opener.add(key, message, 0, message.length);
      opener.run();
      return textOf(opener, 0, length);
    };
    const opened = open();
    message[DATA_HEADER + (length >> 1)]! ^= 128;
    return opened !== undefined && equal(opened, text) && open() === undefined;
  });
  opener.wipe();
  return right;
}
