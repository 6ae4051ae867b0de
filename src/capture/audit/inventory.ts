// What the audit knows of the cluster: whose an address is at a moment, and whose a key (section 7.4, P6). Read from JSON or made from the API.
import { fromBase64, toBase64 } from "../../base/bytes.ts";
import { type Cidr, parseCidr } from "../../base/cidr.ts";
import { type Ip, parseIp } from "../../base/ip.ts";
import { type AddressKey, addressKey, longest } from "./address.ts";
import { checkInventory } from "./check.ts";
import { NatTable } from "./nat.ts";
import { type NodeObservation, Observed } from "./observed.ts";

export type InventoryNode = {
  name: string;
  ips: string[];
  /** Addresses of the node's tunnel devices: they lie in pod ranges, but are the node's own. */
  tunnelIPs?: string[];
  podCIDRs: string[];
  /** Base64; several when the node has several devices; absent: the node has none. */
  wgPublicKey?: string | string[];
  /** Where its devices listen. @default wireguardPort */
  wgPort?: number | number[];
  /** What peers send to this node through the tunnel. */
  wgAllowedIPs?: string[];
};
/** `since`, `until`: seconds since 1970; absent: all the time. */
export type InventoryPod = { name: string; node: string; ips: string[]; hostNetwork?: boolean; since?: number; until?: number };
/** The canary of a run that was saved (section 7.7). */
export type InventoryCanary = {
  /** Hex of the marker between pods: seen in the clear, it is exposure. */
  marker: string;
  /** Hex of the marker between pods and nodes: exposure only where host encryption is claimed. */
  nodeMarker?: string;
  paths: { path: string; from: string; to: string; sent: number; received: number }[];
  /** Where the markers were seen inside the nodes: pods' links and tunnel devices. */
  controls: { what: string; seen: number; needed: boolean }[];
  remarks?: string[];
  /** The control that went past the tunnel on purpose: hex of the IP packets, and the wires ("node/link") by which they were sent. */
  bypass?: { packets: string[]; wires: string[] };
  /** Paths that this cluster does not have, or that no canary was sent over: in words. */
  notProbed?: string[];
};
/** The inventory as JSON: nodes, pods, ranges, keys. */
export type InventoryDocument = {
  wireguardPort: number;
  /** False when encryption is switched off: that is then the cause of every finding. @default true */
  encryption?: boolean;
  /** Node to pod traffic is claimed to be encrypted too. @default false */
  hostEncryption?: boolean;
  overlay?: { vxlan?: { port: number; vni?: number }; geneve?: { port: number } };
  /** Ranges of pods whose node is not known. */
  podCIDRs?: string[];
  /** Service addresses: on a wire they stand for the pods behind them. */
  services?: { name: string; ips: string[] }[];
  /** Ports of the cluster's own proxies (DNS, L7), which speak with a node's address. */
  proxyPorts?: number[];
  nodes: InventoryNode[];
  pods: InventoryPod[];
  /** What was seen on the nodes themselves during the capture. */
  observed?: NodeObservation[];
  /** Text of nodes' connection tracking tables, by node, where they are no part of an observation. */
  conntrack?: Record<string, string>;
  canary?: InventoryCanary;
};

export type AuditNode = {
  readonly name: string;
  readonly addresses: readonly Ip[];
  readonly publicKeys: readonly Uint8Array[];
  readonly wireguardPorts: readonly number[];
  readonly podCidrs: readonly Cidr[];
  readonly allowedIps: readonly Cidr[];
};
/** `since`: nanoseconds since 1970. */
export type AuditPod = { readonly name: string; readonly node: string; readonly since: bigint | undefined };

/** Whose an address is. */
export type Owner =
  | { readonly kind: "node"; readonly node: AuditNode; readonly tunnel: boolean }
  /** `pod` is undefined when the address lies in a pod range but no pod has it; `node` when it is not known. */
  | { readonly kind: "pod"; readonly node: AuditNode | undefined; readonly pod: AuditPod | undefined; readonly service?: string }
  | { readonly kind: "other" };

type Entry = { readonly owner: Owner; readonly since: bigint | undefined; readonly until: bigint | undefined };
const OTHER: Owner = { kind: "other" };
const MAX_CACHE = 65_536;

/** Whose an address or a key is at a moment. The constructor takes a parsed InventoryDocument and throws TortieError for anything else. */
export class Inventory {
  readonly encryption: boolean;
  readonly hostEncryption: boolean;
  readonly vxlanPorts: readonly number[];
  readonly genevePorts: readonly number[];
  readonly proxyPorts: ReadonlySet<number>;
  readonly nodes: readonly AuditNode[];
  readonly pods: number;
  readonly services: number;
  readonly nat: NatTable = new NatTable();
  readonly observed: Observed;
  readonly canary: InventoryCanary | undefined;
  readonly #addresses = new Map<AddressKey, Entry[]>();
  readonly #ranges: readonly { readonly cidr: Cidr; readonly owner: Owner }[];
  readonly #cache = new Map<AddressKey, Owner>();

