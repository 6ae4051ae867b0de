// Reading captures beside tshark: `npx tsx bench/capture.ts [--rounds 5] [--packets 700000] [--inner 1420] [--json FILE]`, after `npm run build`. Both read one
// file of real data messages (1 GB unless said otherwise), in turn, and what they print goes nowhere; wall time, processor time and peak memory of the whole process,
// and how much of the memory is its own: the rest are pages of programs and libraries, which their files hold.
// Then what one thread opens a second with each implementation of the cipher. Files lie in the temporary directory and are removed.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { analyse, Analysis } from "../src/capture/analysis.ts";
import { parseKeyLog } from "../src/capture/keylog.ts";
import { type BatchOpener, oneByOne } from "../src/capture/opener.ts";
import { readEvents } from "../src/cli/captures/file.ts";
import { batchOpener } from "../src/crypto/batchopener.ts";
import { nobleCrypto } from "../src/crypto/noble.ts";
import { nodeCrypto } from "../src/crypto/node.ts";
import { wasmOpener } from "../src/crypto/wasmopener.ts";
import { find, TORTIE } from "../test/peers.ts";
import { makeCapture } from "./capturefile.ts";
import { busyShare, cpuSeconds, peakMb, privateMb } from "./processes.ts";
import { MACHINE } from "./report.ts";
import { median, spread } from "./statistics.ts";

/** A filter that every packet is dissected for, and none passes. */
const NONE = "ip.addr == 198.51.100.77";

export type Use = { readonly seconds: number; readonly cpu: number; readonly mb: number; readonly own: number };
type Subject = { readonly title: string; readonly argv: readonly string[] };

/** Runs a program to its end. Memory and processor time are asked for while it runs: the last answer is some 20 ms old. */
export async function run(argv: readonly string[]): Promise<Use> {
  const began = performance.now();
  const child = spawn(argv[0]!, argv.slice(1), { stdio: ["ignore", "ignore", "ignore"] });
  let [cpu, mb, own] = [0, 0, 0];
  const watch = setInterval(() => {
    try {
      [cpu, mb, own] = [cpuSeconds([child.pid!]), peakMb(child.pid!) || mb, Math.max(own, privateMb(child.pid!) || 0)];
    } catch {
      // It has just ended.
    }
  }, 20);
  await new Promise((resolve, reject) => child.on("exit", resolve).on("error", reject));
  clearInterval(watch);
  return { seconds: (performance.now() - began) / 1000, cpu, mb, own };
}

/** Messages a second that one thread opens, from the file's bytes on. */
async function rate(path: string, packets: number, opener: BatchOpener): Promise<number> {
  const logs = [parseKeyLog(readFileSync(`${path}.keys`, "utf8"))];
  const began = performance.now();
  let opened = 0;
  await analyse(
    () => readEvents(path, { progress: false }),
    { crypto: nodeCrypto, opener, logs },
    (t) => {
      for (const m of t.messages) if (m.opened) opened++;
    },
  );
  if (opened !== packets) throw new Error(`${opened} of ${packets} messages opened`);
  return packets / ((performance.now() - began) / 1000);
}
/** Packets a second that one thread reads and counts by session. */
async function counted(path: string, packets: number): Promise<number> {
  const began = performance.now();
  const analysis = new Analysis({ crypto: nodeCrypto, data: "count" });
  for await (const events of readEvents(path, { progress: false, once: true })) analysis.open(events);
  if (analysis.facts.packets < packets) throw new Error(`only ${analysis.facts.packets} packets`);
  return analysis.facts.packets / ((performance.now() - began) / 1000);
}

