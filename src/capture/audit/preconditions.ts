// What must hold before "nothing was found" means "nothing was there" (section 7.4). Each check says what it saw. What is missing may be vouched for by
// whoever asks, if it only could not be checked; what was seen not to hold cannot.
import type { Inventory } from "./inventory.ts";
import type { LinkObservation, NodeObservation } from "./observed.ts";
import { MIN_SNAPLEN, type Sources, type Volume } from "./sources.ts";
import type { Skew } from "./skew.ts";
import { type Precondition, type PreconditionId, PRECONDITIONS } from "./types.ts";

export type Facts = {
  readonly inventory: Inventory;
  readonly sources: Sources;
  readonly skew: Skew;
  readonly frames: number;
  readonly drops: bigint;
  /** Interfaces whose counters were given. */
  readonly statistics: number;
  readonly gaps: number;
  /** Packets in the clear that a receiver's capture has and the sender's has not. */
  readonly unseen: number;
  readonly unfiltered: boolean;
  readonly damage: readonly string[];
  readonly orphans: number;
  /** What frames could not be walked for, with how many there were. */
  readonly unknown: ReadonlyMap<string, number>;
  /** Packets between nodes that only a NAT table can clear. */
  readonly nodeToNode: number;
  /** Addresses of nobody that packets left a node with, "ADDRESS from NODE", with how many there were. */
  readonly strangers: ReadonlyMap<string, number>;
  readonly first: bigint | undefined;
  readonly last: bigint | undefined;
  /** Built leaks that the detector found, and those that it did not. */
  readonly control: { readonly found: number; readonly missed: readonly string[] };
};

/** ok; unknown: it could not be checked; broken: it was seen not to hold. */
type Answer = readonly ["ok" | "unknown" | "broken", string];
const ok = (evidence: string): Answer => ["ok", evidence];
const unknown = (evidence: string): Answer => ["unknown", evidence];
const broken = (evidence: string): Answer => ["broken", evidence];

const few = (list: Iterable<string>, n = 3): string => {
  const all = [...list];
  return all.slice(0, n).join("; ") + (all.length > n ? `; and ${all.length - n} more` : "");
};
const SECOND = 1_000_000_000n;
/** How far clocks may be apart, and how long a packet may be under way. */
const MAX_SKEW_NS = 10_000_000n;
const MAX_WAY_NS = SECOND;
const UNRECONCILED = 0.001;

