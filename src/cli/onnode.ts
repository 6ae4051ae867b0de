// A command of this program on another node, through its agent: what it prints is printed here, and its exit code is ours.
import type { NodeTask } from "../api/nodetask.ts";
import { runOnNode } from "../client/exec.ts";
import { connect } from "./connect.ts";

/** `stdout` takes what it prints; standard error goes to ours. Ctrl-C ends it there. Throws ApiError, TortieError. */
export async function runTask(
  node: string,
  task: NodeTask,
  options: { kubeconfig?: string | undefined; stdout: (data: Uint8Array) => void },
): Promise<number> {
  const client = await connect({ kubeconfig: options.kubeconfig });
  const over = new AbortController();
  const end = (): void => over.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const s of signals) process.once(s, end);
  const stderr = (data: Uint8Array): void => void process.stderr.write(data);
  try {
    return await runOnNode(client.transport, node, task, { stdout: options.stdout, stderr, signal: over.signal });
  } catch (thrown) {
    if (over.signal.aborted) return 0;
    throw thrown;
  } finally {
    for (const s of signals) process.off(s, end);
    await client.close();
  }
}
