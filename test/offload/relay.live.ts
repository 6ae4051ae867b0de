// Runs in a network namespace of its own (kernel.test.ts starts it). Two TUN links with all offloads, one of them moved to a second namespace, and between
// them our code: what one kernel hands over is split, looked at, merged again and given to the other. Real sockets talk across; what they saw is printed.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { intact } from "../../src/offload/packets.cases.ts";
import { VIRTIO_HEADER } from "../../src/offload/index.ts";
import { ip, link, merge, read, segments } from "./links.ts";

const holder = spawn("unshare", ["-n", "sh", "-c", "echo; exec cat"], { stdio: ["pipe", "pipe", "inherit"] });
await once(holder.stdout, "data");
const inside = (command: readonly string[]): string[] => ["nsenter", "-t", String(holder.pid), "-n", ...command];

const a = link("a", true);
const b = link("b", true);
ip(`link set dev b netns ${holder.pid}`);
async function there(line: string): Promise<void> {
  const [file, ...args] = inside(["ip", ...line.split(" ")]);
  await once(spawn(file!, args, { stdio: "inherit" }), "exit");
}
ip("addr add 10.9.0.1/24 dev a");
ip("addr add fd09::1/64 dev a nodad");
await there("addr add 10.9.0.2/24 dev b");
await there("addr add fd09::2/64 dev b nodad");
await there("link set dev b up");

type Seen = { handed: number; supers: number; packets: number; wrong: number; writes: number; merged: number };
const fresh = (): Seen => ({ handed: 0, supers: 0, packets: 0, wrong: 0, writes: 0, merged: 0 });

/** Takes up to 16 packets from one link to the other. */
function carry(from: number, to: number, seen: Seen): boolean {
  const packets: Uint8Array[] = [];
  for (let i = 0; i < 16; i++) {
    const whole = read(from);
    if (whole === undefined) break;
    const parts = segments(whole);
    seen.handed++;
    if (parts.length > 1) seen.supers++;
    packets.push(...parts);
    // Of what sockets send: the kernel's own multicast is not for here.
    seen.wrong +=
      parts.length === 0 || whole.length === VIRTIO_HEADER || parts.some((p) => [6, 17].includes(p[p[0]! >>> 4 === 4 ? 9 : 6]!) && !intact(p))
        ? 1
        : 0;
  }
  seen.packets += packets.length;
  const writes = merge(to, packets);
  seen.writes += writes.length;
  seen.merged += writes.filter((n) => n > 1).length;
  return packets.length > 0;
}

const self = import.meta.dirname;
const program = (script: string, ...args: string[]): string[] => [process.execPath, "--import", "tsx", `${self}/${script}`, ...args];
function start(command: readonly string[]): { child: ChildProcess; output: () => string } {
  let text = "";
  const child = spawn(command[0]!, command.slice(1), { stdio: ["ignore", "pipe", "inherit"] });
  child.stdout.on("data", (d: Buffer) => (text += d.toString()));
  return { child, output: () => text };
}

async function talk(kind: string, address: string): Promise<unknown> {
  const there = fresh();
  const back = fresh();
  const server = start(inside(program("talk.live.ts", kind, "receive", address)));
  await new Promise<void>((resolve) => server.child.stdout!.once("data", () => resolve()));
  const client = start(program("talk.live.ts", kind, "send", address));
  while (server.child.exitCode === null || client.child.exitCode === null) {
    const moved = [carry(a, b, there), carry(b, a, back)].some(Boolean);
    await new Promise((r) => (moved ? setImmediate(r) : setTimeout(r, 1)));
  }
  return { kind, address, sent: client.output().trim(), received: server.output().trim().split("\n").at(-1), there, back };
}
const results: unknown[] = [];
for (const kind of ["tcp", "udp"]) for (const address of ["10.9.0.2", "fd09::2"]) results.push(await talk(kind, address));
process.stdout.write(JSON.stringify(results));
holder.stdin.end();
