// What a device costs before any packet: its start, and peers that nobody talks to.
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Host } from "../test/device/host.ts";
import { IF, newKey, WG } from "../test/device/tunnel.ts";
import type { Sample } from "./figures.ts";
import { residentMb } from "./processes.ts";
import type { Device } from "./subjects.ts";

const PEERS = 4096;
/** A device writes to memory for a while after it was told something. */
const SETTLE_MS = 1000;

/** From the start of the process until its control socket takes a connection. */
export async function startUp({ program, env }: Device): Promise<Sample> {
  const host = await Host.create();
  try {
    const from = performance.now();
    const starting = host.device(program, IF, env);
    starting.catch(() => {}); // it is awaited below
    const listens = (): Promise<boolean> =>
      new Promise((resolve) => {
        const probe = createConnection(host.controlSocket(IF), () => (probe.destroy(), resolve(true)));
        probe.on("error", () => resolve(false));
      });
    while (!(await listens())) await sleep(1);
    const ms = performance.now() - from;
    await starting;
    return { "start.ms": ms };
  } finally {
    await host.close();
  }
}

export async function idlePeers({ program, env }: Device): Promise<Sample> {
  const host = await Host.create();
  const directory = mkdtempSync(join(tmpdir(), "tortie-bench-"));
  try {
    const device = await host.device(program, IF, env);
    const pid = device.child.pid!;
    const path = join(directory, "wg.conf");
    const peers = Array.from({ length: PEERS }, (_, i) => {
      const at = `${i >> 8}.${i & 255}`;
      return `[Peer]\nPublicKey = ${randomBytes(32).toString("base64")}\nEndpoint = 127.0.0.1:9\nAllowedIPs = 10.78.${at}/32\n`;
    });
    host.run("ip", "link", "set", IF, "up");
    writeFileSync(path, `[Interface]\nPrivateKey = ${newKey()}\n`, { mode: 0o600 });
    host.run(WG, "setconf", IF, path);
    await sleep(SETTLE_MS);
    const before = residentMb(pid);
    writeFileSync(path, peers.join(""));
    host.run(WG, "addconf", IF, path);
    await sleep(SETTLE_MS);
    const after = residentMb(pid);
    const from = performance.now();
    const shown = host.run(WG, "show", IF, "dump").trim().split("\n").length - 1;
    const ms = performance.now() - from;
    if (shown !== PEERS) throw new Error(`wg shows ${shown} of ${PEERS} peers`);
    return { "idle.resident": before, "idle.peer": ((after - before) * 1024) / PEERS, "idle.show": ms };
  } finally {
    await host.close();
    rmSync(directory, { recursive: true });
  }
}
