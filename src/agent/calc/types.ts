// What the agent is given and what it must bring about. Data only.
import type { BlockAffinity } from "../../api/blockaffinity.ts";
import type { FelixConfiguration } from "../../api/felixconfiguration.ts";
import type { IPAMBlock } from "../../api/ipamblock.ts";
import type { IPPool } from "../../api/ippool.ts";
import type { Node } from "../../api/node.ts";

/** What the agent knows about its own machine. */
export type Facts = {
  /** Own public key as the device holds it, base64; undefined while there is none. */
  readonly publicKey?: string | undefined;
  /** Every interface of the machine. */
  readonly links: readonly { readonly name: string; readonly mtu: number; readonly up: boolean }[];
  /** The interface that holds the node's own address; undefined: not found. */
  readonly uplink?: string | undefined;
  /** Hardware address of this node's VXLAN device. */
  readonly vxlanMac: string;
};

/** Everything that a node's desired state depends on, in no order. */
export type Inputs = {
  readonly node: string;
  readonly nodes: readonly Node[];
  readonly felixConfigurations: readonly FelixConfiguration[];
  readonly pools: readonly IPPool[];
  readonly blocks: readonly IPAMBlock[];
  readonly affinities: readonly BlockAffinity[];
  readonly facts: Facts;
};

export type Peer = {
  readonly node: string;
  /** base64 of 32 bytes. */
  readonly publicKey: string;
  readonly endpoint: { readonly address: string; readonly port: number };
  /** Prefix texts, sorted; each belongs to one peer only. */
  readonly allowedIps: readonly string[];
};

/** Route protocols: 3 is "boot" (what Felix writes into its table), 80 marks the plain routes. */
export type Route = {
  readonly table: number;
  readonly dst: string;
  readonly type: "unicast" | "throw" | "blackhole";
  readonly dev?: string;
  readonly via?: string;
  readonly onlink?: boolean;
  readonly scope?: "link";
  readonly protocol: number;
};

/** The encrypting half of a node. */
export type Encryption = {
  readonly interface: string;
  readonly listenPort: number;
  readonly mtu: number;
  /** One bit, also its own mask. */
  readonly fwmark: number;
  readonly table: number;
  readonly rulePriority: number;
  /** Seconds; 0: off. */
  readonly keepalive: number;
  /** The device's own /32, without a prefix length; undefined until one is allocated. */
  readonly address?: string | undefined;
  /** Sorted by node. */
  readonly peers: readonly Peer[];
  /** Of the private table, sorted by prefix. */
  readonly routes: readonly Route[];
};

export type VxlanNeighbour = { readonly address: string; readonly mac: string; readonly nodeAddress: string };
export type Vxlan = {
  readonly interface: string;
  readonly vni: number;
  readonly port: number;
  readonly mtu: number;
  readonly mac: string;
  /** Own node address: the outer source. */
  readonly local: string;
  readonly uplink: string;
  readonly address?: string | undefined;
  readonly neighbours: readonly VxlanNeighbour[];
};

export type Desired = {
  /** undefined: encryption is off here, nothing of it may remain. */
  readonly encryption: Encryption | undefined;
  /** undefined: no pool uses VXLAN. */
  readonly vxlan: Vxlan | undefined;
  /** Of the main table; all carry protocol 80. */
  readonly plainRoutes: readonly Route[];
  /** For pods made from now on. */
  readonly podMtu: number;
  /** Seconds between full comparisons with the kernel; 0: never. */
  readonly refreshInterval: number;
  /** For people: sentences, sorted. */
  readonly warnings: readonly string[];
};

/** The table that ordinary routing uses. */
export const MAIN_TABLE = 254;
/** Protocol number of the routes of the private table. */
export const PROTOCOL_BOOT = 3;
/** Protocol number by which the plain routes are known as ours. */
export const PROTOCOL_PLAIN = 80;
