// The audit: takes frames of every node's wires, counts each packet once, and comes to a verdict with its evidence (sections 7.4 to 7.10). It keeps no
// frame: memory does not grow with the length of a capture.
import { fromHex } from "../../base/bytes.ts";
import { formatIp, type Ip } from "../../base/ip.ts";
import type { Layer } from "../../packet/layer.ts";
import type { Crypto } from "../../wireguard/crypto.ts";
import type { CapturedPacket, CaptureStatistics, Damage } from "../packet.ts";
import { causeOf } from "./cause.ts";
import { Bypass } from "./bypass.ts";
import { Classifier } from "./classify.ts";
import { control } from "./control.ts";
import { type Ends, Findings, type FlowFinding, type FrameReference, packetsOf } from "./findings.ts";
import type { Inventory, Owner } from "./inventory.ts";
import { holds } from "./marker.ts";
import type { Opener } from "./opener.ts";
import { preconditions } from "./preconditions.ts";
import { Skew } from "./skew.ts";
import { type Source, Sources } from "./sources.ts";
import { type Cause, type Classified, FINDINGS, type PacketClass, type Precondition, result, type Verdict } from "./types.ts";
import { pairKey, WireGuardProof } from "./wireguard.ts";

export type { FlowFinding, FrameReference } from "./findings.ts";
export type { Source } from "./sources.ts";

/** What went between two nodes, both ways. Bytes of inner packets. */
export type PairCounts = {
  readonly a: string;
  readonly b: string;
  encryptedPackets: number;
  encryptedBytes: number;
  provenBytes: number;
  plainPackets: number;
  plainBytes: number;
  readonly causes: Set<Cause>;
};
export type AuditedFrame = {
  readonly frame: number;
  readonly source: string;
  readonly classified: Classified;
  /** Of a finding, and of what would be one if more were claimed. */
  readonly cause: Cause | undefined;
  /** The comment that the frame gets in an annotated capture; undefined when it is no finding. */
  readonly comment: string | undefined;
};
/** What an audit is told beforehand, beside the inventory. */
export type AuditOptions = {
  /** The captures that are audited: what a captured node sends is counted there and nowhere else. */
  readonly sources?: readonly Source[];
  readonly opener?: Opener | undefined;
};
/** The verdict, and what it rests on. */
export type Judgement = {
  readonly verdict: Verdict;
  readonly preconditions: readonly Precondition[];
  /** Why a PASS is not given although all preconditions hold. */ readonly doubts: readonly string[];
};

const MAX_HITS = 100;
const MAX_UNKNOWN = 20;

/** An audit of pod traffic: add() each frame of every node's wires in order of time, announce() each capture point, then judge(). Throws nothing on what is in a frame. */
export class Audit {
  readonly inventory: Inventory;
  readonly proof: WireGuardProof;
  readonly found: Findings = new Findings();
  readonly pairs: Map<string, PairCounts> = new Map();
  /** Frames by class and path: "POD_TO_POD vxlan". */
  readonly classes: Map<string, number> = new Map();
  readonly encrypted = { packets: 0, bytes: 0, provenPackets: 0, provenBytes: 0, authenticatedPackets: 0, handshakes: 0 };
  readonly #plain = { packets: 0, bytes: 0 };
  /** Frames with a marker readable in them: between pods, and between pods and nodes. */
  readonly markers = { pods: 0, nodes: 0, samples: [] as FrameReference[] };
  frames = 0;
  /** Frames that confirm what was counted at their sender. */
  confirming = 0;
  /** Frames of links where plain packets are right. */
  inside = 0;
  first: bigint | undefined;
  last: bigint | undefined;
  readonly #crypto: Crypto;
  readonly #classifier: Classifier;
  readonly #captured = new Set<string>();
  readonly #sources: Sources;
  readonly #skew = new Skew();
  readonly #bypass: Bypass;
  readonly #marker: Uint8Array | undefined;
  readonly #nodeMarker: Uint8Array | undefined;
  #drops = 0n;
  #statistics = 0;
  #unfiltered = false;
  readonly #damage: string[] = [];
  readonly #unknown = new Map<string, number>();
  readonly #strangers = new Map<string, number>();
  #nodeToNode = 0;

