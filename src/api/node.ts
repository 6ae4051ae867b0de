// Node of v1: a machine of the cluster. Calico's own fields are its annotations (calico-node.ts).
// https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/
import type { Kind } from "./kind.ts";
import { noDefaults } from "./kind.ts";
import type { Resource } from "./meta.ts";
import { ANNOTATION } from "./node-annotations.ts";
import { anything, boolean, integer, list, map, object, resource, type Schema, string, time } from "./schema.ts";

export type NodeAddress = { type: string; address: string };
export type NodeCondition = {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastHeartbeatTime?: string;
  lastTransitionTime?: string;
};
export type Taint = { key: string; value?: string; effect: string; timeAdded?: string };
export type NodeSpec = {
  podCIDR?: string;
  podCIDRs?: string[];
  providerID?: string;
  externalID?: string;
  unschedulable?: boolean;
  taints?: Taint[];
};
export type NodeStatus = {
  addresses?: NodeAddress[];
  conditions?: NodeCondition[];
  nodeInfo?: Record<string, unknown>;
  /** "2", "24117248Ki". */
  capacity?: Record<string, number | string>;
  allocatable?: Record<string, number | string>;
  phase?: string;
  daemonEndpoints?: Record<string, unknown>;
  images?: Record<string, unknown>[];
  volumesInUse?: string[];
  volumesAttached?: Record<string, unknown>[];
  config?: Record<string, unknown>;
  runtimeHandlers?: Record<string, unknown>[];
  features?: Record<string, unknown>;
  observedGeneration?: number;
};
export type Node = Resource & { spec?: NodeSpec; status?: NodeStatus };

const byType = { "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "type" } as const;
const spec: Schema = object("Desired state.", {
  podCIDR: string("Range of the node's pods."),
  podCIDRs: list("Ranges of the node's pods.", string("A range."), { "x-kubernetes-patch-strategy": "merge" }),
  providerID: string("Identity of the node at its provider."),
  externalID: string("Not used."),
  unschedulable: boolean("Whether new pods are kept away."),
  taints: list(
    "Marks that keep pods away.",
    object("A taint.", { key: string("Key."), value: string("Value."), effect: string("Effect."), timeAdded: time("When it was added.") }, [
      "key",
      "effect",
    ]),
  ),
});
const condition: Schema = object(
  "A condition.",
  {
    type: string("What it is about, such as Ready."),
    status: string("True, False or Unknown."),
    reason: string("One word why."),
    message: string("Why, for a person."),
    lastHeartbeatTime: time("When it was looked at."),
    lastTransitionTime: time("When it changed."),
  },
  ["type", "status"],
);
const status: Schema = {
  ...object("Observed state.", {
    addresses: list(
      "Addresses of the node.",
      object("An address.", { type: string("Hostname, InternalIP or ExternalIP."), address: string("The address.") }, ["type", "address"]),
      byType,
    ),
    conditions: list("Conditions.", condition, byType),
    nodeInfo: anything("Versions and identities."),
    capacity: map("What the node has.", { "x-kubernetes-int-or-string": true }),
    allocatable: map("What pods may use.", { "x-kubernetes-int-or-string": true }),
    phase: string("Not used."),
    daemonEndpoints: anything("Ports of daemons."),
    images: list("Images on the node.", anything("An image.")),
    volumesInUse: list("Volumes in use.", string("A volume.")),
    volumesAttached: list("Volumes attached.", anything("A volume.")),
    config: anything("Configuration status."),
    runtimeHandlers: list("Runtime handlers.", anything("A handler.")),
    features: anything("Features."),
    observedGeneration: integer("Generation that the status is about."),
  }),
};

const internalIp = (n: Node, type: string): string | undefined => n.status?.addresses?.find((a) => a.type === type)?.address;
const info = (n: Node, field: string): string | undefined => {
  const value = n.status?.nodeInfo?.[field];
  return typeof value === "string" ? value : undefined;
};
const ROLE = "node-role.kubernetes.io/";

function readiness(n: Node): string {
  const ready = n.status?.conditions?.find((c) => c.type === "Ready");
  const words = [ready === undefined ? "Unknown" : ready.status === "True" ? "Ready" : "NotReady"];
  if (n.spec?.unschedulable) words.push("SchedulingDisabled");
  return words.join(",");
}

function roles(n: Node): string {
  const found = Object.keys(n.metadata.labels ?? {}).filter((k) => k.startsWith(ROLE) && k.length > ROLE.length);
  return found.length === 0
    ? "<none>"
    : found
        .map((k) => k.slice(ROLE.length))
        .toSorted()
        .join(",");
}

export const NODE: Kind<Node> = {
  group: "",
  version: "v1",
  kind: "Node",
  plural: "nodes",
  singular: "node",
  shortNames: ["no"],
  namespaced: false,
  hasStatus: true,
  builtIn: true,
  generation: false,
  keepsStatusOnCreate: true,
  categories: [],
  selectable: ["spec.unschedulable"],
  schema: resource("A machine of the cluster.", { spec, status }),
  defaults: noDefaults,
  validate: () => [],
  columns: [
    { name: "Status", type: "string", priority: 0, description: "Whether the node is ready.", value: readiness },
    { name: "Roles", type: "string", priority: 0, description: "From the labels node-role.kubernetes.io/….", value: roles },
    { name: "Age", type: "date", priority: 0, description: "Since creation.", value: (n) => n.metadata.creationTimestamp },
    { name: "Version", type: "string", priority: 0, description: "Version of the agent.", value: (n) => info(n, "kubeletVersion") ?? "" },
    {
      name: "Internal-IP",
      type: "string",
      priority: 1,
      description: "Address in the cluster.",
      value: (n) => internalIp(n, "InternalIP") ?? "<none>",
    },
    { name: "External-IP", type: "string", priority: 1, description: "Address outside.", value: (n) => internalIp(n, "ExternalIP") ?? "<none>" },
    { name: "OS-Image", type: "string", priority: 1, description: "Operating system.", value: (n) => info(n, "osImage") ?? "<unknown>" },
    { name: "Kernel-Version", type: "string", priority: 1, description: "Kernel.", value: (n) => info(n, "kernelVersion") ?? "<unknown>" },
    {
      name: "Container-Runtime",
      type: "string",
      priority: 1,
      description: "Runtime.",
      value: (n) => info(n, "containerRuntimeVersion") ?? "<unknown>",
    },
    {
      name: "WireGuard-Key",
      type: "string",
      priority: 1,
      description: "Public key that the node published.",
      value: (n) => n.metadata.annotations?.[ANNOTATION.wireguardPublicKey] ?? "<none>",
    },
  ],
};
