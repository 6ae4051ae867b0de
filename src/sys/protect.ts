// Keeps keys out of core dumps, swap and debuggers.
import { bind, bindOptional } from "./ffi.ts";

const prctl = bind("int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)");
const setrlimit = bind("int setrlimit(int, void *)");
// musl lacks it.
const mlock2 = bindOptional("int mlock2(uintptr_t, size_t, unsigned int)");
const mlock = bind("int mlock(uintptr_t, size_t)");
const munlock = bind("int munlock(uintptr_t, size_t)");
const madvise = bind("int madvise(uintptr_t, size_t, int)");

// glibc alone has it.
const mallopt = bindOptional("int mallopt(int, int)");

const PR_SET_DUMPABLE = 4;
const RLIMIT_CORE = 4;
const MADV_DONTDUMP = 16;
/** Lock pages when they are first touched: most rows of keys never are. */
const MLOCK_ONFAULT = 1;

const M_PERTURB = -6;
const PATTERN = 0xa5;

/**
 * From now on the C library overwrites blocks that are given back to it. Node reads a socket into such a block, copies what came and gives it back: a key
 * that somebody sends us would stay there. False when it cannot.
 */
export const overwriteFreed = (): boolean => mallopt?.(M_PERTURB, PATTERN) === 1;

/** No core file. False when the kernel refused. */
export const forbidCores = (): boolean => setrlimit(RLIMIT_CORE, new Uint8Array(16)) === 0;

/** No core dump, no ptrace by others than root. False when the kernel refused. Whoever is not root cannot open /dev/stdin or /dev/fd by name any more. */
export function forbidDumps(): boolean {
  const limits = forbidCores();
  return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) === 0 && limits;
}

const PAGE = 4096;
/** Calls with the pages that [address, address + bytes) touches. */
const onPages = (address: number, bytes: number, call: (from: number, length: number) => number): boolean => {
  const from = Math.floor(address / PAGE) * PAGE;
  return call(from, Math.ceil((address + bytes - from) / PAGE) * PAGE) === 0;
};

/** Keeps [address, address + bytes) out of core dumps. False when the kernel refused. */
export const keepFromDumps = (address: number, bytes: number): boolean =>
  onPages(address, bytes, (from, length) => madvise(from, length, MADV_DONTDUMP));

const lock = (address: number, bytes: number): boolean =>
  onPages(address, bytes, (from, length) => (mlock2 ? mlock2(from, length, MLOCK_ONFAULT) : mlock(from, length)));
const unlock = (address: number, bytes: number): boolean => onPages(address, bytes, munlock);

const SMALLEST_SHARE = 2 ** -14;

/**
 * Keeps blocks out of swap, or as much of the beginning of each as RLIMIT_MEMLOCK allows (often 8 MB without CAP_IPC_LOCK): the
 * same share of all. The share: 1, a half, a quarter, … or 0.
 */
export function lockMemory(blocks: readonly { readonly address: number; readonly bytes: number }[]): number {
  for (let share = 1; share >= SMALLEST_SHARE; share /= 2) {
    if (blocks.every(({ address, bytes }) => lock(address, Math.ceil(bytes * share)))) return share;
    for (const { address, bytes } of blocks) unlock(address, Math.ceil(bytes * share));
  }
  return 0;
}
