// The lab's pods: an address from IPAM, a veth pair to their node, and their object in the API. Runs inside the lab.
import { podLogFile, podPidFile } from "../agent/paths.ts";
import type { Client } from "../client/types.ts";
import { run } from "../sys/exec.ts";
import { enter, rootOf } from "../sys/ns.ts";
import { keepLog, readPipe } from "./console.ts";
import { environment, type LabPod } from "./enter.ts";
import { hostInterface, podSetup } from "./links.ts";
import { apply, place } from "./members.ts";
import { OUTPUT } from "./mounts.ts";
import { CLUSTER, type PodModel } from "./model.ts";
import { addressOf, seedPod } from "./seed.ts";

/** For the agents' first routes, on a busy machine. */
const PATIENCE_S = 20;

/** Connects a pod to its node. `pid`: the process that holds a member. */
export async function makePod(client: Client, model: PodModel, pid: (name: string) => number): Promise<LabPod> {
  const node = pid(model.node);
  const pod = { ...model, pid: pid(model.name), address: await addressOf(client, model) };
  const setup = podSetup(pod);
  await apply(setup.node, node);
  await apply(setup.pod, pod.pid);
  // By these the node's agent finds the pod when somebody wants to run a command in it or to read its log.
  place(node, podPidFile(pod.namespace, pod.name), `${pod.pid}\n`);
  keepLog(rootOf(node) + podLogFile(pod.namespace, pod.name), readPipe(rootOf(pod.pid) + OUTPUT), Date.now);
  await inPod(pod.pid, ["sh", "-c", `echo "pod ${pod.name} has ${pod.address}; what is written to ${OUTPUT} is its log" >${OUTPUT}`]);
  await seedPod(client, pod, CLUSTER.nodes.find((n) => n.name === pod.node)!.address);
  return { ...pod, hostInterface: hostInterface(pod) };
}

/** Waits until every pod reaches every later one: from then on the plain routing stands, in both directions. */
export async function podsReachable(pods: readonly LabPod[]): Promise<void> {
  const pairs = pods.flatMap((a, i) => pods.slice(i + 1).map((b) => [a, b] as const));
  await Promise.all(
    pairs.map(async ([a, b]) => {
      // Ends with the first reply.
      await inPod(a.pid, ["ping", "-q", "-i", "0.1", "-c", "1", "-w", `${PATIENCE_S}`, b.address]);
    }),
  );
}

/** Runs a command in the pod that process `pid` holds. */
async function inPod(pid: number, command: readonly string[]): Promise<void> {
  const [file, ...args] = [...enter(pid, ["net", "mount", "uts"]), ...command];
  await run(file, args, { env: environment(process.env), timeoutMs: (PATIENCE_S + 5) * 1_000 });
}
