// Our compiler beside libpcap's: the same packets must pass, those of our own corpus and those of other people's captures; and libpcap's programs must
// do the same in our interpreter as ours.
import { execFileSync, type ExecFileSyncOptions, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { compileFilter, type Program, runProgram } from "../../src/capture/filter/index.ts";
import { readCapture } from "../../src/capture/reader.ts";
import { PcapWriter } from "../../src/capture/writer.ts";
import { describeWith, find } from "../peers.ts";
import { COOKED_EXPRESSIONS, corpus, ETHERNET_EXPRESSIONS, EXPRESSIONS, LINK_NAMES, WHOLE_EXPRESSIONS } from "./corpus.ts";

const LINKS: readonly number[] = [1, 101, 113, 276];
const directory = mkdtempSync(join(tmpdir(), "tortie-filter-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** A capture file of these packets; the time of each is its number in seconds. */
function fileOf(link: number, packets: readonly Uint8Array[], name: string): string {
  const path = join(directory, name);
  const chunks: Uint8Array[] = [];
  const writer = new PcapWriter((b) => chunks.push(b), { link });
  for (const [i, data] of packets.entries()) writer.packet(0, { time: BigInt(i) * 1_000_000_000n, data, originalLength: data.length });
  writeFileSync(path, Buffer.concat(chunks));
  return path;
}

/** libpcap refuses what can never match. */
const matchable = (link: number) => (e: string) => e !== "1 = 2" && !(link === 101 && /^r?arp/.test(e));
const expressionsOf = (link: number): readonly string[] => [
  ...[...EXPRESSIONS, ...WHOLE_EXPRESSIONS].filter(matchable(link)),
  ...(link === 1 ? ETHERNET_EXPRESSIONS : []),
  ...(link === 113 || link === 276 ? COOKED_EXPRESSIONS : []),
];

const quiet: ExecFileSyncOptions = { stdio: ["ignore", "pipe", "ignore"], maxBuffer: 64 << 20 };
/** The program that `tcpdump -ddd` prints. */
function libpcaps(file: string, expression: string): Program {
  const ran = spawnSync(find("tcpdump")!, ["-r", file, "-ddd", "--", expression], { encoding: "utf8" });
  if (ran.stderr.includes("expression rejects all packets")) return [{ code: 6, jt: 0, jf: 0, k: 0 }];
  const lines = ran.stdout.trim().split("\n");
  return lines.slice(1).map((l) => {
    const [code, jt, jf, k] = l.split(" ").map(Number) as [number, number, number, number];
    return { code, jt, jf, k };
  });
}

const accepted = (program: Program, packets: readonly Uint8Array[]): number[] =>
  [...packets.keys()].filter((i) => runProgram(program, packets[i]!) !== 0);

describeWith(["tcpdump"], "tcpdump and our compiler keep the same packets", () => {
  describe.for(LINKS)("of link type %d", (link) => {
    const corpora = [true, false].map((cut) => {
      const packets = corpus(link, cut);
      return { packets, file: fileOf(link, packets, `corpus-${LINK_NAMES[link]}-${cut}.pcap`) };
    });
    test.for(expressionsOf(link))("%s", (expression) => {
      const { packets, file } = corpora[WHOLE_EXPRESSIONS.includes(expression) ? 1 : 0]!;
      expect(accepted(compileFilter(expression, link), packets)).toEqual(accepted(libpcaps(file, expression), packets));
      if (link !== 1) return; // and that their program does in our interpreter what it does in theirs
      const kept = readCapture(execFileSync(find("tcpdump")!, ["-r", file, "-w", "-", "--", expression], quiet) as Buffer);
      const theirs = kept.packets.map((p) => Number(p.time! / 1_000_000_000n));
      expect(accepted(libpcaps(file, expression), packets)).toEqual(theirs);
    });
  });

  test("expressions put together at random do the same as libpcap's programs", () => {
    const byLink = new Map(
      LINKS.map((link) => [link, { packets: corpus(link, false), file: fileOf(link, corpus(link, false), `random-${link}.pcap`) }]),
    );
    const primitive = fc.constantFrom(
      ...EXPRESSIONS.filter((e) => !/[=<>]|arp/.test(e) && !/[|&]{2}|\b(and|or|not)\b|!(?!=)/.test(e) && !/^\d/.test(e)),
    );
    const expression = fc.letrec<{ e: string }>((tie) => ({
      e: fc.oneof(
        { maxDepth: 4 },
        primitive,
        fc.tuple(tie("e"), fc.constantFrom("and", "or"), tie("e")).map(([a, op, b]) => `${a} ${op} ${b}`),
        tie("e").map((a) => `(${a})`),
        tie("e").map((a) => `not (${a})`),
      ),
    })).e;
    fc.assert(
      fc.property(fc.constantFrom(...LINKS), expression, (link, e) => {
        const { packets, file } = byLink.get(link)!;
        const ours = compileFilter(e, link);
        expect(accepted(ours, packets)).toEqual(accepted(libpcaps(file, e), packets));
        expect(ours.every((i) => i.jt < 256 && i.jf < 256)).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  test.for([
    "udp 51820",
    "51820",
    "udp port",
    "(udp",
    "port 70000",
    "net 10.1.2.3/8",
    "ip host fe80::1",
    "foo",
    "udp[0",
    "len",
    "and udp",
    "udp and",
  ])("%s is refused by both", (expression) => {
    expect(spawnSync(find("tcpdump")!, ["-y", "EN10MB", "-r", fileOf(1, [], "none.pcap"), "-d", expression]).status).not.toBe(0);
    expect(() => compileFilter(expression, 1)).toThrow(/^Cannot read the filter/);
  });
});

const shared = new URL("../../../shared/captures/", import.meta.url).pathname;
const theirs = existsSync(shared) ? readdirSync(shared, { recursive: true, encoding: "utf8" }).filter((f) => f.endsWith(".pcap")) : [];
describeWith(["tcpdump"], `other people's captures${theirs.length === 0 ? " [skipped: they are not here]" : ""}`, () => {
  test.skipIf(theirs.length === 0)("pass the same packets", () => {
    let compared = 0;
    for (const [turn, name] of theirs.entries()) {
      const capture = readCapture(new Uint8Array(readFileSync(join(shared, name))));
      const link = capture.interfaces[0]?.link ?? -1;
      if (!LINKS.includes(link) || capture.packets.length === 0) continue;
      const packets = capture.packets.map((p) => p.data);
      // The file as we write it: tcpdump stops at damage that our reader gets past.
      const file = fileOf(link, packets, "theirs.pcap");
      for (const e of EXPRESSIONS.filter((e, i) => matchable(link)(e) && i % 40 === turn % 40)) {
        expect([name, e, accepted(compileFilter(e, link), packets)]).toEqual([name, e, accepted(libpcaps(file, e), packets)]);
        compared++;
      }
    }
    expect(compared).toBeGreaterThan(100);
  });
});
