// Files against the programs that read them: how many packets there are in other people's captures, and whether tcpdump and tshark open all that we write.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { concat } from "../../src/base/bytes.ts";
import { ByLink } from "../../src/capture/bylink.ts";
import { copy, open } from "../../src/capture/fixtures.cases.ts";
import { secretsOf } from "../../src/capture/keylog.ts";
import { readCapture } from "../../src/capture/reader.ts";
import { type CaptureWriter, PcapngWriter, PcapWriter, type Sink } from "../../src/capture/writer.ts";
import { ethernet, icmp, ipv4 } from "../../src/packet/build.ts";
import { describeWith, find, TORTIE } from "../peers.ts";
import { describeShared, shared, sharedPath } from "./shared.ts";

let directory: string;
beforeAll(() => (directory = mkdtempSync(join(tmpdir(), "tortie-formats-"))));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Packets that tcpdump prints of a file; what it complains of. */
function tcpdump(path: string): { packets: number; err: string; lines: string[] } {
  const r = spawnSync(find("tcpdump")!, ["-n", "-#", "-tt", "--time-stamp-precision=nano", "-r", path], { encoding: "utf8", maxBuffer: 64 << 20 });
  const lines = r.stdout.split("\n").filter((l) => /^ *[0-9]+ {2}/.test(l));
  const err = r.stderr.replace(/^reading from .*\n|^Warning: interface names might be incorrect\n|^dropped privs.*\n/gm, "");
  return { packets: lines.length, err, lines };
}
/** Packets of each file, as capinfos counts them; files that it does not open are absent. */
function capinfos(paths: readonly string[]): Map<string, number> {
  const r = spawnSync(find("capinfos")!, ["-c", "-T", "-M", "-r", ...paths], { encoding: "utf8", maxBuffer: 64 << 20 });
  return new Map(r.stdout.split("\n").flatMap((l) => (l.includes("\t") ? [[l.split("\t")[0]!, Number(l.split("\t")[1])]] : [])));
}
const tshark = (...args: string[]): string[] =>
  execFileSync(find("tshark")!, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
    .split("\n")
    .slice(0, -1);

describeShared("how many packets other people's files have", () => {
  describeWith(["capinfos", "tcpdump"], "", () => {
    test("tcpdump's tests: as many as capinfos or, where it opens nothing, tcpdump finds", () => {
      const root = sharedPath("tcpdump-tests/tests");
      const names = readdirSync(root).filter((f) => /\.pcap(ng)?$/.test(f));
      expect(names.length).toBeGreaterThan(300);
      const counts = capinfos(names.map((n) => join(root, n)));
      const want = names.map((n) => [n, counts.get(join(root, n)) ?? tcpdump(join(root, n)).packets]);
      expect(names.map((n) => [n, readCapture(shared(`tcpdump-tests/tests/${n}`)).packets.length])).toEqual(want);
    });
    test("the pcapng test generator: as many as capinfos finds", () => {
      const root = sharedPath("pcapng-test-generator");
      const names = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((f) => f.endsWith(".pcapng"));
      expect(names.length).toBe(48);
      const counts = capinfos(names.map((n) => join(root, n)));
      for (const n of names) expect([n, readCapture(shared(`pcapng-test-generator/${n}`)).packets.length]).toEqual([n, counts.get(join(root, n))]);
    });
  });
});

const ip = new Uint8Array([192, 0, 2, 1]);
const packet = ipv4({ src: ip, dst: ip, protocol: 1 }, icmp(ip, ip, { type: 8, rest: 1 }, new Uint8Array(33)));
const family = (n: number, le: boolean): Uint8Array => (le ? new Uint8Array([n, 0, 0, 0]) : new Uint8Array([0, 0, 0, n]));
/** The same packet on every link layer that we know. */
const LINKS: [name: string, link: number, data: Uint8Array][] = [
  ["NULL", 0, concat(family(2, true), packet)],
  ["Ethernet", 1, ethernet(new Uint8Array(6), new Uint8Array(6), 0x0800, packet)],
  ["raw IP", 101, packet],
  ["LOOP", 108, concat(family(2, false), packet)],
  ["LINUX_SLL", 113, concat(new Uint8Array([0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0]), packet)],
  ["IPv4", 228, packet],
  ["LINUX_SLL2", 276, concat(new Uint8Array([8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 4, 6, 0, 0, 0, 0, 0, 0, 0, 0]), packet)],
];

describeWith(["tshark", "tcpdump"], "what we write, others read: every link type", () => {
  const time = 1_795_418_953_123_456_789n;
  const write = (name: string, make: (sink: Sink) => void): string => {
    const parts: Uint8Array[] = [];
    make((b) => parts.push(b));
    const path = join(directory, name);
    writeFileSync(path, concat(...parts));
    return path;
  };
  const FORMATS: [name: string, digits: string, make: (sink: Sink, link: number) => CaptureWriter][] = [
    ["us.pcap", "123456000", (sink, link) => new PcapWriter(sink, { link })],
    ["ns.pcap", "123456789", (sink, link) => new PcapWriter(sink, { link, nanoseconds: true })],
    [
      "ns.pcapng",
      "123456789",
      (sink, link) => {
        const w = new PcapngWriter(sink, { os: "Linux", comments: ["x"] });
        w.secrets(secretsOf("# nothing\n"));
        w.addInterface({ link, name: "ens5", ips: [{ ip, prefix: 24 }], speed: 1000n });
        w.names([{ ip, names: ["pod.default"] }]);
        return w;
      },
    ],
  ];
  test.for(LINKS)("%s", ([, link, data]) => {
    for (const [name, digits, make] of FORMATS) {
      const path = write(`${link}-${name}`, (sink) => {
        const w = make(sink, link);
        w.packet(0, { time, data, comments: ["hello"] });
        w.packet(0, { time: time + 1_000_000_000n, data: data.subarray(0, data.length - 8), originalLength: data.length, direction: "in" });
        if (w instanceof PcapngWriter) w.statistics(0, time, { start: 1n, end: time, received: 2n, osDropped: 0n });
      });
      expect(tshark("-r", path, "-T", "fields", "-e", "frame.time_epoch", "-e", "frame.len", "-e", "frame.cap_len", "-e", "icmp.type")).toEqual([
        `1795418953.${digits}\t${data.length}\t${data.length}\t8`,
        `1795418954.${digits}\t${data.length}\t${data.length - 8}\t8`,
      ]);
      const theirs = tcpdump(path);
      expect([theirs.packets, theirs.err]).toEqual([2, ""]);
      expect(theirs.lines[0]).toMatch(new RegExp(`1795418953\\.${digits} .*ICMP echo request`));
      const ours = readCapture(new Uint8Array(execFileSync("cat", [path])));
      expect(ours.packets.map((p) => [p.time! % 1_000_000_000n, p.data.length])).toEqual([
        [BigInt(digits), data.length],
        [BigInt(digits), data.length - 8],
      ]);
      if (name.endsWith("ng")) {
        expect(tshark("-r", path, "-T", "fields", "-e", "frame.comment")).toEqual(["hello", ""]);
        expect(tshark("-r", path, "-Nn", "-T", "fields", "-e", "ip.src_host")).toEqual(["pod.default", "pod.default"]);
      }
    }
  });
  test.for(["n_two_lt.pcapng", "n_two_snap.pcapng", "n_mixed_endian.pcapng"])(
    "%s, which tcpdump does not open, is written so that it does",
    (name) => {
      const file = open(`malformed/${name}`);
      const parts = new Map<string, Uint8Array[]>();
      const writer = new ByLink((suffix) => {
        parts.set(suffix, []);
        return (b) => void parts.get(suffix)!.push(b);
      });
      copy(file, writer);
      let packets = 0;
      for (const [suffix, bytes] of parts) {
        const path = join(directory, `split${suffix}.pcapng`);
        writeFileSync(path, concat(...bytes));
        const theirs = tcpdump(path);
        expect(theirs.err).toBe("");
        packets += theirs.packets;
      }
      expect(packets).toBe(file.packets.length);
    },
  );
  test("tortie decrypt -w writes two files of a capture with two link types, and names them", () => {
    const to = join(directory, "two.pcapng");
    const two = new URL("../captures/malformed/n_two_lt.pcapng", import.meta.url).pathname;
    const r = spawnSync(process.execPath, [TORTIE, "decrypt", two, "--strip-secrets", "-w", to], { encoding: "utf8" });
    expect([r.status, r.stderr]).toEqual([0, expect.stringContaining(`"${join(directory, "two-raw.pcapng")}"`)]);
    const both = [to, join(directory, "two-raw.pcapng")].map(tcpdump);
    expect(both.map((t) => t.err)).toEqual(["", ""]);
    expect(both.reduce((n, t) => n + t.packets, 0)).toBe(3);
  });
});

describe("link types by number", () => {
  test("of pcap and pcapng are read as they stand", () => {
    for (const [, link] of LINKS) {
      const parts: Uint8Array[] = [];
      new PcapWriter((b) => parts.push(b), { link, fcsLength: 4 }).packet(0, { data: packet });
      expect(readCapture(concat(...parts)).interfaces[0]).toMatchObject({ link, fcsLength: 4 });
    }
  });
});
