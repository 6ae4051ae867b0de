// Our tcpdump beside the real one, and live on a loopback interface of its own.
import { execFileSync, spawn, spawnSync, type SpawnSyncReturns } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { type CaptureFile, readCapture } from "../../src/capture/reader.ts";
import { PcapngWriter, PcapWriter } from "../../src/capture/writer.ts";
import { corpus, LINK_NAMES } from "../filter/corpus.ts";
import { describeRoot, describeWith, find, TORTIE } from "../peers.ts";

const directory = mkdtempSync(join(tmpdir(), "tortie-tcpdump-"));
afterAll(() => rmSync(directory, { recursive: true }));
const ours = join(directory, "tcpdump");
symlinkSync(TORTIE, ours);
const script = (name: string, text: string): string => {
  const path = join(directory, name);
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return path;
};

function fileOf(link: number): string {
  const path = join(directory, `${LINK_NAMES[link]}.pcap`);
  const chunks: Uint8Array[] = [];
  const writer = new PcapWriter((b) => chunks.push(b), { link });
  for (const [i, data] of corpus(link, false).entries()) writer.packet(0, { time: BigInt(1_700_000_000_000 + i) * 1_000_000n, data });
  writeFileSync(path, Buffer.concat(chunks));
  return path;
}

const linesOf = (program: readonly string[], args: readonly string[]): string[] =>
  spawnSync(program[0]!, [...program.slice(1), ...args], { encoding: "latin1", maxBuffer: 64 << 20 }).stdout.split("\n");

/** Without what tcpdump knows more about: DNS, HTTP, SCTP, routing. */
const COMPARED =
  "not port 53 and not portrange 5300-5399 and not port 80 and not port 443 and not port 8080 and not port 4789 and not sctp and not ip proto 89 and not ip proto 47 " +
  "and not ip6 proto 0 and not ip6 proto 44 and not rarp and not ether proto 0x88cc";
/** WireGuard by tcpdump's words. */
const plain = (line: string): string => line.replace(/WG .*\[(\d+)\].*$/, "UDP, length $1");

function compare(file: string, flags: readonly string[], filter = "ip or ip6 or arp"): number {
  const all = [...flags, "-r", file, `(${filter}) and ${COMPARED}`];
  const theirs = linesOf([find("tcpdump")!], all).filter((l) => !l.startsWith("Warning"));
  expect(linesOf([process.execPath, ours], all).map(plain)).toEqual(theirs);
  return theirs.length;
}

describeWith(["tcpdump"], "our tcpdump prints what the real one prints", () => {
  test.for([1, 101, 113, 276])("of the corpus on link type %d", (link) => {
    const file = fileOf(link);
    for (const flags of [["-n"], ["-n", "-tt"], ["-n", "-tttt", "-S"], ["-n", "-e"], ["-n", "-ttt", "-c", "7"]]) {
      expect(compare(file, flags)).toBeGreaterThan(3);
    }
    expect(compare(file, ["-n", "-t"], "udp port 51820")).toBeGreaterThan(3);
  });
  test("bytes with -x, -X and -xx", () => {
    const file = fileOf(101);
    for (const flag of ["-x", "-X", "-xx", "-XX"]) {
      const rows = (program: readonly string[]): string[] => linesOf(program, ["-n", flag, "-r", file]).filter((l) => l.startsWith("\t0x"));
      expect(rows([process.execPath, ours])).toEqual(rows([find("tcpdump")!]));
    }
  });
  test("a file that was filtered is the same file", () => {
    const file = fileOf(1);
    const filtered = (program: readonly string[], out: string): Uint8Array[] => {
      execFileSync(program[0]!, [...program.slice(1), "-r", file, "-w", out, "udp port 51820 or icmp6"], { stdio: "ignore" });
      return readCapture(readFileSync(out)).packets.map((p) => Uint8Array.from(p.data));
    };
    const theirs = filtered([find("tcpdump")!], join(directory, "theirs.pcap"));
    expect(theirs.length).toBeGreaterThan(10);
    expect(filtered([process.execPath, ours], join(directory, "ours.pcap"))).toEqual(theirs);
  });
});

