// CLOCK_BOOTTIME: milliseconds that only grow and count suspend, so that keys age while a laptop sleeps. process.hrtime() does not.
import type { Clock } from "../base/clock.ts";
import { bind } from "./ffi.ts";

const clockGettime = bind("int clock_gettime(int, uintptr_t)");
const CLOCK_BOOTTIME = 7;

/** Reads the clock through 16 bytes of memory that does not move: `view` holds them at its start, `at` is their native address. */
export function bootNow(view: Int32Array, at: number): number {
  clockGettime(CLOCK_BOOTTIME, at);
  // struct timespec: two s64; seconds since boot fit in 31 bits.
  return view[0]! * 1000 + view[2]! / 1e6;
}

/** `view`, `at`: as bootNow; 16 bytes that nobody else uses. */
export const bootClock = (view: Int32Array, at: number): Clock => ({ now: () => bootNow(view, at), wall: () => Date.now() });
