// One block of memory that JavaScript, foreign functions, worker threads and (later) WebAssembly helpers all see, and that never moves: a shared
// WebAssembly.Memory of fixed size. Its address is good for as long as the process lives.
import { TortieError } from "../base/errors.ts";
import { address } from "./ffi.ts";

// What of the WebAssembly API is used: lib.es2023 does not name it.
interface Memory {
  readonly buffer: SharedArrayBuffer;
}
declare const WebAssembly: { Memory: new (descriptor: { initial: number; maximum: number; shared: true }) => Memory };

/** What is handed to a worker (structured clone shares it). */
export type SharedMemory = Memory;

const PAGE = 65_536;

/** Zeroed memory of at least `bytes` bytes. Pages that are never touched cost nothing. Throws TortieError. */
export function share(bytes: number): SharedMemory {
  const pages = Math.ceil(bytes / PAGE);
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch (cause) {
    throw new TortieError(`Cannot reserve ${Math.ceil(bytes / 1e6)} MB of shared memory`, {
      hint: "A limit of this machine or container stands against it (ulimit -v, memory cgroup).",
      cause,
    });
  }
}

/** Where the memory is in this process. */
export const addressOf = (memory: SharedMemory): number => address(new Uint8Array(memory.buffer));
