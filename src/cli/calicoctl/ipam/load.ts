// What is known of addresses: pools, blocks, settings; and of who uses them: handles, nodes, pods.
import { type CalicoNode, toCalicoNode } from "../../../api/calico-node.ts";
import { IPAM_BLOCK, type IPAMBlock } from "../../../api/ipamblock.ts";
import { IPAM_CONFIGURATION, type IPAMConfiguration } from "../../../api/ipamconfiguration.ts";
import { IPAM_HANDLE, type IPAMHandle } from "../../../api/ipamhandle.ts";
import { IP_POOL, type IPPool } from "../../../api/ippool.ts";
import { NODE } from "../../../api/node.ts";
import { POD, type Pod } from "../../../api/pod.ts";
import { find } from "../../../client/find.ts";
import type { Client } from "../../../client/types.ts";

export type Addresses = {
  readonly pools: readonly IPPool[];
  readonly blocks: readonly IPAMBlock[];
  readonly configuration: IPAMConfiguration | undefined;
};
export type Users = {
  readonly nodes: readonly CalicoNode[];
  readonly pods: readonly Pod[];
  readonly handles: readonly IPAMHandle[];
};

export const ipamConfiguration = (client: Client): Promise<IPAMConfiguration | undefined> => find(client, IPAM_CONFIGURATION, "default");

export async function loadAddresses(client: Client): Promise<Addresses> {
  const [pools, blocks, configuration] = await Promise.all([client.list(IP_POOL), client.list(IPAM_BLOCK), ipamConfiguration(client)]);
  return { pools: pools.items, blocks: blocks.items.filter((b) => !b.spec.deleted), configuration };
}

export async function loadUsers(client: Client): Promise<Users> {
  const [nodes, pods, handles] = await Promise.all([client.list(NODE), client.list(POD), client.list(IPAM_HANDLE)]);
  return { nodes: nodes.items.map(toCalicoNode), pods: pods.items, handles: handles.items };
}
