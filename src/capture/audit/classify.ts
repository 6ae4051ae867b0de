// What a captured frame is, through every encapsulation (section 7.5). A proof must not rest on ports or on a filter: every layer is walked, and what
// cannot be walked is searched for the headers of pods' packets.
import { formatIp, type Ip } from "../../base/ip.ts";
import { decode, type DecodeOptions } from "../../packet/decode.ts";
import type { IpLayer, Layer, UdpLayer } from "../../packet/layer.ts";
import { LINK_RAW } from "../../packet/link.ts";
import { Reassembler } from "../../packet/reassemble.ts";
import { addressKey, isLinkLocal } from "./address.ts";
import { headerAt } from "./cipher.ts";
import type { Inventory, Owner } from "./inventory.ts";
import { hintOf } from "./payload.ts";
import { type Classified, type Encapsulation, type Flow, type PacketClass, result } from "./types.ts";
import type { SeenAt, WireGuardProof } from "./wireguard.ts";

const CONTROL_PORTS = new Set([22, 53, 67, 68, 123, 179, 2379, 2380, 4240, 5473, 6443, 9091, 9099, 10250, 10256]);
/** Protocols of links and routers that carry no packets: RARP, slow protocols, LLDP, EAPOL, PTP, loopback test, PPPoE discovery. */
const LINK_TYPES = new Set([0x8035, 0x8809, 0x88cc, 0x888e, 0x88f7, 0x9000, 0x8863]);
const MACSEC = 0x88e5;
/** IP protocols that carry packets and are not walked: EtherIP, L2TP, MPLS in IP, Ethernet in IPv6, … */
const CARRIERS = new Set([55, 94, 97, 98, 115, 137, 143]);
const IPSEC_NAT = 4500;
/** How far into what is not understood a pods' packet is looked for. */
const SEARCH = 128;
/** Fragmented packets that are remembered. */
const MAX_FRAGMENTS = 4096;

type Innermost = { readonly ip: IpLayer; readonly at: number; readonly src: Owner; readonly dst: Owner };

export class Classifier {
  readonly #inventory: Inventory;
  readonly #proof: WireGuardProof;
  readonly #options: DecodeOptions;
  readonly #reassembler = new Reassembler();
  readonly #first = new Map<string, Classified>();
  readonly #orphans = new Set<string>();
  /** Fragmented packets of which too many were under way to remember. */
  #forgotten = 0;

  constructor(inventory: Inventory, proof: WireGuardProof) {
    this.#inventory = inventory;
    this.#proof = proof;
    this.#options = { vxlanPorts: inventory.vxlanPorts, genevePorts: inventory.genevePorts };
  }

  /** Fragmented packets between nodes whose first fragment never came: what they were is not known. */
  get orphans(): number {
    return this.#orphans.size + this.#forgotten;
  }

  /** `layers`: the frame's, when they are at hand already. */
  classify(bytes: Uint8Array, link: number, seen: SeenAt, layers: readonly Layer[] = this.layersOf(bytes, link)): Classified {
    const found = this.#walk(layers, bytes, seen);
    return isFragment(layers) ? this.#fragment(layers, bytes, found, seen) : found;
  }

