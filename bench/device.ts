// Throughput and latency of our device beside every wireguard-go that is here, and beside no tunnel at all: two namespaces, a veth pair, one device in
// each. Rounds are interleaved, because the spread between two runs of the same thing on a small machine is about a quarter; medians are printed.
//   npm run bench, or: npx tsx bench/device.ts [--rounds N] [--seconds N]      (root; needs iperf3, wg and ping)
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { find } from "../test/peers.ts";
import { type End, inner, ping, tunnel } from "../test/device/tunnel.ts";
import { eventually } from "../test/device/host.ts";
import { median, spread } from "./statistics.ts";

type Subject = { readonly name: string; readonly program: string; readonly tunnelled: boolean };
type Round = { readonly gbit: number; readonly retransmits: number; readonly cpuPerGb: number; readonly pingMs: number; readonly residentMb: number };

/** Processor seconds that a process used so far, its threads included. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
const residentMb = (pid: number): number => Number(/VmRSS:\s+([0-9]+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1024;

async function measure(subject: Subject, seconds: number): Promise<Round> {
  const t = await tunnel({ programs: [subject.program, subject.program] });
  try {
    t.configure();
    const target = subject.tunnelled ? inner(2, 4) : "192.0.2.2";
    await eventually(() => {
      if (ping(t.a, target, 1) !== 1) throw new Error(`${subject.name}: no ping`);
    });
    const server = t.b.host.spawn(["iperf3", "-s", "-1"]);
    await eventually(() => {
      if (!/:5201/.test(t.b.host.run("ss", "-Hltn"))) throw new Error("iperf3 does not listen");
    });
    const pids = [t.a, t.b].map((e: End) => e.device.child.pid!);
    const before = pids.map(cpuSeconds);
    const text = await t.a.host.runAsync("iperf3", "-c", target, "-t", String(seconds), "-J");
    const used = pids.map(cpuSeconds).reduce((sum, c, i) => sum + c - before[i]!, 0);
    await server.exit;
    const report = JSON.parse(text) as { end: { sum_received: { bytes: number; bits_per_second: number }; sum_sent: { retransmits: number } } };
    const flood = t.a.host.run("ping", "-n", "-q", "-f", "-c", "5000", target);
    const average = /= [0-9.]+\/([0-9.]+)\//.exec(flood);
    return {
      gbit: report.end.sum_received.bits_per_second / 1e9,
      retransmits: report.end.sum_sent.retransmits,
      cpuPerGb: used / (report.end.sum_received.bytes / 1e9),
      pingMs: Number(average?.[1] ?? NaN),
      residentMb: Math.max(...pids.map(residentMb)),
    };
  } finally {
    await t.close();
  }
}

const versionOf = (program: string): string => {
  try {
    return (
      /v?([0-9]+\.[0-9]+\.[0-9]+)/.exec(execFileSync(program, ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }))?.[1] ?? "?"
    );
  } catch {
    return "?";
  }
};

export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: { rounds: { type: "string", default: "5" }, seconds: { type: "string", default: "4" } } });
  const others = [find("wireguard-go"), find("wireguard-go", { debian: true })].filter((p): p is string => p !== undefined && existsSync(p));
  const subjects: Subject[] = [
    { name: "no tunnel", program: "tortie", tunnelled: false },
    { name: "tortie", program: "tortie", tunnelled: true },
    ...[...new Set(others)].map((program) => ({ name: `wireguard-go ${versionOf(program)}`, program, tunnelled: true })),
  ];
  const rounds = new Map<string, Round[]>(subjects.map((s) => [s.name, []]));
  for (let i = 0; i < Number(values.rounds); i++)
    for (const subject of subjects) {
      const round = await measure(subject, Number(values.seconds));
      rounds.get(subject.name)!.push(round);
      process.stderr.write(`round ${i + 1}  ${subject.name.padEnd(26)} ${round.gbit.toFixed(2)} Gbit/s  ${round.pingMs.toFixed(3)} ms\n`);
    }
  process.stdout.write(
    `${values.rounds} interleaved rounds of iperf3 -t ${values.seconds} (one TCP flow) and ping -f -c 5000; ${cpus()[0]?.model}, ${cpus().length} CPUs, Linux ${release()}, Node ${process.version}\n\n` +
      `| device at both ends | TCP Gbit/s: median (least .. most) | retransmits | CPU s per GB | flood ping, ms | resident MB |\n|---|---|---|---|---|---|\n`,
  );
  for (const [name, all] of rounds) {
    const of = (pick: (r: Round) => number): number => median(all.map(pick));
    const cells = [
      name,
      spread(
        all.map((r) => r.gbit),
        2,
      ),
      of((r) => r.retransmits),
      name === "no tunnel" ? "" : of((r) => r.cpuPerGb).toFixed(2),
      of((r) => r.pingMs).toFixed(3),
      of((r) => r.residentMb).toFixed(0),
    ];
    process.stdout.write(`| ${cells.join(" | ")} |\n`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
