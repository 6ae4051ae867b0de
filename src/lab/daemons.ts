// The lab's daemons: the API server in the router's network, an agent on each node. Runs inside the lab.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { FELIX_CONFIGURATION } from "../api/felixconfiguration.ts";
import { NODE_ENCRYPTION } from "../api/nodeencryption.ts";
import { openAuthority } from "../apiserver/identity/authority.ts";
import { NODES } from "../apiserver/identity/roles.ts";
import { kubeconfigText } from "../apiserver/identity/kubeconfig.ts";
import { messageOf, TortieError } from "../base/errors.ts";
import { connectToSocket } from "../client/node.ts";
import type { RestClient } from "../client/rest.ts";
import { enter } from "../sys/ns.ts";
import { environment, INSIDE, NODE_KUBECONFIG } from "./enter.ts";
import { guard } from "./guard.ts";
import { place } from "./members.ts";
import { API, CLUSTER, type NodeModel } from "./model.ts";

/** Where a node's agent finds its own identity. */
const AGENT_KUBECONFIG = "/var/lib/tortie/agent.kubeconfig";
const SERVER_URL = `https://${API.address}:${API.port}`;
/** For the server to answer, and for the agents to report, on a busy machine. */
const PATIENCE_MS = 30_000;

/** Starts the API server and keeps it running. Gives an administrator's client once it answers. */
export async function startServer(main: string): Promise<RestClient> {
  const where = ["--data", INSIDE.serverData, "--listen", `${API.address}:${API.port}`];
  const access = ["--kubeconfig", INSIDE.kubeconfig, "--socket", INSIDE.apiSocket];
  void guard({
    name: "server",
    argv: [process.execPath, main, "server", ...where, ...access],
    env: environment(process.env),
    logFile: `${INSIDE.logs}/server`,
  });
  const client = connectToSocket(INSIDE.apiSocket);
  for (const end = Date.now() + PATIENCE_MS; ; await sleep(20)) {
    try {
      await client.list(FELIX_CONFIGURATION);
      // Written last.
      readFileSync(INSIDE.kubeconfig);
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

/** Starts the nodes' agents, each with an identity of its own, and keeps them running. `pid`: the process that holds a member. */
export function startAgents(main: string, pid: (name: string) => number): void {
  const adminKubeconfig = readFileSync(INSIDE.kubeconfig, "utf8");
  const authority = openAuthority(INSIDE.serverData, Date.now, { create: false });
  for (const node of CLUSTER.nodes) {
    const user = `system:node:${node.name}`;
    const identity = authority.issue({ commonName: user, organizations: [NODES] }, "client");
    place(pid(node.name), NODE_KUBECONFIG, adminKubeconfig);
    place(pid(node.name), AGENT_KUBECONFIG, kubeconfigText({ server: SERVER_URL, caCertificate: authority.caCertificate, user, identity }));
    guardAgent(main, node, pid(node.name));
  }
}

function guardAgent(main: string, node: NodeModel, pid: number): void {
  void guard({
    name: `agent of ${node.name}`,
    argv: [...enter(pid, ["net", "mount", "uts"]), process.execPath, main, "agent", "--node", node.name, "--kubeconfig", AGENT_KUBECONFIG],
    env: environment(process.env),
    logFile: `${INSIDE.logs}/agent-${node.name}`,
  });
}

/** Waits until every agent has reported once. */
export async function agentsReported(client: RestClient): Promise<void> {
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
