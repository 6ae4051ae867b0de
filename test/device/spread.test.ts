// Two data workers of a live device: one has all packets until a processor is no longer enough, then both, and one again when it is quiet.
import { readdirSync, readFileSync } from "node:fs";
import { setPriority } from "node:os";
import { expect, test } from "vitest";
import { describeWith } from "../peers.ts";
import { eventually } from "./host.ts";
import { answers, inner, ping, tunnel } from "./tunnel.ts";

/** Datagrams of 60 KB, cut into some 43 packets each by the kernel: cheap to send, dear to encrypt. Eight flows, which the kernel spreads over the queues. */
const FLOOD = `
const { createSocket } = require("node:dgram");
const packet = Buffer.alloc(60000);
for (let i = 0; i < 8; i++) {
  const flow = createSocket("udp4");
  const more = () => flow.send(packet, 9000, "${inner(2, 4)}", more);
  more();
}
`;
const PATIENCE_MS = 60_000;

/** What the busiest thread of a process uses of a processor, for a second. */
async function busiestThread(pid: number): Promise<number> {
  const used = (): Map<string, number> =>
    new Map(readdirSync(`/proc/${pid}/task`).map((t) => [t, Number(readFileSync(`/proc/${pid}/task/${t}/schedstat`, "utf8").split(" ")[0])]));
  const [before, began] = [used(), performance.now()];
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const past = (performance.now() - began) * 1e6;
  return Math.max(...[...used()].map(([t, ns]) => (ns - (before.get(t) ?? ns)) / past));
}

describeWith(["wg", "ping"], "a device with two data workers", () => {
  test("gives packets to the second when the first has no time left, takes them back, and stays reachable", async ({ skip }) => {
    const t = await tunnel({ env: { LOG_LEVEL: "verbose", TORTIE_THREADS: "2" } });
    try {
      t.configure();
      const { device, host } = t.a;
      const last = (): string | undefined => [...device.output().matchAll(/"workers":(\d),"msg":"data workers with packets"/g)].at(-1)?.[1];
      await eventually(() => expect(last()).toBe("1"), PATIENCE_MS);
      answers(t.a, inner(2, 4));
      // What counts is the time that the worker uses: where the machine does other things too, it must not wait for a processor.
      for (const thread of readdirSync(`/proc/${device.child.pid}/task`)) setPriority(Number(thread), -20);
      t.b.device.child.kill("SIGSTOP");
      const flood = host.spawn([process.execPath, "-e", FLOOD]);
      setPriority(flood.child.pid!, -20);
      // In how many seconds one behind the other a thread had a whole processor, at the most.
      let most = 0;
      for (let n = 0, row = 0; n < 60 && most < 10 && last() !== "2"; n++) {
        row = (await busiestThread(device.child.pid!)) < 0.95 ? 0 : row + 1;
        most = Math.max(most, row);
      }
      if (last() !== "2" && most < 10) skip(`the machine gives no thread a whole processor for long, ${most} s at the most`);
      expect(last()).toBe("2");
      flood.child.kill("SIGKILL");
      await flood.exit;
      t.b.device.child.kill("SIGCONT");
      await eventually(() => expect(ping(t.b, inner(1, 4), 1)).toBe(1), PATIENCE_MS);
      await eventually(() => expect(last()).toBe("1"), PATIENCE_MS);
      answers(t.a, inner(2, 4));
      answers(t.b, inner(1, 6));
    } finally {
      await t.close();
    }
  });
});