const CHECKS: Readonly<Record<PreconditionId, (f: Facts) => Answer>> = {
  P1({ sources, inventory }) {
    if (sources.broken.length > 0) return broken(few(sources.broken));
    if (sources.nodes.size === 0) return unknown("whose wires were captured is not known");
    const said: string[] = [];
    const lacking: string[] = [];
    // Of several machines that were watched, one alone proves nothing of the others.
    for (const node of new Set([...sources.nodes, ...inventory.observed.nodes.map((o) => o.node)])) {
      const seen = inventory.observed.of(node);
      if (!seen) return unknown(`what links ${node} has was not recorded`);
      const wires = wiresOf(seen);
      const missing = wires.filter((l) => !sources.of(node, l, wires.length));
      lacking.push(...missing.map((l) => `${node}/${l.name}`));
      if (wires.length === 0) return broken(`${node} has no link that leads off it`);
      said.push(`${wires.map((l) => `${node}/${l.name}`).join(", ")}`);
    }
    if (lacking.length > 0) return broken(`not captured: ${few(lacking, 8)}`);
    const inside = inventory.observed.nodes.flatMap((o) => o.links.filter((l) => l.role === "inside").map((l) => `${l.name} (${l.why ?? "inside"})`));
    return ok(`${said.join(", ")}${inside.length > 0 ? `; left out: ${few(new Set(inside), 6)}` : ""}`);
  },
  P2({ inventory, sources, unfiltered, frames }) {
    if (sources.filters.size > 0) return broken(`a filter was applied: ${few(sources.filters)}`);
    const wires = capturedWires(inventory, sources);
    const sent = new Set(inventory.canary?.bypass?.wires);
    const lost = wires.filter((w) => sent.has(w.name) && !w.volume?.controls).map((w) => w.name);
    if (lost.length > 0) return broken(`the plain packet of pods that the audit itself sent was not captured, or not recognised, on ${few(lost)}`);
    if (wires.length > 0 && wires.every((w) => sent.has(w.name)))
      return ok(
        `none is recorded, and the plain packet of pods that the audit itself sent by each wire is there (${wires.length} of ${wires.length})`,
      );
    if (frames > 0 && !unfiltered) return broken("there is nothing but WireGuard in the capture: it looks filtered, and a filter hides what leaks");
    return ok("none is recorded, and there are packets of other kinds");
  },
  P3({ drops, gaps, statistics, unseen, damage }) {
    if (damage.length > 0) return broken(few(damage));
    if (drops > 0n) return broken(`${drops} packets were dropped`);
    if (gaps > 0) return broken(`${gaps} data messages are missing between the counters that were seen`);
    if (unseen > 0) return broken(`${unseen} packets were captured where they arrived and not where they were sent`);
    if (statistics === 0) return unknown("the file counts no drops (a pcap cannot); counters of data messages have no gap");
    return ok("0 dropped, counters of data messages without a gap");
  },
  P4({ sources, orphans, unknown: notWalked }) {
    if (sources.cut.size > 0) return broken(few(sources.cut));
    if (orphans > 0) return broken(`of ${orphans} fragmented packets between nodes the first fragment was not seen`);
    if (notWalked.size > 0) return broken(few([...notWalked].map(([why, n]) => `${n} × ${why}`)));
    return ok(`no packet was cut below ${MIN_SNAPLEN} bytes, every one was walked to its end`);
  },
  P5({ sources }) {
    if (sources.blind.size > 0) return broken(`${few(sources.blind)}: what leaves the node cannot be told from what is meant to be plain`);
    return ok(few(sources.names, 8) || "no packets");
  },
  P6({ inventory, sources, nodeToNode, strangers, first, last }) {
    const { nodes } = inventory;
    if (nodes.length < 2) return broken(`${nodes.length} nodes are known`);
    const bare = nodes.filter((n) => n.addresses.length === 0);
    if (bare.length > 0) return broken(`no address is known of ${bare.map((n) => n.name).join(", ")}`);
    if (inventory.pods === 0 && nodes.every((n) => n.podCidrs.length === 0)) return broken("neither pods nor their ranges are known");
    const late = [...sources.nodes].map((n) => inventory.observed.of(n)).filter((o) => o && first !== undefined && last !== undefined);
    for (const o of late)
      if (ns(o!.from) - SECOND > first! || ns(o!.to) + SECOND < last!) return broken(`${o!.node} was looked at for a part of the window only`);
    const blind = [...sources.nodes].filter((n) => !inventory.nat.covers(n));
    if (nodeToNode > 0 && (blind.length > 0 || sources.nodes.size === 0))
      return unknown(`${nodeToNode} packets between nodes may be pods', translated: no NAT table of ${blind.join(", ") || "any node"}`);
    if (strangers.size > 0)
      return unknown(
        `packets left with addresses that are nobody's here, and may be pods': ${few([...strangers].map(([who, n]) => `${who} (${n})`))}`,
      );
    const keys = nodes.filter((n) => n.publicKeys.length > 0).length;
    return ok(
      `${nodes.length} nodes (${keys} with a key), ${inventory.pods} pods, ${inventory.services} services, NAT tables of ${inventory.nat.nodes} nodes with ${inventory.nat.translated} translated flows`,
    );
  },
  P7({ inventory, sources }) {
    const said: string[] = [];
    if (sources.nodes.size === 0) return unknown("the file cannot tell");
    for (const node of sources.nodes) {
      const seen = inventory.observed.of(node);
      if (!seen) return unknown(`nothing was recorded of ${node}'s links`);
      const wires = wiresOf(seen);
      for (const l of wires) {
        if (l.xdp !== undefined) return broken(`an XDP program (${l.xdp}) is on ${node}/${l.name}: it may send and take packets past the capture`);
        if ((l.vfs ?? 0) > 0) return broken(`${l.vfs} virtual functions (SR-IOV) of ${node}/${l.name} are handed out: their packets pass no capture`);
        const captured = sources.of(node, l, wires.length);
        if (!l.counted) return unknown(`the kernel's counters of ${node}/${l.name} were not recorded`);
        const lacking = captured ? lacks(l.counted, captured) : 0;
        if (lacking > UNRECONCILED)
          return broken(
            `${(lacking * 100).toFixed(1)} % of what the kernel counted on ${node}/${l.name} (${l.counted.packets} packets) was not captured`,
          );
        said.push(`${node}/${l.name} ${captured?.packets ?? 0} captured, ${l.counted.packets} counted`);
      }
    }
    return ok(`no XDP, no virtual functions; ${few(said, 8)}`);
  },
  P8({ inventory, sources, skew }) {
    for (const [way, least] of skew.least)
      if (least < -MAX_SKEW_NS || least > MAX_WAY_NS)
        return broken(`${way.replace(" ", " to ")}: messages arrive ${Number(least) / 1e6} ms after they are sent, by the two clocks`);
    if (sources.nodes.size === 0) return unknown("the file cannot tell");
    for (const node of sources.nodes) {
      const seen = inventory.observed.of(node);
      if (!seen) return unknown(`when the inventory of ${node} was taken is not recorded`);
      for (const [key, v] of sources.volumes) {
        if (!key.startsWith(`${node} `) || v.first === undefined || v.last === undefined) continue;
        if (v.first < ns(seen.from) - SECOND || v.last > ns(seen.to) + SECOND)
          return broken(`packets of ${node} are from another time than its inventory: their clocks differ, or it is another capture`);
      }
    }
    const least = [...skew.least.values()].map((n) => Number(n) / 1e6);
    const measured =
      skew.messages > 0
        ? `${skew.messages} messages captured at both ends, shortest way ${Math.min(...least).toFixed(2)} ms`
        : "no message was captured at both ends";
    return ok(`every packet is within the window that the nodes were looked at; ${measured}`);
  },
  P9({ inventory, control }) {
    if (control.missed.length > 0) return broken(`the detector did not find built leaks: ${control.missed.join(", ")}`);
    const fired = `the detector found ${control.found} of ${control.found} built leaks`;
    const { canary } = inventory;
    if (!canary) return unknown(`no canary is known of; ${fired}`);
    const silent = canary.paths.filter((p) => p.received === 0);
    if (canary.paths.length === 0)
      return broken(`no canary was sent: ${few([...(canary.remarks ?? []), ...(canary.notProbed ?? [])]) || "nobody was told to"}`);
    if (silent.length > 0) return broken(`nothing arrived by ${few(silent.map((p) => `${p.path} ${p.from} to ${p.to}`))}`);
    const unseen = canary.controls.filter((c) => c.needed && c.seen === 0);
    if (unseen.length > 0) return broken(`the marker was not seen where it must be: ${few(unseen.map((c) => c.what))}`);
    const kinds = [...new Set(canary.paths.map((p) => p.path))];
    return ok(
      `${canary.paths.length} paths (${kinds.join("; ")}), seen on ${canary.controls.filter((c) => c.seen > 0).length} inner links; ${fired}`,
    );
  },
};

