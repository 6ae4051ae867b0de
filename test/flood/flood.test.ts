// A device in a real flood. What it costs is measured by bench/flood.ts; here is what must hold however slow the machine is.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeRoot } from "../peers.ts";
import { answers, inner, ping, show, type Tunnel, tunnel } from "../device/tunnel.ts";
import { type Flooder, flooder, frames } from "./flooder.ts";

const PORT = 51820;
const residentMb = (pid: number): number => Number(/^VmRSS:\s*([0-9]+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1024;
const pause = (ms: number): Promise<void> => new Promise((r) => setTimeout(r, ms));

describeRoot("a device in a flood", () => {
  let t: Tunnel;
  let flood: Flooder;
  beforeAll(async () => {
    t = await tunnel({ env: { LOG_LEVEL: "verbose" } });
    t.configure();
    answers(t.a, inner(2, 4), 5);
    flood = await flooder(t.b);
  });
  afterAll(async () => {
    await flood?.close();
    await t?.close();
  });

  test("of initiations with a valid mac1 hands out cookies, makes no session, keeps its memory, and its peer is answered", async () => {
    const pid = t.b.device.child.pid!;
    const transfer = (): number[] => show(t.b, "transfer").split("\t").slice(1).map(Number);
    const stop = await flood.start("initiations", PORT);
    try {
      // Until the heap has its size in a flood.
      await pause(3000);
      const [before, memory] = [frames(t.b), residentMb(pid)];
      let answered = 0;
      const end = Date.now() + 60_000;
      for (let i = 0; i < 10 || (answered <= 25 && Date.now() < end); i++) answered += ping(t.a, inner(2, 4), 5, "-W", "2");
      const after = frames(t.b);
      const [arrived, cookies] = [after.arrived - before.arrived, after.answered - before.answered];
      expect(arrived).toBeGreaterThan(1000);
      expect(cookies).toBeGreaterThan(0);
      expect(cookies).toBeLessThan(arrived);
      expect(answered).toBeGreaterThan(25);
      // A collection may be late; what is kept of a flood is more.
      expect(residentMb(pid) - memory).toBeLessThan(32);
      expect(transfer().every((n) => n > 0)).toBe(true);
    } finally {
      await stop();
    }
    // Its own peer gets a new session when it is over.
    answers(t.a, inner(2, 4), 5);
    expect(show(t.b, "latest-handshakes").split("\n")).toHaveLength(1);
    t.b.device.child.kill("SIGTERM");
    await t.b.device.exit;
    const drops = JSON.parse(/\{.*"packets dropped, by reason".*\}/.exec(t.b.device.output())![0]) as Record<string, number>;
    expect(drops.cookie_demanded).toBeGreaterThan(1000);
    expect(drops.bad_mac1 ?? 0).toBe(0);
    const used = JSON.parse(/\{.*"in use".*\}/.exec(t.b.device.output())![0]) as Record<string, number>;
    expect(used.keypairs).toBeLessThanOrEqual(3);
    expect(used.indices).toBeLessThanOrEqual(4);
  });
});
