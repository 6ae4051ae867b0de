// ipam check: do the blocks say the same as those who use the addresses? Pure; the text and the report come from one look at everything.
import { allocations, ownerOf } from "../../../agent/ipam/block.ts";
import { handleName } from "../../../agent/ipam/handle.ts";
import { inPools } from "../../../agent/ipam/pool.ts";
import type { CalicoNode } from "../../../api/calico-node.ts";
import type { Pod } from "../../../api/pod.ts";
import { formatIp, parseIp } from "../../../base/ip.ts";
import type { Addresses, Users } from "./load.ts";
import type { Report, ReportedAllocation } from "./report.ts";

export type CheckFlags = { showAllIps?: boolean; showProblemIps?: boolean };
export type Checked = { text: string; allocations: Report["allocations"]; leakedHandles: Report["leakedHandles"] };

const TOP = 20;

/** Every address of a node's tunnels. Calico's own check forgets those of WireGuard on IPv6 and takes them for leaked; here they count. */
const tunnelAddresses = ({ spec }: CalicoNode): string[] =>
  [
    spec.bgp?.ipv4IPIPTunnelAddr,
    spec.ipv4VXLANTunnelAddr,
    spec.ipv6VXLANTunnelAddr,
    spec.wireguard?.interfaceIPv4Address,
    spec.wireguard?.interfaceIPv6Address,
  ].filter((a) => a !== undefined);

/** Addresses of a pod that runs with a network of its own. */
function podAddresses({ metadata, spec, status }: Pod): string[] {
  if (spec.hostNetwork || status?.phase === "Succeeded" || status?.phase === "Failed") return [];
  const annotated = metadata.annotations?.["cni.projectcalico.org/podIPs"]?.split(",").map((a) => a.trim().replace(/\/.*$/, "")) ?? [];
  return [...new Set([status?.podIP ?? "", ...(status?.podIPs ?? []).map((p) => p.ip), ...annotated])].filter((a) => a !== "");
}

const usual = (address: string): string => {
  const ip = parseIp(address);
  return ip ? formatIp(ip) : address;
};

/** Owners by address. */
function inUse({ nodes, pods }: Users): { owners: Map<string, string[]>; tunnels: number; workloads: number } {
  const owners = new Map<string, string[]>();
  const add = (address: string, owner: string): void => void owners.set(usual(address), [...(owners.get(usual(address)) ?? []), owner]);
  for (const n of nodes) for (const a of tunnelAddresses(n)) add(a, `Node(${n.metadata.name})`);
  const tunnels = owners.size;
  for (const p of pods) for (const a of podAddresses(p)) add(a, `Workload(${p.metadata.namespace}/${p.metadata.name})`);
  return { owners, tunnels, workloads: owners.size - tunnels };
}

const attributesOf = (a: ReportedAllocation): string =>
  [
    `handle=${a.handle === "" ? "<none>" : a.handle}`,
    ...(["node", "pod", "namespace", "type"] as const).flatMap((k) => (a[k] === undefined ? [] : [`${k}=${a[k]}`])),
  ].join(" ");

function allocated({ blocks }: Addresses, owners: ReadonlyMap<string, string[]>): ReportedAllocation[] {
  return blocks.flatMap((b) =>
    allocations(b.spec).map(({ address, handle = "", attributes, sequenceNumber }) => {
      const { node, type, pod, namespace } = attributes;
      const own = owners.get(address) ?? [];
      const known = Object.fromEntries(Object.entries({ node, type, pod, namespace, sequenceNumber }).filter(([, v]) => v !== undefined));
      return { ip: address, block: b.spec.cidr, handle, ...known, inUse: own.length > 0, owners: own };
    }),
  );
}

/** "Looking for top (up to 20) nodes": how many addresses each node's handles hold. */
function topNodes(all: readonly ReportedAllocation[]): string[] {
  const counts = new Map<string, number>();
  for (const a of all) if (a.node !== undefined) counts.set(a.node, (counts.get(a.node) ?? 0) + 1);
  const sorted = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  if (sorted.length === 0) return [];
  const median = sorted[Math.floor(sorted.length / 2)]![1];
  return [
    ...sorted.slice(0, TOP).map(([node, n]) => `  ${node} has ${n} allocations`),
    `Node with most allocations has ${sorted[0]![1]}; median is ${median}`,
  ];
}

