// A shared memory with its views, its native address, and a bump allocator for what is laid out at start. Structures for system calls hold 64-bit
// pointers; they are stored as two 32-bit words, because a BigInt is an allocation.
import type { SharedMemory } from "./memory.ts";

const TWO32 = 4_294_967_296;

export class Slab {
  readonly memory: SharedMemory;
  readonly buffer: SharedArrayBuffer;
  readonly u8: Uint8Array<SharedArrayBuffer>;
  readonly u16: Uint16Array<SharedArrayBuffer>;
  readonly u32: Uint32Array<SharedArrayBuffer>;
  readonly i32: Int32Array<SharedArrayBuffer>;
  /** Native address of byte 0: a small integer wherever the memory could be mapped so (memory.ts), and then nothing is allocated for arguments. */
  readonly base: number;
  readonly #low: number;
  readonly #high: number;
  #next: number;
  readonly #end: number;

  /** Hands out [start, end) of the memory; what lies outside belongs to someone else. @default the whole memory */
  constructor(memory: SharedMemory, start = 0, end: number = memory.buffer.byteLength) {
    this.memory = memory;
    this.buffer = memory.buffer;
    this.u8 = new Uint8Array(this.buffer);
    this.u16 = new Uint16Array(this.buffer);
    this.u32 = new Uint32Array(this.buffer);
    this.i32 = new Int32Array(this.buffer);
    this.base = memory.base;
    this.#low = memory.base % TWO32;
    this.#high = Math.floor(memory.base / TWO32);
    this.#next = start;
    this.#end = end;
  }

  /** Offset of `bytes` fresh bytes (zero unless the memory was used before). Throws RangeError when the slab is used up: sizes are fixed at start. */
  take(bytes: number, align = 16): number {
    const at = Math.ceil(this.#next / align) * align;
    if (at + bytes > this.#end) throw new RangeError(`Cannot take ${bytes} bytes from the slab: ${this.#end - at} are left`);
    this.#next = at + bytes;
    return at;
  }

  /** Stores at byte offset `at` (a multiple of 4) the native address of byte offset `to`. */
  point(at: number, to: number): void {
    const w = at >>> 2;
    const low = this.#low + to;
    // Stored modulo 2^32; small integers all the way when the memory is mapped below 2^31.
    this.u32[w] = low;
    this.u32[w + 1] = low < TWO32 ? this.#high : this.#high + 1;
  }
}