/** The wires of captured nodes. */
const capturedWires = (inventory: Inventory, sources: Sources): { name: string; volume: Volume | undefined }[] =>
  [...sources.nodes].flatMap((node) => {
    const wires = wiresOf(inventory.observed.of(node) ?? { node, from: 0, to: 0, links: [] });
    return wires.map((l) => ({ name: `${node}/${l.name}`, volume: sources.of(node, l, wires.length) }));
  });
const wiresOf = (o: NodeObservation): LinkObservation[] => o.links.filter((l) => l.role === "wire");
const ns = (seconds: number): bigint => BigInt(Math.round(seconds * 1e3)) * 1_000_000n;

/** Share of what the kernel counted that the capture has not, 0 to 1. */
function lacks(counted: { packets: number; bytes: number }, captured: { mostPackets: number; mostBytes: number }): number {
  const part = (had: number, of: number): number => (of === 0 ? 0 : Math.max(0, (of - had) / of));
  return Math.max(part(captured.mostPackets, counted.packets), part(captured.mostBytes, counted.bytes));
}

/** All nine. `trusted`: those that whoever asks vouches for. */
export function preconditions(facts: Facts, trusted: ReadonlySet<string> = new Set()): Precondition[] {
  return (Object.keys(CHECKS) as PreconditionId[]).map((id) => {
    const [answer, evidence] = CHECKS[id](facts);
    const vouched = answer === "unknown" && trusted.has(id);
    return { id, what: PRECONDITIONS[id], state: answer === "ok" ? "ok" : vouched ? "trusted" : "missing", evidence };
  });
}
