// The commands as a person types them: exit codes, JSON, words, files that only their owner may read.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, createWriteStream, existsSync, linkSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { keyIn, textOf } from "../../src/capture/fixtures.cases.ts";
import { toHex } from "../../src/base/bytes.ts";
import { A, B, data, handshake, log, ping, Scene } from "../../src/capture/made.cases.ts";
import { readCapture } from "../../src/capture/reader.ts";
import { PcapWriter } from "../../src/capture/writer.ts";
import { TORTIE } from "../peers.ts";

const at = (name: string): string => new URL(`../captures/${name}`, import.meta.url).pathname;
let directory: string;
beforeAll(() => (directory = mkdtempSync(join(tmpdir(), "tortie-cli-"))));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** The packets of a pcap file over and over. */
const manyTimes = (pcap: Buffer, n: number): Buffer => Buffer.concat([pcap.subarray(0, 24), ...Array<Buffer>(n).fill(pcap.subarray(24))]);

type Ran = { code: number | null; out: string; err: string };
function tortie(args: string[], input?: Uint8Array | string): Ran {
  const r = spawnSync(process.execPath, [TORTIE, ...args], { input, maxBuffer: 64 << 20 });
  const [out, err] = [r.stdout.toString(), r.stderr.toString()];
  expect(`${out}${err}`).not.toMatch(/\n {4}at .*\.js:/);
  return { code: r.status, out, err };
}
type Json = { transport: number; decrypted: number; unauthenticated: number; sessions: { diagnosis: { code: string } | null; warnings: string[] }[] };
const json = (r: Ran): Json => JSON.parse(r.out) as Json;
const file = (name: string, text: string | Uint8Array): string => {
  const path = join(directory, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
};

describe("tortie decrypt", () => {
  const keys = at("wggo-psk-v4.initiator.keys");
  test("opens: exit 0, counts without keepalives", () => {
    const r = tortie(["decrypt", at("wggo-psk-v4.pcap"), "--keys", keys, "-o", "json"]);
    expect([r.code, json(r).transport, json(r).decrypted, json(r).sessions.length]).toEqual([0, 22, 22, 1]);
    expect(json(r).sessions[0]!.diagnosis).toBeNull();
  });
  test("a static key alone: exit 2, and the reason", () => {
    const key = file("static.key", `${keyIn(textOf("wggo-psk-v4.responder.keys"), "LOCAL_STATIC_PRIVATE_KEY")}\n`);
    const r = tortie(["decrypt", at("wggo-psk-v4.pcap"), "--keys", key]);
    expect(r.code).toBe(2);
    expect(r.out).toMatch(/who spoke: the initiator is vlj5zFzI/);
    expect(r.out).toMatch(/forward secrecy/);
    expect(json(tortie(["decrypt", at("wggo-psk-v4.pcap"), "--keys", key, "-o", "json"]))).toMatchObject({
      transport: 22,
      decrypted: 0,
      sessions: [{ diagnosis: { code: "D5" } }],
    });
  });
  test("keys come from files or standard input, never from the command line", () => {
    const key = keyIn(textOf("wggo-psk-v4.initiator.keys"), "LOCAL_STATIC_PRIVATE_KEY");
    const r = tortie(["decrypt", at("wggo-psk-v4.pcap"), "--keys", key]);
    expect([r.code, r.err.includes(key)]).toEqual([1, false]);
    expect(r.err).toMatch(/Cannot take a key from the command line/);
    expect(json(tortie(["decrypt", at("wggo-psk-v4.pcap"), "--keys", "-", "-o", "json"], textOf("wggo-psk-v4.initiator.keys"))).decrypted).toBe(22);
    expect(json(tortie(["decrypt", "-", "--keys", keys, "-o", "json"], readFileSync(at("wggo-psk-v4.pcap")))).decrypted).toBe(22);
  });
  test("-w writes a file for its owner alone, also over one that others could read; without keys it opens by itself", () => {
    const out = file("open.pcapng", "before");
    chmodSync(out, 0o644);
    const r = tortie(["decrypt", at("wggo-psk-v4.pcap"), "--keys", keys, "-w", out]);
    expect([r.code, statSync(out).mode & 0o777]).toEqual([0, 0o600]);
    expect(json(tortie(["decrypt", out, "-o", "json"])).decrypted).toBe(22);
    const plain = join(directory, "plain.pcapng");
    expect(tortie(["decrypt", out, "--strip-secrets", "-w", plain]).code).toBe(0);
    expect(readFileSync(plain).includes("WGKL")).toBe(false);
    expect(readFileSync(plain).includes("PRIVATE_KEY")).toBe(false);
    expect(json(tortie(["decrypt", plain, "-o", "json"])).decrypted).toBe(0);
    const inner = join(directory, "inner.pcapng");
    tortie(["decrypt", out, "--inner", "-w", inner]);
    expect(readFileSync(inner).includes("KEY")).toBe(false);
  });
  test("-w - is the capture alone, what is told goes to standard error; with another file nobody need read on", () => {
    const piped = spawnSync(process.execPath, [TORTIE, "decrypt", at("wggo-psk-v4.pcap"), "--keys", keys, "-w", "-"]);
    expect(readCapture(piped.stdout)).toMatchObject({ packets: { length: 25 }, damage: [] });
    expect(piped.stderr.toString()).toMatch(/Inner packets\n[^]*22 of 22 data packets/);
    const out = join(directory, "unread.pcapng");
    const big = file("unread.pcap", manyTimes(readFileSync(at("wggo-psk-v4.pcap")), 300));
    const head = `"$0" "$@" | head -1; test "\${PIPESTATUS[0]}" = 0`;
    const ran = spawnSync("bash", ["-c", head, process.execPath, TORTIE, "decrypt", big, "--keys", keys, "-w", out], { encoding: "utf8" });
    expect([ran.status, ran.stdout]).toEqual([0, "Inner packets\n"]);
    expect(readCapture(readFileSync(out)).packets.length).toBe(25 * 300);
  });
  test("what is read is never overwritten", () => {
    const same = file("same.pcap", readFileSync(at("wggo-psk-v4.pcap")));
    const link = join(directory, "link.pcap");
    linkSync(same, link);
    const inventory = at("leak-inventory.json");
    const ways = [
      ["decrypt", same, "--strip-secrets", "-w", link],
      ["tcpdump", "-r", same, "-w", link],
      ["capture", "-r", same, "-w", link],
      ["audit", same, "--inventory", inventory, "-w", link],
    ];
    for (const args of ways) {
      const r = tortie(args);
      expect([args[0], r.code, r.err]).toEqual([args[0], 1, expect.stringMatching(/Cannot write ".*link\.pcap": it is the file that is read/)]);
    }
    expect(readFileSync(same).equals(readFileSync(at("wggo-psk-v4.pcap")))).toBe(true);
  });
  test("a session that there is not is said", () => {
    for (const how of [[], ["--inner"]]) {
      const r = tortie(["decrypt", at("wggo-psk-v4.pcap"), "--keys", keys, ...how, "--session", "7", "-w", join(directory, "none")]);
      expect([how, r.code, r.err]).toEqual([how, 1, expect.stringMatching(/the capture has no session 7/)]);
    }
  });
  test("--inner --session writes the packets of that session, and no others", () => {
    const [one, two] = [handshake(1), handshake(2)];
    const scene = new Scene().handshake(0, one).handshake(1, two);
    scene.add(2, A, B, data(one, "toResponder", 0, ping(11))).add(3, A, B, data(two, "toResponder", 0, ping(22)));
    const parts: Uint8Array[] = [];
    const writer = new PcapWriter((b) => void parts.push(b.slice()), { link: 101 });
    for (const p of scene.packets) writer.packet(0, { time: p.time!, data: p.data });
    const both = file("two.pcap", Buffer.concat(parts));
    const logs = file("two.keys", log.initiator(one) + log.initiator(two));
    for (const [session, inner] of [
      ["0", ping(11)],
      ["1", ping(22)],
    ] as const) {
      const out = join(directory, `inner-${session}.pcapng`);
      expect(tortie(["decrypt", both, "--keys", logs, "--inner", "--session", session, "-w", out]).code).toBe(0);
      expect(readCapture(readFileSync(out)).packets.map((p) => toHex(p.data))).toEqual([toHex(inner)]);
    }
    const r = tortie(["decrypt", both, "--keys", logs, "--strip-secrets", "--session", "0", "-w", join(directory, "none")]);
    expect([r.code, r.err]).toEqual([1, expect.stringMatching(/leave --session or --strip-secrets out/)]);
  });
  test("a file of keys that does not end is refused", () => {
    const r = tortie(["decrypt", at("wggo-psk-v4.pcap"), "--keys", "/dev/zero"]);
    expect([r.code, r.err]).toEqual([1, expect.stringMatching(/Cannot read the keys "\/dev\/zero": they are more than 16777216 bytes/)]);
  });
  test("nothing opened: nothing is written", () => {
    const out = join(directory, "none.pcapng");
    const r = tortie(["decrypt", at("wggo-psk-v4.pcap"), "-w", out]);
    expect(r.code).toBe(1);
    expect(r.err).toMatch(/no session opened/);
  });
  test("an inventory gives names to keys, also without any secret", () => {
    const r = tortie(["decrypt", at("leak-nodeA.pcap"), "--inventory", at("leak-inventory.json")]);
    expect(r.code).toBe(2);
    expect(r.out).toMatch(/the initiation \(packet 20\) is addressed to node-b \(ZWGD9mZyCObd2igyYG9qSEcnNZDVHB\+yp6y9Wx\+7ND4=\)/);
  });
  test("lines that nobody can use are named with their number, not with their contents", () => {
    const odd = file("odd.keys", `LOCAL_STATIC_KEY = ${"A".repeat(43)}=\nPRESHARED_KEY = short\n`);
    const r = tortie(["decrypt", at("wggo-psk-v4.pcap"), "--keys", odd]);
    expect(r.out).toMatch(/D8: .*odd\.keys line 1: "LOCAL_STATIC_KEY" is no kind of key/);
    expect(r.out).toMatch(/line 2: the key has 5 characters/);
    const inspected = tortie(["inspect", at("wggo-psk-v4.pcap"), "--keys", odd, "-c", "1"]);
    expect(inspected.err).toMatch(/^Note: .*odd\.keys line 1: "LOCAL_STATIC_KEY" is no kind of key.*\nNote: .* line 2: the key has 5 characters/);
  });
});

describe("tortie inspect", () => {
  test("lists, also from gzip, and shows outer and inner side by side", () => {
    const zipped = file("x.pcap.gz", gzipSync(readFileSync(at("wggo-psk-v4.pcap"))));
    const r = tortie(["inspect", zipped, "--keys", at("wggo-psk-v4.responder.keys")]);
    expect([r.code, r.err]).toEqual([0, ""]);
    expect(r.out.split("\n").filter((l) => /└─/.test(l)).length).toBe(22);
    expect(r.out).toMatch(/25 .* WireGuard 74 Keepalive, receiver=0x01718E58, counter=11/);
    const tree = tortie(["inspect", zipped, "--keys", at("wggo-psk-v4.responder.keys"), "--frame", "3", "-V", "--hex"]);
    expect(tree.out).toMatch(/^Internet Protocol Version 4, Src: 10\.77\.0\.1.* │ /m);
    expect(tree.out).toMatch(/ │ Internet Protocol Version 4, Src: 10\.78\.0\.1/);
    expect(tree.out).toMatch(/^Frame \(170 bytes\) +│ Decrypted Packet \(84 bytes\)$/m);
  });
  test("a damaged file: what could be read, where it broke, exit 1", () => {
    const r = tortie(["inspect", at("malformed/n_tail_mismatch.pcapng")]);
    expect([r.code, r.out.split("\n").length - 1]).toEqual([1, 1]);
    expect(r.err).toMatch(/damaged at byte 272, enhanced packet block: its two lengths differ/);
    expect(r.err).toMatch(/--salvage/);
    expect(tortie(["inspect", at("malformed/n_tail_mismatch.pcapng"), "--salvage"]).out.split("\n").length - 1).toBe(2);
  });
  test.for(["badmagic.pcap", "empty0.pcap", "trunc_hdr.pcap", "n_noidb.pcapng"])("%s is refused in a sentence", (name) => {
    const r = tortie(["inspect", at(`malformed/${name}`)]);
    expect([r.code, r.out]).toEqual([1, ""]);
    expect(r.err.length).toBeGreaterThan(10);
  });
  test("what is no capture at all is not called one without WireGuard; a file without keys is not called none", () => {
    const keys = file("none.keys", "hello\n");
    expect(tortie(["decrypt", at("malformed/badmagic.pcap"), "--keys", keys])).toMatchObject({
      code: 1,
      out: "",
      err: expect.stringMatching(/^Cannot read the capture .*no magic number/),
    });
    expect(tortie(["decrypt", at("wggo-psk-v4.pcap"), "--keys", keys]).out).toMatch(/none: there is no key in ".*none\.keys"/);
  });
  test("JSON has Wireshark's field names", () => {
    const document = JSON.parse(tortie(["inspect", at("leak-nodeA-rich.pcapng"), "-o", "json", "-Y", "wg.type == 1"]).out) as {
      packets: { fields: Record<string, string> }[];
    };
    expect(document.packets.length).toBe(1);
    expect(document.packets[0]!.fields).toMatchObject({
      "wg.type": "1",
      "wg.sender": "0x0d58212e",
      "wg.static": "i/vBw6RTH8KdJiWVSLXMVI6nYocXew48t3gzCWLTElo=",
    });
  });
  test("a file that is not there, a filter that is none", () => {
    expect(tortie(["inspect", "/nonexistent"]).err).toMatch(/there is no such file/);
    expect(tortie(["inspect", at("wggo-psk-v4.pcap"), "-Y", "wg.type =="]).err).toMatch(/Cannot use the display filter/);
  });
  test("names in a file cannot drive the terminal", () => {
    const evil = Buffer.from(readFileSync(at("leak-nodeA-rich.pcapng")));
    evil.write("\u001b[31mLEAK", evil.indexOf("LEAK pod"), "latin1");
    expect(tortie(["inspect", file("evil.pcapng", evil)]).out).not.toContain("\u001b");
  });
});

describe("tortie audit FILE", () => {
  const inventory = at("leak-inventory.json");
  test("finds what leaked: exit 2, by flow, with cause", () => {
    const r = tortie(["audit", at("leak-nodeA.pcap"), "--inventory", inventory]);
    expect(r.code).toBe(2);
    expect(r.out).toMatch(/Encrypted share: 47\.76 % of packets \(32 of 67\), 33\.92 % of bytes \(5280 of 15567\)/);
    expect(r.out).toMatch(/ROUTE_BYPASS: 7 packets, 8220 B, 3 flows[^]*10\.244\.1\.10 → 10\.244\.2\.20, native: 3 packets, 4068 B/);
    expect(r.out).toMatch(/Verdict: FAIL: 40 packets/);
    expect(JSON.parse(tortie(["audit", at("leak-nodeA.pcap"), "--inventory", inventory, "-o", "json"]).out)).toMatchObject({
      verdict: "FAIL",
      exitCode: 2,
      plain: { packets: 35, bytes: 10287 },
    });
  });
  test("cannot prove: exit 3, with the reason", () => {
    const r = tortie(["audit", at("leak-anyA-sll1.pcap"), "--inventory", inventory]);
    expect(r.code).toBe(3);
    expect(r.out).toMatch(/P5 {2}missing/);
  });
  test("-w marks the packets that leaked", () => {
    const out = join(directory, "marked.pcapng");
    tortie(["audit", at("leak-nodeA.pcap"), "--inventory", inventory, "-w", out]);
    const marked = tortie(["inspect", out, "-Y", 'frame.comment contains "LEAK"']);
    expect(marked.out.split("\n").filter((l) => /# LEAK (POD_TO_POD|ICMP_QUOTE) cause=/.test(l)).length).toBe(40);
  });
  test("no inventory, a broken one, a file that is none: a sentence, exit 1", () => {
    expect(tortie(["audit", at("leak-nodeA.pcap")])).toMatchObject({ code: 1 });
    expect(tortie(["audit", at("leak-nodeA.pcap"), "--inventory", file("bad.json", "{")]).err).toMatch(/Cannot read the inventory/);
    expect(tortie(["audit", at("leak-nodeA.pcap"), "--inventory", file("bad2.json", "{}")]).err).toMatch(/wireguardPort: must be a port/);
    expect(tortie(["audit", at("malformed/badmagic.pcap"), "--inventory", inventory]).code).toBe(1);
  });
});

// Passes: how often the command reads the capture; the last is the one that prints.
test.for<[passes: number, args: string[]]>([
  [1, ["tcpdump", "-r", "BIG"]],
  [1, ["inspect", "BIG"]],
  [1, ["tshark", "-r", "BIG"]],
  [2, ["decrypt", "BIG", "--keys", at("wggo-psk-v4.initiator.keys")]],
])("a reader that does not read holds the reading up, so that nothing gathers in memory: %$ %s", async ([passes, args]) => {
  const big = file("slow.pcap", manyTimes(readFileSync(at("wggo-psk-v4.pcap")), 4000));
  const named = args.map((a) => (a === "BIG" ? big : a));
  const child = spawn(process.execPath, [TORTIE, ...named], { stdio: ["ignore", "pipe", "ignore"] });
  const taken = (): number => Number(/^rchar: (\d+)$/m.exec(readFileSync(`/proc/${child.pid}/io`, "utf8"))![1]);
  try {
    child.stdout.pause();
    for (let before = -1, quiet = 0; quiet < 4;) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      const now = taken();
      quiet = now === before ? quiet + 1 : 0;
      before = now;
    }
    expect(child.exitCode).toBeNull();
    expect(taken()).toBeLessThan((passes - 0.5) * statSync(big).size);
    const ended = once(child, "exit");
    let lines = 0;
    for await (const piece of child.stdout) for (const byte of piece as Buffer) if (byte === 10) lines++;
    expect(lines).toBeGreaterThanOrEqual(22 * 4000);
    expect(await ended).toEqual([0, null]);
  } finally {
    child.kill();
  }
});

// Ten times as large as what it may take in memory: 2.6 GB of zeros, which are packets of no length.
describe("a packed capture that swells", () => {
  let bomb: string;
  beforeAll(async () => {
    bomb = join(directory, "bomb.pcap.gz");
    const zeros = Buffer.alloc(1 << 20);
    const all = function* (): Generator<Buffer> {
      yield readFileSync(at("malformed/ok.pcap")).subarray(0, 24);
      for (let i = 0; i < 2600; i++) yield zeros;
    };
    await pipeline(Readable.from(all()), createGzip({ level: 1 }), createWriteStream(bomb));
  });
  test.each([
    ["inspect", "BOMB"],
    ["tcpdump", "-r", "BOMB"],
    ["decrypt", "BOMB"],
  ])("%s: below 256 MB after five seconds, and SIGINT ends it", async (...args) => {
    const named = args.map((a) => (a === "BOMB" ? bomb : a));
    const child = spawn(process.execPath, [TORTIE, ...named], { stdio: ["ignore", "ignore", "ignore"] });
    const ended = once(child, "exit");
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 5000))]);
    expect(child.exitCode).toBeNull();
    const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
    child.kill("SIGINT");
    expect(Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)![1])).toBeLessThan(256 << 10);
    expect((await ended)[0] ?? "signal").not.toBe(0);
  });
});