/** Compares; `text` is what is printed, the rest goes into the report. */
export function check(addresses: Addresses, users: Users, flags: CheckFlags): Checked {
  const { pools, blocks } = addresses;
  const active = pools.filter((p) => !p.spec.disabled);
  const { owners, tunnels, workloads } = inUse(users);
  const all = allocated(addresses, owners);
  const detail = (problem: boolean): boolean => flags.showAllIps === true || (problem && flags.showProblemIps === true);

  const leaked = all.filter((a) => !a.inUse);
  const known = new Set(all.map((a) => a.ip));
  const missing = [...owners].filter(([ip]) => !known.has(ip));
  const outside = missing.filter(([ip]) => !inPools(active, ip));
  const unassigned = missing.filter(([ip]) => inPools(active, ip));
  const mentioned = new Set(all.filter((a) => a.handle !== "").map((a) => handleName(a.handle)));
  const unused = users.handles.filter((h) => !mentioned.has(handleName(h.spec.handleID)));
  const there = new Set(users.handles.map((h) => handleName(h.spec.handleID)));
  const lost = [...mentioned].filter((h) => !there.has(h));
  const problems = leaked.length + outside.length + unassigned.length + unused.length + lost.length;

  const lines = [
    "Checking IPAM for inconsistencies...",
    "",
    "Loading all IPAM blocks...",
    `Found ${blocks.length} IPAM blocks.`,
    ...blocks.map((b) => ` IPAM block ${b.spec.cidr} affinity=${ownerOf(b.spec) === undefined ? "<none>" : b.spec.affinity}:`),
    `IPAM blocks record ${all.length} allocations.`,
    "",
    "Loading all IPAM pools...",
    ...active.map((p) => `  ${p.spec.cidr}`),
    `Found ${active.length} active IP pools.`,
    "",
    "Loading all nodes.",
    `Found ${tunnels} node tunnel IPs.`,
    "",
    "Loading all workload endpoints.",
    `Found ${workloads} workload IPs.`,
    `Workloads and nodes are using ${owners.size} IPs.`,
    "",
    "Loading all handles",
    `Looking for top (up to ${TOP}) nodes by allocations...`,
    ...topNodes(all),
    "",
    "Scanning for IPs that are allocated but not actually in use...",
    ...leaked.filter(() => detail(true)).map((a) => `  ${a.ip} leaked; attrs ${attributesOf(a)}`),
    `Found ${leaked.length} IPs that are allocated in IPAM but not actually in use.`,
    "Scanning for IPs that are in use by a workload or node but not allocated in IPAM...",
    ...all.filter((a) => a.inUse && detail(false)).map((a) => `  ${a.ip} allocated; attrs ${attributesOf(a)}; in use by ${a.owners.join(", ")}`),
    ...missing.filter(() => detail(true)).map(([ip, by]) => `  ${ip} in use by ${by.join(", ")} but not allocated in IPAM`),
    `Found ${outside.length} in-use IPs that are not in active IP pools.`,
    `Found ${unassigned.length} in-use IPs that are in active IP pools but have no corresponding IPAM allocation.`,
    "",
    "Scanning for IPAM handles with no matching IPs...",
    ...unused.filter(() => detail(true)).map((h) => `  ${h.spec.handleID} doesn't have any active IPs`),
    `Found ${unused.length} handles with no matching IPs (and ${users.handles.length - unused.length} handles with matches).`,
    "Scanning for IPs with missing handle...",
    ...lost.filter(() => detail(true)).map((h) => `  ${h} is mentioned in a block, but there is no such handle`),
    `Found ${lost.length} handles mentioned in blocks with no matching handle resource.`,
    `Check complete; found ${problems} problems.`,
    "",
  ];
  const byAddress: Report["allocations"] = {};
  for (const a of all) (byAddress[a.ip] ??= []).push(a);
  return {
    text: lines.join("\n"),
    allocations: byAddress,
    leakedHandles: unused.map((h) => ({ id: h.spec.handleID, revision: h.metadata.resourceVersion ?? "" })),
  };
}
