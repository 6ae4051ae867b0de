// The audit: takes frames of every node's wires, counts each packet once, and comes to a verdict with its evidence (sections 7.4 to 7.10).
import { formatIp } from "../../base/ip.ts";
import { contains } from "../../base/cidr.ts";
import { decode } from "../../packet/decode.ts";
import { LINK_SLL, LINK_SLL2 } from "../../packet/link.ts";
import type { Crypto } from "../../wireguard/crypto.ts";
import type { CapturedPacket, CaptureStatistics } from "../packet.ts";
import { Classifier } from "./classify.ts";
import type { Inventory, Owner } from "./inventory.ts";
import { type Cause, type Classified, FINDINGS, type Flow, type PacketClass, type Precondition, type Verdict } from "./types.ts";
import { pairKey, WireGuardProof } from "./wireguard.ts";

export type FrameReference = { readonly source: string; readonly frame: number };
export type FlowFinding = {
  readonly class: PacketClass;
  readonly cause: Cause;
  readonly path: readonly string[];
  readonly flow: Flow | undefined;
  /** Node that sent it, node that it was for. */
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly notes: Set<string>;
  packets: number;
  bytes: number;
  first: bigint | undefined;
  last: bigint | undefined;
  readonly sample: FrameReference;
};
export type PairCounts = {
  readonly a: string;
  readonly b: string;
  encryptedPackets: number;
  encryptedBytes: number;
  provenBytes: number;
  plainPackets: number;
  plainBytes: number;
};
/** One capture point: a file, or a wire of a node. */
export type Source = {
  readonly name: string;
  /** The node whose wire it is, when that is known. */
  readonly node?: string;
};
export type AuditedFrame = { readonly frame: number; readonly source: string; readonly classified: Classified; readonly cause: Cause | undefined };

const MAX_FLOWS = 10_000;
const HANDSHAKE_LIFE_NS = 180_000_000_000n;
const NEW_ENDPOINT_NS = 10_000_000_000n;
const MIN_SNAPLEN = 256;

export class Audit {
  readonly proof: WireGuardProof;
  readonly flows: Map<string, FlowFinding> = new Map();
  readonly pairs: Map<string, PairCounts> = new Map();
  /** Frames by class and path: "POD_TO_POD vxlan". */
  readonly classes: Map<string, number> = new Map();
  readonly encrypted = { packets: 0, bytes: 0, provenPackets: 0, provenBytes: 0, handshakes: 0 };
  readonly plain = { packets: 0, bytes: 0 };
  frames = 0;
  /** Flows beyond the limit: counted, not listed. */
  moreFlows = 0;
  first: bigint | undefined;
  last: bigint | undefined;
  readonly #inventory: Inventory;
  readonly #classifier: Classifier;
  /** Nodes whose wires are captured: what they send is counted there and nowhere else. */
  readonly #captured = new Set<string>();
  readonly #trouble = { noIdentity: 0, snaplen: new Set<string>(), filters: new Set<string>(), drops: 0n, statistics: 0, unfiltered: false };
  readonly #sources = new Set<string>();
  readonly #byAddresses = new Map<string, FlowFinding>();

  constructor(crypto: Crypto, inventory: Inventory, captured: Iterable<string> = []) {
    this.#inventory = inventory;
    this.proof = new WireGuardProof(crypto);
    this.#classifier = new Classifier(inventory, this.proof);
    for (const node of captured) this.#captured.add(node);
  }

  /** Takes a frame. undefined: it was counted elsewhere, at the node that sent it. Frames of all sources should come in order of time. */
  add(packet: CapturedPacket, source: Source): AuditedFrame | undefined {
    this.#sources.add(source.name);
    this.#watch(packet, source);
    const c = this.#classifier.classify(packet.data, packet.iface.link, { time: packet.time, tap: source.name });
    if (!isWireGuard(c.class)) this.#trouble.unfiltered = true;
    const ends = this.#ends(packet);
    // The receiver's capture confirms what the sender's has counted.
    if (
      source.node !== undefined &&
      packet.direction === "in" &&
      ends.from !== undefined &&
      ends.from !== source.node &&
      this.#captured.has(ends.from)
    )
      return undefined;
    this.frames++;
    if (packet.time !== undefined) {
      this.first = this.first === undefined || packet.time < this.first ? packet.time : this.first;
      this.last = this.last === undefined || packet.time > this.last ? packet.time : this.last;
    }
    const name = c.path.length > 0 ? `${c.class} ${c.path.join("+")}` : c.class === "POD_TO_POD" ? `${c.class} native` : c.class;
    this.classes.set(name, (this.classes.get(name) ?? 0) + 1);
    const cause = this.#count(c, packet, source, ends);
    return { frame: packet.number, source: source.name, classified: c, cause };
  }

