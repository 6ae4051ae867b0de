// Ordinary routing between nodes, as with Calico's vxlanMode: inside a subnet the block's route goes through its node's address (CrossSubnet), elsewhere
// through VXLAN with static neighbours. It stays under encryption, as the way to nodes that do not encrypt.
import type { IPPool } from "../../api/ippool.ts";
import { contains, covers, parseCidr } from "../../base/cidr.ts";
import { parseIp } from "../../base/ip.ts";
import type { Config } from "./config.ts";
import { hostMtu, vxlanMtu } from "./mtu.ts";
import type { NodeFacts } from "./facts.ts";
import type { Owned } from "./ownership.ts";
import { type Facts, MAIN_TABLE, PROTOCOL_PLAIN, type Route, type Vxlan, type VxlanNeighbour } from "./types.ts";

export const VXLAN_INTERFACE = "vxlan.calico";

type VxlanMode = NonNullable<IPPool["spec"]["vxlanMode"]>;
const modeOf = (p: IPPool): VxlanMode => p.spec.vxlanMode ?? "Never";
const isIpv4 = (p: IPPool): boolean => parseCidr(p.spec.cidr)?.ip.length === 4;

/** True when some IPv4 pool sends by VXLAN: then every node needs the device and an address on it. */
export const usesVxlan = (pools: readonly IPPool[]): boolean => pools.some((p) => isIpv4(p) && modeOf(p) !== "Never");

export function vxlanOf(
  config: Config,
  pools: readonly IPPool[],
  nodes: readonly NodeFacts[],
  own: NodeFacts | undefined,
  facts: Facts,
): Vxlan | undefined {
  if (!usesVxlan(pools) || own?.address === undefined || facts.uplink === undefined) return undefined;
  const neighbours = nodes
    .filter((n) => n.name !== own.name)
    .flatMap((n): VxlanNeighbour[] =>
      n.address !== undefined && n.vxlanAddress !== undefined && n.vxlanMac !== undefined
        ? [{ address: n.vxlanAddress, mac: n.vxlanMac, nodeAddress: n.address }]
        : [],
    )
    .sort((a, b) => (a.address < b.address ? -1 : 1));
  return {
    interface: VXLAN_INTERFACE,
    vni: config.vxlanVni,
    port: config.vxlanPort,
    mtu: vxlanMtu(config, hostMtu(config, facts)),
    mac: facts.vxlanMac,
    local: own.address,
    uplink: facts.uplink,
    address: own.vxlanAddress,
    neighbours,
  };
}

/** Way to one remote node under a pool's mode; undefined: there is none (yet). */
function wayTo(remote: NodeFacts, mode: VxlanMode, own: NodeFacts | undefined, facts: Facts, vxlan: Vxlan | undefined): Partial<Route> | undefined {
  if (remote.address === undefined) return undefined;
  const adjacent = own?.subnet !== undefined && contains(own.subnet, parseIp(remote.address)!);
  if (mode !== "Always" && adjacent && facts.uplink !== undefined) return { via: remote.address, dev: facts.uplink };
  if (mode === "Never" || !vxlan?.neighbours.some((n) => n.address === remote.vxlanAddress)) return undefined;
  return { via: remote.vxlanAddress!, dev: vxlan.interface, onlink: true };
}

/** Routes of the main table, in the order of `owned`. */
export function plainRoutesOf(
  owned: readonly Owned[],
  pools: readonly IPPool[],
  nodes: readonly NodeFacts[],
  own: NodeFacts | undefined,
  facts: Facts,
  vxlan: Vxlan | undefined,
): Route[] {
  const base = { table: MAIN_TABLE, protocol: PROTOCOL_PLAIN } as const;
  return owned.flatMap((o): Route[] => {
    if (o.kind === "tunnel") return [];
    // Addresses of the own block that no pod has end here instead of leaving by the default route.
    if (o.node === own?.name) return o.kind === "block" ? [{ ...base, dst: o.cidr, type: "blackhole" }] : [];
    const remote = nodes.find((n) => n.name === o.node);
    const pool = pools.find((p) => isIpv4(p) && covers(parseCidr(p.spec.cidr)!, parseCidr(o.cidr)!));
    const way = remote && pool && wayTo(remote, modeOf(pool), own, facts, vxlan);
    return way ? [{ ...base, dst: o.cidr, type: "unicast", ...way }] : [];
  });
}
