// The lab under random kills: after each the pods reach each other again, and from then on nothing is lost.
import { allHandshaken } from "../../src/lab/exercise/devices.ts";
import { type LabHandle, startLab } from "../../src/lab/handle.ts";
import { DAEMONS, killDaemon } from "../../src/lab/kill.ts";
import { pingPods, switchEncryption } from "../lab/driver.ts";
import { TORTIE } from "../peers.ts";
import type { Scenario } from "./main.ts";
import { randomOf } from "../../src/base/random.cases.ts";

const RECOVERY_MS = 2_000;

async function lost(handle: LabHandle, count: number): Promise<number> {
  return (await pingPods(handle, { count, interval: 0.01 })).reduce((sum, p) => sum + p.sent - p.received, 0);
}

export const endurance: Scenario = {
  name: "the lab under random kills",
  minutes: 0.5,
  async run(minutes) {
    const seed = Date.now() & 0xffffff;
    const random = randomOf(seed);
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
    const handle = await startLab({ main: TORTIE, outlives: false });
    const counts = { agent: 0, device: 0, server: 0 };
    try {
      await switchEncryption(handle, true);
      if ((await allHandshaken(handle.lab, 10_000)) === undefined) throw new Error("encryption did not come up");
      for (const end = Date.now() + minutes * 60_000; Date.now() < end;) {
        const daemon = pick(DAEMONS);
        const node = daemon === "server" ? undefined : pick(handle.lab.nodes).name;
        const where = `seed ${seed}, kill of ${daemon} ${node ?? ""} after ${JSON.stringify(counts)}`;
        await killDaemon(handle.lab, daemon, node);
        counts[daemon]++;
        await new Promise((r) => setTimeout(r, RECOVERY_MS));
        const n = await lost(handle, 100);
        if (n > 0) throw new Error(`${where}: ${n} pings lost later than ${RECOVERY_MS} ms after it`);
      }
      return `${counts.agent} agents, ${counts.device} devices, ${counts.server} servers killed; no ping lost later than ${RECOVERY_MS} ms after any (seed ${seed})`;
    } finally {
      await handle.stop();
    }
  },
};
