// Addresses for pods, as the CNI plugin asks IPAM for them: one handle a pod, attributes that name it. The lab calls these two.
import type { Client } from "../../client/types.ts";
import { assign, release } from "./ipam.ts";
import type { IpVersion } from "./pool.ts";

export type PodRef = { readonly node: string; readonly namespace: string; readonly pod: string };
export type AssignedPod = {
  /** The pod's address, no prefix length: "172.16.84.1". */
  readonly address: string;
  /** The block that it is from: "172.16.84.0/24". */
  readonly block: string;
  readonly handle: string;
};

/** The pod's IPAM handle, in the CNI plugin's form "<network>.<container id>". */
export const podHandle = (pod: Pick<PodRef, "namespace" | "pod">): string => `k8s-pod-network.${pod.namespace}.${pod.pod}`.toLowerCase();

/**
 * Gives a pod an address from a block of its node; claims a block if the node has none with room, borrows from another node's if the pool is used up.
 * Asked again for the same pod it gives the same address. Throws TortieError when no pool is usable or all are full, ApiError from the server.
 */
export async function assignPodAddress(client: Client, pod: PodRef, version: IpVersion = 4): Promise<AssignedPod> {
  const { node, namespace } = pod;
  const handle = podHandle(pod);
  return { ...(await assign(client, { node, namespace, version, handle, use: "Workload", attributes: { ...pod } })), handle };
}

/** Gives the pod's addresses back. A pod that has none is no error. */
export const releasePodAddress = (client: Client, pod: Pick<PodRef, "namespace" | "pod">): Promise<void> => release(client, podHandle(pod));