describe("tortie keylog that cannot be begun", () => {
  const impossible = tortie(["keylog", "--kernel", "--check"]).code === 2;
  test.for<[string, string[]]>([
    ["a device that there is not", ["-i", "no-such-device"]],
    ...(impossible ? [["a kernel that cannot be asked", ["--kernel"]] satisfies [string, string[]]] : []),
  ])("makes no file, and leaves one as it is: %s", ([, words]) => {
    const absent = join(directory, "absent.keys");
    expect(tortie(["keylog", ...words, "-w", absent])).toMatchObject({ code: 1, err: expect.not.stringMatching(/KEY LOG ON/) });
    expect(existsSync(absent)).toBe(false);
    const kept = file("kept.keys", "# before\n");
    tortie(["keylog", ...words, "-w", kept]);
    expect(readFileSync(kept, "utf8")).toBe("# before\n");
  });
});

test.for<[string, string[], string]>([
  ["a packet beyond the last", ["inspect", "FILE", "--frame", "999"], "Cannot show packet 999: the capture has 25"],
  ["a table as tshark's JSON", ["inspect", "FILE", "-z", "sessions", "-T", "json"], "Cannot print a table of -z as json"],
  ["options of fields without fields", ["inspect", "FILE", "-E", "header=y"], "Cannot use -E: it is for -T fields"],
  ["a directory that there is not", ["decrypt", "FILE", "-w", "/no/such/x"], 'Cannot write "/no/such/x": there is no directory "/no/such"'],
  ["a directory instead of a file", ["decrypt", "FILE", "-w", tmpdir()], `Cannot write "${tmpdir()}": it is a directory`],
])("refused in words: %s", ([, words, sentence]) => {
  const r = tortie(words.map((w) => (w === "FILE" ? at("wggo-psk-v4.pcap") : w)));
  expect([r.code, r.out, r.err.split("\n")[0]]).toEqual([1, "", sentence]);
});

test("every command has help with examples", () => {
  for (const command of ["capture", "inspect", "decrypt", "audit"]) {
    const r = tortie([command, "--help"]);
    expect([command, r.code, /Examples:/.test(r.out)]).toEqual([command, 0, true]);
  }
});

test("called as tshark it prints tshark's lines", () => {
  const script = `process.argv = [process.argv[0], "tshark", "-r", ${JSON.stringify(at("wggo-psk-v4.pcap"))}]; await import(${JSON.stringify(TORTIE)});`;
  const r = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  expect(r.stdout.split("\n")[0]).toMatch(/^ +1 +0\.000000 +10\.77\.0\.1 → 10\.77\.0\.2 +WireGuard 190 Handshake Initiation, sender=0x3D46C786$/);
});
