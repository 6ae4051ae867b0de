// tortie agent: the agent of one node.
import { existsSync } from "node:fs";
import { nameProblem } from "../api/names.ts";
import { TortieError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { RestClient } from "../client/rest.ts";
import { type Endpoint, inClusterEndpoint, loadKubeconfig } from "../client/kubeconfig.ts";
import { forbidDumps } from "../sys/protect.ts";
import { adviseOnNode, daemonLog, LOG_LEVELS } from "./log.ts";
import type { JoinOptions } from "./join.ts";
import { onAction, program, runProgram, withExamples } from "./program.ts";

/** Where `join` writes, and where the agent looks when nothing else is said. */
const AGENT_KUBECONFIG = "/var/lib/tortie/agent.kubeconfig";
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
  const path = options.kubeconfig ?? process.env.KUBECONFIG ?? (existsSync(AGENT_KUBECONFIG) ? AGENT_KUBECONFIG : undefined);
  const endpoint = path ? loadKubeconfig(path) : inClusterEndpoint(process.env);
  if (endpoint) return endpoint;
  throw new TortieError("Cannot start an agent: --kubeconfig is missing", {
    hint: "`tortie agent join URL --token-file FILE` writes one for this node.",
  });
}

async function start(options: Options): Promise<number> {
  // The private key passes through this process: no core dump, and no inspector on SIGUSR1.
  forbidDumps();
  process.on("SIGUSR1", () => {});
  const node = nodeName(options);
  const endpoint = endpointOf(options);
  const [{ Agent }, { Streams }, { connectTo }, { calicoClient }, log] = await Promise.all([
    import("../agent/agent.ts"),
    import("../agent/streams.ts"),
    import("../client/node.ts"),
    import("../client/layouts/index.ts"),
    daemonLog(LOG_LEVELS.find((l) => l === process.env.LOG_LEVEL) ?? "info", { node }),
  ]);
  adviseOnNode(log);
  const client = calicoClient(connectTo(endpoint));
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    process.once(signal, () => {
      log.info("stopping; the device and its routes stay", { signal });
      stop.abort();
      setTimeout(() => process.exit(0), STOP_MS).unref();
    });
  const tortie = [process.execPath, ...process.execArgv, process.argv[1]!];
  const deviceCommand = options.deviceCommand?.split(" ").filter((w) => w !== "") ?? [...tortie, "device", "--foreground"];
  const renewing = renewal(node, endpoint, client, log, stop.signal);
  const streaming = new Streams({ endpoint, node, log, tortie, client }).run(stop.signal);
  try {
    await new Agent({ node, client, log, deviceCommand }).run(stop.signal);
  } catch (thrown) {
    if (!stop.signal.aborted) throw thrown;
  }
  await Promise.all([streaming, renewing]);
  await client.close();
  return 0;
}

/** Keeps the certificate of this node fresh, where it stands in a file of its own. */
async function renewal(node: string, endpoint: Endpoint, client: RestClient, log: Log, signal: AbortSignal): Promise<void> {
  const file = endpoint.certFile;
  if (file === undefined || file !== endpoint.keyFile) {
    if (endpoint.cert !== undefined)
      log.info("the certificate of this node is not renewed: it stands in the kubeconfig (tortie agent join makes one that is)");
    return;
  }
  const [{ keepRenewed }, { writePrivate }] = await Promise.all([import("../agent/enroll.ts"), import("../apiserver/identity/kubeconfig.ts")]);
  await keepRenewed({ node, file, client, log, write: (text) => writePrivate(file, "the certificate", text) }, signal);
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
  const joining = withExamples(
    command.command("join").description("give this machine its identity in a cluster, by a token of `tortie server token create`"),
    [
      "tortie agent join https://192.168.10.1:6443 --token-file k8s-w1.token",
      "tortie server token create --data DIR --node k8s-w1 | ssh k8s-w1 tortie agent join https://192.168.10.1:6443 --token-file -",
    ],
  )
    .argument("<url>", "URL of the API server")
    .option("--token-file <file>", "file with the token, - for standard input (or TORTIE_TOKEN)")
    .option("--token <token>", "the token itself: others on this machine may see it for a moment")
    .option("--ca <file>", "the server's certificate authority (default: the one that the token names)")
    .option("--node <name>", "name of this node (default: the one that the token is for)")
    .option("--kubeconfig <file>", "file to write; the certificate is written beside it", AGENT_KUBECONFIG);
  onAction(joining, async (url: string, options: JoinOptions) => {
    // From now on ps and /proc/PID/cmdline show this in place of the arguments, among which may be a token.
    process.title = "tortie agent join";
    return (await import("./join.ts")).join(url, options);
  });
  command.enablePositionalOptions();
  return runProgram(command, args);
}
