// Where the processor's time goes at both ends of a tunnel under load, by perf(1): shares by kind of work (system calls with the kernel's work in them,
// cryptography, foreign calls, JavaScript, …), the functions with most time of their own, and how many system calls were made.
//   npx tsx bench/profile.ts [--subject tortie] [--load tcp1] [--seconds 3] [--top 15] [--env X=1]      (root; Debian package: linux-perf)
// Sampling costs about a tenth of the throughput, and the map of compiled functions that perf needs a little more: shares hold, Gbit/s is bench/device.ts's.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs, promisify } from "node:util";
import { record, stacksOf, tally } from "./perf.ts";
import { cpuSeconds } from "./processes.ts";
import { MACHINE } from "./report.ts";
import { kindOf } from "./samples.ts";
import { type Link, subject } from "./subjects.ts";
import { iperf, LOADS } from "./traffic.ts";

const run = promisify(execFile);
const CALLS =
  "read,write,readv,writev,sendto,recvfrom,sendmsg,recvmsg,sendmmsg,recvmmsg,epoll_wait,epoll_pwait,epoll_pwait2,poll,ppoll,futex,nanosleep,clock_nanosleep,sched_yield,ioctl";

const { values } = parseArgs({
  options: {
    subject: { type: "string", default: "tortie" },
    load: { type: "string", default: "tcp1" },
    seconds: { type: "string", default: "3" },
    top: { type: "string", default: "15" },
    env: { type: "string", multiple: true, default: [] },
  },
});
const seconds = Number(values.seconds);
const load = LOADS[values.load as keyof typeof LOADS];
if (load === undefined) throw new Error(`There is no load "${values.load}": ${Object.keys(LOADS).join()}`);
const env = Object.fromEntries(values.env.map((v) => [v.slice(0, v.indexOf("=")), v.slice(v.indexOf("=") + 1)]));
const profiled = subject(values.subject, { ...env, NODE_OPTIONS: "--perf-basic-prof" });
if (!profiled) throw new Error(`No ${values.subject} here`);

type End = { readonly name: string; readonly pid: number; readonly samples: Sampled[]; readonly cpu: number; readonly calls: Map<string, number> };
type Sampled = { readonly thread: number; readonly kind: string; readonly leaf: string };

async function countCalls(pid: number, into: string): Promise<Map<string, number>> {
  const events = CALLS.split(",").map((c) => `syscalls:sys_enter_${c}`);
  await run("perf", ["stat", "-x", ",", "-o", into, "-e", events.join(), "-p", String(pid), "--", "sleep", String(seconds)]);
  const rows = readFileSync(into, "utf8").matchAll(/^([0-9]+),,syscalls:sys_enter_(\w+),/gm);
  return new Map([...rows].map((m) => [m[2]!, Number(m[1])] as const).filter(([, n]) => n > 0));
}

async function profile(link: Link, directory: string): Promise<{ ends: End[]; gb: number }> {
  await iperf(link, 1);
  let flows = true;
  const traffic = iperf(link, seconds + 4, ...load).finally(() => (flows = false));
  traffic.catch(() => {}); // it is awaited below
  await sleep(700);
  const data = join(directory, "perf.data");
  const before = link.pids.map((pid) => cpuSeconds([pid]));
  const counting = link.pids.map((pid) => countCalls(pid, join(directory, `calls-${pid}`)));
  await record(link.pids, seconds, data);
  const cpu = link.pids.map((pid, i) => cpuSeconds([pid]) - before[i]!);
  const calls = await Promise.all(counting);
  if (!flows) throw new Error("The machine is too busy: perf began so late that the load was over before it");
  const { bytes, seconds: took } = (await traffic).report.end.sum_received;
  const stacks = stacksOf(link.pids, data).map((of) => of.map(({ thread, frames }): Sampled => ({ thread, ...kindOf(frames) })));
  const names = values.load === "tcpr" ? ["receiver", "sender"] : ["sender", "receiver"];
  const ends = link.pids.map((pid, i) => ({ name: names[i]!, pid, samples: stacks[i]!, cpu: cpu[i]!, calls: calls[i]! }));
  return { ends, gb: (bytes / 1e9) * (seconds / took) };
}

const print = (text: string): void => void process.stdout.write(text);
const row = (...cells: string[]): void => print(`| ${cells.join(" | ")} |\n`);

/** A table of shares, most first: one column an end. */
function shares(title: string, ends: readonly End[], pick: (s: Sampled) => string, most: number, gb: number): void {
  row(title, ...ends.flatMap((e) => [`${e.name}, %`, "CPU s per GB"]));
  row("---", ...ends.flatMap(() => ["---:", "---:"]));
  const counts = ends.map((e) => new Map(tally(e.samples.map(pick))));
  const names = tally(ends.flatMap((e) => e.samples.map(pick))).map(([name]) => name);
  for (const name of names.slice(0, most)) {
    const cells = ends.flatMap((e, i) => {
      const share = (counts[i]!.get(name) ?? 0) / e.samples.length;
      return [(100 * share).toFixed(1), ((share * e.cpu) / gb).toFixed(3)];
    });
    row(name, ...cells);
  }
  print("\n");
}

const directory = mkdtempSync(join(tmpdir(), "tortie-profile-"));
const link = await profiled.link();
try {
  const { ends, gb } = await profile(link, directory);
  print(`${profiled.title}, ${values.load}, ${seconds} s, ${((8 * gb) / seconds).toFixed(2)} Gbit/s while sampled; ${MACHINE}\n\n`);
  for (const e of ends) {
    const threads = tally(e.samples.map((s) => String(s.thread))).map(
      ([tid, n]) => `${((100 * n) / e.samples.length).toFixed(0)} %${Number(tid) === e.pid ? " (main)" : ""}`,
    );
    print(`${e.name}: ${(e.cpu / seconds).toFixed(2)} processors, ${e.samples.length} samples; by thread: ${threads.slice(0, 6).join(", ")}\n`);
  }
  print("\n");
  shares("kind", ends, (s) => s.kind, 40, gb);
  shares("function, time of its own", ends, (s) => s.leaf, Number(values.top), gb);
  row("system call", ...ends.flatMap((e) => [`${e.name}, per s`, "per GB"]));
  row("---", ...ends.flatMap(() => ["---:", "---:"]));
  const made = (name: string): number => Math.max(...ends.map((e) => e.calls.get(name) ?? 0));
  const names = CALLS.split(",").filter((c) => made(c) > 0);
  for (const name of names.toSorted((a, b) => made(b) - made(a)))
    row(name, ...ends.flatMap((e) => [((e.calls.get(name) ?? 0) / seconds).toFixed(0), ((e.calls.get(name) ?? 0) / gb).toFixed(0)]));
} finally {
  for (const pid of link.pids) rmSync(`/tmp/perf-${pid}.map`, { force: true });
  await link.close();
  rmSync(directory, { recursive: true });
}