  /** Counters that a capture file or a socket gives at its end. */
  statistics(s: Pick<CaptureStatistics, "osDropped" | "dropped">): void {
    this.#trouble.statistics++;
    this.#trouble.drops += (s.osDropped ?? 0n) + (s.dropped ?? 0n);
  }

  #count(c: Classified, packet: CapturedPacket, source: Source, ends: Ends): Cause | undefined {
    const pair = ends.from !== undefined && ends.to !== undefined && ends.from !== ends.to ? this.#pair(ends.from, ends.to) : undefined;
    if (c.class === "WG_HANDSHAKE") this.encrypted.handshakes++;
    if (c.class === "WG_DATA") {
      this.encrypted.packets += c.messages;
      this.encrypted.bytes += c.bytes;
      if (c.proven) {
        this.encrypted.provenPackets += c.messages;
        this.encrypted.provenBytes += c.bytes;
      }
      if (pair) {
        pair.encryptedPackets += c.messages;
        pair.encryptedBytes += c.bytes;
        if (c.proven) pair.provenBytes += c.bytes;
      }
    }
    const counts = c.class === "POD_TO_POD" || (c.class === "NODE_TO_POD" && this.#inventory.hostEncryption);
    if (counts) {
      this.plain.packets++;
      this.plain.bytes += c.bytes;
      if (pair) {
        pair.plainPackets++;
        pair.plainBytes += c.bytes;
      }
    }
    if (!FINDINGS.has(c.class) && c.class !== "NODE_TO_POD") return undefined;
    const cause = this.#cause(c, packet.time);
    this.#finding(c, cause, packet, source, ends);
    return cause;
  }

  /** First match wins (section 7.8). */
  #cause(c: Classified, time: bigint | undefined): Cause {
    if (c.class === "WG_PORT_ABUSE") return "NOT_WIREGUARD";
    if (c.class === "NODE_TO_POD") return "HOST_NETWORK";
    if (c.class === "ICMP_QUOTE") return "ICMP_ERROR";
    if (!this.#inventory.encryption) return "ENCRYPTION_OFF";
    if (c.path.length > 0) return "OVERLAY_BYPASS";
    if (!c.flow) return "UNKNOWN";
    const src = this.#inventory.owner(c.flow.src);
    const dst = this.#inventory.owner(c.flow.dst);
    const from = src.kind === "other" ? undefined : src.node;
    const to = dst.kind === "other" ? undefined : dst.node;
    if (!from || !to) return "UNKNOWN";
    if (!to.publicKey || !from.publicKey) return "PEER_NO_KEY";
    const ip = c.flow.dst;
    if (!to.allowedIps.some((a) => contains(a, ip))) {
      const family = to.allowedIps.some((a) => a.ip.length === ip.length);
      return family || to.allowedIps.length === 0 ? "PEER_NOT_CONFIGURED" : "FAMILY_GAP";
    }
    const shaken = this.proof.lastHandshake(from.name, to.name);
    if (shaken === undefined || (time !== undefined && (shaken > time || time - shaken > HANDSHAKE_LIFE_NS))) return "TUNNEL_NOT_UP";
    const since = dst.kind === "pod" ? dst.pod?.since : undefined;
    if (since !== undefined && time !== undefined && time - BigInt(Math.round(since * 1e9)) < NEW_ENDPOINT_NS) return "NEW_ENDPOINT_RACE";
    return "ROUTE_BYPASS";
  }

