// Keeps keys out of core dumps, swap and debuggers.
import { bind, bindOptional } from "./ffi.ts";

const prctl = bind("int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)");
const setrlimit = bind("int setrlimit(int, void *)");
// musl lacks it.
const mlock2 = bindOptional("int mlock2(uintptr_t, size_t, unsigned int)");
const mlock = bind("int mlock(uintptr_t, size_t)");
const madvise = bind("int madvise(uintptr_t, size_t, int)");

const PR_SET_DUMPABLE = 4;
const RLIMIT_CORE = 4;
const MADV_DONTDUMP = 16;
/** Lock pages when they are first touched: most of the tables never are. */
const MLOCK_ONFAULT = 1;

/** No core dump, no ptrace by others than root. False when the kernel refused. */
export function forbidDumps(): boolean {
  const limits = setrlimit(RLIMIT_CORE, new Uint8Array(16)) === 0;
  return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) === 0 && limits;
}

/** Keeps [address, address + bytes) out of swap and dumps. False when the kernel refused (RLIMIT_MEMLOCK): not fatal. */
export function lockMemory(address: number, bytes: number): boolean {
  const advised = madvise(address, bytes, MADV_DONTDUMP) === 0;
  const locked = mlock2 ? mlock2(address, bytes, MLOCK_ONFAULT) : mlock(address, bytes);
  return locked === 0 && advised;
}
