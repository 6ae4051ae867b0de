// Inside the lab: builds the cluster, starts the API server and the agents, keeps them running. Its network is the router's. When it ends the lab ends.
import { writeFileSync } from "node:fs";
import { messageOf, TortieError } from "../base/errors.ts";
import { decoder, encode, type Order, type Report } from "./channel.ts";
import { agentsReported, startAgents, startServer } from "./daemons.ts";
import { INSIDE, type Inventory, type LabNode } from "./enter.ts";
import { nodeSetup, routerSetup } from "./links.ts";
import { apply, type Member, startMember } from "./members.ts";
import { CLUSTER } from "./model.ts";
import { endDeletedPods } from "./podend.ts";
import { makePod, podsReachable } from "./pods.ts";
import { installPrograms } from "./programs.ts";
import { seedCluster } from "./seed.ts";

const report = (message: Report): void => void process.stdout.write(encode(message));

/** Runs the lab. Never returns; ends the process, and with it the lab, when it cannot be built or has lost a member. `main`: the built program. */
export async function supervise(main: string): Promise<never> {
  // Whoever started us may be gone: a kept lab goes on without a reader.
  process.stdout.on("error", () => {});
  process.stderr.on("error", () => {});
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
    process.stderr.write(`${messageOf(thrown)}\n`);
    // Daemons still run and would keep this process: with it the lab ends.
    process.exit(1);
  }
}

async function build(main: string): Promise<never> {
  const from = performance.now();
  await installPrograms(main, process.env);
  const members = new Map<string, Member>();
  await Promise.all([...CLUSTER.nodes, ...CLUSTER.pods].map(async ({ name }) => members.set(name, await startMember(name, process.env))));
  /** Pods that were deleted. */
  const leaving = new Set<string>();
  const lost = Promise.race(
    [...members].map(async ([name, member]) => {
      const how = await member.ended;
      if (leaving.has(name)) return never;
      throw new TortieError(`Cannot go on: the process that held ${name} ended (${how})`);
    }),
  );
  await Promise.race([populate(main, (name) => members.get(name)!.pid, from, leaving), lost]);
  report({ ready: true, ms: Math.round(performance.now() - from) });
  return await lost;
}

const never = new Promise<never>(() => {});

async function populate(main: string, pid: (name: string) => number, from: number, leaving: Set<string>): Promise<void> {
  const stage = (name: string): void => report({ stage: name, ms: Math.round(performance.now() - from) });
  await apply(routerSetup(CLUSTER, new Map(CLUSTER.nodes.map((n) => [n.name, pid(n.name)]))), process.pid);
  const server = startServer(main);
  await Promise.all(CLUSTER.nodes.map((n) => apply(nodeSetup(n), pid(n.name))));
  stage("four nodes in two subnets, joined by a router");

  const client = await server;
  await seedCluster(client, CLUSTER);
  stage("API server");
  startAgents(main, pid);
  let pods = await Promise.all(CLUSTER.pods.map((pod) => makePod(client, pod, pid)));
  stage("three pods");
  await agentsReported(client);
  stage("an agent on every node");
  await podsReachable(pods);
  stage("the pods reach each other, not yet encrypted");

  const nodes: LabNode[] = CLUSTER.nodes.map((n) => ({ name: n.name, address: n.address, pid: pid(n.name) }));
  const tell = (): void => writeFileSync(INSIDE.inventory, JSON.stringify({ nodes, pods } satisfies Inventory));
  await endDeletedPods({
    client,
    pods,
    pid,
    leaving: ({ name }) => void leaving.add(name),
    gone(pod) {
      pods = pods.filter((p) => p !== pod);
      tell();
    },
  });
  tell();
}
