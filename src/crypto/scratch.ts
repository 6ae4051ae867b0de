// A few bytes that do not move, for arguments of foreign functions: a buffer of its own lives outside the garbage-collected heap.
import { address } from "../sys/ffi.ts";

export type Scratch = {
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  /** Native address of the first byte. */
  readonly at: number;
};

export const scratch = (bytes: number): Scratch => scratchIn(new Uint8Array(new ArrayBuffer(bytes)));

/** In memory that never moves. */
export const scratchIn = (u8: Uint8Array): Scratch => ({ u8, u32: new Uint32Array(u8.buffer, u8.byteOffset, u8.length >>> 2), at: address(u8) });