  constructor(crypto: Crypto, inventory: Inventory, options: AuditOptions = {}) {
    this.#crypto = crypto;
    this.inventory = inventory;
    this.proof = new WireGuardProof(crypto, { known: (ip) => inventory.owner(ip).kind !== "other", opener: options.opener });
    this.#classifier = new Classifier(inventory, this.proof);
    this.#sources = new Sources(inventory.observed);
    this.#bypass = new Bypass(inventory);
    for (const s of options.sources ?? []) {
      this.#sources.announce(s);
      if (s.node !== undefined) this.#captured.add(s.node);
    }
    const { canary } = inventory;
    this.#marker = canary && fromHex(canary.marker);
    this.#nodeMarker = canary?.nodeMarker === undefined ? undefined : fromHex(canary.nodeMarker);
  }

  /**
   * Takes a frame. undefined: it is of a link where plain packets are right, or it was counted at the node that sent it. Frames of all sources should come
   * in order of time.
   */
  add(packet: CapturedPacket, source: Source): AuditedFrame | undefined {
    const layers = this.#classifier.layersOf(packet.data, packet.iface.link);
    const volume = this.#sources.add(packet, source, layers);
    if (!volume) return void this.inside++;
    if (packet.dropped) this.#drops += packet.dropped;
    const walked = this.#classifier.classify(packet.data, packet.iface.link, { time: packet.time, tap: source.node ?? source.name }, layers);
    // The audit's own leak is none once it was found to be one.
    const own = walked.class === "POD_TO_POD" && this.#bypass.is(packet, layers);
    if (own) volume.controls++;
    const ends = this.#ends(layers, packet.time);
    const c = own ? result("AUDIT_CONTROL", walked.path, walked.flow, 0) : this.#marked(packet, walked, source);
    if (!isWireGuard(c.class) && !own) this.#unfiltered = true;
    if (c.class === "WG_DATA" && c.messages === 1) this.#clock(packet, source, ends, layers);
    // The receiver's capture confirms what the sender's has counted.
    const confirms = source.node !== undefined && ends.from !== undefined && ends.from !== source.node && this.#captured.has(ends.from);
    if (confirms && !own) {
      this.confirming++;
      if (!this.#isFinding(c.class)) return undefined;
      const cause = causeOf(c, packet.time, this.inventory, this.proof);
      const flow = this.found.add(c, cause, { time: packet.time, at: { source: source.name, frame: packet.number }, ends, confirms });
      // Seen where it arrived only: the sender's capture is blind to it, and this one is the evidence.
      return flow && flow.packets === 0 ? this.#audited(packet, source, c, cause) : undefined;
    }
    this.frames++;
    if (packet.time !== undefined) {
      this.first = this.first === undefined || packet.time < this.first ? packet.time : this.first;
      this.last = this.last === undefined || packet.time > this.last ? packet.time : this.last;
    }
    const name = c.path.length > 0 ? `${c.class} ${c.path.join("+")}` : c.class === "POD_TO_POD" ? `${c.class} native` : c.class;
    this.classes.set(name, (this.classes.get(name) ?? 0) + 1);
    return this.#audited(packet, source, c, this.#count(c, packet, source, ends));
  }

  #audited(packet: CapturedPacket, source: Source, c: Classified, cause: Cause | undefined): AuditedFrame {
    const comment = this.#isFinding(c.class) ? `LEAK ${c.class} cause=${cause ?? "UNKNOWN"}` : undefined;
    return { frame: packet.number, source: source.name, classified: c, cause, comment };
  }

  /** A capture point that may have nothing to show. */
  announce(source: Source): void {
    this.#sources.announce(source);
  }
  /** Counters that a capture file or a socket gives at its end. */
  statistics(s: Pick<CaptureStatistics, "osDropped" | "dropped">): void {
    this.#statistics++;
    this.#drops += (s.osDropped ?? 0n) + (s.dropped ?? 0n);
  }
  damage(source: Source, d: Damage): void {
    if (this.#damage.length < MAX_UNKNOWN) this.#damage.push(`${source.name} is damaged at byte ${d.offset}`);
  }

  #isFinding(c: PacketClass): boolean {
    return FINDINGS.has(c) || (c === "NODE_TO_POD" && this.inventory.hostEncryption);
  }