const shared = new URL("../../../shared/captures/", import.meta.url).pathname;
const captures = existsSync(shared) ? readdirSync(shared).filter((f) => f.endsWith(".pcap")) : [];
describeWith(["tcpdump"], `other people's captures${captures.length === 0 ? " [skipped: they are not here]" : ""}`, () => {
  test.skipIf(captures.length === 0)("are printed the same", () => {
    for (const name of captures) compare(join(shared, name), ["-n"]);
  });
});

test("`tortie capture -r` reads as tcpdump does: filter, print, write", () => {
  const file = fileOf(1);
  const tortie = [process.execPath, TORTIE, "capture"];
  expect(linesOf(tortie, ["-r", file, "-e", "-c", "5", "udp port 51820"])).toEqual(
    linesOf([process.execPath, ours], ["-n", "-r", file, "-e", "-c", "5", "udp port 51820"]),
  );
  const out = join(directory, "read.pcap");
  linesOf(tortie, ["-r", file, "-w", out, "-f", "icmp6"]);
  const kept = readCapture(readFileSync(out)).packets.length;
  expect(kept).toBe(3);
  expect(linesOf(tortie, ["-r", file, "icmp6"]).length - 1).toBe(kept);
});

describe("a file written again", () => {
  const out = (name: string): string => join(directory, name);
  const ran = (...args: string[]): { status: number | null; stderr: string } =>
    spawnSync(process.execPath, [TORTIE, "capture", ...args], { encoding: "utf8" });
  const read = (name: string): CaptureFile => readCapture(readFileSync(out(name)));
  const texts = (f: CaptureFile): string[] => f.packets.map((p) => `${p.time} ${p.originalLength} ${Buffer.from(p.data).toString("hex")}`);
  const mixed = (): string => {
    const parts: Uint8Array[] = [];
    const writer = new PcapngWriter((b) => void parts.push(b));
    for (const link of [1, 101]) {
      const id = writer.addInterface({ link, name: `link${link}`, snaplen: link });
      const { packets } = readCapture(readFileSync(fileOf(link)));
      for (const [i, p] of packets.entries())
        writer.packet(id, { ...p, time: 1_700_000_000_123_456_789n + BigInt(i) * 1_000_000_000n, comments: [`${i}`] });
    }
    writeFileSync(out("mixed.pcapng"), Buffer.concat(parts));
    return out("mixed.pcapng");
  };
  const [ethernet, raw] = [1, 101].map((link) => readCapture(readFileSync(fileOf(link))).packets.length) as [number, number];

  test("as pcapng: nanoseconds, comments and names of interfaces stay; a file for each link type", () => {
    expect(ran("-r", mixed(), "-w", out("again.pcapng"))).toMatchObject({ status: 0, stderr: expect.stringMatching(/again-raw\.pcapng/) });
    const [one, two] = [read("again.pcapng"), read("again-raw.pcapng")];
    expect([one.packets.length, two.packets.length]).toEqual([ethernet, raw]);
    expect([...texts(one), ...texts(two)]).toEqual(texts(read("mixed.pcapng")));
    expect(one.packets[3]).toMatchObject({ comments: ["3"], iface: { name: "link1" } });
    expect([one.format, ...two.interfaces.map((i) => i.link)]).toEqual(["pcapng", 101]);
  });
  test.each(["tortie", "tcpdump"])("as pcap: a file for each link type, by %s", (program) => {
    const args = ["-r", mixed(), "-w", out(`${program}.pcap`)];
    if (program === "tortie") expect(ran(...args, "--format", "pcap").status).toBe(0);
    else execFileSync(process.execPath, [ours, ...args], { stdio: "ignore" });
    const [one, two] = [read(`${program}.pcap`), read(`${program}-raw.pcap`)];
    // tcpdump's own precision is the microsecond.
    expect([one.format, one.packets[0]!.time! % 1000n]).toEqual(program === "tortie" ? ["pcap-ns", 789n] : ["pcap", 0n]);
    expect([one.packets.length, two.packets.length, two.interfaces[0]!.link]).toEqual([ethernet, raw, 101]);
    const tcpdump = find("tcpdump");
    if (tcpdump) for (const name of [`${program}.pcap`, `${program}-raw.pcap`]) execFileSync(tcpdump, ["-n", "-r", out(name)], { stdio: "ignore" });
  });
  test("microseconds stay microseconds", () => {
    expect(ran("-r", fileOf(1), "-w", out("us.pcap"), "--format", "pcap").status).toBe(0);
    expect([read("us.pcap").format, ...texts(read("us.pcap"))]).toEqual(["pcap", ...texts(readCapture(readFileSync(fileOf(1))))]);
  });
  test("-G by the packets' time, -W so many files; -C by size", () => {
    expect(ran("-r", mixed(), "-w", out("g.pcapng"), "-G", "10", "udp").status).toBe(0);
    expect(read("g-00001.pcapng").packets.length).toBeGreaterThan(0);
    const times = read("g-00000.pcapng").packets.map((p) => Number(p.time! / 1_000_000_000n));
    expect(times.at(-1)! - times[0]!).toBeLessThan(10);
    expect(ran("-r", mixed(), "-w", out("gw.pcapng"), "-G", "10", "-W", "2").status).toBe(0);
    expect([0, 1, 2].map((i) => existsSync(out(`gw-${i}.pcapng`)))).toEqual([true, true, false]);
    const parts = [readFileSync(fileOf(1)), ...Array<Buffer>(200).fill(readFileSync(fileOf(1)).subarray(24))];
    writeFileSync(out("large.pcap"), Buffer.concat(parts));
    expect(ran("-r", out("large.pcap"), "-w", out("c.pcapng"), "-C", "1").status).toBe(0);
    const pieces = readdirSync(directory).filter((f) => /^c-\d+\.pcapng$/.test(f));
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.flatMap((f) => texts(read(f)))).toEqual(texts(read("large.pcap")));
    for (const f of pieces) expect(statSync(out(f)).size).toBeLessThanOrEqual(1_000_000);
  });
  test.each<[string[], RegExp]>([
    [["--keys"], /Cannot read a file with --keys/],
    [["-i", "lo"], /Cannot read a file with -i/],
    [["--format", "erf"], /Cannot write the format "erf"/],
    [["-W", "3"], /Cannot keep to a number of files/],
  ])("refused before anything is written: %s", (args, words) => {
    expect(ran("-r", mixed(), "-w", out("refused.pcapng"), ...args)).toMatchObject({ status: 1, stderr: expect.stringMatching(words) });
    expect(existsSync(out("refused.pcapng"))).toBe(false);
  });
  test("several link types go into a pipe as pcapng, and not as pcap", () => {
    const piped = spawnSync(process.execPath, [TORTIE, "capture", "-r", mixed(), "-w", "-"]);
    expect(texts(readCapture(piped.stdout))).toEqual(texts(read("mixed.pcapng")));
    const refused = spawnSync(process.execPath, [TORTIE, "capture", "-r", mixed(), "-w", "-", "--format", "pcap"], { encoding: "utf8" });
    expect([refused.status, refused.stdout, refused.stderr]).toEqual([1, "", expect.stringMatching(/2 link types \(EN10MB, RAW\) into one pcap/)]);
  });
  test.each([
    ["-C", "1"],
    ["-G", "5"],
    ["-W", "5"],
  ])("%s without -w is refused, live and from a file", (...args) => {
    for (const from of [
      ["-i", "lo"],
      ["-r", fileOf(1)],
    ])
      expect(ran(...from, ...args)).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(/Cannot begin new files with -[CGW]: nothing is written/),
      });
  });
});

