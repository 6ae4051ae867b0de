// How fast one setting reaches a cluster of four nodes, and what is lost while it is switched or while parts of it are killed.
//   npm run bench, or: npx tsx bench/cluster.ts [--rounds N]      (root)
import { cpus, release } from "node:os";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { allHandshaken } from "../src/lab/exercise/devices.ts";
import { type LabHandle, startLab } from "../src/lab/handle.ts";
import { type DaemonName, killDaemon } from "../src/lab/kill.ts";
import { pingPodsDuring, switchEncryption } from "../test/lab/driver.ts";
import { TORTIE } from "../test/peers.ts";
import { spread } from "./statistics.ts";

const RATE = { count: 1_000, interval: 0.005 };

async function enable(handle: LabHandle): Promise<number> {
  const returned = await switchEncryption(handle, true);
  const last = await allHandshaken(handle.lab, 20_000);
  if (last === undefined) throw new Error("not every pair of nodes has handshaken within 20 s");
  return Math.max(0, last - returned);
}

/** Pings lost of 2 x 1,000 at 200/s while something happens a second after their start. */
async function lostDuring(handle: LabHandle, what: () => Promise<unknown>): Promise<number> {
  return (await pingPodsDuring(handle, RATE, what)).reduce((sum, p) => sum + p.sent - p.received, 0);
}

export async function main(args: string[]): Promise<void> {
  // --seconds is the other benchmark's.
  const { values } = parseArgs({ args, options: { rounds: { type: "string", default: "5" } } });
  const rounds = Number(values.rounds);
  const figures = new Map<string, number[]>();
  const note = (name: string, value: number): void => {
    figures.set(name, [...(figures.get(name) ?? []), value]);
    process.stderr.write(`${name.padEnd(66)} ${value.toFixed(0)}\n`);
  };
  for (let i = 0; i < rounds; i++) {
    const handle = await startLab({ main: TORTIE, outlives: false });
    try {
      note("bring-up of the lab, ms", handle.bringUpMs);
      note("patch's return to the last of 6 pairs' handshake, ms", await enable(handle));
      const kill = (daemon: DaemonName, node?: string) => () => killDaemon(handle.lab, daemon, node);
      note("lost of 2,000 pings at 200/s: nothing happens", await lostDuring(handle, async () => {}));
      note("lost of 2,000: an agent is killed", await lostDuring(handle, kill("agent", "k8s-w1")));
      note("lost of 2,000: the server is killed", await lostDuring(handle, kill("server")));
      note("lost of 2,000: a device is killed (2 s would be 800)", await lostDuring(handle, kill("device", "k8s-w1")));
      note("lost of 2,000: encryption is switched off", await lostDuring(handle, () => switchEncryption(handle, false)));
      await sleep(1_500);
      let again = 0;
      note("lost of 2,000: encryption is switched on", await lostDuring(handle, async () => (again = await enable(handle))));
      note("patch's return to the last handshake, under that traffic, ms", again);
    } finally {
      await handle.stop();
    }
  }
  process.stdout.write(
    `${rounds} labs of four nodes; ${cpus()[0]?.model}, ${cpus().length} CPUs, Linux ${release()}, Node ${process.version}\n\n| what | median (least .. most) |\n|---|---|\n`,
  );
  for (const [name, all] of figures) process.stdout.write(`| ${name} | ${spread(all, 0)} |\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
