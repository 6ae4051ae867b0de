// The lab's pods: an address from IPAM, a veth pair to their node, and their object in the API. Runs inside the lab.
import type { Client } from "../client/types.ts";
import type { LabPod } from "./enter.ts";
import { hostInterface, podSetup } from "./links.ts";
import { apply, place } from "./members.ts";
import { CLUSTER, type PodModel } from "./model.ts";
import { addressOf, seedPod } from "./seed.ts";

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
