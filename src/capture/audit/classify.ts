// What a captured frame is, through every encapsulation (section 7.5). A proof must not rest on ports or on a filter: every layer is walked.
import type { Ip } from "../../base/ip.ts";
import { decode } from "../../packet/decode.ts";
import type { IpLayer, Layer, UdpLayer } from "../../packet/layer.ts";
import type { Inventory, Owner } from "./inventory.ts";
import { hintOf } from "./payload.ts";
import { type Classified, type Encapsulation, type Flow, result } from "./types.ts";
import type { SeenAt, WireGuardProof } from "./wireguard.ts";

const CONTROL_PORTS = new Set([22, 53, 67, 68, 123, 179, 2379, 2380, 4240, 5473, 6443, 9091, 9099, 10250, 10256]);
/** First fragments whose later ones may come. */
const MAX_FRAGMENTS = 4096;

export class Classifier {
  readonly #inventory: Inventory;
  readonly #proof: WireGuardProof;
  readonly #fragments = new Map<string, Classified>();

  constructor(inventory: Inventory, proof: WireGuardProof) {
    this.#inventory = inventory;
    this.#proof = proof;
  }

  classify(bytes: Uint8Array, link: number, seen: SeenAt): Classified {
    const layers = decode(bytes, link, { vxlanPorts: this.#inventory.vxlanPorts, genevePorts: this.#inventory.genevePorts });
    const found = this.#walk(layers, bytes, seen);
    this.#remember(layers, found);
    return found;
  }

  #walk(layers: readonly Layer[], bytes: Uint8Array, seen: SeenAt): Classified {
    const path: Encapsulation[] = [];
    let last: { ip: IpLayer; at: number; src: Owner; dst: Owner } | undefined;
    let quoted = false;
    let ipBefore: IpLayer | undefined;
    for (const [i, l] of layers.entries()) {
      if (l.kind === "quote") quoted = true;
      else if (l.kind === "vxlan" || l.kind === "geneve" || l.kind === "gre") path.push(l.kind);
      else if (l.kind === "esp") return result("ENCRYPTED_OTHER", path, flowOf(layers, i), 0);
      else if (l.kind === "arp") return result(path.length > 0 ? "OVERLAY_CONTROL" : "LINK_CONTROL", path, undefined, 0);
      if (l.kind !== "ipv4" && l.kind !== "ipv6") continue;
      // An IP header right inside another one.
      if (ipBefore && layers[i - 1] === ipBefore) path.push(l.kind === "ipv4" ? "ipip" : "6in4");
      ipBefore = l;
      const [src, dst] = [this.#inventory.owner(l.src), this.#inventory.owner(l.dst)];
      if (src.kind === "pod" && dst.kind === "pod") {
        if (quoted) return result("ICMP_QUOTE", path, flowOf(layers, i), lengthOf(l));
        const hint = hintOf(layers, bytes);
        const isLater = isLaterFragment(layers, i);
        return { ...result("POD_TO_POD", path, flowOf(layers, i), lengthOf(l)), fragment: isLater, ...(hint ? { hint } : {}) };
      }
      if (!quoted) last = { ip: l, at: i, src, dst };
    }
    if (!last) return result(layers.length > 0 && layers[0]!.kind !== "data" ? "LINK_CONTROL" : "UNKNOWN", path, undefined, 0);
    return this.#other(layers, bytes, path, last, seen);
  }

  /** A packet that is not from a pod to a pod: by its innermost real IP header. */
  #other(
    layers: readonly Layer[],
    bytes: Uint8Array,
    path: readonly Encapsulation[],
    { ip, at, src, dst }: { ip: IpLayer; at: number; src: Owner; dst: Owner },
    seen: SeenAt,
  ): Classified {
    const flow = flowOf(layers, at);
    const inherited = isLaterFragment(layers, at) ? this.#fragments.get(fragmentKey(layers, at)) : undefined;
    if (inherited) return { ...inherited, bytes: inherited.class === "POD_TO_POD" ? lengthOf(ip) : 0, messages: 0, fragment: true };
    if (isLocal(ip.dst) || isLocal(ip.src)) return result(path.length > 0 ? "OVERLAY_CONTROL" : "LINK_CONTROL", path, flow, 0);
    const udp = layers.find((l, i): l is UdpLayer => i > at && l.kind === "udp");
    if (src.kind === "node" && dst.kind === "node") {
      if (udp && (udp.dstPort === dst.node.wireguardPort || udp.srcPort === src.node.wireguardPort) && path.length === 0)
        return this.#proof.judge({ payload: bytes.subarray(udp.at + 8, udp.end), udp, src: src.node, dst: dst.node, flow }, seen);
      if (isLaterFragment(layers, at)) return result("UNKNOWN", path, flow, 0);
      const ports = [flow?.srcPort ?? 0, flow?.dstPort ?? 0];
      const icmp = layers.some((l) => l.kind === "icmp" || l.kind === "icmpv6");
      return result(icmp || ports.some((p) => CONTROL_PORTS.has(p)) ? "CONTROL" : "OTHER_NODE", path, flow, lengthOf(ip));
    }
    const kinds = [src.kind, dst.kind];
    if (kinds.includes("pod")) return result(kinds.includes("node") ? "NODE_TO_POD" : "POD_EXTERNAL", path, flow, lengthOf(ip));
    return result(kinds.includes("node") ? "OTHER_NODE" : "EXTERNAL", path, flow, lengthOf(ip));
  }

  /** Later fragments of an outer packet have no ports and no inner addresses: they are what their first one is. */
  #remember(layers: readonly Layer[], found: Classified): void {
    const at = layers.findIndex((l) => l.kind === "ipv4" || l.kind === "ipv6");
    if (at < 0 || !isFirstFragment(layers, at)) return;
    const oldest = this.#fragments.size >= MAX_FRAGMENTS ? this.#fragments.keys().next().value : undefined;
    if (oldest !== undefined) this.#fragments.delete(oldest);
    this.#fragments.set(fragmentKey(layers, at), found);
  }
}

