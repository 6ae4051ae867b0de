// Live captures between two devices: with keys, also under load (super-datagrams), with and without a pre-shared key.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { follow } from "../../src/capture/fixtures.cases.ts";
import { readCapture } from "../../src/capture/reader.ts";
import { eventually, type Spawned } from "../device/host.ts";
import { answers, type End, IF, inner, ping, tunnel, type Tunnel } from "../device/tunnel.ts";
import { describeRoot, describeWith, find, TORTIE } from "../peers.ts";

let directory: string;
beforeAll(() => (directory = mkdtempSync(join(tmpdir(), "tortie-live-"))));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Starts `tortie capture` on a host; resolves when it listens. */
async function capture(end: End, ...args: string[]): Promise<Spawned & { stop(): Promise<void> }> {
  const running = end.host.spawn([process.execPath, TORTIE, "capture", "-i", "eth0", ...args]);
  await eventually(() => {
    if (!/^listening on/m.test(running.output())) throw new Error(`not yet: ${running.output()}`);
  });
  return {
    ...running,
    stop: async () => {
      running.child.kill("SIGINT");
      await running.exit;
    },
  };
}
const tsharkOf = (path: string, filter: string): number =>
  execFileSync(find("tshark")!, ["-r", path, "-Y", filter], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).split("\n").length - 1;

