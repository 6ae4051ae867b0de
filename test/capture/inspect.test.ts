// `tortie inspect` as it is called: filters, forms of printing, tables, and who stops reading.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeWith, find } from "../peers.ts";

const TORTIE = new URL("../../dist/cli/main.js", import.meta.url).pathname;
const at = (name: string): string => new URL(`../captures/${name}`, import.meta.url).pathname;
const inspect = (...args: string[]): { code: number | null; out: string; err: string } => {
  const r = spawnSync(process.execPath, [TORTIE, "inspect", ...args], { encoding: "utf8", maxBuffer: 1 << 28 });
  return { code: r.status, out: r.stdout, err: r.stderr };
};
const lines = (...args: string[]): string[] =>
  inspect(...args)
    .out.split("\n")
    .slice(0, -1);
let directory: string;
beforeAll(() => (directory = mkdtempSync(join(tmpdir(), "tortie-inspect-"))));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const RICH = at("leak-nodeA-rich.pcapng");

test("a filter that is none: the place, the nearest names, exit 1, nothing read", () => {
  const r = inspect("/nonexistent", "-Y", "wg and ip.adr == 1");
  expect([r.code, r.out]).toEqual([1, ""]);
  expect(r.err).toBe(
    'Cannot use the display filter: "ip.adr" is no field or protocol that is known here: did you mean ip.addr, ip.id?\nwg and ip.adr == 1\n       ^^^^^^\n',
  );
});

test("-T fields with -E, -c and -r", () => {
  const fields = ["-T", "fields", "-e", "frame.number", "-e", "ip.src", "-e", "wg.counter"];
  expect(
    lines("-r", RICH, ...fields, "-Y", "wg.type == 4", "-c", "2", "-E", "header=y", "-E", "separator=,", "-E", "occurrence=l", "-E", "quote=d"),
  ).toEqual(["frame.number,ip.src,wg.counter", '"22","10.244.1.10","0"', '"23","10.244.2.20","0"']);
  expect(lines(RICH, ...fields, "-Y", "wg.type == 4", "-c", "1", "-E", "aggregator=/s")).toEqual(["22\t10.77.0.1 10.244.1.10\t0"]);
  expect(inspect(RICH, "-T", "fields", "-e", "wg.countr")).toMatchObject({ code: 1, err: expect.stringMatching(/no such field.*\n.*wg\.counter/) });
  expect(inspect(RICH, "-T", "fields", "-e", "wg.counter", "-E", "color=y").err).toMatch(/Cannot use -E "color"/);
  expect(inspect(RICH, "-T", "pdml").err).toMatch(/Cannot print as "pdml": text, fields, json or ek/);
});

test("a list without keys, which one reading makes, is that of two", () => {
  const none = join(directory, "none.keys");
  writeFileSync(none, "# no key\n", { mode: 0o600 });
  const filters = [
    "",
    "wg.type in {1, 2} || wg.counter > 3",
    "ip.addr == 10.244.0.0/16 && frame.number > 2",
    "wg.stream == 0",
    "wg.session.number == 1",
  ];
  let shown = 0;
  for (const name of ["leak-nodeA.pcap", "wggo-psk-v4-midsession.pcap", "gso-superdatagram.pcap", "leak-nodeA-rich.pcapng"])
    for (const filter of filters) {
      const one = inspect(at(name), "-Y", filter);
      expect([name, filter, one]).toEqual([name, filter, inspect(at(name), "-Y", filter, "--keys", none)]);
      shown += one.out.length;
    }
  expect(shown).toBeGreaterThan(10_000);
});

test("names: of the file in lines, of an inventory in filters", () => {
  expect(lines(RICH, "-Y", "frame.number == 10")[0]).toMatch(/client\.default → server\.default +ICMP 98/);
  const inventory = at("leak-inventory.json");
  const all = lines(RICH, "--inventory", inventory, "-Y", "k8s.pod", "-T", "fields", "-e", "k8s.pod", "-e", "k8s.node");
  expect(all.length).toBeGreaterThan(30);
  expect(all[0]!.split("\t").every((c) => c.includes(","))).toBe(true);
  expect(inspect(RICH, "--inventory", inventory, "-Y", 'k8s.node == "node-a" && !k8s.pod').code).toBe(0);
});

test("the class of an audit is a field of the packets that it marked", () => {
  const marked = join(directory, "marked.pcapng");
  spawnSync(process.execPath, [TORTIE, "audit", at("leak-nodeA.pcap"), "--inventory", at("leak-inventory.json"), "-w", marked]);
  expect(lines(marked, "-Y", 'audit.class == "ICMP_QUOTE"', "-T", "fields", "-e", "frame.number")).toEqual(["86", "88", "90", "92", "94"]);
});