  #finding(c: Classified, cause: Cause, packet: CapturedPacket, source: Source, ends: Ends): void {
    const f = c.flow;
    const key = `${c.class} ${cause} ${c.path.join("+")} ${f ? `${formatIp(f.src)} ${f.srcPort} ${formatIp(f.dst)} ${f.dstPort} ${f.protocol}` : ""}`;
    let found = this.flows.get(key);
    // A later fragment has no ports: it is of the flow between the same addresses.
    const between = f ? `${c.class} ${cause} ${c.path.join("+")} ${formatIp(f.src)} ${formatIp(f.dst)} ${f.protocol}` : "";
    if (!found && c.fragment) found = this.#byAddresses.get(between);
    if (!found) {
      if (this.flows.size >= MAX_FLOWS) return void this.moreFlows++;
      found = {
        class: c.class,
        cause,
        path: c.path,
        flow: f,
        from: ends.from,
        to: ends.to,
        notes: new Set(),
        packets: 0,
        bytes: 0,
        first: packet.time,
        last: packet.time,
        sample: { source: source.name, frame: packet.number },
      };
      this.flows.set(key, found);
      if (!this.#byAddresses.has(between)) this.#byAddresses.set(between, found);
    }
    found.packets++;
    found.bytes += c.bytes;
    if (packet.time !== undefined) found.last = packet.time;
    if (c.abuse) found.notes.add(c.abuse);
    if (c.hint) found.notes.add(c.hint);
    if (f)
      for (const ip of [f.src, f.dst]) {
        const owner = this.#inventory.owner(ip);
        if (owner.kind === "pod" && !owner.pod) found.notes.add(`UNASSIGNED_IP: no pod has ${formatIp(ip)}`);
      }
  }