/** Length of the IP packet by its own header. */
const lengthOf = (ip: IpLayer): number => (ip.kind === "ipv4" ? ip.totalLength || ip.end - ip.at : 40 + (ip.payloadLength || ip.end - ip.at - 40));

/** Addresses that never leave a link: link-local, multicast, unspecified, broadcast. */
function isLocal(ip: Ip): boolean {
  if (ip.length === 4) return ip[0]! >= 224 || ip[0] === 0 || (ip[0] === 169 && ip[1] === 254);
  return ip[0] === 0xff || (ip[0] === 0xfe && (ip[1]! & 0xc0) === 0x80) || ip.every((b) => b === 0);
}

function fragmentPart(layers: readonly Layer[], at: number): { offset: number; more: boolean; id: number; protocol: number } | undefined {
  const ip = layers[at];
  if (ip?.kind === "ipv4") return { offset: ip.fragmentOffset, more: ip.moreFragments, id: ip.id, protocol: ip.protocol };
  const f = layers.find((l, i) => i > at && l.kind === "fragment");
  return f?.kind === "fragment" ? { offset: f.fragmentOffset, more: f.moreFragments, id: f.id, protocol: f.nextHeader } : undefined;
}
const isLaterFragment = (layers: readonly Layer[], at: number): boolean => (fragmentPart(layers, at)?.offset ?? 0) > 0;
function isFirstFragment(layers: readonly Layer[], at: number): boolean {
  const f = fragmentPart(layers, at);
  return f !== undefined && f.offset === 0 && f.more;
}
function fragmentKey(layers: readonly Layer[], at: number): string {
  const ip = layers[at] as IpLayer;
  const f = fragmentPart(layers, at);
  return `${ip.src.join()} ${ip.dst.join()} ${f?.id} ${f?.protocol}`;
}

/** The flow of the IP layer at `at`. ICMP echo's identifier stands for the ports. */
function flowOf(layers: readonly Layer[], at: number): Flow {
  const ip = layers[at] as IpLayer;
  const above = layers.slice(at + 1).find((l) => l.kind !== "extension" && l.kind !== "fragment");
  const base = { src: ip.src, dst: ip.dst, srcPort: 0, dstPort: 0 };
  if (above?.kind === "tcp") return { ...base, protocol: 6, srcPort: above.srcPort, dstPort: above.dstPort };
  if (above?.kind === "udp") return { ...base, protocol: 17, srcPort: above.srcPort, dstPort: above.dstPort };
  if (above?.kind === "icmp" || above?.kind === "icmpv6") return { ...base, protocol: above.kind === "icmp" ? 1 : 58 };
  const part = fragmentPart(layers, at);
  return { ...base, protocol: ip.kind === "ipv4" ? ip.protocol : (part?.protocol ?? ip.nextHeader) };
}
