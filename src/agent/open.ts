// What a server may ask of an agent on the stream. Pure; nothing of it is trusted to be well formed.
import { captureOf, type NodeCapture } from "../api/nodecapture.ts";
import { isNodeTask, type NodeTask, taskOf } from "../api/nodetask.ts";
import { type PodLog, podLogOf } from "../api/podlog.ts";

/** One command in a pod. */
export type ExecOrder = {
  readonly type: "exec";
  readonly namespace: string;
  readonly pod: string;
  readonly command: readonly string[];
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
};

/** The log of a pod. */
export type LogOrder = PodLog & { readonly type: "log"; readonly namespace: string; readonly pod: string };

/** A capture on the node itself. */
export type CaptureOrder = NodeCapture & { readonly type: "capture" };
export type Order = ExecOrder | LogOrder | CaptureOrder | NodeTask;

/** A DNS subdomain name: it becomes part of a path. */
const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

/** The order, or the reason why it is none. */
export function parseOpen(text: string): Order | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "the order is not JSON";
  }
  if (typeof value !== "object" || value === null) return "the order is not an object";
  if ("type" in value && value.type === "capture") {
    const capture = captureOf(value);
    return typeof capture === "string" ? capture : { type: "capture", ...capture };
  }
  if ("type" in value && isNodeTask(value.type)) return taskOf(value);
  const { type, namespace, pod, command, tty, stdin, stdout, stderr } = value as Record<string, unknown>;
  if (type !== "exec" && type !== "log") return "this node knows no order but exec, log, capture, keylog, audit and probe";
  if (typeof namespace !== "string" || !NAME.test(namespace)) return "namespace: not a name";
  if (typeof pod !== "string" || !NAME.test(pod)) return "pod: not a name";
  if (type === "log") {
    const asked = podLogOf(value as Record<string, unknown>);
    return Array.isArray(asked) ? asked.map((e) => `${e.field}: ${e.message}`).join("; ") : { type, namespace, pod, ...asked };
  }
  if (!Array.isArray(command) || command.length === 0 || !command.every((w) => typeof w === "string" && !w.includes("\0")))
    return "command: not a list of words";
  return {
    type,
    namespace,
    pod,
    command: command as string[],
    tty: tty === true,
    stdin: stdin === true,
    stdout: stdout !== false,
    stderr: stderr !== false,
  };
}