  #pair(a: string, b: string): PairCounts {
    const key = pairKey(a, b);
    let pair = this.pairs.get(key);
    if (!pair) {
      const [x, y] = a < b ? [a, b] : [b, a];
      pair = { a: x, b: y, encryptedPackets: 0, encryptedBytes: 0, provenBytes: 0, plainPackets: 0, plainBytes: 0 };
      this.pairs.set(key, pair);
    }
    return pair;
  }

  /** The nodes at the ends of the outermost IP header: who sent it, whom it is for. */
  #ends(packet: CapturedPacket): Ends {
    const ip = decode(packet.data, packet.iface.link).find((l) => l.kind === "ipv4" || l.kind === "ipv6");
    if (ip?.kind !== "ipv4" && ip?.kind !== "ipv6") return { from: undefined, to: undefined };
    const name = (o: Owner): string | undefined => (o.kind === "other" ? undefined : o.node?.name);
    return { from: name(this.#inventory.owner(ip.src)), to: name(this.#inventory.owner(ip.dst)) };
  }

  #watch(packet: CapturedPacket, source: Source): void {
    const i = packet.iface;
    if (i.link === LINK_SLL || i.link === LINK_SLL2) this.#trouble.noIdentity++;
    if (i.snaplen !== 0 && i.snaplen < MIN_SNAPLEN) this.#trouble.snaplen.add(`${source.name}: ${i.snaplen}`);
    if (packet.data.length < packet.originalLength && packet.data.length < MIN_SNAPLEN)
      this.#trouble.snaplen.add(`${source.name}: packet ${packet.number} was cut to ${packet.data.length}`);
    if (i.filter) this.#trouble.filters.add(`${source.name}: ${i.filter}`);
    if (packet.dropped) this.#trouble.drops += packet.dropped;
  }

  /** Encrypted share of packets and bytes, 0 to 1; undefined when nothing was sent. */
  share(): { packets: number; bytes: number } | undefined {
    const [e, p] = [this.encrypted, this.plain];
    if (e.packets + p.packets === 0) return undefined;
    return { packets: e.packets / (e.packets + p.packets), bytes: e.bytes / (e.bytes + p.bytes) };
  }

  /** Data messages that are missing between the lowest and the highest counter seen of an index: lost before the tap, or by it. */
  gaps(): number {
    let n = 0n;
    for (const c of this.proof.counters.values()) {
      const span = c.highest - c.lowest + 1n;
      if (span > BigInt(c.messages)) n += span - BigInt(c.messages);
    }
    return Number(n);
  }

  /** P2 to P6 as the frames themselves tell. What only the one who captured can know (P1, P7 to P9) is handed to verdict(). */
  preconditions(): Precondition[] {
    const t = this.#trouble;
    const p = (id: string, what: string, state: Precondition["state"], evidence: string): Precondition => ({ id, what, state, evidence });
    const gaps = this.gaps();
    const lossless = t.drops === 0n && gaps === 0;
    return [
      t.filters.size > 0
        ? p("P2", "no capture filter", "missing", `a filter was applied: ${[...t.filters].slice(0, 3).join("; ")}`)
        : t.unfiltered || this.frames === 0
          ? p("P2", "no capture filter", "ok", "none is recorded, and there are packets of other kinds")
          : p(
              "P2",
              "no capture filter",
              "missing",
              "there is nothing but WireGuard in the capture: it looks filtered, and a filter hides what leaks",
            ),
      p(
        "P3",
        "no packet lost by the capture",
        lossless ? (t.statistics > 0 ? "ok" : "trusted") : "missing",
        t.drops > 0n
          ? `${t.drops} packets were dropped`
          : gaps > 0
            ? `${gaps} data messages are missing between the counters that were seen`
            : t.statistics > 0
              ? "0 dropped, counters of data messages without a gap"
              : "the file counts no drops; counters of data messages have no gap",
      ),
      p(
        "P4",
        `at least ${MIN_SNAPLEN} bytes of each packet`,
        t.snaplen.size > 0 ? "missing" : "ok",
        t.snaplen.size > 0 ? [...t.snaplen].slice(0, 3).join("; ") : "no packet was cut shorter",
      ),
      t.noIdentity > 0
        ? p(
            "P5",
            "each packet's interface is known",
            "missing",
            `${t.noIdentity} packets of "any": what leaves the node cannot be told from what is meant to be plain (pods' own links, the tunnel device)`,
          )
        : p("P5", "each packet's interface is known", "ok", [...this.#sources].slice(0, 8).join(", ") || "no packets"),
      this.#inventory.nodes.length >= 2
        ? p(
            "P6",
            "the cluster's nodes, keys, ranges and pods are known",
            "ok",
            `${this.#inventory.nodes.length} nodes (${this.#inventory.nodes.filter((n) => n.publicKey).length} with a key), ${this.#inventory.pods} pods`,
          )
        : p("P6", "the cluster's nodes, keys, ranges and pods are known", "missing", `${this.#inventory.nodes.length} nodes`),
    ];
  }

  get findings(): FlowFinding[] {
    return [...this.flows.values()].filter((f) => FINDINGS.has(f.class) || this.#inventory.hostEncryption);
  }

  /** A finding is a FAIL whatever else holds; without one, everything must hold for a PASS. A share never turns one into the other. */
  verdict(also: readonly Precondition[]): { verdict: Verdict; preconditions: Precondition[] } {
    // What the one who captured knows better stands for what the frames tell.
    const given = new Set(also.map((p) => p.id));
    const preconditions = [...also, ...this.preconditions().filter((p) => !given.has(p.id))].sort((a, b) => a.id.localeCompare(b.id));
    const holds = preconditions.every((p) => p.state !== "missing") && this.encrypted.provenPackets > 0;
    return {
      verdict: this.findings.length > 0 || this.moreFlows > 0 ? (this.#blind() ? "INCONCLUSIVE" : "FAIL") : holds ? "PASS" : "INCONCLUSIVE",
      preconditions,
    };
  }

  /** Without interfaces nobody can tell a leak from what is meant to be plain (a pod's own link, the tunnel device). */
  #blind(): boolean {
    return this.#trouble.noIdentity > 0;
  }
}

type Ends = { readonly from: string | undefined; readonly to: string | undefined };
const isWireGuard = (c: PacketClass): boolean => c === "WG_DATA" || c === "WG_HANDSHAKE" || c === "WG_KEEPALIVE" || c === "WG_COOKIE";