  layersOf(bytes: Uint8Array, link: number): Layer[] {
    return decode(bytes, link, this.#options);
  }

  #walk(layers: readonly Layer[], bytes: Uint8Array, seen: SeenAt): Classified {
    const path: Encapsulation[] = [];
    let last: Innermost | undefined;
    let quoted = false;
    let ipBefore: IpLayer | undefined;
    for (const [i, l] of layers.entries()) {
      if (l.kind === "quote") quoted = true;
      else if (l.kind === "vxlan" || l.kind === "geneve" || l.kind === "gre") path.push(l.kind);
      else if (l.kind === "esp")
        return this.#search(bytes, layers, path, result("ENCRYPTED_OTHER", path, ipBefore && flowOf(layers, layers.indexOf(ipBefore), bytes), 0));
      else if (l.kind === "arp") return result(path.length > 0 ? "OVERLAY_CONTROL" : "LINK_CONTROL", path, undefined, 0);
      if (l.kind !== "ipv4" && l.kind !== "ipv6") continue;
      // An IP header right inside another one, extension headers between them aside.
      if (ipBefore && layers.slice(layers.indexOf(ipBefore) + 1, i).every((x) => x.kind === "extension" || x.kind === "fragment"))
        path.push(l.kind === "ipv4" ? "ipip" : "6in4");
      ipBefore = l;
      const [src, dst] = [this.#inventory.owner(l.src, seen.time), this.#inventory.owner(l.dst, seen.time)];
      if (src.kind === "pod" && dst.kind === "pod") {
        const base = result(quoted ? "ICMP_QUOTE" : "POD_TO_POD", path, flowOf(layers, i, bytes), lengthOf(l));
        const hint = quoted ? undefined : hintOf(layers, bytes);
        return { ...base, fragment: !quoted && isLaterFragment(layers, i), ...(hint ? { hint } : {}) };
      }
      if (!quoted) last = { ip: l, at: i, src, dst };
    }
    const tail = layers.at(-1);
    if (!last) return this.#search(bytes, layers, path, notIp(layers, path));
    if (tail?.kind === "data" && tail.why === "too deep")
      return this.#search(bytes, layers, path, result("UNKNOWN", path, flowOf(layers, last.at, bytes), 0, "more encapsulations than are walked"));
    return this.#other(layers, bytes, path, last, seen);
  }

  /** A packet that is not from a pod to a pod: by its innermost real IP header. */
  #other(layers: readonly Layer[], bytes: Uint8Array, path: readonly Encapsulation[], { ip, at, src, dst }: Innermost, seen: SeenAt): Classified {
    const flow = flowOf(layers, at, bytes);
    const made = (c: PacketClass, note?: string): Classified => result(c, path, flow, lengthOf(ip), note);
    if (isLinkLocal(ip.dst) || isLinkLocal(ip.src)) return { ...made(path.length > 0 ? "OVERLAY_CONTROL" : "LINK_CONTROL"), bytes: 0 };
    if (src.kind === "node" && dst.kind === "node")
      return this.#search(bytes, layers, path, this.#betweenNodes(layers, bytes, path, { ip, at, src, dst }, seen));
    const kinds = [src.kind, dst.kind];
    if (!kinds.includes("pod")) return this.#search(bytes, layers, path, made(kinds.includes("node") ? "OTHER_NODE" : "EXTERNAL"));
    if (!kinds.includes("node")) return made("POD_EXTERNAL");
    return this.#translated(flow, made) ?? made("NODE_TO_POD");
  }