export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: "string", default: "5" },
      packets: { type: "string", default: "700000" },
      inner: { type: "string", default: "1420" },
      json: { type: "string" },
    },
  });
  const [rounds, packets, inner] = [Number(values.rounds), Number(values.packets), Number(values.inner)];
  const tshark = find("tshark");
  if (!tshark) return void process.stdout.write("Captures: skipped, there is no tshark here (Debian package: tshark)\n");
  const directory = mkdtempSync(join(tmpdir(), "tortie-bench-capture-"));
  try {
    const path = join(directory, "data.pcap");
    const small = join(directory, "small.pcap");
    makeCapture(path, packets, inner);
    makeCapture(small, 50_000, inner);
    const keys = `${path}.keys`;
    const log = ["-o", `wg.keylog_file:${keys}`];
    const node = process.execPath;
    const subjects = {
      node: { title: "Node itself, doing nothing for 0.2 s", argv: [node, "-e", "setTimeout(() => {}, 200)"] },
      "list.ours": { title: "sessions: tortie decrypt FILE -q", argv: [node, TORTIE, "decrypt", path, "-q"] },
      "list.lines": { title: "tshark, a line for each packet (tshark -r FILE)", argv: [tshark, "-r", path] },
      "list.fields": {
        title: "tshark, the same facts (-T fields -e wg.stream -e wg.receiver -e wg.counter)",
        argv: [tshark, "-r", path, "-T", "fields", "-e", "wg.stream", "-e", "wg.receiver", "-e", "wg.counter"],
      },
      "list.least": { title: "tshark, its least (-q -z conv,udp)", argv: [tshark, "-r", path, "-q", "-z", "conv,udp"] },
      "each.ours": { title: "a line for each packet: tortie inspect FILE", argv: [node, TORTIE, "inspect", path] },
      "filter.ours": { title: `none of them passes: tortie inspect FILE -Y '${NONE}'`, argv: [node, TORTIE, "inspect", path, "-Y", NONE] },
      "filter.theirs": { title: `tshark, the same (-Y '${NONE}')`, argv: [tshark, "-r", path, "-Y", NONE] },
      "open.ours": { title: "everything opened: tortie decrypt FILE --keys LOG -q", argv: [node, TORTIE, "decrypt", path, "--keys", keys, "-q"] },
      "open.lines": { title: "tshark, a line for each packet, with the key log", argv: [tshark, "-r", path, ...log] },
      "open.least": { title: "tshark, the same (-q -z conv,ip, with the key log)", argv: [tshark, "-r", path, ...log, "-q", "-z", "conv,ip"] },
    } as const satisfies Record<string, Subject>;
    const names = Object.keys(subjects) as (keyof typeof subjects)[];
    const uses = Object.fromEntries(names.map((n) => [n, [] as Use[]])) as Record<keyof typeof subjects, Use[]>;
    const busy: number[] = [];
    for (let round = 0; round < rounds; round++) {
      busy.push(await busyShare(1000));
      for (const name of names) uses[name].push(await run(subjects[name].argv));
    }
    const of = (name: keyof typeof subjects, what: keyof Use): number[] => uses[name].map((u) => u[what]);
    process.stdout.write(
      `${packets} data messages with inner packets of ${inner} bytes, ${(statSync(path).size / 1e6).toFixed(0)} MB; ${rounds} interleaved rounds; ${MACHINE}. ` +
        `Busy with other things before each round: ${busy.map((b) => `${(100 * b).toFixed(0)} %`).join(", ")}. Median (least .. most).\n\n` +
        `| | s | processor s | peak MB | private MB |\n| --- | --- | --- | --- | --- |\n`,
    );
    for (const name of names)
      process.stdout.write(
        `| ${subjects[name].title} | ${spread(of(name, "seconds"), 2)} | ${spread(of(name, "cpu"), 2)} | ${spread(of(name, "mb"), 0)} | ${spread(of(name, "own"), 0)} |\n`,
      );
    const ratio = (theirs: keyof typeof subjects, ours: keyof typeof subjects, what: keyof Use): string =>
      (median(of(theirs, what)) / median(of(ours, what))).toFixed(2);
    process.stdout.write("\n| ratio | wall | processor | memory, ours : its | private | must / want |\n| --- | --- | --- | --- | --- | --- |\n");
    const pairs = [
      ["session list against a line for each packet", "list.lines", "list.ours", "5 / 10"],
      ["session list against the same facts", "list.fields", "list.ours", "5 / 10"],
      ["session list against its least", "list.least", "list.ours", ""],
      ["a line for each packet", "list.lines", "each.ours", ""],
      ["a filter on addresses", "filter.theirs", "filter.ours", ""],
      ["everything opened against a line for each packet", "open.lines", "open.ours", "2 / 5"],
      ["everything opened against its least", "open.least", "open.ours", ""],
    ] as const;
    for (const [title, theirs, ours, goal] of pairs)
      process.stdout.write(
        `| ${title} | ${ratio(theirs, ours, "seconds")} | ${ratio(theirs, ours, "cpu")} | ${ratio(ours, theirs, "mb")} | ${ratio(ours, theirs, "own")} | ${goal} |\n`,
      );
    const rates: Record<string, number[]> = {
      "read and counted by session": [],
      "opened natively": [],
      "opened by WebAssembly": [],
      "opened by noble": [],
    };
    for (let round = 0; round < rounds; round++) {
      rates["read and counted by session"]!.push(await counted(path, packets));
      rates["opened natively"]!.push(await rate(path, packets, batchOpener()));
      const wasm = wasmOpener(nobleCrypto);
      if (wasm) rates["opened by WebAssembly"]!.push(await rate(small, 50_000, wasm));
      rates["opened by noble"]!.push(await rate(small, 50_000, oneByOne(nobleCrypto)));
    }
    process.stdout.write("\n| one thread | 1,000 packets/s |\n| --- | --- |\n");
    for (const [title, all] of Object.entries(rates))
      process.stdout.write(
        `| ${title} | ${spread(
          all.map((r) => r / 1000),
          0,
        )} |\n`,
      );
    if (values.json !== undefined) writeFileSync(values.json, JSON.stringify({ machine: MACHINE, packets, rounds, busy, uses, rates }, undefined, 1));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

if (process.argv[1] === import.meta.filename) await main(process.argv.slice(2));
