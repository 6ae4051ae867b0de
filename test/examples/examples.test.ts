// The examples, run as a user runs them: against the built package, through its public names.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readCapture } from "../../src/capture/reader.ts";
import { eventually, Host, type Spawned } from "../device/host.ts";
import { answers, newKey, publicOf, WG } from "../device/tunnel.ts";
import { describeRoot, find } from "../peers.ts";

// With whole paths: nsenter(1) starts it in the root directory.
const path = (name: string): string => new URL(`../../examples/${name}.ts`, import.meta.url).pathname;
const example = (name: string, ...args: string[]): string[] => [process.execPath, "--import", import.meta.resolve("tsx"), path(name), ...args];
const has = (s: Spawned, words: string | RegExp): Promise<string> =>
  eventually(() => {
    if (s.child.exitCode !== null) throw new Error(`it ended: ${s.output()}`);
    expect(s.output()).toMatch(words);
    return s.output();
  });

test("two-tunnels.ts: a handshake and an IP packet, in memory, in 20 lines", () => {
  const [program, ...args] = example("two-tunnels");
  const lines = execFileSync(program!, args, { encoding: "utf8" }).trim().split("\n");
  expect(lines).toEqual([
    "a → b: message of type 1, 148 bytes",
    "b → a: message of type 2, 92 bytes",
    "a → b: message of type 4, 80 bytes",
    "arrived: hello",
  ]);
  const code = readFileSync(path("two-tunnels"), "utf8").split("\n");
  expect(code.filter((line) => line !== "" && !line.startsWith("//") && !line.startsWith("import")).length).toBeLessThanOrEqual(20);
});

/** Runs an example to its end. */
function run(name: string, ...args: string[]): { code: number | null; lines: string[] } {
  const [program, ...rest] = example(name, ...args);
  const { status, stdout, stderr } = spawnSync(program!, rest, { encoding: "utf8" });
  expect(stderr).toBe("");
  return { code: status, lines: stdout.trim().split("\n") };
}
const captured = (name: string): string => new URL(`../captures/${name}`, import.meta.url).pathname;

test("open-capture.ts: what is inside a capture, in 20 lines; and why one does not open", () => {
  const opened = run("open-capture", captured("wggo-psk-v4.pcap"), captured("wggo-psk-v4.initiator.keys"));
  expect(opened.code).toBe(0);
  expect(opened.lines.filter((l) => /^\d+ \S+ → \S+ /.test(l)).length).toBe(22);
  expect(opened.lines.at(-1)).toMatch(/^session 0: .*22 of 22 data packets/);
  expect(run("open-capture", captured("wggo-psk-v4.pcap")).lines.at(-1)).toMatch(/^session 0: .*ephemeral/);
  const code = readFileSync(path("open-capture"), "utf8").split("\n");
  expect(code.filter((line) => line !== "" && !line.startsWith("//") && !line.startsWith("import")).length).toBeLessThanOrEqual(20);
});

test("leak-audit.ts: frames that leak, and a verdict that is the exit code", () => {
  const { code, lines } = run("leak-audit", captured("leak-nodeA-rich.pcapng"), captured("leak-inventory.json"), "node-a");
  expect(lines.at(-1)).toMatch(/^FAIL: [1-9][0-9]* flows of pods unencrypted$/);
  expect(lines.filter((l) => /^packet \d+: /.test(l)).length).toBeGreaterThan(10);
  expect(code).toBe(2);
});

test("annotate.ts: a pcapng whose comments say what is inside, and that holds no key", () => {
  const directory = mkdtempSync(join(tmpdir(), "tortie-test-"));
  try {
    const output = join(directory, "annotated.pcapng");
    run("annotate", captured("wggo-psk-v4.pcap"), captured("wggo-psk-v4.initiator.keys"), output);
    const file = readCapture(readFileSync(output));
    const original = readCapture(readFileSync(captured("wggo-psk-v4.pcap")));
    expect(file.packets.map((p) => [p.time, p.data])).toEqual(original.packets.map((p) => [p.time, p.data]));
    expect(file.packets.filter((p) => p.comments.some((c) => c.startsWith("inside: "))).length).toBe(22);
    expect(file.secrets).toEqual([]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

describeRoot("examples with a real device", () => {
  let hosts: Host[] = [];
  const directory = mkdtempSync(join(tmpdir(), "tortie-test-"));
  const keyFile = (key: string): string => {
    const path = join(directory, `key-${publicOf(key).slice(0, 8).replaceAll("/", "_")}`);
    writeFileSync(path, `${key}\n`, { mode: 0o600 });
    return path;
  };
  beforeAll(async () => {
    hosts = [await Host.create(), await Host.create()];
    Host.join(hosts[0]!, "eth0", ["192.0.2.1/24"], hosts[1]!, "eth0", ["192.0.2.2/24"]);
  });
  afterAll(async () => {
    await Promise.all(hosts.map((h) => h.close()));
    rmSync(directory, { recursive: true });
  });

  const programs = ["tortie", ...[find("wireguard-go")].filter((p) => p !== undefined)];
  test.each(programs)("userspace-peer.ts: a peer without a link answers pings and echoes UDP, its peer being %s", async (program) => {
    const [a, b] = hosts as [Host, Host];
    const [device, own] = [newKey(), newKey()];
    const running = await a.device(program, "wg0");
    a.run(WG, "set", "wg0", "listen-port", "51820", "private-key", keyFile(device), "peer", publicOf(own), "allowed-ips", "10.77.0.2/32");
    a.run("ip", "addr", "replace", "10.77.0.1/24", "dev", "wg0");
    a.run("ip", "link", "set", "wg0", "up");
    const peer = b.spawn(example("userspace-peer", keyFile(own), publicOf(device), "192.0.2.1:51820", "10.77.0.2"));
    await has(peer, `public key ${publicOf(own)}, 10.77.0.2, UDP port`);
    // It speaks first (keepalive): the device learns from that where it is.
    await eventually(() => expect(a.run(WG, "show", "wg0", "endpoints")).toContain("192.0.2.2:"));
    answers({ host: a }, "10.77.0.2", 5);
    const ask = `const s = require("dgram").createSocket("udp4"); s.on("message", (m) => (console.log(String(m)), s.close()));
      s.send("to and fro", 7, "10.77.0.2");`;
    expect(a.run(process.execPath, "-e", ask).trim()).toBe("to and fro");
    peer.child.kill("SIGKILL");
    running.child.kill("SIGTERM");
    await Promise.all([peer.exit, running.exit]);
  });

  test("device.ts: a program's own device works under wg(8) and is gone with the program", async () => {
    const host = hosts[0]!;
    const key = newKey();
    const program = host.spawn(example("device", "wg1", keyFile(key), "51821"));
    await has(program, "wg1 runs");
    expect(host.run(WG, "show", "wg1", "public-key").trim()).toBe(publicOf(key));
    host.run(WG, "set", "wg1", "peer", publicOf(newKey()), "endpoint", "192.0.2.2:1", "allowed-ips", "10.78.0.0/24");
    await has(program, "rx 0 tx");
    program.child.kill("SIGINT");
    expect(await program.exit).toBe(0);
    expect(program.output()).toContain("wg1 has ended");
    expect(program.output()).not.toContain(key);
    expect(() => host.run("ip", "link", "show", "wg1")).toThrow("does not exist");
    expect(existsSync(host.controlSocket("wg1"))).toBe(false);
  });
});
