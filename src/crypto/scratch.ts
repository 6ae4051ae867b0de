// A few bytes that do not move, for arguments of foreign functions: a buffer of its own lives outside the garbage-collected heap.
import { address } from "../sys/ffi.ts";

export type Scratch = {
  readonly u8: Uint8Array<ArrayBuffer>;
  readonly u32: Uint32Array<ArrayBuffer>;
  /** Native address of the first byte. */ readonly at: number;
};

export function scratch(bytes: number): Scratch {
  const buffer = new ArrayBuffer(bytes);
  const u8 = new Uint8Array(buffer);
  return { u8, u32: new Uint32Array(buffer, 0, bytes >>> 2), at: address(u8) };
}