  /** Throws TortieError that names the field that is wrong. */
  constructor(document: unknown) {
    const d = checkInventory(document);
    this.encryption = d.encryption ?? true;
    this.hostEncryption = d.hostEncryption ?? false;
    this.vxlanPorts = [...new Set([4789, 8472, ...(d.overlay?.vxlan ? [d.overlay.vxlan.port] : [])])];
    this.genevePorts = [...new Set([6081, ...(d.overlay?.geneve ? [d.overlay.geneve.port] : [])])];
    this.proxyPorts = new Set(d.proxyPorts);
    this.nodes = d.nodes.map((n) => ({
      name: n.name,
      addresses: n.ips.map((t) => parseIp(t)!),
      publicKeys: listOf(n.wgPublicKey).map((k) => fromBase64(k)!),
      wireguardPorts: n.wgPort === undefined ? [d.wireguardPort] : listOf(n.wgPort),
      podCidrs: n.podCIDRs.map((c) => parseCidr(c)!),
      allowedIps: (n.wgAllowedIPs ?? []).map((c) => parseCidr(c)!),
    }));
    this.pods = d.pods.length;
    this.services = d.services?.length ?? 0;
    this.canary = d.canary;
    for (const p of d.pods) {
      if (p.hostNetwork) continue;
      const since = nanoseconds(p.since);
      const owner: Owner = { kind: "pod", node: this.node(p.node), pod: { name: p.name, node: p.node, since } };
      for (const ip of p.ips) this.#put(ip, { owner, since, until: nanoseconds(p.until) });
    }
    for (const s of d.services ?? [])
      for (const ip of s.ips)
        this.#put(ip, { owner: { kind: "pod", node: undefined, pod: undefined, service: s.name }, since: undefined, until: undefined });
    // A node's own address is a node's, also when a pod of the host network has it.
    for (const n of d.nodes) {
      const node = this.node(n.name)!;
      const own = (tunnel: boolean): Entry => ({ owner: { kind: "node", node, tunnel }, since: undefined, until: undefined });
      for (const ip of n.ips) this.#addresses.set(addressKey(parseIp(ip)!), [own(false)]);
      for (const ip of n.tunnelIPs ?? []) this.#addresses.set(addressKey(parseIp(ip)!), [own(true)]);
    }
    this.#ranges = [
      ...this.nodes.flatMap((node) => node.podCidrs.map((cidr) => ({ cidr, owner: { kind: "pod", node, pod: undefined } as Owner }))),
      ...(d.podCIDRs ?? []).map((c) => ({ cidr: parseCidr(c)!, owner: { kind: "pod", node: undefined, pod: undefined } as Owner })),
    ];
    this.observed = new Observed(d.observed ?? []);
    for (const o of d.observed ?? []) if (o.conntrack !== undefined) this.nat.add(o.node, o.conntrack);
    for (const [node, text] of Object.entries(d.conntrack ?? {})) this.nat.add(node, text);
  }

  /** What the devices of two nodes say of each other at the end; undefined when neither was read. */
  peersOf(a: string, b: string): string | undefined {
    const has = (x: string, y: string): boolean | undefined => {
      const keys = this.node(y)?.publicKeys.map(toBase64) ?? [];
      return this.observed
        .of(x)
        ?.snapshots?.at(-1)
        ?.peers?.some((p) => keys.includes(p.publicKey));
    };
    const [ab, ba] = [has(a, b), has(b, a)];
    if (ab === undefined && ba === undefined) return undefined;
    if (ab !== false && ba !== false) return "each other's";
    return ab === false && ba === false ? "neither has the other" : ab === false ? `${a} lacks ${b}` : `${b} lacks ${a}`;
  }

  node(name: string): AuditNode | undefined {
    return this.nodes.find((n) => n.name === name);
  }

  /** Whose an address is at `time` (nanoseconds since 1970; undefined: whenever). */
  owner(ip: Ip, time?: bigint): Owner {
    const key = addressKey(ip);
    const entries = this.#addresses.get(key);
    if (entries) {
      const now = entries.find((e) => time === undefined || ((e.since ?? time) <= time && time <= (e.until ?? time)));
      if (now) return now.owner;
    }
    const cached = this.#cache.get(key);
    if (cached) return cached;
    const found = longest(this.#ranges, ip)?.owner ?? OTHER;
    if (this.#cache.size < MAX_CACHE) this.#cache.set(key, found);
    return found;
  }

  #put(ip: string, entry: Entry): void {
    const key = addressKey(parseIp(ip)!);
    this.#addresses.set(key, [...(this.#addresses.get(key) ?? []), entry]);
  }
}

const listOf = <T>(v: T | T[] | undefined): T[] => (v === undefined ? [] : Array.isArray(v) ? v : [v]);
const nanoseconds = (seconds: number | undefined): bigint | undefined => (seconds === undefined ? undefined : BigInt(Math.round(seconds * 1e9)));
