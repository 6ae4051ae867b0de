// What the kernel says about processes and the machine (proc(5)): processor time, context switches, resident memory.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** USER_HZ, which no architecture of Linux that Node runs on has changed. */
const TICKS = 100;

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const status = (path: string, field: string): number =>
  Number(new RegExp(`^${field}:\\s+([0-9]+)`, "m").exec(readFileSync(`${path}/status`, "utf8"))?.[1] ?? NaN);

/** Processor seconds that processes used so far, their threads included, also those that have ended. */
export function cpuSeconds(pids: readonly number[]): number {
  return sum(
    pids.map((pid) => {
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ");
      return (Number(fields[11]) + Number(fields[12])) / TICKS;
    }),
  );
}

/** Context switches, wanted and not, of all threads that live. */
export function switches(pids: readonly number[]): number {
  const tasks = pids.flatMap((pid) => readdirSync(`/proc/${pid}/task`).map((task) => `/proc/${pid}/task/${task}`));
  return sum(tasks.map((task) => status(task, "voluntary_ctxt_switches") + status(task, "nonvoluntary_ctxt_switches")));
}

/** Resident memory, MiB. */
export const residentMb = (pid: number): number => status(`/proc/${pid}`, "VmRSS") / 1024;
/** Of the resident memory what is this process's alone: no pages of files, which all processes of a program share. MiB. */
export const privateMb = (pid: number): number => status(`/proc/${pid}`, "RssAnon") / 1024;
/** The most that was resident since the start, or since forgetPeak(). MiB. */
export const peakMb = (pid: number): number => status(`/proc/${pid}`, "VmHWM") / 1024;
export const forgetPeak = (pid: number): void => writeFileSync(`/proc/${pid}/clear_refs`, "5");
export const handles = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;
export const threads = (pid: number): number => readdirSync(`/proc/${pid}/task`).length;

/** Share of the machine's processors that was busy during `ms`. */
export async function busyShare(ms: number): Promise<number> {
  const read = (): { idle: number; all: number } => {
    const fields = /^cpu +(.*)/.exec(readFileSync("/proc/stat", "utf8"))![1]!.split(" ").map(Number);
    return { idle: fields[3]! + fields[4]!, all: sum(fields.slice(0, 8)) };
  };
  const before = read();
  await sleep(ms);
  const after = read();
  return 1 - (after.idle - before.idle) / (after.all - before.all);
}
