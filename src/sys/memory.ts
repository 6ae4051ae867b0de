// One block of memory that JavaScript, foreign functions, worker threads and (later) WebAssembly helpers all see, and that never moves: a shared
// WebAssembly.Memory of fixed size. Its address is good for as long as the process lives.
import { address } from "./ffi.ts";

// What of the WebAssembly API is used: lib.es2023 does not name it.
interface Memory {
  readonly buffer: SharedArrayBuffer;
}
declare const WebAssembly: { Memory: new (descriptor: { initial: number; maximum: number; shared: true }) => Memory };

/** What is handed to a worker (structured clone shares it). */
export type SharedMemory = Memory;

const PAGE = 65_536;

/** Zeroed memory of at least `bytes` bytes. Pages that are never touched cost nothing. */
export function share(bytes: number): SharedMemory {
  const pages = Math.ceil(bytes / PAGE);
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}

/** Where the memory is in this process. */
export const addressOf = (memory: SharedMemory): number => address(new Uint8Array(memory.buffer));