  #betweenNodes(
    layers: readonly Layer[],
    bytes: Uint8Array,
    path: readonly Encapsulation[],
    { ip, at, src, dst }: Innermost,
    seen: SeenAt,
  ): Classified {
    const flow = flowOf(layers, at, bytes);
    const made = (c: PacketClass, note?: string): Classified => result(c, path, flow, lengthOf(ip), note);
    if (isLaterFragment(layers, at)) return made("UNKNOWN", "a fragment whose first one was not seen");
    const udp = layers.find((l, i): l is UdpLayer => i > at && l.kind === "udp");
    if (src.kind === "node" && dst.kind === "node" && udp && path.length === 0) {
      if (dst.node.wireguardPorts.includes(udp.dstPort) || src.node.wireguardPorts.includes(udp.srcPort))
        return this.#proof.judge({ payload: bytes.subarray(udp.at + 8, udp.end), udp, src: src.node, dst: dst.node, flow }, seen);
      const spi = udp.dstPort === IPSEC_NAT || udp.srcPort === IPSEC_NAT ? bytes.subarray(udp.at + 8, udp.at + 12) : undefined;
      if (spi?.some((b) => b !== 0)) return { ...made("ENCRYPTED_OTHER"), bytes: 0 };
    }
    const translated = this.#translated(flow, made);
    if (translated) return translated;
    const tail = layers.at(-1);
    const above = layers.at(-2);
    if (tail?.kind === "data" && tail.why === "unknown" && (above?.kind === "gre" || above?.kind === "geneve" || above?.kind === "ethernet"))
      return made("UNKNOWN", `${above.kind} with a payload that is not walked`);
    if (CARRIERS.has(flow.protocol)) return made("UNKNOWN", `IP protocol ${flow.protocol} is not walked`);
    const icmp = layers.some((l) => l.kind === "icmp" || l.kind === "icmpv6");
    return made(icmp || CONTROL_PORTS.has(flow.srcPort) || CONTROL_PORTS.has(flow.dstPort) ? "CONTROL" : "OTHER_NODE");
  }

  /** By the NAT tables: whose the packet really is (section 7.5.6). */
  #translated(flow: Flow, made: (c: PacketClass, note?: string) => Classified): Classified | undefined {
    const known = this.#inventory.nat.find(flow);
    if (known.length === 0) return undefined;
    const client = known.find((t) => this.#inventory.owner(t.client).kind === "pod")?.client;
    const server = known.find((t) => this.#inventory.owner(t.server).kind === "pod")?.server;
    if (!client && !server) return undefined;
    const [a, b] = [client ?? known[0]!.client, server ?? known[0]!.server];
    const ends = `really ${formatIp(a)} → ${formatIp(b)}, by the NAT table of ${known.map((t) => t.node).join(", ")}`;
    if (client && server) return made("NATTED_POD", ends);
    // The other end is a node's own only if that node's own table says so.
    const other = this.#inventory.owner(client ? b : a);
    if (other.kind === "node" && this.#inventory.nat.covers(other.node.name)) return made("NODE_TO_POD", ends);
    if (other.kind !== "node") return made("POD_EXTERNAL", ends);
    return made("NATTED_POD", `${ends}; whether ${other.node.name} hands it on to a pod is not known, its table was not given`);
  }

  /** A pods' packet in bytes that no rule explains: an encapsulation that is not known, or a cipher that is none. */
  #search(bytes: Uint8Array, layers: readonly Layer[], path: readonly Encapsulation[], found: Classified): Classified {
    const tail = layers.at(-1);
    if (
      tail?.kind !== "data" ||
      (found.class !== "OTHER_NODE" && found.class !== "UNKNOWN" && found.class !== "CONTROL" && found.class !== "ENCRYPTED_OTHER")
    )
      return found;
    const isPod = (ip: Ip): boolean => this.#inventory.owner(ip).kind === "pod";
    const end = Math.min(tail.end, tail.at + SEARCH);
    for (let at = tail.at; at < end; at++) {
      const version = bytes[at]! >> 4;
      if (version !== 4 && version !== 6) continue;
      const ip = headerAt(bytes.subarray(0, tail.end), at, isPod);
      if (!ip || !isPod(ip.src) || !isPod(ip.dst)) continue;
      const inner = decode(bytes.subarray(at, tail.end), LINK_RAW);
      const header = inner[0] as IpLayer | undefined;
      if (header?.kind !== "ipv4" && header?.kind !== "ipv6") continue;
      return result(
        "POD_TO_POD",
        [...path, "unrecognised"],
        flowOf(inner, 0, bytes.subarray(at)),
        lengthOf(header),
        `in bytes that are ${describe(found)}`,
      );
    }
    return found;
  }

  /** Later fragments of an outer packet have no ports and no inner addresses: they are what their first one is, or what the whole packet is. */
  #fragment(layers: readonly Layer[], bytes: Uint8Array, found: Classified, seen: SeenAt): Classified {
    const at = layers.findIndex((l) => l.kind === "ipv4" || l.kind === "ipv6");
    const part = at < 0 ? undefined : fragmentPart(layers, at);
    if (!part || (part.offset === 0 && !part.more)) return found;
    const key = fragmentKey(layers[at] as IpLayer, part);
    if (part.offset === 0) {
      this.#orphans.delete(key);
      this.#remember(key, found);
      if (!isOpen(found)) return found;
    } else if (isOpen(found)) {
      const inherited = this.#first.get(key);
      if (inherited && !isOpen(inherited))
        // The inner header in the first one has told the length of all.
        return { ...inherited, bytes: 0, messages: 0, fragment: true };
      if (!inherited && this.#orphans.size < MAX_FRAGMENTS) this.#orphans.add(key);
      else if (!inherited) this.#forgotten++;
    } else return found;
    // Neither says what it is: the whole packet will.
    const whole = this.#reassembler.add(bytes, layers);
    if (!whole) return found;
    this.#orphans.delete(key);
    const answer = this.#walk(this.layersOf(whole, LINK_RAW), whole, seen);
    this.#remember(key, answer);
    return answer;
  }

  #remember(key: string, found: Classified): void {
    const oldest = this.#first.size >= MAX_FRAGMENTS ? this.#first.keys().next().value : undefined;
    if (oldest !== undefined) this.#first.delete(oldest);
    this.#first.set(key, found);
  }
}

