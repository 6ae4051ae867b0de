// Upgrade without loss: a running device hands everything to its successor while packets flow in both directions.
import { existsSync, statSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { once } from "node:events";
import { expect, test } from "vitest";
import { describeRoot, describeWith, find, TORTIE } from "../peers.ts";
import { eventually, Host, type Spawned } from "./host.ts";
import { stream } from "./stream.ts";
import { answers, type End, IF, inner, newKey, newPsk, publicOf, show, type Tunnel, tunnel, type TunnelOptions, uapi, WG } from "./tunnel.ts";
import { repeatedNonces, watchWire } from "./wire.ts";

const DEBIAN = "/usr/bin/wireguard-go";
const current = find("wireguard-go");
const peers = [
  { name: "ours", program: "tortie", env: {} },
  { name: "ours, with two data threads each", program: "tortie", env: { TORTIE_THREADS: "2" } },
  { name: "ours, with two data threads each that both have packets", program: "tortie", env: { TORTIE_THREADS: "2", TORTIE_WITHOUT: "parking" } },
  ...(existsSync(DEBIAN) ? [{ name: "Debian's wireguard-go", program: DEBIAN }] : []),
  ...(current && current !== DEBIAN ? [{ name: "the current wireguard-go", program: current }] : []),
];
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A tunnel that is up, whose links' queues hold seconds: what is lost is not lost because a busy machine let a device wait for its turn. */
async function ready(options: TunnelOptions): Promise<Tunnel> {
  const t = await tunnel(options);
  t.configure();
  for (const { host } of [t.a, t.b]) host.run("ip", "link", "set", IF, "txqueuelen", "10000");
  answers(t.a, inner(2, 4));
  return t;
}
const start = (host: Host, ...words: string[]): Spawned => host.spawn([process.execPath, TORTIE, "device", "--take-over", ...words, IF]);
/** Has the running device of this host taken over; the new one. */
async function takeOver(host: Host, running: Spawned): Promise<Spawned> {
  const successor = start(host, "-f");
  expect(await running.exit, running.output()).toBe(0);
  expect(running.output()).toContain("its successor has taken over");
  await eventually(() => expect(successor.output()).toContain("took over"));
  return successor;
}
/** A successor that is refused: its words. */
async function refused(host: Host): Promise<string> {
  const successor = start(host, "-f");
  expect(await successor.exit).toBe(1);
  return successor.output();
}
/** Datagrams that came to the host and found their socket's buffer full: Debian's wireguard-go leaves its own at the system's 200 KB. */
function overflows(host: Host): number {
  const [names, values] = [...host.run("cat", "/proc/net/snmp").matchAll(/^Udp: (.*)$/gm)].map((m) => m[1]!.split(" "));
  return Number(values![names!.indexOf("RcvbufErrors")]);
}
const inode = (end: End): number => statSync(end.host.controlSocket(IF)).ino;
/** `wg show dump` without what traffic changes. */
const dump = (end: End): string => show(end, "dump").replaceAll(/\t[0-9]+\t[0-9]+\t(off|[0-9]+)$/gm, "\t$1");

describeRoot("a running device and its successor", () => {
  describeWith(["wg", "tcpdump", "ping"], "while packets flow", () => {
    test.for(peers)("none of 10,000 each way is lost over three hand-overs, the peer being $name", async ({ program, env = {} }) => {
      const t = await ready({ programs: ["tortie", program], psk: true, env });
      try {
        const socket = inode(t.a);
        const handshake = show(t.a, "latest-handshakes");
        const wire = await watchWire(t.a.host, "eth0");
        const there = await stream(t.a.host, t.b.host, inner(2, 4), 10_000, 2000);
        const back = await stream(t.b.host, t.a.host, inner(1, 4), 10_000, 2000);
        await pause(500);
        let device = t.a.device;
        for (let i = 0; i < 3; i++) {
          device = await takeOver(t.a.host, device);
          await pause(200);
        }
        expect(await back.done).toEqual({ arrived: 10_000, twice: 0 });
        const { arrived, twice } = await there.done;
        // What the peer itself had no room for came to it all the same.
        const refused = program === "tortie" ? 0 : overflows(t.b.host);
        expect([arrived + refused, twice]).toEqual([10_000, 0]);
        // The same session all the time, and no nonce twice.
        const seen = await wire();
        expect(seen.filter(({ message }) => message.type !== 4)).toEqual([]);
        expect(seen.length).toBeGreaterThanOrEqual(20_000);
        expect(repeatedNonces(seen)).toEqual([]);
        expect(show(t.a, "latest-handshakes")).toBe(handshake);
        // The same socket, and the counters went on.
        expect(inode(t.a)).toBe(socket);
        const [, rx, tx] = show(t.a, "transfer").split("\t").map(Number);
        const [, rxThere, txThere] = show(t.b, "transfer").split("\t").map(Number);
        expect(Math.abs(rx! - txThere!)).toBeLessThanOrEqual(64);
        if (refused === 0) expect(Math.abs(tx! - rxThere!)).toBeLessThanOrEqual(64);
      } finally {
        await t.close();
      }
    });

    // What a successor does until it is killed. It is a process of its own that speaks the real protocol.
    const steps = [
      { name: "after it asked", script: "" },
      { name: "when it has the device's greeting", script: "await hello();" },
      { name: "after it said now", script: "await hello(); now();" },
      { name: "when it has the state", script: "await hello(); now(); channel.receive(5000);" },
      { name: "after it said that it is ready", script: "await hello(); now(); channel.receive(5000); say(4);" },
      { name: "when it has the device's word", script: "await hello(); now(); channel.receive(5000); say(4); channel.receive(5000);" },
    ];
    const silent = [
      { name: "with the state", script: "await hello(); now(); channel.receive(5000); await pause(2500);" },
      { name: "before it reads anything", script: "await hello(); now(); await pause(2500);" },
    ];
    const dist = (path: string): string => JSON.stringify(new URL(`../../dist/${path}`, import.meta.url).href);
    const impostor = (host: Host, script: string): Spawned =>
      host.spawn([
        process.execPath,
        "--input-type=module",
        "-e",
        `const { connectUnix, UnixChannel } = await import(${dist("sys/unixchannel.js")});
         const { ASK, NOW } = await import(${dist("runtime/handover.js")});
         const pause = (ms) => new Promise((r) => setTimeout(r, ms));
         const channel = new UnixChannel(connectUnix("/var/run/wireguard/${IF}.sock"));
         channel.write(new TextEncoder().encode(ASK), 1000);
         const hello = async () => { if (channel.receive(5000)?.kind !== 1) throw new Error("no greeting"); };
         const now = () => channel.write(new TextEncoder().encode(NOW), 1000);
         const say = (kind) => channel.send(kind, new Uint8Array(0), [], 1000);
         ${script}
         console.log("so far");
         process.kill(process.pid, "SIGKILL");`,
      ]);

    test("it goes on when its successor is killed at any step, loses nothing, and can still be taken over", async () => {
      const t = await ready({});
      try {
        const wire = await watchWire(t.a.host, "eth0");
        const there = await stream(t.a.host, t.b.host, inner(2, 4), 10_000, 1000);
        const back = await stream(t.b.host, t.a.host, inner(1, 4), 10_000, 1000);
        for (const { name, script } of steps) {
          const killed = impostor(t.a.host, script);
          await killed.exit;
          expect(killed.output(), name).toBe("so far\n");
          answers(t.a, inner(2, 4), 1);
          expect(t.a.device.child.exitCode, name).toBe(null);
        }
        const next = await takeOver(t.a.host, t.a.device);
        expect(await Promise.all([there.done, back.done])).toEqual(Array(2).fill({ arrived: 10_000, twice: 0 }));
        expect(repeatedNonces(await wire())).toEqual([]);
        expect(next.child.exitCode).toBe(null);
        // Only those that got as far as the state were noticed at all.
        expect(t.a.device.output().match(/a successor did not take over/g)?.length).toBe(4);
      } finally {
        await t.close();
      }
    });

    test.for(silent)("it goes on when its successor is silent $name, which then has nothing", async ({ script }) => {
      const t = await ready({});
      try {
        const late = impostor(t.a.host, `${script} try { say(4); console.log("got", channel.receive(1000)); } catch (e) { console.log(e.code); }`);
        await late.exit;
        expect(late.output()).toMatch(/^(EPIPE|ECONNRESET)\nso far\n$/);
        answers(t.a, inner(2, 4));
        answers(t.b, inner(1, 4));
        expect(t.a.device.child.exitCode).toBe(null);
      } finally {
        await t.close();
      }
    });

    test("the successor of a device that stands still gives up, and the device goes on", async () => {
      const t = await ready({});
      try {
        t.a.device.child.kill("SIGSTOP");
        expect(await refused(t.a.host)).toContain("the running device does not answer");
        t.a.device.child.kill("SIGCONT");
        answers(t.a, inner(2, 4));
      } finally {
        await t.close();
      }
    });
  });

  describeWith(["wg", "ping"], "one after the other", () => {
    test("everything that was configured is there, and goes on working", async () => {
      const t = await ready({ psk: true });
      try {
        const psk = t.a.host.write("psk", `${newPsk()}\n`);
        const more = [newKey(), newKey()].map(publicOf);
        t.a.host.run(WG, "set", IF, "fwmark", "0x51", "peer", more[0]!, "allowed-ips", "10.99.0.0/16,fd99::/64", "preshared-key", psk);
        t.a.host.run(WG, "set", IF, "peer", more[1]!, "endpoint", "[2001:db8::7]:7", "persistent-keepalive", "25", "allowed-ips", "0.0.0.0/0");
        const before = dump(t.a);
        expect(before.split("\n").length).toBe(4);
        const first = await takeOver(t.a.host, t.a.device);
        expect(dump(t.a)).toBe(before);
        answers(t.b, inner(1, 6));
        // Everything that can be changed still can: the port, a key (a new handshake), a peer, the link's state.
        t.a.host.run(WG, "set", IF, "listen-port", "51821", "fwmark", "0", "peer", more[0]!, "remove");
        answers(t.a, inner(2, 4));
        const second = await takeOver(t.a.host, first);
        t.a.host.run("ip", "link", "set", IF, "down");
        await eventually(() => expect(t.a.host.run("ss", "-Hunl")).not.toContain(":51821"));
        const third = await takeOver(t.a.host, second);
        t.a.host.run("ip", "link", "set", IF, "up");
        t.a.host.run("ip", "addr", "replace", `${inner(1, 6)}/64`, "dev", IF, "nodad");
        await eventually(() => expect(t.a.host.run("ss", "-Hunl")).toContain(":51821"));
        answers(t.a, inner(2, 4));
        answers(t.a, inner(2, 6));
        // It ends as any device does, and leaves neither socket nor link.
        t.a.host.run("rm", `/run/wireguard/${IF}.sock`);
        expect(await third.exit).toBe(0);
        expect(() => t.a.host.run("ip", "link", "show", IF)).toThrow("does not exist");
      } finally {
        await t.close();
      }
    });

    test("both ends at the same time, into the background", async () => {
      const t = await ready({});
      try {
        await Promise.all([t.a, t.b].map(({ host }) => host.runAsync(process.execPath, TORTIE, "device", "--take-over", IF)));
        expect(await Promise.all([t.a.device.exit, t.b.device.exit])).toEqual([0, 0]);
        answers(t.a, inner(2, 4));
        answers(t.b, inner(1, 4));
        for (const { host } of [t.a, t.b]) host.run("ip", "link", "del", IF);
      } finally {
        await t.close();
      }
    });

    test("of several successors at the same time exactly one is the device in the end", async () => {
      const t = await ready({});
      try {
        const successors = Array.from({ length: 3 }, () => start(t.a.host, "-f"));
        const running = (): number => successors.filter(({ child }) => child.exitCode === null).length;
        expect(await t.a.device.exit).toBe(0);
        await eventually(() => expect(running()).toBe(1), 60_000);
        // Those that came too late say so; those that had it for a moment gave it away.
        for (const { output, exit } of successors.filter((s) => s.child.exitCode !== null))
          expect(output()).toMatch((await exit) === 0 ? "its successor has taken over" : /^Cannot take over: /);
        answers(t.a, inner(2, 4));
        answers(t.b, inner(1, 4));
      } finally {
        await t.close();
      }
    });

    test("a handshake that is under way is made again at once, and what waits for it is sent", async () => {
      const t = await tunnel({});
      try {
        // The other side is not there yet.
        t.configure([t.a]);
        const there = await stream(t.a.host, t.b.host, inner(2, 4), 50, 100);
        await eventually(() => expect(show(t.a, "transfer")).not.toMatch(/\t0$/));
        t.configure([t.b]);
        await takeOver(t.a.host, t.a.device);
        expect(await there.done).toEqual({ arrived: 50, twice: 0 });
      } finally {
        await t.close();
      }
    });

    test("is refused while somebody is changing the device", async () => {
      const t = await ready({});
      try {
        const client = createConnection(t.a.host.controlSocket(IF));
        await once(client, "connect");
        client.write("set=1\nfwmark=1\n");
        expect(await refused(t.a.host)).toContain("somebody is in the middle of changing the running device");
        client.end("\n");
        answers(t.a, inner(2, 4));
        await takeOver(t.a.host, t.a.device);
      } finally {
        await t.close();
      }
    });
  });

  test("keys go to nobody but the device's own user, whatever became of the socket's mode, and whichever step it begins with", async () => {
    const host = await Host.create();
    try {
      const device = await host.device("tortie", IF);
      const key = newKey();
      host.run(WG, "set", IF, "private-key", host.write("key", `${key}\n`));
      host.run("chmod", "-R", "777", "/run/wireguard");
      const ask = (request: string): Buffer => {
        const script = `process.setgid(65534); process.setuid(65534);
          require("net").connect("/var/run/wireguard/${IF}.sock").on("data", (d) => process.stdout.write(d.toString("hex"))).write("${request}\\n\\n");`;
        return Buffer.from(host.run(process.execPath, "-e", script), "hex");
      };
      for (const step of ["1", "now"]) {
        const answer = ask(`tortie_takeover=${step}`);
        expect(answer.toString()).toContain("the other end is user 65534");
        expect(answer.includes(Buffer.from(key, "base64"))).toBe(false);
      }
      expect(device.child.exitCode).toBe(null);
    } finally {
      await host.close();
    }
  });

  describeWith(["wg", "ping"], "with a key log", () => {
    test("the successor's has its keys from the start, and every handshake from then on", async () => {
      const t = await ready({});
      try {
        const successor = t.a.host.spawn([process.execPath, TORTIE, "device", "--take-over", "-f", IF], { WG_KEYLOGFILE: "/run/keys" });
        expect(await t.a.device.exit).toBe(0);
        const log = (): string => t.a.host.run("cat", "/run/keys");
        await eventually(() => expect(log()).toBe(`LOCAL_STATIC_PRIVATE_KEY = ${t.a.key}\nREMOTE_STATIC_PUBLIC_KEY = ${t.b.publicKey}\n`));
        await uapi(t.a, "tortie_handshake=1\n\n");
        await eventually(() => expect(log().match(/^LOCAL_EPHEMERAL_PRIVATE_KEY = /gm)?.length).toBe(1));
        answers(t.a, inner(2, 4));
        expect(successor.output()).not.toContain(t.a.key);
      } finally {
        await t.close();
      }
    });
  });

  test("needs a running device of the name that knows how, with a state of a version that it reads, in its network", async () => {
    const [host, other] = [await Host.create(), await Host.create()];
    try {
      expect(await refused(host)).toContain("No device of this name runs here");
      if (current) {
        const go = await host.device(current, IF);
        expect(await refused(host)).toContain("the running device cannot hand over");
        go.child.kill("SIGTERM");
        await go.exit;
      }
      const elsewhere = await host.device("tortie", IF, {}, other);
      expect(await refused(host)).toContain("in another network namespace");
      elsewhere.child.kill("SIGTERM");
      await elsewhere.exit;
      // HELLO (1), four bytes long: version 7.
      const future = createServer((socket) => socket.once("data", () => socket.write(Buffer.from([0, 0, 0, 1, 0, 0, 0, 4, 7, 0, 0, 0]))));
      await new Promise<void>((resolve) => future.listen(host.controlSocket(IF), resolve));
      expect(await refused(host)).toContain("version 7 of its state, and this program reads 1");
      await new Promise((resolve) => future.close(resolve));
    } finally {
      await Promise.all([host.close(), other.close()]);
    }
  });
});