test("WireGuard's messages are said by name", () => {
  const lines = linesOf([process.execPath, ours], ["-n", "-t", "-r", fileOf(101), "wireguard"]).join("\n");
  for (const words of ["WG init sender 0x", "WG response sender 0x", "WG cookie receiver 0x", "WG data receiver 0x"]) expect(lines).toContain(words);
  expect(lines).toMatch(/WG init sender 0x00000000 \[148\]/);
});

test("a damaged file gives what could be read, and where it broke", () => {
  const cut = join(directory, "cut.pcap");
  writeFileSync(cut, readFileSync(fileOf(101)).subarray(0, 5000));
  const ran = spawnSync(process.execPath, [ours, "-n", "-r", cut], { encoding: "utf8" });
  expect(ran.stdout.split("\n").length).toBeGreaterThan(20);
  expect([ran.status, ran.stderr]).toEqual([1, expect.stringMatching(/damaged at byte \d+/)]);
});

test("`udp 51820` is answered by what was meant", () => {
  const ran = spawnSync(process.execPath, [ours, "-i", "lo", "udp", "51820"], { encoding: "utf8" });
  expect([ran.status, ran.stderr]).toEqual([1, expect.stringContaining("did you mean `udp port 51820`?")]);
});

describeRoot("live", () => {
  const inside = (text: string): SpawnSyncReturns<string> =>
    spawnSync("unshare", ["-n", "sh", "-e", script("live.sh", `ip link set lo up\n${text}`)], { encoding: "utf8" });
  const sender = script(
    "send.cjs",
    `const s = require("dgram").createSocket("udp4"); let n = Number(process.argv[2]);
     const next = () => n-- > 0 ? s.send(Buffer.alloc(40, n), 51820, "127.0.0.1", () => s.send("other", 9, "127.0.0.1", () => setImmediate(next))) : s.close(); next();`,
  );
  const listening = (log: string): string => `for i in $(seq 2000); do grep -q listening ${log} && break; sleep 0.05; done`;
  const node = process.execPath;

  test("-w writes what passes the filter, until SIGINT; the counts add up", () => {
    const [file, log] = [join(directory, "live.pcap"), join(directory, "live.log")];
    inside(`${node} ${ours} -i lo udp port 51820 -w ${file} 2>${log} & P=$!\n${listening(log)}\n${node} ${sender} 300\nkill -INT $P\nwait $P`);
    expect(readCapture(readFileSync(file)).packets).toHaveLength(300);
    expect(readFileSync(log, "utf8")).toMatch(/300 packets captured\n300 packets received by filter\n0 packets dropped by kernel\n$/);
  });
  test("-c stops by itself; lines come at once", () => {
    const log = join(directory, "count.log");
    const ran = inside(`${node} ${ours} -n -i lo -c 5 udp port 51820 2>${log} & P=$!\n${listening(log)}\n${node} ${sender} 20\nwait $P`);
    expect(ran.stdout.trim().split("\n")).toHaveLength(5);
    expect(readFileSync(log, "utf8")).toContain("5 packets captured");
  });
  test("-d prints the program and captures nothing, -ddd its numbers", () => {
    const file = fileOf(1);
    const ran = (flag: string): string => linesOf([process.execPath, ours], ["-r", file, flag, "icmp6 or vlan"]).join("\n");
    expect(ran("-d")).toMatch(/^\(000\) ldh {6}\[12\]\n/);
    expect(ran("-ddd")).toMatch(/^\d+\n40 0 0 12\n/);
    expect(inside(`${node} ${ours} -i lo -d inbound`).stdout).toMatch(/^\(000\) ldh? +\[type\]\n/);
  });
  test("-D lists interfaces, -i any names them", () => {
    expect(inside(`${node} ${ours} -D`).stdout).toBe("1.lo [Up, Loopback]\n2.any (Pseudo-device that captures on all interfaces) [Up]\n");
    const log = join(directory, "any.log");
    const ran = inside(`${node} ${ours} -n -t -i any -c 2 udp port 51820 2>${log} & P=$!\n${listening(log)}\n${node} ${sender} 1\nwait $P`);
    expect(ran.stdout).toMatch(/^lo {4}Out IP 127\.0\.0\.1\.\d+ > 127\.0\.0\.1\.51820: UDP, length 40\nlo {4}In {2}IP /);
  });
  test("a reader that goes away ends it", async () => {
    const log = join(directory, "pipe.log");
    const text = `${node} ${ours} -n -l -i lo udp port 51820 2>${log} | head -1 & P=$!\n${listening(log)}\n${node} ${sender} 50\nsleep 0.3\n${node} ${sender} 5\nwait $P`;
    const child = spawn("unshare", ["-n", "sh", script("pipe.sh", `ip link set lo up\n${text}`)], { stdio: "ignore" });
    expect(await new Promise((resolve) => child.on("close", resolve))).toBe(0);
  });
});

describe("usage", () => {
  test.for([
    [["-i", "nope"], "there is no such interface"],
    [["-r", "/nonexistent"], "there is no such file"],
    [["-c", "0"], "must be a whole number"],
    [["-Q", "up"], "in, out or inout"],
  ] as const)("%j: %s", ([args, words]) => {
    const ran = spawnSync(process.execPath, [ours, ...args], { encoding: "utf8" });
    expect([ran.status, ran.stderr]).toEqual([1, expect.stringContaining(words)]);
  });
});
