// One block of memory that JavaScript, foreign functions, worker threads and WebAssembly helpers all see, and that never moves: a shared
// WebAssembly.Memory of fixed size.
//
// Its pages are mapped twice. V8 places the memory above 2^47 or so; a number above 2^31 that is handed to a foreign function is boxed on the garbage-
// collected heap first (16 bytes an argument; a packet has ten), so that a busy data worker collected garbage five times a second. Hence a second
// mapping of the same pages below 2^31: addresses there are small integers, which are never boxed, and which koffi reads faster besides. Caches are
// tagged by physical address: no cost of the two names was measurable (1420 bytes touched by both, 559 ns and 580 ns with one name).
import { TortieError } from "../base/errors.ts";
import { address, bind, check } from "./ffi.ts";

/** What is handed to a worker (structured clone shares it). */
export type SharedMemory = {
  /** For WebAssembly helpers. */
  readonly wasm: WebAssembly.Memory;
  readonly buffer: SharedArrayBuffer;
  /** Native address of byte 0 for foreign functions: below 2^31 wherever that can be had. */
  readonly base: number;
};

const mmap = bind("intptr_t mmap(uintptr_t, size_t, int, int, int, intptr_t)");
const mremap = bind("intptr_t mremap(uintptr_t, size_t, size_t, int, uintptr_t)");
const munmap = bind("int munmap(uintptr_t, size_t)");
const madvise = bind("int madvise(uintptr_t, size_t, int)");

const PAGE = 65_536;
const PROT_READ_WRITE = 3;
/** MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE */
const NEW_SHARED = 0x1 | 0x20 | 0x4000 | 0x100000;
/** MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED */
const NEW_PRIVATE = 0x2 | 0x20 | 0x4000 | 0x10;
/** MREMAP_MAYMOVE | MREMAP_FIXED */
const TO_FIXED = 3;
const MADV_DONTDUMP = 16;
/** Above what a program that is linked to a fixed address takes. */
const LOWEST = 0x4000_0000;
const STEP = 1 << 24;

/** Zeroed memory of at least `bytes` bytes. Pages that are never touched cost nothing. Throws TortieError. */
export function share(bytes: number): SharedMemory {
  const pages = Math.ceil(bytes / PAGE);
  try {
    const wasm = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const high = address(new Uint8Array(wasm.buffer));
    return { wasm, buffer: wasm.buffer, base: mapLow(high, pages * PAGE) ?? high };
  } catch (cause) {
    throw new TortieError(`Cannot reserve ${Math.ceil(bytes / 1e6)} MB of shared memory`, {
      hint: "A limit of this machine or container stands against it (ulimit -v, memory cgroup).",
      cause,
    });
  }
}

/** Every address at which the pages are mapped: what is asked of the kernel for pages (to lock them, say) must be asked at each. */
export const addressesOf = (memory: SharedMemory): readonly number[] => [...new Set([memory.base, address(new Uint8Array(memory.buffer))])];

/** Gives the low mapping back, which the collector does not know of. No foreign function may be given an address in the memory from then on. */
export function release(memory: SharedMemory): void {
  if (memory.base < 2 ** 31) munmap(memory.base, memory.buffer.byteLength);
}

/** Puts fresh pages at `high` that are also at the address answered; undefined where the kernel or the address space does not allow it. */
function mapLow(high: number, bytes: number): number | undefined {
  for (let low = LOWEST; low + bytes < 2 ** 31; low += STEP) {
    const got = mmap(low, bytes, PROT_READ_WRITE, NEW_SHARED, -1, 0);
    if (got === -1) continue;
    // Kernels before 4.17 take the address for a wish. An old size of 0 asks for a second mapping of shared pages (mremap(2)).
    if (got === low && mremap(low, 0, bytes, TO_FIXED, high) === high) {
      for (const at of [low, high]) madvise(at, bytes, MADV_DONTDUMP);
      return low;
    }
    munmap(got, bytes);
    // What was there may be gone already.
    check(mmap(high, bytes, PROT_READ_WRITE, NEW_PRIVATE, -1, 0), "map memory");
    return undefined;
  }
  return undefined;
}
