// Handshakes that one device answers in a second: 512 peers on another host start them as fast as they are answered.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { eventually, Host } from "../test/device/host.ts";
import { IF, newKey, publicOf, WG } from "../test/device/tunnel.ts";
import type { Sample } from "./figures.ts";
import type { Outcome } from "./initiator.ts";
import { cpuSeconds } from "./processes.ts";
import type { Device } from "./subjects.ts";

/** A device refuses two initiations of a peer within 20 ms: this many peers are served 25,600 times a second. */
const PEERS = 512;
const COUNT = 8192;
const PORT = 51820;

export async function handshakes({ program, env }: Device): Promise<Sample> {
  const [clients, host] = [await Host.create(), await Host.create()];
  const directory = mkdtempSync(join(tmpdir(), "tortie-bench-"));
  try {
    Host.join(clients, "eth0", ["192.0.2.1/24"], host, "eth0", ["192.0.2.2/24"]);
    const device = await host.device(program, IF, env);
    const key = newKey();
    const words = ["--import", import.meta.resolve("tsx"), new URL("initiator.ts", import.meta.url).pathname];
    const told = ["192.0.2.2", String(PORT), publicOf(key), String(PEERS), String(COUNT)];
    const enter = ["-t", String(clients.pid), "-n", "--", "setpriv", "--pdeathsig", "KILL", "--"];
    const client = spawn("nsenter", [...enter, process.execPath, ...words, ...told], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    try {
      const lines = createInterface({ input: client.stdout })[Symbol.asyncIterator]();
      const line = async (): Promise<string> => {
        const { value, done } = (await lines.next()) as { value: string; done?: boolean };
        if (done) throw new Error("The initiators ended early");
        return value;
      };
      const peers = (await line()).split(",");
      const config = peers.map((p, i) => `[Peer]\nPublicKey = ${p}\nAllowedIPs = 10.78.${i >> 8}.${i & 255}/32\n`).join("");
      const path = join(directory, "wg.conf");
      writeFileSync(path, `[Interface]\nPrivateKey = ${key}\nListenPort = ${PORT}\n${config}`, { mode: 0o600 });
      host.run("ip", "link", "set", IF, "up");
      host.run(WG, "setconf", IF, path);
      await eventually(() => {
        if (!host.run("ss", "-Hunl").includes(`:${PORT}`)) throw new Error("the device does not listen");
      });
      const pids = [device.child.pid!];
      const before = cpuSeconds(pids);
      client.stdin.write("go");
      const outcome = JSON.parse(await line()) as Outcome;
      const cpu = cpuSeconds(pids) - before;
      if (outcome.opened !== outcome.answered) throw new Error(`${outcome.answered - outcome.opened} of ${outcome.answered} answers do not open`);
      return {
        "handshakes.rate": outcome.answered / outcome.seconds,
        "handshakes.cpu": (cpu / outcome.answered) * 1e6,
        "handshakes.unanswered": outcome.unanswered,
      };
    } finally {
      client.kill("SIGKILL");
    }
  } finally {
    await Promise.all([clients.close(), host.close()]);
    rmSync(directory, { recursive: true });
  }
}
