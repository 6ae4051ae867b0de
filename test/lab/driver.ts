// What the long test and the benchmarks do with a lab: run lines in its members, switch encryption, ping from pod to pod.
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { enterMember, environment, type LabNode, type LabPod, nodeOf, podOf } from "../../src/lab/enter.ts";
import { type Pinged, readPing } from "../../src/lab/exercise/ping.ts";
import type { LabHandle } from "../../src/lab/handle.ts";

/** Starts a line in a node or pod with our own programs first in PATH. */
export function start(handle: LabHandle, member: LabNode | LabPod, line: string): { output: Promise<string>; interrupt: () => void } {
  const [file, ...args] = enterMember(handle.lab, member);
  const child = spawn(file, [...args, "sh", "-c", line], { env: environment(process.env, { own: true }), detached: true });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  return {
    output: new Promise((resolve) => child.once("close", () => resolve(text))),
    interrupt: () => process.kill(-child.pid!, "SIGINT"),
  };
}

/** Runs a line to its end; what it printed. */
export const output = (handle: LabHandle, member: LabNode | LabPod, line: string): Promise<string> => start(handle, member, line).output;

/** Switches encryption; gives the moment of the command's return, ms since 1970. */
export async function switchEncryption(handle: LabHandle, on: boolean): Promise<number> {
  const line = `calicoctl patch felixconfiguration default --type=merge -p '{"spec":{"wireguardEnabled":${on}}}'`;
  const said = await output(handle, nodeOf(handle.lab, "k8s-m"), line);
  if (!said.includes("Successfully patched")) throw new Error(`calicoctl said: ${said}`);
  return Date.now();
}

/** Pings pod2 and pod3 from pod1, both at once. */
export async function pingPods(handle: LabHandle, how: { count: number; interval: number }): Promise<Pinged[]> {
  const from = podOf(handle.lab, "pod1");
  const lines = ["pod2", "pod3"].map((p) => `ping -q -i ${how.interval} -c ${how.count} -W 2 ${podOf(handle.lab, p).address}`);
  const texts = await Promise.all(lines.map((line) => output(handle, from, line)));
  return texts.map((text) => {
    const [ping] = readPing(text);
    if (!ping) throw new Error(`ping said: ${text}`);
    return ping;
  });
}

/** As pingPods, while something happens a second after their start. */
export async function pingPodsDuring(handle: LabHandle, how: { count: number; interval: number }, what: () => Promise<unknown>): Promise<Pinged[]> {
  const pings = pingPods(handle, how);
  await sleep(1_000);
  await what();
  return await pings;
}
