// Pod of v1, with the fields that the lab's pods use; others are kept as they are.
// https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
import type { Kind } from "./kind.ts";
import type { Resource } from "./meta.ts";
import { anything, boolean, integer, list, object, resource, type Schema, string, time } from "./schema.ts";

export type Container = { name: string; image?: string; command?: string[]; args?: string[]; [other: string]: unknown };
export type PodSpec = {
  nodeName?: string;
  containers: Container[];
  initContainers?: Container[];
  volumes?: Record<string, unknown>[];
  hostNetwork?: boolean;
  restartPolicy?: "Always" | "OnFailure" | "Never";
  serviceAccountName?: string;
  schedulerName?: string;
  terminationGracePeriodSeconds?: number;
  [other: string]: unknown;
};
export type PodStatus = {
  phase?: "Pending" | "Running" | "Succeeded" | "Failed" | "Unknown";
  podIP?: string;
  podIPs?: { ip: string }[];
  hostIP?: string;
  startTime?: string;
  reason?: string;
  message?: string;
  conditions?: { type: string; status: string; [other: string]: unknown }[];
  containerStatuses?: { name: string; ready: boolean; restartCount: number; [other: string]: unknown }[];
  [other: string]: unknown;
};
export type Pod = Resource & { spec: PodSpec; status?: PodStatus };

/** As in Kubernetes. */
const GRACE_S = 30;
/** Nobody runs a pod that is on no node, or runs it any more. */
const isRun = (p: Pod): boolean => (p.spec.nodeName ?? "") !== "" && p.status?.phase !== "Succeeded" && p.status?.phase !== "Failed";

const open = (s: Schema): Schema => ({ ...s, "x-kubernetes-preserve-unknown-fields": true });
const byName = { "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "name" } as const;
const container: Schema = open(
  object(
    "A container.",
    { name: string("Name."), image: string("Image."), command: list("Command.", string("Word.")), args: list("Arguments.", string("Word.")) },
    ["name"],
  ),
);
const spec: Schema = open(
  object(
    "Desired state.",
    {
      nodeName: string("Node that runs the pod."),
      containers: list("Containers.", container, byName),
      initContainers: list("Containers that run first.", container, byName),
      volumes: list("Volumes.", anything("A volume."), { ...byName, "x-kubernetes-patch-strategy": "merge,retainKeys" }),
      hostNetwork: boolean("Use the node's own network."),
      restartPolicy: string("When containers are started again.", { enum: ["Always", "OnFailure", "Never"] }),
      serviceAccountName: string("Not used."),
      schedulerName: string("Not used."),
      terminationGracePeriodSeconds: integer(`Seconds that the pod's process is given to end, before it is killed. Default: ${GRACE_S}.`, 0),
    },
    ["containers"],
  ),
);
const byType = { "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "type" } as const;
const status: Schema = open(
  object("Observed state.", {
    phase: string("Where the pod is in its life.", { enum: ["Pending", "Running", "Succeeded", "Failed", "Unknown"] }),
    podIP: string("Address of the pod."),
    podIPs: list("Addresses of the pod.", object("An address.", { ip: string("The address.") }, ["ip"]), {
      "x-kubernetes-patch-strategy": "merge",
      "x-kubernetes-patch-merge-key": "ip",
    }),
    hostIP: string("Address of the node."),
    startTime: time("When it was started."),
    reason: string("One word why."),
    message: string("Why."),
    conditions: list(
      "Conditions.",
      open(
        object("A condition.", { type: string("What it is about, such as Ready."), status: string("True, False or Unknown.") }, ["type", "status"]),
      ),
      byType,
    ),
    containerStatuses: list(
      "Containers.",
      open(
        object(
          "A container's status.",
          { name: string("Name."), ready: boolean("Whether it serves."), restartCount: integer("How often it was started again.", 0) },
          ["name", "ready", "restartCount"],
        ),
      ),
    ),
  }),
);

const readyOf = (p: Pod): string => {
  const containers = p.status?.containerStatuses ?? [];
  const ready = containers.length > 0 ? containers.filter((c) => c.ready).length : p.status?.phase === "Running" ? p.spec.containers.length : 0;
  return `${ready}/${p.spec.containers.length}`;
};

export const POD: Kind<Pod> = {
  group: "",
  version: "v1",
  kind: "Pod",
  plural: "pods",
  singular: "pod",
  shortNames: ["po"],
  namespaced: true,
  hasStatus: true,
  builtIn: true,
  categories: ["all"],
  selectable: [
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
  ],
  schema: resource("A pod.", { spec, status }, ["spec"]),
  gracePeriod: (p) => (isRun(p) ? (p.spec.terminationGracePeriodSeconds ?? GRACE_S) : 0),
  defaults: (p) => ({ ...p, status: { ...p.status, phase: p.status?.phase ?? "Pending" } }),
  validate: (p, old) => [
    ...(p.spec.containers.length === 0 ? [{ field: "spec.containers", reason: "FieldValueRequired", message: "Required value" }] : []),
    ...(old?.spec.nodeName !== undefined && old.spec.nodeName !== p.spec.nodeName
      ? [{ field: "spec.nodeName", reason: "FieldValueForbidden", message: "Forbidden: a pod cannot be moved to another node" }]
      : []),
  ],
  columns: [
    { name: "Ready", type: "string", priority: 0, description: "Containers that are ready.", value: readyOf },
    {
      name: "Status",
      type: "string",
      priority: 0,
      description: "Phase, or the reason.",
      value: (p) => (p.metadata.deletionTimestamp ? "Terminating" : (p.status?.reason ?? p.status?.phase)),
    },
    {
      name: "Restarts",
      type: "string",
      priority: 0,
      description: "Restarts of containers.",
      value: (p) => String((p.status?.containerStatuses ?? []).reduce((n, c) => n + (Number(c.restartCount) || 0), 0)),
    },
    { name: "Age", type: "date", priority: 0, description: "Since creation.", value: (p) => p.metadata.creationTimestamp },
    { name: "IP", type: "string", priority: 1, description: "Address of the pod.", value: (p) => p.status?.podIP ?? "<none>" },
    { name: "Node", type: "string", priority: 1, description: "Node that runs the pod.", value: (p) => p.spec.nodeName ?? "<none>" },
    { name: "Nominated Node", type: "string", priority: 1, description: "Not used.", value: () => "<none>" },
    { name: "Readiness Gates", type: "string", priority: 1, description: "Not used.", value: () => "<none>" },
  ],
};
