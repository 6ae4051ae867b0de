// Traffic between pods while things are switched on and killed. The limits are the issue's: no ping lost when an agent or the server is killed; of a
// killed device at most those of two seconds, and none of them in the clear.
import { spawn } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { enterMember, environment, type LabNode, type LabPod } from "../../src/lab/enter.ts";
import { allHandshaken } from "../../src/lab/exercise/devices.ts";
import { readPing } from "../../src/lab/exercise/ping.ts";
import { type LabHandle, startLab } from "../../src/lab/handle.ts";
import { type DaemonName, killDaemon } from "../../src/lab/kill.ts";
import { nodeOf, podOf } from "../../src/lab/enter.ts";
import { describeRoot, TORTIE } from "../peers.ts";

const RATE = 200;
const SECONDS = 5;

describeRoot("traffic in the lab", () => {
  let handle: LabHandle;
  const on = (member: LabNode | LabPod, line: string): { output: Promise<string>; interrupt: () => void } => {
    const [file, ...args] = enterMember(handle.lab, member);
    const child = spawn(file, [...args, "sh", "-c", line], { env: environment(process.env, { own: true }), detached: true });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    return {
      output: new Promise((resolve) => child.once("close", () => resolve(text))),
      interrupt: () => process.kill(-child.pid!, "SIGINT"),
    };
  };
  const node = (name: string): LabNode => nodeOf(handle.lab, name);
  const pod = (name: string): LabPod => podOf(handle.lab, name);
  const switchTo = (encrypted: boolean): Promise<string> =>
    on(node("k8s-m"), `calicoctl patch felixconfiguration default --type=merge -p '{"spec":{"wireguardEnabled":${encrypted}}}'`).output;
  /** 1,000 pings at 200 a second to each of the two other pods; the lost ones. */
  const pingAll = async (during: () => Promise<unknown>): Promise<number[]> => {
    const pings = ["pod2", "pod3"].map((p) => on(pod("pod1"), `ping -q -i ${1 / RATE} -c ${RATE * SECONDS} -W 2 ${pod(p).address}`).output);
    await new Promise((r) => setTimeout(r, 1_000));
    await during();
    return (await Promise.all(pings)).map((text) => {
      const [p] = readPing(text);
      expect(p, text).toMatchObject({ sent: RATE * SECONDS });
      return p!.sent - p!.received;
    });
  };

  beforeAll(async () => {
    handle = await startLab({ main: TORTIE, outlives: false });
    expect(await switchTo(true)).toContain("Successfully patched");
    expect(await allHandshaken(handle.lab, 10_000)).toBeDefined();
  });
  afterAll(() => handle?.stop());

  test("1,000 pings at 200 a second lose none", async () => expect(await pingAll(async () => {})).toEqual([0, 0]));

  test.for<[DaemonName, string | undefined]>([
    ["agent", "k8s-w1"],
    ["agent", "k8s-w2"],
    ["agent", "k8s-w0"],
    ["server", undefined],
  ])("the kill of %s %s loses none", async ([daemon, name]) => expect(await pingAll(() => killDaemon(handle.lab, daemon, name))).toEqual([0, 0]));

  test(
    "the kill of a device loses at most the pings of two seconds, shows none of them, and it is back with the same key",
    { retry: 1 },
    async () => {
      const key = await on(node("k8s-w1"), "wg show wireguard.cali public-key").output;
      const clear = on(node("k8s-w1"), "tcpdump -n -i ens5 icmp");
      const lost = await pingAll(() => killDaemon(handle.lab, "device", "k8s-w1"));
      clear.interrupt();
      for (const n of lost) expect(n).toBeLessThanOrEqual(2 * RATE);
      expect(await clear.output).not.toMatch(/ICMP echo/);
      expect(await on(node("k8s-w1"), "wg show wireguard.cali public-key").output).toBe(key);
    },
  );
});
