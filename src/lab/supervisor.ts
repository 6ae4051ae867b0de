// Inside the lab: builds the cluster, starts the API server and the agents, keeps them running. Its network is the router's. When it ends the lab ends.
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { messageOf, TortieError } from "../base/errors.ts";
import { decoder, encode, type Order, type Report } from "./channel.ts";
import { environment, INSIDE, type Inventory, type LabNode, type LabPod, NODE_KUBECONFIG } from "./enter.ts";
import { guard } from "./guard.ts";
import { hostInterface, nodeSetup, podSetup, routerSetup } from "./links.ts";
import { apply, type Member, startMember } from "./members.ts";
import { CLUSTER, WIRE } from "./model.ts";
import { installPrograms } from "./programs.ts";

const report = (message: Report): void => void process.stdout.write(encode(message));

/** Runs the lab. Never returns while it stands; throws when it cannot be built or has lost a member. */
export async function supervise(main: string): Promise<never> {
  // Whoever started us may be gone: a kept lab goes on without a reader.
  process.stdout.on("error", () => {});
  let keep = false;
  process.stdin.setEncoding("utf8").on(
    "data",
    decoder<Order>((order) => (keep = order.keep)),
  );
  process.stdin.on("end", () => void (keep || process.exit(0)));
  try {
    return await build(main);
  } catch (thrown) {
    report({ failed: messageOf(thrown), hint: thrown instanceof TortieError ? thrown.hint : "" });
    throw thrown;
  }
}

async function build(main: string): Promise<never> {
  const from = performance.now();
  const stage = (name: string): void => report({ stage: name, ms: Math.round(performance.now() - from) });
  installPrograms(main, process.env);

  const members = new Map<string, Member>();
  await Promise.all([...CLUSTER.nodes, ...CLUSTER.pods].map(async ({ name }) => members.set(name, await startMember(name, process.env))));
  const lost = Promise.race(
    [...members].map(async ([name, member]) => {
      throw new TortieError(`Cannot go on: the process that held ${name} ended (${await member.ended})`);
    }),
  );
  const pid = (name: string): number => members.get(name)!.pid;
  await apply(routerSetup(CLUSTER, new Map(CLUSTER.nodes.map((n) => [n.name, pid(n.name)]))), process.pid);
  await Promise.all(CLUSTER.nodes.map((n) => apply(nodeSetup(n), pid(n.name))));
  stage("nodes and router");
  void guard;
  void chmodSync;
  void dirname;
  void environment;
  void NODE_KUBECONFIG;

  const pods: LabPod[] = await Promise.all(
    CLUSTER.pods.map(async (model, i) => {
      const pod = { ...model, pid: pid(model.name), address: `172.16.${i + 1}.2` };
      const setup = podSetup(pod);
      await apply(setup.node, pid(pod.node));
      await apply(setup.pod, pod.pid);
      return { ...pod, hostInterface: hostInterface(pod) };
    }),
  );
  stage("pods");
  const nodes: LabNode[] = CLUSTER.nodes.map((n) => ({ name: n.name, address: n.address, pid: pid(n.name), wires: [WIRE] }));
  mkdirSync(INSIDE.directory, { recursive: true });
  writeFileSync(INSIDE.inventory, JSON.stringify({ nodes, pods } satisfies Inventory));
  report({ ready: true, ms: Math.round(performance.now() - from) });
  return await lost;
}