describeRoot("tortie capture", () => {
  describe.for([
    ["IPv4 outside", { outer: 4, psk: false }],
    ["IPv6 outside, with a pre-shared key", { outer: 6, psk: true }],
  ] as const)("%s", ([name, options]) => {
    let t: Tunnel;
    const captures: string[] = [];
    beforeAll(async () => {
      t = await tunnel(options);
      t.configure();
      expect(ping(t.a, inner(2, 4))).toBe(3);
    });
    afterAll(() => t.close());

    test("--keys on a running tunnel gives a file that opens by itself, on either side", async () => {
      for (const [end, other] of [
        [t.a, 2],
        [t.b, 1],
      ] as const) {
        const path = join(directory, `${name}-${other}.pcapng`);
        const c = await capture(end, "--keys", "-w", path, "udp", "port", "51820");
        await eventually(() => expect(ping(end, inner(other, 4), 5)).toBe(5));
        await c.stop();
        expect(c.output()).toMatch(/[0-9]+ packets captured into .* 0 dropped by the kernel\nKeys of [1-9]/);
        expect(statSync(path).mode & 0o777).toBe(0o600);
        const file = readCapture(readFileSync(path));
        const { tracker } = follow(file);
        const opened = tracker.sessions.filter((s) => s.answered?.kind === "open");
        const count = (what: "transport" | "decrypted"): number =>
          opened.reduce((n, s) => n + s.counts.toResponder[what] + s.counts.toInitiator[what], 0);
        expect(count("decrypted")).toBeGreaterThanOrEqual(10);
        expect(count("decrypted")).toBe(count("transport"));
        expect(file.statistics[0]).toMatchObject({ osDropped: 0n, delivered: BigInt(file.packets.length) });
        captures.push(path);
      }
    });

    test("bulk data is cut into its messages, which open", async () => {
      const path = join(directory, `${name}-bulk.pcapng`);
      const c = await capture(t.a, "--keys", "-w", path, "udp", "port", "51820");
      const receive = `require("net").createServer((s)=>{let n=0;s.on("data",(d)=>n+=d.length).on("end",()=>{s.end(String(n));process.exit(0)})}).listen(7000,"${inner(2, 4)}",()=>console.log("up"))`;
      const server = t.b.host.spawn([process.execPath, "-e", receive]);
      await eventually(() => expect(server.output()).toMatch(/up/));
      const send = `const s=require("net").connect(7000,"${inner(2, 4)}",()=>{s.end(Buffer.alloc(3e6,7))});s.on("data",(d)=>console.log(String(d)))`;
      expect((await t.a.host.runAsync(process.execPath, "-e", send)).trim()).toBe("3000000");
      await c.stop();
      const file = readCapture(readFileSync(path));
      const { tracker } = follow(file);
      const { toResponder, toInitiator } = tracker.sessions.find((s) => s.answered?.kind === "open")!.counts;
      expect(toResponder.bytes + toInitiator.bytes).toBeGreaterThan(3_000_000);
      expect(toResponder.decrypted + toInitiator.decrypted).toBe(toResponder.transport + toInitiator.transport);
      expect(Math.max(...file.packets.map((p) => p.data.length))).toBeLessThan(1600);
      captures.push(path);
    });

    describeWith(["tshark"], "the real tshark, with no set-up", () => {
      test("opens each of these files: keys stand before the first packet that needs them", () => {
        expect(captures.length).toBe(3);
        for (const path of captures) {
          expect(tsharkOf(path, "icmp or tcp")).toBeGreaterThanOrEqual(10);
          expect(tsharkOf(path, "wg.decryption_error")).toBe(0);
        }
      });
    });

    test("prints outer and inner line", async () => {
      const c = await capture(t.a, "--keys");
      await eventually(() => expect(ping(t.a, inner(2, 6), 3)).toBe(3));
      await eventually(() => {
        expect(c.output()).toMatch(/WireGuard [0-9]+ Transport Data, receiver=0x/);
        expect(c.output()).toMatch(/└─.*ICMPv6 [0-9]+ Echo \(ping\) request/);
      });
      await c.stop();
    });
  });

  describe("without keys", () => {
    let t: Tunnel;
    beforeAll(async () => {
      t = await tunnel();
      t.configure();
    });
    afterAll(() => t.close());
    /** Pings, all of which are answered. */
    const flood = (count: number, ...more: string[]): void => answers(t.a, inner(2, 4), count, "-f", "-i", "0", ...more);

    test("every packet that passed is in the file: counters of data messages have no gap", async () => {
      const path = join(directory, "many.pcapng");
      const c = await capture(t.a, "-w", path, "udp port 51820");
      flood(5000);
      await c.stop();
      const { tracker } = follow(readCapture(readFileSync(path)));
      const { toResponder, toInitiator } = tracker.sessions.at(-1)!.counts;
      expect(toResponder.transport).toBe(5000);
      expect(toInitiator.transport).toBe(5000);
      expect(c.output()).toMatch(/ 0 dropped by the kernel/);
    });
    test("-c stops after so many, pcap is written on request", async () => {
      const path = join(directory, "few.pcap");
      const c = await capture(t.a, "-c", "4", "--format", "pcap", "-w", path, "icmp or udp port 51820");
      t.a.host.run("ping", "-q", "-i", "0.05", "-c", "5", inner(2, 4));
      await c.exit;
      const file = readCapture(readFileSync(path));
      expect([file.format, file.packets.length, file.damage]).toEqual(["pcap-ns", 4, []]);
    });
    test.for<[string[], RegExp]>([
      [["-i", "eth0", "udp", "51820"], /did you mean `udp port 51820`/],
      [["-i", "nowhere"], /Cannot capture on "nowhere": there is no such interface/],
      [["-i", "eth0", "--keys", "--device", "wg9"], /wg9/],
      [["-i", "eth0", "-w", "/nonexistent/x.pcapng"], /Cannot write "\/nonexistent\/x.pcapng"/],
      [["-i", "eth0", "--keys", "--format", "pcap", "-w", "x"], /only pcapng holds them/],
      [["-i", "eth0", "-c", "0"], /whole number/],
      [["-i", "eth0", "-i", "lo", "--format", "pcap", "-w", "/dev/null"], /only pcapng tells them apart/],
      [["-i", "eth0", "-C", "1", "-w", "-"], /need -w FILE/],
      [["-i", "eth0", "-W", "1", "-w", "/dev/null"], /-C or -G says when/],
      [["-i", "eth0", "-f", "udp", "tcp"], /two filters/],
      [[], /interface/],
    ])("%j is refused in words", async ([args, words]) => {
      const c = t.a.host.spawn([process.execPath, TORTIE, "capture", ...args]);
      expect(await c.exit).toBe(1);
      expect(c.output()).toMatch(words);
      expect(c.output()).not.toMatch(/\n\s+at /);
    });
    test("a full disk ends it in words; a device file keeps its mode", async () => {
      const before = statSync("/dev/full").mode;
      const c = t.a.host.spawn([process.execPath, TORTIE, "capture", "-i", "eth0", "-w", "/dev/full"]);
      expect(await c.exit).toBe(1);
      expect(c.output()).toMatch(/Cannot write "\/dev\/full": no space left on device/);
      expect(c.output()).not.toMatch(/\n\s+at /);
      expect(statSync("/dev/full").mode).toBe(before);
    });
    test("several interfaces in one file, in order of time, each with its counters; SIGTERM writes what there is", async () => {
      const path = join(directory, "several.pcapng");
      const c = t.a.host.spawn([process.execPath, TORTIE, "capture", "-i", "eth0", "-i", IF, "-w", path, "icmp or udp port 51820"]);
      await eventually(() => expect(c.output()).toMatch(/^listening on eth0, /m));
      flood(500);
      c.child.kill("SIGTERM");
      expect(await c.exit).toBe(0);
      const file = readCapture(readFileSync(path));
      expect(file.interfaces.map((i) => [i.name, i.link])).toEqual([
        ["eth0", 1],
        [IF, 101],
      ]);
      const times = file.packets.map((p) => p.time!);
      expect(times).toEqual(times.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
      const counts = [0, 1].map((id) => file.packets.filter((p) => p.iface.id === id).length);
      expect(counts[1]).toBe(1000);
      expect(counts[0]).toBeGreaterThanOrEqual(1000);
      expect(file.statistics.map((s) => [s.accepted, s.osDropped, s.delivered])).toEqual(counts.map((n) => [BigInt(n), 0n, BigInt(n)]));
      expect(c.output()).toMatch(new RegExp(`  ${IF}: 1000 passed the filter, 0 dropped`));
    });
    test("-C and -W keep the last files of a size; each is whole, none is left half", async () => {
      const ring = join(directory, "ring");
      mkdirSync(ring);
      const c = await capture(t.a, "-w", join(ring, "r.pcapng"), "-C", "1", "-W", "3", "icmp or udp port 51820");
      for (let i = 0; i < 3; i++) t.a.host.run("ping", "-q", "-f", "-s", "1300", "-c", "1000", inner(2, 4));
      await c.stop();
      const names = readdirSync(ring).toSorted((a, b) => a.localeCompare(b));
      expect(names).toEqual(["r-0.pcapng", "r-1.pcapng", "r-2.pcapng"]);
      const taken = Number(/(\d+) packets captured/.exec(c.output())![1]);
      const files = names.map((n) => readCapture(readFileSync(join(ring, n))));
      for (const [i, f] of files.entries()) {
        expect(statSync(join(ring, names[i]!)).size).toBeLessThan(1_000_000 + 1000);
        expect([f.damage, f.statistics[0]!.delivered]).toEqual([[], BigInt(f.packets.length)]);
      }
      // What is there is the last part, without a gap.
      const { tracker } = follow({
        ...files[0]!,
        packets: files.toSorted((a, b) => Number(a.packets[0]!.time! - b.packets[0]!.time!)).flatMap((f) => f.packets),
      });
      const { toResponder, toInitiator } = tracker.sessions.at(-1)!.counts;
      expect(toResponder.transport + toInitiator.transport).toBeLessThan(taken);
      expect(toResponder.transport + toInitiator.transport).toBeGreaterThan(1000);
    });
    test("-G and -W: so many files of so many seconds, then it ends by itself, also when nothing comes", async () => {
      const timed = join(directory, "timed");
      mkdirSync(timed);
      const c = t.a.host.spawn([process.execPath, TORTIE, "capture", "-i", "lo", "-w", join(timed, "t.pcapng"), "-G", "1", "-W", "2"]);
      expect(await c.exit, c.output()).toBe(0);
      expect(readdirSync(timed).toSorted((a, b) => a.localeCompare(b))).toEqual(["t-0.pcapng", "t-1.pcapng"]);
    });
    test("--snaplen-data: handshakes whole, of data the beginning, also of super-datagrams", async () => {
      const path = join(directory, "cut.pcapng");
      const c = await capture(t.a, "--keys", "--snaplen-data", "96", "-w", path, "udp port 51820");
      flood(500, "-s", "1300");
      await c.stop();
      const file = readCapture(readFileSync(path));
      const { tracker } = follow(file);
      const session = tracker.sessions.find((s) => s.answered?.kind === "open")!;
      expect(session.counts.toResponder.transport + session.counts.toInitiator.transport).toBeGreaterThanOrEqual(1000);
      expect(Math.max(...file.packets.filter((p) => p.originalLength > 300).map((p) => p.data.length))).toBe(96);
      expect(file.packets.filter((p) => p.originalLength === 190).every((p) => p.data.length === 190)).toBe(true);
    });
    test("-w - into a program that reads it, which may go away", async () => {
      const c = t.a.host.spawn([
        "sh",
        "-c",
        `${process.execPath} ${TORTIE} capture -i eth0 -w - icmp or udp port 51820 | head -c 2000 | wc -c; echo over`,
      ]);
      await eventually(() => expect(c.output()).toMatch(/^listening/m));
      await eventually(() => {
        t.a.host.run("ping", "-q", "-f", "-c", "50", inner(2, 4));
        expect(c.output()).toMatch(/over/);
      });
      expect(await c.exit).toBe(0);
      expect(c.output()).toMatch(/^2000$/m);
      expect(c.output()).not.toMatch(/EPIPE|Cannot/);
    });
    test("SIGUSR1 tells the counters; -e and -x print more", async () => {
      const c = await capture(t.a, "-e", "-x", "icmp or udp port 51820");
      t.a.host.run("ping", "-q", "-c", "1", inner(2, 4));
      await eventually(() =>
        expect(c.output()).toMatch(/([0-9a-f]{2}:){5}[0-9a-f]{2} > .* Transport Data, receiver=.*\n +0000 {2}([0-9a-f]{2} ){15}/),
      );
      c.child.kill("SIGUSR1");
      await eventually(() => expect(c.output()).toMatch(/^[0-9]+ packets captured, [0-9]+ passed the filter, 0 dropped/m));
      await c.stop();
    });
    test("the word `wireguard` means the device's own port too, whatever stands in the packet", async () => {
      t.a.host.run("wg", "set", IF, "listen-port", "40404");
      const path = join(directory, "ports.pcapng");
      const c = await capture(t.a, "-w", path, "wireguard");
      const say = (port: number): string => `const s = require("dgram").createSocket("udp4"); s.send("hello", ${port}, "192.0.2.2", () => s.close())`;
      for (const port of [40404, 40405]) t.a.host.run(process.execPath, "-e", say(port));
      await c.stop();
      const ports = readCapture(readFileSync(path))
        .packets.filter((p) => p.originalLength === 47)
        .map((p) => (p.data[36]! << 8) | p.data[37]!);
      expect(ports).toEqual([40404]);
    });
    test("the device is found by itself", () => expect(t.a.host.run("ls", "/run/wireguard").trim()).toBe(`${IF}.sock`));
  });
});
