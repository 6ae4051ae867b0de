// What a cluster has before its first workload: the default namespace, configuration, pool and nodes, as Calico's installation writes them; and the lab's
// pods, as the kubelet and the CNI plugin do.
import { randomUUID } from "node:crypto";
import { assignPodAddress } from "../agent/ipam/index.ts";
import { CLUSTER_INFORMATION } from "../api/clusterinformation.ts";
import { FELIX_CONFIGURATION } from "../api/felixconfiguration.ts";
import { IP_POOL } from "../api/ippool.ts";
import { apiVersionOf, type Kind } from "../api/kind.ts";
import type { Resource } from "../api/meta.ts";
import { NAMESPACE } from "../api/namespace.ts";
import { NODE, type Node } from "../api/node.ts";
import { ANNOTATION } from "../api/node-annotations.ts";
import { POD, type Pod } from "../api/pod.ts";
import { isAlreadyExists } from "../client/error.ts";
import type { Client } from "../client/types.ts";
import { machine } from "./machine.ts";
import { type Model, type NodeModel, type PodModel, POOL } from "./model.ts";

const named = <T extends Resource>(kind: Kind<T>, name: string, rest: Omit<T, keyof Resource>): T =>
  ({ apiVersion: apiVersionOf(kind), kind: kind.kind, metadata: { name }, ...rest }) as T;

/** Creates an object and its status; one that is there already stays as it is. */
async function ensure<T extends Resource & { status?: unknown }>(client: Client, kind: Kind<T>, object: T): Promise<void> {
  const { namespace } = object.metadata;
  try {
    const made = await client.create(kind, object, namespace === undefined ? {} : { namespace });
    // A status is not taken from whoever creates an object.
    if (object.status !== undefined)
      await client.updateStatus(kind, { ...made, status: object.status }, namespace === undefined ? {} : { namespace });
  } catch (thrown) {
    if (!isAlreadyExists(thrown)) throw thrown;
  }
}

const now = (): string => `${new Date().toISOString().slice(0, 19)}Z`;
const condition = (type: string): { type: string; status: string; lastTransitionTime: string } => ({
  type,
  status: "True",
  lastTransitionTime: now(),
});

const nodeObject = (n: NodeModel): Node => {
  const node = named(NODE, n.name, {
    spec: {},
    status: {
      addresses: [
        { type: "InternalIP", address: n.address },
        { type: "Hostname", address: n.name },
      ],
      ...machine(),
      conditions: [{ ...condition("Ready"), lastHeartbeatTime: now(), reason: "LabIsUp", message: "the lab has made this node" }],
    },
  });
  return {
    ...node,
    metadata: {
      ...node.metadata,
      labels: { "kubernetes.io/hostname": n.name },
      annotations: { [ANNOTATION.ipv4Address]: `${n.address}/${n.subnet.prefix}` },
    },
  };
};

/** The cluster without pods. */
export async function seedCluster(client: Client, model: Model): Promise<void> {
  await Promise.all([
    ensure(client, NAMESPACE, named(NAMESPACE, "default", {})),
    ensure(client, FELIX_CONFIGURATION, named(FELIX_CONFIGURATION, "default", { spec: {} })),
    ensure(
      client,
      CLUSTER_INFORMATION,
      named(CLUSTER_INFORMATION, "default", {
        spec: { clusterGUID: randomUUID().replaceAll("-", ""), clusterType: "tortie,lab", datastoreReady: true },
      }),
    ),
    ensure(
      client,
      IP_POOL,
      named(IP_POOL, POOL.name, {
        spec: { cidr: POOL.cidr, blockSize: POOL.blockSize, vxlanMode: "CrossSubnet", ipipMode: "Never", natOutgoing: false },
      }),
    ),
    ...model.nodes.map((n) => ensure(client, NODE, nodeObject(n))),
  ]);
}

/** The pod's address, from a block of its node. */
export const addressOf = async (client: Client, pod: PodModel): Promise<string> =>
  (await assignPodAddress(client, { node: pod.node, namespace: pod.namespace, pod: pod.name })).address;

/** The pod's object, running. */
export async function seedPod(client: Client, pod: PodModel & { readonly address: string }, hostIP: string): Promise<void> {
  const object = named(POD, pod.name, {
    spec: { nodeName: pod.node, containers: [{ name: "shell", image: "tortie.io/lab/shell" }] },
    status: {
      phase: "Running",
      podIP: pod.address,
      podIPs: [{ ip: pod.address }],
      hostIP,
      startTime: now(),
      conditions: [condition("Initialized"), condition("Ready"), condition("ContainersReady"), condition("PodScheduled")],
      containerStatuses: [
        {
          name: "shell",
          ready: true,
          restartCount: 0,
          image: "tortie.io/lab/shell",
          imageID: "",
          started: true,
          state: { running: { startedAt: now() } },
        },
      ],
    },
  }) satisfies Pod;
  await ensure(client, POD, { ...object, metadata: { ...object.metadata, namespace: pod.namespace } });
}
