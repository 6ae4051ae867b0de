// Runs in a mount namespace of its own (wg.test.ts starts it), so that /var/run/wireguard is private: serves a device that only remembers, runs the
// real wg and ours with the same words on the same state, and prints what each said and sent as JSON.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { SetOperation } from "../../src/uapi/codec.ts";
import { MemoryDevice } from "../../src/uapi/memory.ts";
import { serveUapi } from "../../src/uapi/server.ts";
import { type Case, CASES } from "./cases.ts";

export type Said = { readonly stdout: string; readonly stderr: string; readonly code: number | null; readonly sent: readonly string[] };

class Failing extends MemoryDevice {
  fails = 0;
  override setListenPort(port: number): number {
    return this.fails || super.setListenPort(port);
  }
}

async function prepared(c: Case): Promise<Failing> {
  const device = new Failing();
  const operation = new SetOperation(device);
  for (const line of (c.state ?? "").split("\n")) if (line) await operation.line(Buffer.from(line));
  if ((await operation.end()) !== 0) throw new Error(`bad state of case ${c.name}`);
  const now = Math.floor(Date.now() / 1000);
  for (const [i, peer] of [...device.peers.values()].entries()) {
    const ago = c.handshakes?.[i];
    peer.lastHandshakeSec = ago === undefined ? 0 : now - ago;
    [peer.txBytes, peer.rxBytes] = c.transfer?.[i] ?? [0, 0];
  }
  device.calls.length = 0;
  device.fails = c.fails ?? 0;
  return device;
}

// Asynchronous: this process serves the device meanwhile.
function spawned(program: readonly string[], c: Case): Promise<Omit<Said, "sent">> {
  return new Promise((resolve) => {
    const child = spawn(program[0]!, [...program.slice(1), ...c.args], { env: { ...process.env, ...c.env }, argv0: "wg" });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (b: Buffer) => out.push(b));
    child.stderr.on("data", (b: Buffer) => err.push(b));
    child.stdin.on("error", () => {});
    child.stdin.end(c.input ?? "");
    child.on("close", (code) => resolve({ stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString(), code }));
  });
}

async function runOne(program: readonly string[], c: Case): Promise<Said> {
  const device = await prepared(c);
  const server = c.state === undefined ? undefined : await serveUapi("/var/run/wireguard/wg0.sock", device);
  for (const [name, content] of Object.entries(c.files ?? {})) writeFileSync(`/mnt/${name}`, content);
  const said = await spawned(program, c);
  await server?.close();
  return { ...said, sent: [...device.calls] };
}

const [real, ours] = process.argv.slice(2) as [string, string];
execFileSync("mount", ["-t", "tmpfs", "none", "/var/run/"]);
execFileSync("mount", ["-t", "tmpfs", "none", "/mnt"]);
mkdirSync("/mnt/bin");
symlinkSync(ours, "/mnt/bin/wg");

const results: [Said, Said][] = [];
for (const c of CASES) {
  let pair: [Said, Said] | undefined;
  // A second may tick between the two runs of a case that prints ages.
  for (let attempt = 0; attempt < 12; attempt++) {
    pair = [await runOne([real], c), await runOne([process.execPath, "/mnt/bin/wg"], c)];
    if (!c.handshakes || pair[0].stdout === pair[1].stdout) break;
  }
  results.push(pair!);
  for (const name of Object.keys(c.files ?? {})) rmSync(`/mnt/${name}`);
}
process.stdout.write(JSON.stringify(results));
