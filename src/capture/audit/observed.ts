// What was seen on the nodes themselves while the capture ran: links, counters, routes, WireGuard peers, translated flows. It is evidence for the
// preconditions (section 7.4) and for the cause of a finding (7.8), and is kept with the inventory so that a saved audit can be judged again.
import { type Cidr, contains, parseCidr } from "../../base/cidr.ts";
import type { Ip } from "../../base/ip.ts";
import { longest } from "./address.ts";

/** wire: packets leave the node by it and it is captured; inside: plain by design (a pod's own link, the tunnel device), or seen on another link. */
export type LinkRole = "wire" | "inside";
export type LinkObservation = {
  name: string;
  /** Interface index, which a capture of "any" (SLL2) tells of each packet. */
  index?: number;
  role: LinkRole;
  /** Why it has this role. */
  why?: string;
  /** An XDP program's mode on it. */
  xdp?: string;
  /** Virtual functions handed out (SR-IOV). */
  vfs?: number;
  mtu?: number;
  /** What the kernel counted on it between `from` and `to`. */
  counted?: { packets: number; bytes: number };
};
export type PeerObservation = {
  publicKey: string;
  allowedIPs: string[];
  /** Seconds since 1970; 0: never. */ lastHandshake: number;
  rx?: number;
  tx?: number;
};
export type RouteObservation = { dst: string; dev?: string; type?: string; table: string; metric?: number };
export type RuleObservation = { priority: number; table: string; not?: boolean; fwmark?: number; fwmask?: number; src?: string; dst?: string };
/** The node's state at one moment. */
export type Snapshot = {
  /** Seconds since 1970, by the node's own clock. */
  time: number;
  peers?: PeerObservation[];
  routes?: RouteObservation[];
  rules?: RuleObservation[];
};
export type NodeObservation = {
  node: string;
  /** Seconds since 1970, by the node's own clock: when the watching began and ended. */
  from: number;
  to: number;
  links: LinkObservation[];
  /** Text of the node's connection tracking table. */
  conntrack?: string;
  snapshots?: Snapshot[];
};

const toNs = (seconds: number): bigint => BigInt(Math.round(seconds * 1e3)) * 1_000_000n;

export class Observed {
  readonly nodes: readonly NodeObservation[];
  constructor(nodes: readonly NodeObservation[]) {
    this.nodes = nodes;
  }

  of(node: string): NodeObservation | undefined {
    return this.nodes.find((n) => n.node === node);
  }

  /** The last state of a node that was taken before `time`; the first one when there is none. */
  at(node: string, time: bigint | undefined): Snapshot | undefined {
    const all = this.of(node)?.snapshots ?? [];
    return (time === undefined ? undefined : all.findLast((s) => toNs(s.time) <= time)) ?? all[0];
  }

  /** The link by which a node would send to `dst` a packet that nobody marked; undefined when its routes are not known, "" when none leads there. */
  route(node: string, dst: Ip, time: bigint | undefined): string | undefined {
    const state = this.at(node, time);
    if (!state?.routes) return undefined;
    const rules = [...(state.rules ?? [{ priority: 0, table: "main" }])].sort((a, b) => a.priority - b.priority);
    for (const rule of rules) {
      if (!applies(rule, dst)) continue;
      const found = longest(tableOf(state.routes, rule.table), dst);
      if (!found || found.type === "throw") continue;
      return found.dev ?? "";
    }
    return "";
  }

  role(node: string, link: string): LinkRole | undefined {
    return this.of(node)?.links.find((l) => l.name === link)?.role;
  }

  /** True or false: some peer's allowed IPs on this node hold the address, or none; undefined when its peers are not known. */
  allows(node: string, dst: Ip, time: bigint | undefined): { address: boolean; family: boolean } | undefined {
    const peers = this.at(node, time)?.peers;
    if (!peers) return undefined;
    const cidrs = peers.flatMap((p) => p.allowedIPs.flatMap((t) => parseCidr(t) ?? []));
    return { address: cidrs.some((c) => contains(c, dst)), family: cidrs.some((c) => c.ip.length === dst.length) };
  }

  /** Nanoseconds since 1970 of a pair's last handshake that the device itself told of before `time`. */
  handshake(node: string, peerKey: string, time: bigint | undefined): bigint | undefined {
    const states = (this.of(node)?.snapshots ?? []).flatMap((s) => s.peers?.filter((p) => p.publicKey === peerKey) ?? []);
    const times = states.filter((p) => p.lastHandshake > 0).map((p) => toNs(p.lastHandshake));
    return times.filter((t) => time === undefined || t <= time).reduce<bigint | undefined>((a, b) => (a !== undefined && a > b ? a : b), undefined);
  }
}

/** The rule is asked for a packet without a mark, of any source. */
function applies(rule: RuleObservation, dst: Ip): boolean {
  if (rule.fwmark !== undefined) {
    const matches = (rule.fwmark & (rule.fwmask ?? 0xffffffff)) === 0;
    if (matches === (rule.not ?? false)) return false;
  } else if (rule.not) return false;
  if (rule.src !== undefined && rule.src !== "all") return false;
  const to = rule.dst === undefined ? undefined : parseCidr(rule.dst);
  return !to || contains(to, dst);
}

const tables = new WeakMap<readonly RouteObservation[], Map<string, (RouteObservation & { cidr: Cidr })[]>>();
/** Routes of a table in order of metric, so that the first of equal length is the one that is used. */
function tableOf(routes: readonly RouteObservation[], table: string): readonly (RouteObservation & { cidr: Cidr })[] {
  let all = tables.get(routes);
  if (!all) {
    all = new Map();
    for (const r of routes) {
      const cidr = parseCidr(r.dst);
      if (cidr) all.set(r.table, [...(all.get(r.table) ?? []), { ...r, cidr }]);
    }
    for (const list of all.values()) list.sort((a, b) => (a.metric ?? 0) - (b.metric ?? 0));
    tables.set(routes, all);
  }
  return all.get(table) ?? [];
}
