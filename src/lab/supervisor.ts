// Inside the lab: builds the cluster, starts the API server and the agents, keeps them running. Its network is the router's. When it ends the lab ends.
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, TortieError } from "../base/errors.ts";
import { connectToSocket } from "../client/node.ts";
import type { RestClient } from "../client/rest.ts";
import { FELIX_CONFIGURATION } from "../api/felixconfiguration.ts";
import { NODE_ENCRYPTION } from "../api/nodeencryption.ts";
import { run } from "../sys/exec.ts";
import { enter } from "../sys/ns.ts";
import { decoder, encode, type Order, type Report } from "./channel.ts";
import { environment, INSIDE, type Inventory, type LabNode, type LabPod, NODE_KUBECONFIG } from "./enter.ts";
import { guard } from "./guard.ts";
import { hostInterface, nodeSetup, podSetup, routerSetup } from "./links.ts";
import { apply, type Member, startMember } from "./members.ts";
import { API, CLUSTER, type NodeModel, type PodModel, WIRE } from "./model.ts";
import { installPrograms } from "./programs.ts";
import { addressOf, seedCluster, seedPod } from "./seed.ts";

/** Where a node's agent finds its own identity. */
const AGENT_KUBECONFIG = "/var/lib/tortie/agent.kubeconfig";
const SERVER_URL = `https://${API.address}:${API.port}`;
/** For the server to answer, and for the agents to report, on a busy machine. */
const PATIENCE_MS = 30_000;

const report = (message: Report): void => void process.stdout.write(encode(message));

/** Runs the lab. Never returns while it stands; throws when it cannot be built or has lost a member. `main`: the built program. */
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
    throw thrown;
  }
}

async function build(main: string): Promise<never> {
  const from = performance.now();
  installPrograms(main, process.env);
  const members = new Map<string, Member>();
  await Promise.all([...CLUSTER.nodes, ...CLUSTER.pods].map(async ({ name }) => members.set(name, await startMember(name, process.env))));
  const lost = Promise.race(
    [...members].map(async ([name, member]) => {
      throw new TortieError(`Cannot go on: the process that held ${name} ended (${await member.ended})`);
    }),
  );
  await Promise.race([populate(main, (name) => members.get(name)!.pid, from), lost]);
  report({ ready: true, ms: Math.round(performance.now() - from) });
  return await lost;
}

async function populate(main: string, pid: (name: string) => number, from: number): Promise<void> {
  const stage = (name: string): void => report({ stage: name, ms: Math.round(performance.now() - from) });
  await apply(routerSetup(CLUSTER, new Map(CLUSTER.nodes.map((n) => [n.name, pid(n.name)]))), process.pid);
  const server = startServer(main);
  await Promise.all(CLUSTER.nodes.map((n) => apply(nodeSetup(n), pid(n.name))));
  stage("four nodes in two subnets, joined by a router");

  const client = await server;
  await seedCluster(client, CLUSTER);
  stage("API server");
  const kubeconfig = await run("cat", [INSIDE.kubeconfig]);
  const pods = await Promise.all(CLUSTER.pods.map((pod) => makePod(client, pod, pid)));
  await Promise.all(CLUSTER.nodes.map((n) => startAgent(main, n, pid(n.name), kubeconfig.stdout)));
  stage("pods");
  await agentsReported(client);
  stage("agents");
  await client.close();

  const nodes: LabNode[] = CLUSTER.nodes.map((n) => ({ name: n.name, address: n.address, pid: pid(n.name), wires: [WIRE] }));
  writeFileSync(INSIDE.inventory, JSON.stringify({ nodes, pods } satisfies Inventory));
}

async function startServer(main: string): Promise<RestClient> {
  const listen = `${API.address}:${API.port}`;
  void guard({
    name: "server",
    argv: [
      process.execPath,
      main,
      "server",
      "--data",
      INSIDE.serverData,
      "--listen",
      listen,
      "--kubeconfig",
      INSIDE.kubeconfig,
      "--socket",
      INSIDE.apiSocket,
    ],
    env: environment(process.env),
    logFile: `${INSIDE.logs}/server`,
  });
  const client = connectToSocket(INSIDE.apiSocket);
  for (const end = Date.now() + PATIENCE_MS; ; await sleep(20)) {
    try {
      await client.list(FELIX_CONFIGURATION);
      return client;
    } catch (thrown) {
      if (Date.now() > end) throw new TortieError(`Cannot start the API server: ${messageOf(thrown)}`, { hint: lastLines("server"), cause: thrown });
    }
  }
}

/** The end of a daemon's log: it goes with the lab. */
function lastLines(name: string): string {
  const text = readFileSync(`${INSIDE.logs}/${name}`, "utf8");
  return `The last lines of its log:\n${text.trimEnd().split("\n").slice(-12).join("\n")}`;
}

/** Writes a file into a member's own file system. */
function place(pid: number, path: string, text: string): void {
  const there = `/proc/${pid}/root${path}`;
  mkdirSync(dirname(there), { recursive: true });
  writeFileSync(there, text, { mode: 0o600 });
  chmodSync(there, 0o600);
}

async function startAgent(main: string, node: NodeModel, pid: number, adminKubeconfig: string): Promise<void> {
  place(pid, NODE_KUBECONFIG, adminKubeconfig);
  place(pid, AGENT_KUBECONFIG, "");
  const identity = ["--node", node.name, "--server", SERVER_URL, "--kubeconfig", `/proc/${pid}/root${AGENT_KUBECONFIG}`];
  await run(process.execPath, [main, "server", "issue", "--data", INSIDE.serverData, ...identity]);
  void guard({
    name: `agent of ${node.name}`,
    argv: [...enter(pid, ["net", "mount", "uts"]), process.execPath, main, "agent", "--node", node.name, "--kubeconfig", AGENT_KUBECONFIG],
    env: environment(process.env),
    logFile: `${INSIDE.logs}/agent-${node.name}`,
  });
}

async function makePod(client: RestClient, model: PodModel, pid: (name: string) => number): Promise<LabPod> {
  const pod = { ...model, pid: pid(model.name), address: await addressOf(client, model) };
  const setup = podSetup(pod);
  await apply(setup.node, pid(pod.node));
  await apply(setup.pod, pod.pid);
  // By this the node's agent finds the pod when somebody wants to run a command in it.
  place(pid(pod.node), `/run/tortie/pods/${pod.namespace}/${pod.name}.pid`, `${pod.pid}\n`);
  await seedPod(client, pod, CLUSTER.nodes.find((n) => n.name === pod.node)!.address);
  return { ...pod, hostInterface: hostInterface(pod) };
}

/** Waits until every agent has reported once: from then on the plain routes stand. */
async function agentsReported(client: RestClient): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; ; await sleep(50)) {
    const reported = (await client.list(NODE_ENCRYPTION)).items.filter((r) => r.status).map((r) => r.metadata.name);
    const missing = CLUSTER.nodes.filter((n) => !reported.includes(n.name));
    if (missing.length === 0) return;
    if (Date.now() > end)
      throw new TortieError(`Cannot start the lab: no word from the agent of ${missing.map((n) => n.name).join(", ")}`, {
        hint: lastLines(`agent-${missing[0]!.name}`),
      });
  }
}
