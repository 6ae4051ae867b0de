// Samples of where processes spend their time, by perf(1) (Debian package: linux-perf).
import { execFile, execFileSync } from "node:child_process";
import { promisify } from "node:util";
import type { Frame } from "./samples.ts";

const run = promisify(execFile);
/** Of the processors, whatever they run: a clock of each thread starts anew with each of its turns, and misses short ones. */
const FREQUENCY = 997;

/** Samples processes for `seconds` into a file. */
export async function record(pids: readonly number[], seconds: number, into: string): Promise<void> {
  const args = ["record", "-q", "-e", "cpu-clock", "-F", String(FREQUENCY), "-g", "-p", pids.join(), "-o", into, "--", "sleep", String(seconds)];
  await run("perf", args);
}

export type Stack = { readonly thread: number; /** From the leaf up. */ readonly frames: readonly Frame[] };

/** The samples of each process in a file that `record` made. */
export function stacksOf(pids: readonly number[], from: string): Stack[][] {
  const text = execFileSync("perf", ["script", "-i", from, "--pid", pids.join(), "-F", "comm,pid,tid,ip,sym,dso"], {
    encoding: "utf8",
    maxBuffer: 2 ** 30,
    stdio: ["ignore", "pipe", "ignore"],
  });
  return pids.map((pid) => parse(text, pid));
}

// A line for the thread, one a frame from the leaf up, an empty one.
function parse(text: string, pid: number): Stack[] {
  return text.split("\n\n").flatMap((block) => {
    const [head = "", ...lines] = block.trim().split("\n");
    const thread = /\s([0-9]+)\/([0-9]+)\s*$/.exec(head);
    if (!thread || Number(thread[1]) !== pid) return [];
    const frames = lines.map((l): Frame => {
      const m = /^\s*[0-9a-f]+ (.*) \(([^()]*|\[.*\])\)$/.exec(l);
      return { symbol: m?.[1] ?? "?", object: m?.[2] ?? "?" };
    });
    return [{ thread: Number(thread[2]), frames }];
  });
}

/** How often each comes, the most frequent first. */
export function tally(of: readonly string[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const x of of) counts.set(x, (counts.get(x) ?? 0) + 1);
  return [...counts].toSorted((a, b) => b[1] - a[1]);
}
