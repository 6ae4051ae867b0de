// tortie agent: the agent of one node.
import { nameProblem } from "../api/names.ts";
import { TortieError } from "../base/errors.ts";
import { type Endpoint, inClusterEndpoint, loadKubeconfig } from "../client/kubeconfig.ts";
import { forbidDumps } from "../sys/protect.ts";
import { adviseOnNode, daemonLog, LOG_LEVELS } from "./log.ts";
import { onAction, program, runProgram } from "./program.ts";

/** A stop takes no longer than this, whatever hangs. */
const STOP_MS = 5_000;

type Options = { node?: string; kubeconfig?: string; deviceCommand?: string };

// An agent makes links, routes and rules on the machine that it runs on: which node that is, and of which cluster, is said, never guessed.
function nodeName(options: Options): string {
  const node = options.node ?? process.env.NODENAME;
  if (node === undefined) throw new TortieError("Cannot start an agent: --node is missing", { hint: "It is this machine's name in the cluster." });
  const problem = nameProblem(node, "subdomain");
  if (problem !== undefined) throw new TortieError(`Cannot start an agent for node "${node}": ${problem}`);
  return node;
}
function endpointOf(options: Options): Endpoint {
  const path = options.kubeconfig ?? process.env.KUBECONFIG;
  const endpoint = path ? loadKubeconfig(path) : inClusterEndpoint(process.env);
  if (endpoint) return endpoint;
  throw new TortieError("Cannot start an agent: --kubeconfig is missing", {
    hint: `\`tortie server issue --node ${options.node ?? "NAME"} …\` writes one for this node.`,
  });
}

async function start(options: Options): Promise<number> {
  // The private key passes through this process: no core dump, and no inspector on SIGUSR1.
  forbidDumps();
  process.on("SIGUSR1", () => {});
  const node = nodeName(options);
  const endpoint = endpointOf(options);
  const [{ Agent }, { Streams }, { connectTo }, log] = await Promise.all([
    import("../agent/agent.ts"),
    import("../agent/streams.ts"),
    import("../client/node.ts"),
    daemonLog(LOG_LEVELS.find((l) => l === process.env.LOG_LEVEL) ?? "info", { node }),
  ]);
  adviseOnNode(log);
  const client = connectTo(endpoint);
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    process.once(signal, () => {
      log.info("stopping; the device and its routes stay", { signal });
      stop.abort();
      setTimeout(() => process.exit(0), STOP_MS).unref();
    });
  const tortie = [process.execPath, ...process.execArgv, process.argv[1]!];
  const deviceCommand = options.deviceCommand?.split(" ").filter((w) => w !== "") ?? [...tortie, "device", "--foreground"];
  const streaming = new Streams({ endpoint, node, log, tortie, client }).run(stop.signal);
  try {
    await new Agent({ node, client, log, deviceCommand }).run(stop.signal);
  } catch (thrown) {
    if (!stop.signal.aborted) throw thrown;
  }
  await streaming;
  await client.close();
  return 0;
}

export async function main(args: string[]): Promise<number> {
  const command = program("tortie agent", "The agent of one node: turns resources into a device, addresses, routes and a rule, and reports back", [
    "tortie agent --node k8s-w1 --kubeconfig /var/lib/tortie/agent.kubeconfig",
    'tortie agent --node k8s-w1 --kubeconfig FILE --device-command "wireguard-go -f"',
  ])
    .option("--node <name>", "name of this node (or NODENAME)")
    .option("--kubeconfig <file>", "where the API is, and who this node is (or KUBECONFIG, or a pod's service account)")
    .option("--device-command <words>", "program that is the WireGuard device; the interface's name is put behind it (default: tortie device -f)");
  onAction(command, start);
  return runProgram(command, args);
}
