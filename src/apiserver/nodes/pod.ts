// Where a pod runs, for what is done in it: exec and logs.
import type { Kind } from "../../api/kind.ts";
import { type Pod, POD } from "../../api/pod.ts";
import { badRequest, conflict, notFound, unavailable } from "../../api/status.ts";
import type { Registry } from "../objects/registry.ts";
import type { ResourcePath } from "../wire/request.ts";
import type { Streams } from "./streams.ts";

/** The node whose agent runs a pod. Throws ApiError when there is no such pod or container, or when no agent is connected. */
export async function nodeOfPod(
  { registry, streams }: { readonly registry: Registry; readonly streams: Streams },
  { namespace, name }: Pick<ResourcePath, "namespace" | "name">,
  container: string,
): Promise<string> {
  const pod = (await registry.find(POD as unknown as Kind, namespace, name)) as Pod | undefined;
  if (!pod) throw notFound(POD, name);
  if (container !== "" && !pod.spec.containers.some((c) => c.name === container))
    throw badRequest(`container ${container} is not valid for pod ${name}`);
  const node = pod.spec.nodeName;
  if (node === undefined || node === "") throw conflict(POD, name, "the pod is not assigned to a node yet");
  if (!streams.has(node))
    throw unavailable(`the agent of node ${JSON.stringify(node)}, which runs pod ${JSON.stringify(name)}, is not connected to this server`);
  return node;
}
