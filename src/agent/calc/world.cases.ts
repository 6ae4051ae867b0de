// Named pieces of a cluster for tests of the calculation: the reference exercise's four nodes.
import type { FelixConfiguration, FelixConfigurationSpec } from "../../api/felixconfiguration.ts";
import type { IPAMBlock } from "../../api/ipamblock.ts";
import type { IPPool, IPPoolSpec } from "../../api/ippool.ts";
import type { Node } from "../../api/node.ts";
import { ANNOTATION } from "../../api/node-annotations.ts";
import { toBase64 } from "../../base/bytes.ts";
import { allocateAddress, emptyBlock } from "../ipam/block.ts";
import type { Inputs } from "./types.ts";

const V3 = "projectcalico.org/v3";
export const key = (n: number): string => toBase64(new Uint8Array(32).fill(n));

export type NodeShape = { ip?: string; key?: string; wg?: string; vxlan?: string; mac?: string };
export function node(name: string, shape: NodeShape = {}): Node {
  const values = {
    [ANNOTATION.ipv4Address]: shape.ip,
    [ANNOTATION.wireguardPublicKey]: shape.key,
    [ANNOTATION.interfaceIPv4Address]: shape.wg,
    [ANNOTATION.ipv4VXLANTunnelAddr]: shape.vxlan,
    [ANNOTATION.vxlanTunnelMACAddr]: shape.mac,
  };
  const annotations = Object.fromEntries(Object.entries(values).filter((e): e is [string, string] => e[1] !== undefined));
  return { apiVersion: "v1", kind: "Node", metadata: { name, annotations } };
}

/** A block; `borrowed` gives addresses of it to other nodes. */
export function block(cidr: string, owner: string, borrowed: Record<string, string> = {}): IPAMBlock {
  let spec = emptyBlock(cidr, `host:${owner}`);
  for (const [address, user] of Object.entries(borrowed))
    spec = allocateAddress(spec, address, { handle: `h-${address}`, attributes: { node: user } }) ?? spec;
  return { apiVersion: V3, kind: "IPAMBlock", metadata: { name: cidr.replace(/[./]/g, "-") }, spec };
}

export const felix = (name: string, spec: FelixConfigurationSpec): FelixConfiguration => ({
  apiVersion: V3,
  kind: "FelixConfiguration",
  metadata: { name },
  spec,
});
export const pool = (spec: Partial<IPPoolSpec> = {}): IPPool => ({
  apiVersion: V3,
  kind: "IPPool",
  metadata: { name: "pool" },
  spec: { cidr: "172.16.0.0/16", blockSize: 24, vxlanMode: "CrossSubnet", ...spec },
});

export const mac = (n: number): string => `66:00:00:00:00:0${n}`;
const A = "192.168.10";

/** The exercise's cluster with encryption on, seen from k8s-w1: w2 in the same subnet, w0 behind the router. */
export function cluster(changes: Partial<Inputs> = {}): Inputs {
  return {
    node: "k8s-w1",
    nodes: [
      node("k8s-w1", { ip: `${A}.101/24`, key: key(1), wg: "172.16.1.0", vxlan: "172.16.1.1", mac: mac(1) }),
      node("k8s-w2", { ip: `${A}.102/24`, key: key(2), wg: "172.16.2.0", vxlan: "172.16.2.1", mac: mac(2) }),
      node("k8s-w0", { ip: "192.168.20.100/24", key: key(3), wg: "172.16.3.0", vxlan: "172.16.3.1", mac: mac(3) }),
    ],
    felixConfigurations: [felix("default", { wireguardEnabled: true })],
    pools: [pool()],
    blocks: [block("172.16.1.0/24", "k8s-w1"), block("172.16.2.0/24", "k8s-w2"), block("172.16.3.0/24", "k8s-w0")],
    affinities: [],
    facts: {
      publicKey: key(1),
      links: [
        { name: "ens5", mtu: 1500, up: true },
        { name: "tun0", mtu: 900, up: true },
      ],
      uplink: "ens5",
      vxlanMac: mac(1),
    },
    ...changes,
  };
}

/** The cluster with one node replaced. */
export function withNode(world: Inputs, name: string, shape: NodeShape): Inputs {
  return { ...world, nodes: [...world.nodes.filter((n) => n.metadata.name !== name), node(name, shape)] };
}