/** Nothing has been decided by this alone. */
const isOpen = (c: Classified): boolean => c.class === "UNKNOWN" || c.class === "OTHER_NODE" || c.class === "CONTROL";
const describe = (c: Classified): string => (c.class === "ENCRYPTED_OTHER" ? "said to be encrypted" : (c.note ?? "no known encapsulation"));

function notIp(layers: readonly Layer[], path: readonly Encapsulation[]): Classified {
  const made = (c: PacketClass, note?: string): Classified => result(c, path, undefined, 0, note);
  const link = layers.findLast((l) => l.kind === "ethernet" || l.kind === "vlan" || l.kind === "cooked");
  const tail = layers.at(-1);
  if (!link || (link.kind !== "ethernet" && link.kind !== "vlan" && link.kind !== "cooked")) return made("UNKNOWN", "no header that is known");
  if (tail?.kind === "data" && tail.why === "truncated") return made("UNKNOWN", "cut before its addresses");
  if (link.type === MACSEC) return made("ENCRYPTED_OTHER");
  if (link.type <= 1500 || LINK_TYPES.has(link.type)) return made(path.length > 0 ? "OVERLAY_CONTROL" : "LINK_CONTROL");
  return made("UNKNOWN", `EtherType 0x${link.type.toString(16).padStart(4, "0")} is not walked`);
}

/** Length of the IP packet by its own header. */
const lengthOf = (ip: IpLayer): number => (ip.kind === "ipv4" ? ip.totalLength || ip.end - ip.at : 40 + (ip.payloadLength || ip.end - ip.at - 40));

type Part = { readonly offset: number; readonly more: boolean; readonly id: number; readonly protocol: number };
function fragmentPart(layers: readonly Layer[], at: number): Part | undefined {
  const ip = layers[at];
  if (ip?.kind === "ipv4") return { offset: ip.fragmentOffset, more: ip.moreFragments, id: ip.id, protocol: ip.protocol };
  // Its own fragment header, not one of a packet inside it.
  for (let i = at + 1; i < layers.length; i++) {
    const l = layers[i]!;
    if (l.kind === "fragment") return { offset: l.fragmentOffset, more: l.moreFragments, id: l.id, protocol: l.nextHeader };
    if (l.kind !== "extension") break;
  }
  return undefined;
}
const isLaterFragment = (layers: readonly Layer[], at: number): boolean => (fragmentPart(layers, at)?.offset ?? 0) > 0;
const isFragment = (layers: readonly Layer[]): boolean =>
  layers.some((l) => (l.kind === "ipv4" && (l.moreFragments || l.fragmentOffset > 0)) || l.kind === "fragment");
const fragmentKey = (ip: IpLayer, f: Part): string => `${addressKey(ip.src)} ${addressKey(ip.dst)} ${f.id} ${f.protocol}`;

/** The flow of the IP layer at `at`. An echo's identifier stands for the ports. */
function flowOf(layers: readonly Layer[], at: number, bytes: Uint8Array): Flow {
  const ip = layers[at] as IpLayer;
  const above = layers.slice(at + 1).find((l) => l.kind !== "extension" && l.kind !== "fragment");
  // Addresses are kept longer than the chunk of the file that they came in.
  const base = { src: new Uint8Array(ip.src), dst: new Uint8Array(ip.dst), srcPort: 0, dstPort: 0 };
  if (above?.kind === "tcp") return { ...base, protocol: 6, srcPort: above.srcPort, dstPort: above.dstPort };
  if (above?.kind === "udp") return { ...base, protocol: 17, srcPort: above.srcPort, dstPort: above.dstPort };
  if (above?.kind === "icmp" || above?.kind === "icmpv6") {
    const echo = above.kind === "icmp" ? above.type === 8 || above.type === 0 : above.type === 128 || above.type === 129;
    const id = echo && above.end - above.at >= 6 ? (bytes[above.at + 4]! << 8) | bytes[above.at + 5]! : 0;
    return { ...base, protocol: above.kind === "icmp" ? 1 : 58, srcPort: id, dstPort: id };
  }
  const part = fragmentPart(layers, at);
  return { ...base, protocol: ip.kind === "ipv4" ? ip.protocol : (part?.protocol ?? ip.nextHeader) };
}
