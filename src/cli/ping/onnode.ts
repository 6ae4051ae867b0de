// `ping --node`: the same ping, sent by a node of the cluster, through its agent.
import { TortieError } from "../../base/errors.ts";
import { parseIp } from "../../base/ip.ts";
import { runTask } from "../onnode.ts";

/** Of a ping that nobody gave a count: it must end by itself. */
const COUNT = 4;

/** `foreign`: options that were given and have no meaning there. Exit codes are ping's. Throws ApiError, TortieError. */
export function pingOnNode(
  node: string,
  address: string,
  {
    count = COUNT,
    json,
    kubeconfig,
    foreign,
  }: { count: number | undefined; json: boolean; kubeconfig: string | undefined; foreign: readonly string[] },
): Promise<number> {
  if (foreign.length > 0) throw new TortieError(`ping: cannot use -${foreign[0]} with --node`, { hint: "It takes -c, -o json and --kubeconfig." });
  if (!parseIp(address)) throw new TortieError(`ping: cannot ping "${address}" from node "${node}": it must be an IP address`);
  const task = { type: "probe", address, count, ...(json ? { json: true as const } : {}) } as const;
  return runTask(node, task, { kubeconfig, stdout: (data) => void process.stdout.write(data) });
}