describe("-z", () => {
  const REKEY = at("wggo-rekey-any-sll2.pcap");
  test("sessions: what became of each, and the doctor's reason", () => {
    const r = inspect(at("wggo-psk-v4.pcap"), "-z", "wg,sessions");
    expect(r.out).toMatch(/^ +0 +10\.77\.0\.1:51820 +10\.77\.0\.2:51820 .* yes +0\.6 ms +22 +1 +0 +0$/m);
    expect(r.out).toMatch(/not opened \(D4\): .*\n {2}needed: /);
    const document = JSON.parse(inspect(at("wggo-psk-v4.pcap"), "--keys", at("wggo-psk-v4.initiator.keys"), "-z", "sessions", "-o", "json").out) as {
      sessions: unknown[];
    };
    expect(document.sessions).toMatchObject([{ session: 0, data: 22, keepalives: 1, opened: 22, lost: 0, diagnosis: null }]);
  });
  test("peers: handshakes, roaming, alarms", () => {
    const { out } = inspect(REKEY, "-z", "peers");
    expect(out).toMatch(/7 sessions, handshakes 2 ok and 5 without an answer/);
    expect(out).toMatch(/roamed: .* to \[fd77::1\]:51999 in packet 163 \(not proven: no key opens it\)/);
    expect(out).toMatch(/look: 5 initiations .* none of them was answered/);
  });
  test("timeline: marks, bars, dots, within the width", () => {
    const out = lines(REKEY, "-z", "timeline");
    expect(out.find((l) => l.startsWith("  handshakes"))).toMatch(/^ {2}handshakes {2}> +> +x +x +x +x *x$/);
    expect(out.find((l) => l.startsWith("  session 1"))).toMatch(/^ {2}session 1 {3} +\.=+\..*\|$/);
  });
  test("loss: a message taken out is a counter lost", () => {
    const bytes = readFileSync(at("wggo-psk-v4.pcap"));
    // The seventh record is a message to the responder; it is cut out.
    const records: Buffer[] = [];
    for (let from = 24; from < bytes.length;) {
      const end = from + 16 + bytes.readUInt32LE(from + 8);
      records.push(bytes.subarray(from, end));
      from = end;
    }
    const path = join(directory, "lost.pcap");
    writeFileSync(path, Buffer.concat([bytes.subarray(0, 24), ...records.filter((_, i) => i !== 6)]));
    const { directions } = JSON.parse(inspect(path, "-z", "loss", "-o", "json").out) as { directions: { way: string; lost: number; gaps: number }[] };
    expect(directions.map((d) => [d.way, d.lost, d.gaps])).toEqual([
      ["toResponder", 1, 1],
      ["toInitiator", 0, 0],
    ]);
  });
  test("no WireGuard, no such table", () => {
    expect(inspect(at("leak-wgA-raw-nano.pcap"), "-z", "peers").out).toBe("There is no WireGuard in this capture.\n");
    expect(inspect(REKEY, "-z", "io").err).toMatch(/-z takes one of sessions, peers, timeline, loss/);
  });
});

test("standard input is read like a file; whoever stops reading stops it", async () => {
  const bytes = readFileSync(at("wggo-psk-v4.pcap"));
  const piped = spawnSync(process.execPath, [TORTIE, "inspect", "-", "-Y", "icmp", "--keys", at("wggo-psk-v4.initiator.keys")], {
    input: bytes,
    encoding: "utf8",
  });
  expect([piped.status, piped.stdout.split("\n").filter((l) => l.includes("└─")).length]).toEqual([0, 10]);
  const many = join(directory, "many.pcap");
  writeFileSync(many, Buffer.concat([bytes.subarray(0, 24), ...Array.from({ length: 4000 }, () => bytes.subarray(24))]));
  const child = spawn(process.execPath, [TORTIE, "inspect", many, "-V"], { stdio: ["ignore", "pipe", "pipe"] });
  let err = "";
  child.stderr.on("data", (d: Buffer) => (err += d.toString()));
  child.stdout.once("data", () => child.stdout.destroy());
  const [code] = (await once(child, "exit")) as [number | null];
  expect([code, err]).toEqual([0, ""]);
});

describeWith(["tshark"], "as tshark prints", () => {
  const tshark = (...args: string[]): string =>
    execFileSync(find("tshark")!, args, { encoding: "utf8", env: { ...process.env, TZ: "UTC" }, stdio: ["ignore", "pipe", "ignore"] });
  const json = (text: string): { _source: { layers: unknown }; _index: string }[] => JSON.parse(text) as [];
  const NAMES = [
    "frame.number",
    "frame.time_epoch",
    "eth.src",
    "ip.src",
    "ip.ttl",
    "udp.port",
    "wg.type",
    "wg.receiver",
    "wg.mac1",
    "tcp.flags",
    "icmp.resptime",
    "frame.protocols",
  ];
  const fields = NAMES.slice(0, -1).flatMap((n) => ["-e", n]);
  test("-T fields and its -E", () => {
    for (const more of [
      [],
      ["-E", "header=y", "-E", "separator=;", "-E", "quote=s"],
      ["-E", "occurrence=f"],
      ["-E", "occurrence=l", "-E", "aggregator=/s"],
    ])
      expect(inspect(RICH, "-T", "fields", ...fields, ...more).out).toBe(tshark("-r", RICH, "-T", "fields", ...fields, ...more));
  });
  test("-T json -e", () => {
    const mine = json(inspect(RICH, "-T", "json", ...fields, "-Y", "wg").out);
    expect(mine).toEqual(json(tshark("-r", RICH, "-T", "json", ...fields, "-Y", "wg")));
  });
  test("-T ek", () => {
    const [index, document] = lines(at("leak-nodeA.pcap"), "-T", "ek", "-Y", "icmp and not wg", "-c", "1").map(
      (l) => JSON.parse(l) as { timestamp: string; layers: Record<string, object> },
    );
    const [itsIndex, its] = tshark("-r", at("leak-nodeA.pcap"), "-T", "ek", "-Y", "icmp and not wg")
      .split("\n")
      .slice(0, 2)
      .map((l) => JSON.parse(l) as { timestamp: string; layers: Record<string, object> });
    expect(index).toEqual(itsIndex);
    expect(document!.timestamp).toBe(its!.timestamp);
    for (const layer of ["frame", "ip"]) expect([layer, document!.layers[layer]]).toEqual([layer, its!.layers[layer]]);
  });
});