  /** A marker in the clear is exposure, also where no rule names the packet. */
  #marked(packet: CapturedPacket, c: Classified, source: Source): Classified {
    const pods = this.#marker !== undefined && holds(packet.data, this.#marker);
    const nodes = !pods && this.#nodeMarker !== undefined && holds(packet.data, this.#nodeMarker);
    if (!pods && !nodes) return c;
    this.markers[pods ? "pods" : "nodes"]++;
    if (pods && this.markers.samples.length < MAX_HITS) this.markers.samples.push({ source: source.name, frame: packet.number });
    const exposed = pods || this.inventory.hostEncryption;
    return exposed && !this.#isFinding(c.class)
      ? { ...result("POD_TO_POD", c.path, c.flow, c.bytes, `the canary's marker is readable in it (${c.class})`) }
      : c;
  }

  #clock(packet: CapturedPacket, source: Source, ends: Ends, layers: readonly Layer[]): void {
    const udp = layers.find((l) => l.kind === "udp");
    if (source.node === undefined || packet.time === undefined || ends.from === undefined || ends.to === undefined || udp === undefined) return;
    if (udp.at + 24 > packet.data.length) return;
    const v = new DataView(packet.data.buffer, packet.data.byteOffset + udp.at + 8, 16);
    this.#skew.add(`${ends.from} ${ends.to}`, v.getUint32(4, true), v.getBigUint64(8, true), packet.time, source.node === ends.from);
  }

  #count(c: Classified, packet: CapturedPacket, source: Source, ends: Ends): Cause | undefined {
    const pair = ends.from !== undefined && ends.to !== undefined && ends.from !== ends.to ? this.#pair(ends.from, ends.to) : undefined;
    const e = this.encrypted;
    if (c.class === "WG_HANDSHAKE") e.handshakes++;
    if (c.class === "WG_DATA") {
      e.packets += c.messages;
      e.bytes += c.bytes;
      if (c.authenticated) e.authenticatedPackets += c.messages;
      if (c.proven) {
        e.provenPackets += c.messages;
        e.provenBytes += c.bytes;
      }
      if (pair) {
        pair.encryptedPackets += c.messages;
        pair.encryptedBytes += c.bytes;
        if (c.proven) pair.provenBytes += c.bytes;
      }
    }
    // A fragment whose first one comes yet is counted by the classifier.
    if (c.class === "UNKNOWN" && !c.note?.startsWith("a fragment ") && this.#unknown.size < MAX_UNKNOWN)
      this.#unknown.set(c.note ?? "unknown", (this.#unknown.get(c.note ?? "unknown") ?? 0) + 1);
    if (c.class === "OTHER_NODE" && ends.from !== undefined && ends.to !== undefined) this.#nodeToNode++;
    if (packet.direction === "out" && c.flow && isOutside(c.class) && this.inventory.owner(c.flow.src, packet.time).kind === "other")
      this.#stranger(source.node ?? source.name, c.flow.src);
    if (!this.#isFinding(c.class) && c.class !== "NODE_TO_POD") return undefined;
    const cause = c.note?.startsWith("the canary's marker") ? "MARKER" : causeOf(c, packet.time, this.inventory, this.proof);
    if (isPlain(c.class) || (c.class === "NODE_TO_POD" && this.inventory.hostEncryption)) {
      this.#plain.packets++;
      this.#plain.bytes += c.bytes;
      if (pair) {
        pair.plainPackets++;
        pair.plainBytes += c.bytes;
        pair.causes.add(cause);
      }
    }
    const flow = this.found.add(c, cause, { time: packet.time, at: { source: source.name, frame: packet.number }, ends, confirms: false });
    if (flow && flow.packets === 1) this.#unassigned(flow, packet.time);
    return cause;
  }

  /** It left a node with an address that is nobody's of this cluster: whether it was a pod's is not known. */
  #stranger(from: string, ip: Ip): void {
    const name = `${formatIp(ip)} from ${from}`;
    if (this.#strangers.size < MAX_UNKNOWN || this.#strangers.has(name)) this.#strangers.set(name, (this.#strangers.get(name) ?? 0) + 1);
  }

  #unassigned(f: FlowFinding, time: bigint | undefined): void {
    for (const ip of f.flow ? [f.flow.src, f.flow.dst] : []) {
      const owner = this.inventory.owner(ip, time);
      if (owner.kind !== "pod") continue;
      if (owner.service !== undefined) f.notes.add(`${formatIp(ip)} is the service ${owner.service}`);
      else if (!owner.pod && this.inventory.pods > 0) f.notes.add(`UNASSIGNED_IP: no pod has ${formatIp(ip)}`);
    }
  }

  #pair(a: string, b: string): PairCounts {
    const key = pairKey(a, b);
    let pair = this.pairs.get(key);
    if (!pair) {
      const [x, y] = a < b ? [a, b] : [b, a];
      pair = { a: x, b: y, encryptedPackets: 0, encryptedBytes: 0, provenBytes: 0, plainPackets: 0, plainBytes: 0, causes: new Set() };
      this.pairs.set(key, pair);
    }
    return pair;
  }

  /** The nodes at the ends of the outermost IP header: who sent it, whom it is for. */
  #ends(layers: readonly Layer[], time: bigint | undefined): Ends {
    const ip = layers.find((l) => l.kind === "ipv4" || l.kind === "ipv6");
    if (ip?.kind !== "ipv4" && ip?.kind !== "ipv6") return { from: undefined, to: undefined };
    const name = (o: Owner): string | undefined => (o.kind === "other" ? undefined : o.node?.name);
    return { from: name(this.inventory.owner(ip.src, time)), to: name(this.inventory.owner(ip.dst, time)) };
  }

  /** Packets and inner bytes in the clear that should not be; what only the receiver's capture has counts too. */
  get plain(): { packets: number; bytes: number } {
    let { packets, bytes } = this.#plain;
    for (const f of this.findings) {
      if (!isPlain(f.class) && f.class !== "NODE_TO_POD") continue;
      packets += Math.max(0, f.confirmed - f.packets);
      bytes += Math.max(0, f.confirmedBytes - f.bytes);
    }
    return { packets, bytes };
  }

  /** Encrypted share of packets and bytes, 0 to 1; undefined when nothing was sent. */
  share(): { packets: number; bytes: number } | undefined {
    const [e, p] = [this.encrypted, this.plain];
    if (e.packets + p.packets === 0) return undefined;
    return { packets: e.packets / (e.packets + p.packets), bytes: e.bytes / (e.bytes + p.bytes) };
  }

  get findings(): FlowFinding[] {
    return [...this.found.flows.values()].filter((f) => this.#isFinding(f.class));
  }
  /** What goes between nodes and pods where that is not claimed to be encrypted. */
  get allowed(): FlowFinding[] {
    return [...this.found.flows.values()].filter((f) => !this.#isFinding(f.class));
  }

  /** A finding is a FAIL whatever else holds; without one, everything must hold for a PASS. A share never turns one into the other. */
  judge(trusted: ReadonlySet<string> = new Set()): Judgement {
    const list = preconditions(
      {
        inventory: this.inventory,
        sources: this.#sources,
        skew: this.#skew,
        frames: this.frames,
        drops: this.#drops,
        statistics: this.#statistics,
        gaps: this.proof.gaps(),
        unseen: this.findings.reduce((n, f) => n + packetsOf(f) - f.packets, 0),
        unfiltered: this.#unfiltered,
        damage: this.#damage,
        orphans: this.#classifier.orphans,
        unknown: this.#unknown,
        nodeToNode: this.#nodeToNode,
        strangers: this.#strangers,
        first: this.first,
        last: this.last,
        control: control(this.#crypto, this.inventory),
      },
      trusted,
    );
    const notUniform = this.proof.notUniform();
    const doubts = [
      ...(this.encrypted.provenPackets === 0 ? ["no WireGuard data was seen that a verified handshake announced"] : []),
      ...this.proof.unexplained(this.first).map((why) => `data on WireGuard's port that no handshake announced: ${why}`),
      ...notUniform.map((why) => `what goes as encrypted is not uniform: ${why}`),
    ];
    // Without interfaces nobody can tell a leak from what is meant to be plain.
    const blind = this.#sources.blind.size > 0;
    const leaks = this.findings.length > 0 || this.found.more > 0 || notUniform.length > 0;
    const holdsAll = list.every((p) => p.state !== "missing") && doubts.length === 0;
    return { verdict: leaks ? (blind ? "INCONCLUSIVE" : "FAIL") : holdsAll ? "PASS" : "INCONCLUSIVE", preconditions: list, doubts };
  }
}

const isWireGuard = (c: PacketClass): boolean => c === "WG_DATA" || c === "WG_HANDSHAKE" || c === "WG_KEEPALIVE" || c === "WG_COOKIE";
/** At least one end of it is not the cluster's. */
const isOutside = (c: PacketClass): boolean => c === "EXTERNAL" || c === "POD_EXTERNAL" || c === "OTHER_NODE";
const isPlain = (c: PacketClass): boolean => c === "POD_TO_POD" || c === "NATTED_POD";
