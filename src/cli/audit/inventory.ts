// The cluster as the audit needs it, from the API: nodes with keys and addresses, blocks, pods, the settings of WireGuard.
import { readFile as readText } from "node:fs/promises";
import { messageOf, TortieError } from "../../base/errors.ts";
import { mergedSpec } from "../../agent/calc/config.ts";
import { type CalicoNode, isWireguardKey, toCalicoNode } from "../../api/calico-node.ts";
import { FELIX_CONFIGURATION } from "../../api/felixconfiguration.ts";
import { IPAM_BLOCK } from "../../api/ipamblock.ts";
import { NODE } from "../../api/node.ts";
import { POD } from "../../api/pod.ts";
import type { Client } from "../../client/types.ts";
import { Inventory, type InventoryDocument, type InventoryNode } from "../../capture/audit/inventory.ts";
import { connect, type ConnectOptions } from "../connect.ts";

const DEFAULT_PORT = 51_820;

/** An inventory file. Throws TortieError. */
export const readInventory = async (path: string): Promise<Inventory> => new Inventory(await readDocument(path));

/** The document in an inventory file, checked when it is used. Throws TortieError. */
export async function readDocument(path: string): Promise<InventoryDocument> {
  const text = await readText(path, "utf8").catch((e: unknown) => {
    throw new TortieError(`Cannot read the inventory "${path}": ${messageOf(e)}`, { cause: e });
  });
  try {
    return JSON.parse(text) as InventoryDocument;
  } catch (e) {
    // The parser quotes what it met: a key, where a key file was named by mistake.
    const where = / at position \d+/.exec(messageOf(e))?.[0] ?? "";
    throw new TortieError(`Cannot read the inventory "${path}": it is not JSON${where && `, as seen${where}`}`);
  }
}

/** The inventory of the cluster that the command line and the environment name. Throws TortieError. */
export const inventoryOfCluster = async (options: ConnectOptions = {}): Promise<Inventory> => new Inventory(await documentOfCluster(options));

export async function documentOfCluster(options: ConnectOptions = {}): Promise<InventoryDocument> {
  const client = await connect(options);
  try {
    return await inventoryFromApi(client);
  } finally {
    await client.close();
  }
}

async function inventoryFromApi(client: Client): Promise<InventoryDocument> {
  const [nodes, blocks, pods, felix] = await Promise.all([
    client.list(NODE),
    client.list(IPAM_BLOCK),
    client.list(POD),
    client.list(FELIX_CONFIGURATION),
  ]);
  const settings = felix.items.find((f) => f.metadata.name === "default")?.spec;
  const own = new Map(nodes.items.map((n) => [n.metadata.name, mergedSpec(felix.items, { name: n.metadata.name, labels: n.metadata.labels ?? {} })]));
  const cidrs = new Map<string, string[]>();
  for (const b of blocks.items) {
    const owner = /^host:(.+)$/.exec(b.spec.affinity ?? "")?.[1];
    if (owner !== undefined) cidrs.set(owner, [...(cidrs.get(owner) ?? []), b.spec.cidr]);
  }
  return {
    wireguardPort: settings?.wireguardListeningPort ?? DEFAULT_PORT,
    encryption: [...own.values()].some((s) => s.wireguardEnabled === true),
    hostEncryption: settings?.wireguardHostEncryptionEnabled === true,
    overlay: { vxlan: { port: settings?.vxlanPort ?? 4789 } },
    nodes: nodes.items.map((n) => ({
      ...nodeOf(toCalicoNode(n), cidrs.get(n.metadata.name) ?? []),
      wgPort: own.get(n.metadata.name)?.wireguardListeningPort ?? DEFAULT_PORT,
    })),
    pods: pods.items
      .filter((p) => p.status?.phase !== "Succeeded" && p.status?.phase !== "Failed")
      .map((p) => ({
        name: `${p.metadata.namespace ?? "default"}/${p.metadata.name}`,
        node: p.spec?.nodeName ?? "",
        ips: [...new Set([...(p.status?.podIPs ?? []).map((i) => i.ip), p.status?.podIP].filter((t): t is string => t !== undefined && t !== ""))],
        hostNetwork: p.spec?.hostNetwork === true,
      })),
  };
}

function nodeOf(n: CalicoNode, podCIDRs: string[]): InventoryNode {
  const { spec } = n;
  const bare = (t: string): string => t.split("/")[0]!;
  const present = (list: (string | undefined)[]): string[] => [...new Set(list.filter((t): t is string => t !== undefined && t !== "").map(bare))];
  const tunnelIPs = present([
    spec.ipv4VXLANTunnelAddr,
    spec.ipv6VXLANTunnelAddr,
    spec.bgp?.ipv4IPIPTunnelAddr,
    spec.wireguard?.interfaceIPv4Address,
    spec.wireguard?.interfaceIPv6Address,
  ]);
  const key = n.status?.wireguardPublicKey;
  return {
    name: n.metadata.name,
    ips: present([spec.bgp?.ipv4Address, spec.bgp?.ipv6Address, ...(spec.addresses ?? []).map((a) => a.address)]),
    tunnelIPs,
    podCIDRs,
    wgAllowedIPs: [...podCIDRs, ...tunnelIPs],
    ...(key !== undefined && isWireguardKey(key) ? { wgPublicKey: key } : {}),
  };
}
