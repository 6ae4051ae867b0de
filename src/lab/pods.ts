// The lab's pods: an address from IPAM, a veth pair to their node, and their object in the API. Runs inside the lab.
import type { Client } from "../client/types.ts";
import { run } from "../sys/exec.ts";
import { enter } from "../sys/ns.ts";
import { environment, type LabPod } from "./enter.ts";
import { hostInterface, podSetup } from "./links.ts";
import { apply, place } from "./members.ts";
import { CLUSTER, type PodModel } from "./model.ts";
import { addressOf, seedPod } from "./seed.ts";

/** For the agents' first routes, on a busy machine. */
const PATIENCE_S = 20;

/** Connects a pod to its node. `pid`: the process that holds a member. */
export async function makePod(client: Client, model: PodModel, pid: (name: string) => number): Promise<LabPod> {
  const pod = { ...model, pid: pid(model.name), address: await addressOf(client, model) };
  const setup = podSetup(pod);
  await apply(setup.node, pid(pod.node));
  await apply(setup.pod, pod.pid);
  // By this the node's agent finds the pod when somebody wants to run a command in it.
  place(pid(pod.node), `/run/tortie/pods/${pod.namespace}/${pod.name}.pid`, `${pod.pid}\n`);
  await seedPod(client, pod, CLUSTER.nodes.find((n) => n.name === pod.node)!.address);
  return { ...pod, hostInterface: hostInterface(pod) };
}

/** Waits until every pod reaches every later one: from then on the plain routing stands, in both directions. */
export async function podsReachable(pods: readonly LabPod[]): Promise<void> {
  const pairs = pods.flatMap((a, i) => pods.slice(i + 1).map((b) => [a, b] as const));
  await Promise.all(
    pairs.map(async ([a, b]) => {
      // Ends with the first reply.
      const [file, ...args] = [...enter(a.pid, ["net", "mount", "uts"]), "ping", "-q", "-i", "0.1", "-c", "1", "-w", `${PATIENCE_S}`, b.address];
      await run(file, args, { env: environment(process.env), timeoutMs: (PATIENCE_S + 5) * 1_000 });
    }),
  );
}
