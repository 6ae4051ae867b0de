// Linux namespaces as seen from outside: which process is which, and how to enter what a process holds. unshare(1), nsenter(1) and setpriv(1) of
// util-linux do the work, so a namespace always has a process that holds it and goes when that process goes: nothing is named on the host.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** A process that cannot be mistaken for another one which got its number later. `startTime` is in clock ticks since boot (proc(5), stat field 22). */
export type ProcessId = { readonly pid: number; readonly startTime: string };

/** The process with this number now, or undefined. `proc` is where the right /proc is mounted. */
export function identify(pid: number, proc = "/proc"): ProcessId | undefined {
  try {
    // The second field is the program's name in parentheses and may hold anything, also ") ": count from the last parenthesis.
    const stat = readFileSync(`${proc}/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : { pid, startTime: fields[19]! };
  } catch {
    return undefined;
  }
}

/** True while exactly this process lives. */
export const isAlive = (id: ProcessId): boolean => identify(id.pid)?.startTime === id.startTime;

/** Children of a process, by number. */
export function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}

export type NamespaceKind = "mount" | "net" | "pid" | "uts";

/** A program and its arguments. */
export type Argv = [file: string, ...args: string[]];

/** Arguments that run a program in namespaces of process `pid`: put the program and its arguments after them. */
export const enter = (pid: number, kinds: readonly NamespaceKind[]): Argv => [
  "nsenter",
  "--target",
  String(pid),
  ...kinds.map((k) => `--${k}`),
  "--",
];

export type FoundProcess = { readonly pid: number; readonly args: readonly string[]; readonly net: string };

/** All processes of a /proc with their arguments and network namespace ("net:[…]"). What ends meanwhile is left out. */
export function processes(proc = "/proc"): FoundProcess[] {
  return readdirSync(proc)
    .filter((name) => /^[0-9]+$/.test(name))
    .flatMap((name) => {
      try {
        const args = readFileSync(`${proc}/${name}/cmdline`, "utf8").split("\0").slice(0, -1);
        return [{ pid: Number(name), args, net: readlinkSync(`${proc}/${name}/ns/net`) }];
      } catch {
        return [];
      }
    });
}

/** The file system that a process sees, for others to see (proc(5)): a path inside is put behind it. */
export const rootOf = (pid: number): string => `/proc/${pid}/root`;
