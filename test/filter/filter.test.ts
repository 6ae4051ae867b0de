// Our compiler beside libpcap's: the same packets must pass, those of our own corpus and those of other people's captures; and libpcap's programs must
// do the same in our interpreter as ours.
import { execFileSync, type ExecFileSyncOptions, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { concat } from "../../src/base/bytes.ts";
import { compileFilter, image, initialiser, type Program, runProgram } from "../../src/capture/filter/index.ts";
import { readCapture } from "../../src/capture/reader.ts";
import { PcapWriter } from "../../src/capture/writer.ts";
import { describeWith, find } from "../peers.ts";
import { COOKED_EXPRESSIONS, corpus, ETHERNET_EXPRESSIONS, EXPRESSIONS, LINK_NAMES, LINKS, WHOLE_EXPRESSIONS } from "./corpus.ts";
import { expressionOf } from "./grammar.ts";

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
const matchable = (link: number) => (e: string) =>
  e !== "1 = 2" && ((link !== 101 && link !== 0 && link !== 108 && link < 228) || !/^r?arp/.test(e) || link === 276);
const expressionsOf = (link: number): readonly string[] => [
  ...[...EXPRESSIONS, ...WHOLE_EXPRESSIONS].filter(matchable(link)),
  ...(link === 1 ? ETHERNET_EXPRESSIONS : []),
  ...(link === 113 || link === 276 ? COOKED_EXPRESSIONS : []),
];

const quiet: ExecFileSyncOptions = { stdio: ["ignore", "pipe", "ignore"], maxBuffer: 64 << 20 };
/** The program that `tcpdump -ddd` prints; `plain`: as it was before libpcap's optimizer. */
function libpcaps(file: string, expression: string, plain = false): Program {
  const ran = spawnSync(find("tcpdump")!, ["-r", file, ...(plain ? ["-O"] : []), "-ddd", "--", expression], { encoding: "utf8" });
  if (ran.stderr.includes("expression rejects all packets")) return [{ code: 6, jt: 0, jf: 0, k: 0 }];
  const lines = ran.stdout.trim().split("\n");
  return lines.slice(1).map((l) => {
    const [code, jt, jf, k] = l.split(" ").map(Number) as [number, number, number, number];
    return { code, jt, jf, k };
  });
}

/** More with TORTIE_FILTER_RUNS=5000. */
const RUNS = Number(process.env.TORTIE_FILTER_RUNS ?? 60);

/** Some packet of a corpus with a few bytes of its headers changed; not its address family, of which we know one more. */
const damage = fc
  .record({ which: fc.nat(), changes: fc.array(fc.tuple(fc.integer({ min: 4, max: 74 }), fc.nat(255)), { minLength: 1, maxLength: 4 }) })
  .map(({ which, changes }) => (packets: readonly Uint8Array[]): Uint8Array => {
    const out = new Uint8Array(packets[which % packets.length]!);
    for (const [at, byte] of changes) out[at % out.length] = byte;
    return out;
  });

const accepted = (program: Program, packets: readonly Uint8Array[]): number[] =>
  [...packets.keys()].filter((i) => runProgram(program, packets[i]!) !== 0);

describeWith(["tcpdump"], "programs are printed as tcpdump prints them", () => {
  const real = (args: readonly string[]): string => spawnSync(find("tcpdump")!, args, { encoding: "utf8" }).stdout;
  test.for(LINKS)("with -d and -dd, on link type %d", (link) => {
    const file = fileOf(link, [], `image-${LINK_NAMES[link]}.pcap`);
    for (const expression of expressionsOf(link).filter((_, i) => i % 3 === 0)) {
      const program = libpcaps(file, expression);
      if (program.length === 1 && program[0]!.k === 0) continue; // tcpdump prints no program that rejects all
      expect([expression, image(program), initialiser(program)]).toEqual([
        expression,
        real(["-r", file, "-d", "--", expression]),
        real(["-r", file, "-dd", "--", expression]),
      ]);
    }
  });
  test("every kind of instruction: ancillary data has its name", () => {
    const program = (code: number, k: number): Program => [{ code, jt: 0, jf: 0, k: k >>> 0 }];
    const table: readonly [number, number, string][] = [
      [0x30, -4096 + 48, "ldb      [vlanp]"],
      [0x28, -4096 + 44, "ldh      [vlan_tci]"],
      [0x28, -4096 + 4, "ldh      [type]"],
      [0x20, -4096 + 8, "ld       [ifidx]"],
      [0x00, 7, "ld       #0x7"],
      [0x60, 2, "ld       M[2]"],
      [0x61, 3, "ldx      M[3]"],
      [0x02, 1, "st       M[1]"],
      [0x84, 0, "neg      "],
      [0x87, 0, "txa      "],
      [0x05, 4, "ja       5"],
      [0x16, 0, "ret      "],
      [0x1c, 0, "sub      x"],
    ];
    for (const [code, k, text] of table) expect(image(program(code, k))).toBe(`(000) ${text}\n`);
  });
});

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

  // Whole packets, random bytes behind them: what libpcap loads in another order must be there for both.
  test.for(LINKS)("expressions of the grammar's making do the same as libpcap's programs, on link type %d", (link) => {
    const padding = Uint8Array.from({ length: 100 }, (_, i) => (i * 73) & 255);
    const packets = corpus(link, false).map((p) => concat(p, padding));
    const file = fileOf(link, [], `random-${link}.pcap`);
    let accepting = 0;
    fc.assert(
      fc.property(expressionOf(link), fc.array(damage, { minLength: 20, maxLength: 20 }), (e, damages) => {
        // The optimizer of 1.10 makes `src net 2001:db8::/127 and net 2001:db8::/127` ask for both ends.
        const theirs = libpcaps(file, e, true);
        const ours = compileFilter(e, link);
        const all = [...packets, ...damages.map((d) => d(packets))];
        const kept = accepted(ours, all);
        expect(kept).toEqual(accepted(theirs, all));
        expect(ours.every((i) => i.jt < 256 && i.jf < 256)).toBe(true);
        if (kept.length > 0 && kept.length < all.length) accepting++;
      }),
      { numRuns: RUNS },
    );
    // The property means something only where filters tell packets apart.
    expect(accepting).toBeGreaterThan(RUNS / 5);
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
