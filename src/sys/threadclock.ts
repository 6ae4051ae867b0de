// Processor time of a thread, which every thread of its process can read (pthread_getcpuclockid(3)).
import { bind } from "./ffi.ts";

const pthreadSelf = bind("uintptr_t pthread_self()");
const getcpuclockid = bind("int pthread_getcpuclockid(uintptr_t, void *)");
const clockGettime = bind("int clock_gettime(int, void *)");

/** The clock of the calling thread; 0: there is none. */
export function ownClock(): number {
  const id = new Int32Array(1);
  return getcpuclockid(pthreadSelf(), id) === 0 ? id[0]! : 0;
}

/** Milliseconds of processor time that the thread of this clock has used. NaN when it has ended. */
export function threadTime(clock: number): number {
  const time = new BigInt64Array(2);
  return clock === 0 || clockGettime(clock, time) !== 0 ? NaN : Number(time[0]) * 1000 + Number(time[1]) / 1e6;
}
