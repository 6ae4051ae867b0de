// Packets listed, filtered and printed beside tshark: `npx tsx bench/inspect.ts [--rounds 5] [--packets 300000]`, after `npm run build`. Two files, read by both in
// turn: data messages of WireGuard, and mixed packets of a node (pcapng). Then what one thread of the library reads and dissects. What is printed goes nowhere.
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Analysis } from "../src/capture/analysis.ts";
import { Dissector } from "../src/capture/dissect.ts";
import { readEvents } from "../src/cli/captures/file.ts";
import { nodeCrypto } from "../src/crypto/node.ts";
import { find, TORTIE } from "../test/peers.ts";
import { run } from "./capture.ts";
import { makeCapture, makeMixed } from "./capturefile.ts";
import { busyShare } from "./processes.ts";
import { MACHINE } from "./report.ts";
import { median, spread } from "./statistics.ts";

/** What both are asked, in the same words. */
const ASKED: readonly (readonly string[])[] = [
  [],
  ["-Y", "ip.addr == 10.77.0.1"],
  ["-Y", "tcp.port == 8000"],
  ["-Y", "udp.port == 51820 && frame.len > 100"],
  ["-Y", "wg.type == 1"],
  ["-Y", 'frame contains "GET /nothing"'],
  ["-Y", 'tcp.payload matches "^GET /no"'],
  ["-T", "fields", "-e", "frame.number", "-e", "ip.src", "-e", "ip.dst", "-e", "frame.len"],
  ["-T", "json"],
  ["-V"],
];

/** Packets a second that one thread reads and dissects as far as their layers. */
async function dissected(path: string): Promise<number> {
  const began = performance.now();
  const analysis = new Analysis({ crypto: nodeCrypto, data: "count" });
  const dissector = new Dissector({ secrets: analysis.secrets });
  let parts = 0;
  for await (const events of readEvents(path, { progress: false, once: true }))
    analysis.open(events, (t) => void (parts += dissector.add(t).parts.length));
  if (parts < analysis.facts.packets) throw new Error("packets without parts");
  return analysis.facts.packets / ((performance.now() - began) / 1000);
}

export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: { rounds: { type: "string", default: "5" }, packets: { type: "string", default: "300000" } } });
  const [rounds, packets] = [Number(values.rounds), Number(values.packets)];
  const tshark = find("tshark");
  if (!tshark) return void process.stdout.write("Listing: skipped, there is no tshark here (Debian package: tshark)\n");
  const directory = mkdtempSync(join(tmpdir(), "tortie-bench-inspect-"));
  try {
    const files = { messages: join(directory, "messages.pcap"), mixed: join(directory, "mixed.pcapng") };
    makeCapture(files.messages, packets, 300);
    makeMixed(files.mixed, packets);
    process.stdout.write(
      `${packets} packets a file; ${rounds} interleaved rounds; ${MACHINE}. Processor seconds of the whole process, median (least .. most).\n`,
    );
    for (const [name, path] of Object.entries(files)) {
      const megabytes = statSync(path).size / 1e6;
      process.stdout.write(`\n${name}, ${megabytes.toFixed(0)} MB; busy with other things: ${(100 * (await busyShare(1000))).toFixed(0)} %\n\n`);
      process.stdout.write("| asked | tortie inspect | tshark | ratio |\n| --- | --- | --- | --- |\n");
      for (const asked of ASKED) {
        const [ours, theirs]: [number[], number[]] = [[], []];
        for (let round = 0; round < rounds; round++) {
          ours.push((await run([process.execPath, TORTIE, "inspect", path, ...asked])).cpu);
          theirs.push((await run([tshark, "-r", path, ...asked])).cpu);
        }
        const ratio = (median(theirs) / median(ours)).toFixed(2);
        process.stdout.write(`| \`${asked.join(" ") || "(a line for each packet)"}\` | ${spread(ours, 2)} | ${spread(theirs, 2)} | ${ratio} |\n`);
      }
      const rates: number[] = [];
      for (let round = 0; round < rounds; round++) rates.push(await dissected(path));
      const perPacket = megabytes / packets;
      process.stdout.write(
        `\nOne thread, parsed and dissected: ${spread(
          rates.map((r) => r / 1000),
          0,
        )} thousand packets/s, ${spread(
          rates.map((r) => r * perPacket),
          0,
        )} MB/s\n`,
      );
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

if (process.argv[1] === import.meta.filename) await main(process.argv.slice(2));
