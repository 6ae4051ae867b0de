// Dissects packets: their layers as parts, the values of their fields, their tree. Everything is made when it is asked for; a filter needs no tree.
import { formatIp } from "../base/ip.ts";
import type { Layer } from "../packet/layer.ts";
import { ETHERTYPE_PROVIDER_VLAN, LINK_RAW } from "../packet/link.ts";
import { type Inside, Part, type Pane } from "./fields/part.ts";
import { CLUSTER, COMMENT, DATA, FRAME } from "./fields/frame.ts";
import { ICMP, PING_TIME, pingTime } from "./fields/icmp.ts";
import { ICMPV6 } from "./fields/icmpv6.ts";
import { AH, IPV4, IPV6 } from "./fields/ip.ts";
import { ARP, COOKED, ETHERNET, NULL, PROVIDER_VLAN, VLAN } from "./fields/link.ts";
import { ESP, GENEVE, GRE, VXLAN } from "./fields/overlay.ts";
import { collect, type Field, field, RAW } from "./fields/registry.ts";
import { formatValue, type Protocol, type Value } from "./fields/row.ts";
import type { Labels, Scope } from "./fields/scope.ts";
import { TCP, UDP } from "./fields/transport.ts";
import { WIREGUARD } from "./fields/wireguard.ts";
import { Flows } from "./flows.ts";
import { parseMessage } from "./message.ts";
import type { NameRecord } from "./packet.ts";
import type { Secrets } from "./secrets.ts";
import { Ends, TrackedMessage, type TrackedPacket } from "./tracked.ts";
import { type TreeNode, treeOf } from "./tree.ts";

/** What a Dissector tells beyond the packet itself. */
export type DissectorOptions = {
  readonly secrets: Secrets;
  /**
   * Follow streams: numbers of streams, relative sequence numbers, which request a reply answers (flows.ts). "lines": as far as
   * lines tell of it, which say nothing of UDP's streams. @default false
   */
  readonly flows?: boolean | "lines";
  /** Names of addresses, from the file. */
  readonly names?: readonly NameRecord[];
  readonly labels?: Labels;
  /** The capture is pcapng, whose packets have a section and an interface. @default false */
  readonly pcapng?: boolean;
};

/** Dissects the packets of one capture, in their order. */
export class Dissector {
  readonly #options: DissectorOptions;
  readonly #flows: Flows | undefined;
  readonly #names: ReadonlyMap<string, string> | undefined;
  #first: bigint | undefined;
  #previous: bigint | undefined;
  #shown: bigint | undefined;

  constructor(options: DissectorOptions) {
    this.#options = options;
    this.#flows = options.flows ? new Flows(options.flows === true) : undefined;
    if (options.names && options.names.length > 0)
      this.#names = new Map(options.names.filter((n) => n.names.length > 0).map((n) => [formatIp(n.ip), n.names[0]!]));
  }

  /** Takes the next packet. The result is for now: it refers to the packet's bytes. */
  add(tracked: TrackedPacket): Dissection {
    const time = tracked.packet.time;
    this.#first ??= time;
    const { secrets, labels, pcapng } = this.#options;
    const d = new Dissection(tracked, {
      secrets,
      first: this.#first,
      previous: this.#previous,
      shown: this.#shown,
      section: pcapng ? 1 : undefined,
      names: this.#names,
      labels,
    });
    this.#previous = time;
    if (this.#flows && (this.#options.flows === true || mayFlow(tracked))) this.#flows.visit(d.parts);
    return d;
  }
  /** Says that the packet was shown: the next one's frame.time_delta_displayed counts from it. */
  show(d: Dissection): void {
    this.#shown = d.tracked.packet.time;
  }
}

/** False for WireGuard that is not opened: its line tells nothing of a flow. */
const mayFlow = (t: TrackedPacket): boolean => t.messages.length === 0 || t.messages.some((m) => m.opened);

/** What a dissection may know beyond its packet. */
export type Context = Pick<Scope, "secrets" | "first" | "previous" | "shown" | "section" | "names" | "labels">;
/** A packet of which nothing else is known. */
const ALONE: Context = {
  secrets: undefined,
  first: undefined,
  previous: undefined,
  shown: undefined,
  section: undefined,
  names: undefined,
  labels: undefined,
};

/** One packet, dissected as far as somebody asks. */
export class Dissection implements Scope {
  declare readonly tracked: TrackedPacket;
  readonly #context: Context;
  #parts: Part[] | undefined;
  #few: Part[] | undefined;

  constructor(tracked: TrackedPacket, context: Context = ALONE) {
    this.tracked = tracked;
    this.#context = context;
  }
  get secrets(): Secrets | undefined {
    return this.#context.secrets;
  }
  get first(): bigint | undefined {
    return this.#context.first;
  }
  get previous(): bigint | undefined {
    return this.#context.previous;
  }
  get shown(): bigint | undefined {
    return this.#context.shown;
  }
  get section(): number | undefined {
    return this.#context.section;
  }
  get names(): ReadonlyMap<string, string> | undefined {
    return this.#context.names;
  }
  get labels(): Labels | undefined {
    return this.#context.labels;
  }

  /** The layers, outermost first, through what keys opened. */
  get parts(): readonly Part[] {
    this.#parts ??= partsOf(this.tracked, this);
    return this.#parts;
  }
  /** Parts of what the n-th opened message holds. */
  inner(m: TrackedMessage): readonly Part[] {
    return this.parts.filter((p) => p.message === m && p.protocol !== WIREGUARD);
  }

  /** Values of a field, outermost first. Throws nothing: an unknown name has none. */
  values(name: string | Field): Value[] {
    const f = typeof name === "string" ? field(name) : name;
    const found: Value[] = [];
    if (f) for (const p of this.#partsFor(f)) this.valuesIn(f, p, found);
    return found;
  }
  /** Fields of the frame, and of WireGuard where there is some, need no other layer. */
  #partsFor(f: Field): readonly Part[] {
    if (this.#parts) return this.#parts;
    const isFrame = isOnly(f, FRAME);
    if (!isFrame && !(isOnly(f, WIREGUARD) && this.tracked.messages.length > 0)) return this.parts;
    this.#few ??= [frameOf(FRAME, this.tracked, this), ...this.tracked.messages.map((m) => messagePart(m, this.tracked, this))];
    return this.#few;
  }
  valuesIn(f: Field, p: Part, into: Value[]): void {
    const ways = f.ways.get(p.protocol.name);
    if (ways) collect(ways, p, into);
  }
  /** The same as text, as `tshark -T fields` prints them. */
  texts(name: string): string[] {
    const f = field(name);
    return f ? this.values(f).map((v) => formatValue(f.row, v, "")) : [];
  }

  /** The whole tree, or that of some of its parts. */
  tree(parts: readonly Part[] = this.parts): TreeNode[] {
    return treeOf(parts);
  }
  /** The bytes that fields lie in, each with its name. */
  panes(): { readonly name: Pane; readonly bytes: Uint8Array }[] {
    const { packet, whole, messages } = this.tracked;
    const found: { name: Pane; bytes: Uint8Array }[] = [{ name: "Frame", bytes: packet.data }];
    if (whole) found.push({ name: "Reassembled", bytes: whole.bytes });
    for (const m of messages) {
      const begun = m.message.type === 1 ? m.session?.begun : undefined;
      if (begun?.initiatorStatic) found.push({ name: "Decrypted Static", bytes: begun.initiatorStatic });
      if (begun?.timestamp) found.push({ name: "Decrypted Timestamp", bytes: begun.timestamp });
      if (m.opened && m.opened.bytes.length > 0) found.push({ name: "Decrypted Packet", bytes: m.opened.bytes });
    }
    return found;
  }

  /** Wireshark's frame.protocols: "eth:ethertype:ip:udp:wg:ip:icmp:data". */
  protocols(): string {
    const [one, ...more] = this.tracked.messages;
    return this.parts
      .filter((p) => p.message === undefined || p.message === one || !more.includes(p.message))
      .flatMap((p) => {
        // Wireshark hands what is opened to its IPv4 dissector, whatever it is; the name stays.
        const isOpened = p.protocol === IPV6 && p.pane === "Decrypted Packet" && p.at === 0;
        const stack = isOpened ? "ip:ipv6" : (p.protocol.stack ?? p.protocol.name);
        const headers = p.protocol === IPV6 ? p.extensions.map((e) => EXTENSION_NAMES[e.layer!.kind === "extension" ? e.layer!.header : 44]!) : [];
        return stack === "" ? [] : [stack, ...headers];
      })
      .join(":");
  }

  payloadEnd(p: Part): number {
    if (p.protocol === IPV4) {
      const total = p.uint(2, 2) ?? 0;
      return total < p.length ? p.end : p.at + total;
    }
    const length = p.uint(4, 2) ?? 0;
    return length === 0 && p.uint(6, 1) === 0 ? p.end : p.at + 40 + length;
  }
  ends(p: Part): number | undefined {
    const next = this.parts[this.parts.indexOf(p) + 1];
    if (next?.protocol === ARP) return next.at + next.length;
    if (next?.protocol === VLAN || next?.protocol === PROVIDER_VLAN) return this.ends(next);
    return next?.protocol === IPV4 || next?.protocol === IPV6 ? Math.min(this.payloadEnd(next), next.bytes.length) : undefined;
  }
}

const EXTENSION_NAMES: Readonly<Record<number, string>> = { 0: "ipv6.hopopts", 43: "ipv6.routing", 44: "ipv6.fraghdr", 60: "ipv6.dstopts" };

const PROTOCOL_OF: Partial<Record<Layer["kind"], Protocol>> = {
  ethernet: ETHERNET,
  vlan: VLAN,
  cooked: COOKED,
  null: NULL,
  ipv4: IPV4,
  ipv6: IPV6,
  tcp: TCP,
  udp: UDP,
  icmp: ICMP,
  icmpv6: ICMPV6,
  arp: ARP,
  vxlan: VXLAN,
  geneve: GENEVE,
  gre: GRE,
  esp: ESP,
  data: DATA,
};

/** `below`: the layer that carries it. */
function protocolOf(layer: Layer, below: Layer | undefined): Protocol {
  if (layer.kind === "extension") return AH;
  const isProvider = layer.kind === "vlan" && below && "type" in below && below.type === ETHERTYPE_PROVIDER_VLAN;
  return isProvider ? PROVIDER_VLAN : PROTOCOL_OF[layer.kind]!;
}

const isOnly = (f: Field, protocol: Protocol): boolean => f.ways.size === 1 && f.ways.has(protocol.name);
function frameOf(protocol: Protocol, t: TrackedPacket, scope: Scope): Part {
  const { data } = t.packet;
  return new Part(protocol, { bytes: data, scope }, { at: 0, length: data.length, end: data.length });
}
/** A message lies in the frame's bytes, or in those put together, and is shown there. */
function messagePart(m: TrackedMessage, t: TrackedPacket, scope: Scope): Part {
  const { bytes } = m.message;
  const base = t.whole?.bytes ?? t.packet.data;
  const at = bytes.byteOffset - base.byteOffset;
  const isInside = bytes.buffer === base.buffer && at >= 0 && at + bytes.length <= base.length;
  const place = isInside ? { at, length: bytes.length, end: at + bytes.length } : { at: 0, length: bytes.length, end: bytes.length };
  return new Part(WIREGUARD, { bytes: isInside ? base : bytes, scope, message: m, pane: t.whole ? "Reassembled" : "Frame" }, place);
}

function partsOf(t: TrackedPacket, scope: Scope): Part[] {
  const data = t.packet.data;
  const frame = (protocol: Protocol): Part => frameOf(protocol, t, scope);
  const parts: Part[] = [];
  if (t.packet.comments.length > 0) parts.push(frame(COMMENT));
  parts.push(frame(FRAME));
  if (scope.labels || t.packet.comments.length > 0) parts.push(frame(CLUSTER));
  if (t.packet.iface.link === LINK_RAW || t.packet.iface.link === 12 || t.packet.iface.link === 14)
    parts.push(new Part(RAW, { bytes: data, scope }, { at: 0, length: 0, end: data.length }));
  layerParts(t.layers, { bytes: data, scope, explained: t.messages.length > 0 && !t.whole }, parts);
  if (t.whole) {
    // Its IP header is the first fragment's, which is shown where it was.
    const [ip, ...above] = t.whole.layers;
    const pane = "Reassembled";
    const carrier = parts.findLast((p) => p.protocol === IPV4 || p.protocol === IPV6);
    if (ip) {
      const last = parts.at(-1);
      if (last?.protocol === DATA) parts.pop();
      layerParts(
        above[0]?.kind === "fragment" ? above.slice(1) : above,
        { bytes: t.whole.bytes, scope, pane, explained: t.messages.length > 0, carrier },
        parts,
      );
    }
  }
  for (const m of t.messages) {
    parts.push(messagePart(m, t, scope));
    if (m.opened && m.opened.bytes.length > 0)
      layerParts(m.opened.layers, { bytes: m.opened.bytes, scope, pane: "Decrypted Packet", explained: false, message: m }, parts);
  }
  return parts;
}

type Around = Inside & {
  /** The payload behind the last layer is somebody else's: WireGuard's. */
  readonly explained: boolean;
  readonly carrier?: Part | undefined;
};
function layerParts(layers: readonly Layer[], around: Around, parts: Part[]): void {
  let carrier = around.carrier;
  let ip6: Part | undefined;
  let icmp: Part | undefined;
  let quoting: Part | undefined;
  for (let i = 0; i < layers.length; i++) {
    const layer = layers[i]!;
    if (layer.kind === "quote") {
      quoting = icmp;
      continue;
    }
    if (layer.kind === "data" && around.explained && i === layers.length - 1 && !layer.why) continue;
    const quoted = quoting !== undefined;
    if ((layer.kind === "extension" && layer.header !== 51) || layer.kind === "fragment") {
      const p = new Part(IPV6, around, layer, layer, ip6, quoted);
      if (ip6) ip6.extensions = [...ip6.extensions, p];
      continue;
    }
    const protocol = protocolOf(layer, layers[i - 1]);
    // Neighbour discovery explains its whole message, also what stands behind the header.
    if (protocol === DATA && icmp && !ECHO.has(icmp.uint(0, 1) ?? 0) && last(parts) === icmp) continue;
    const parent = protocol === DATA && last(parts) === icmp ? icmp : quoting;
    // The time that ping puts into its data is a field of the echo.
    const own = icmp && parent === icmp && icmp.protocol === ICMP && pingTime(icmp) !== undefined ? PING_TIME : 0;
    const place = own === 0 || protocol !== DATA ? layer : { at: layer.at + own, length: layer.length - own, end: layer.end };
    const p = new Part(protocol, around, place, layer, parent, quoted);
    if (protocol === IPV4 || protocol === IPV6) carrier = p;
    else p.carrier = carrier;
    if (protocol === IPV6) ip6 = p;
    if (protocol === ICMP || protocol === ICMPV6) icmp = p;
    parts.push(p);
    // Nothing above a first fragment is whole: it is shown with the last one.
    if ((layer.kind === "ipv4" && layer.moreFragments) || (ip6 && isFirst(layers[i + 1]))) {
      const next = layers[i + 1];
      const from = layer.kind === "ipv4" ? layer.at + layer.length : next!.at + next!.length;
      if (next && isFirst(next) && ip6) ip6.extensions = [...ip6.extensions, new Part(IPV6, around, next, next, p, quoted)];
      const { end } = layer;
      if (from < end) parts.push(new Part(DATA, around, { at: from, length: end - from, end }, layer, undefined, quoted));
      return;
    }
    if (protocol === UDP && quoting && quotedMessage(p)) {
      parts.push(quotedMessage(p)!);
      return;
    }
  }
}
const isFirst = (l: Layer | undefined): boolean => l?.kind === "fragment" && l.moreFragments;

/** A WireGuard message in the packet that an ICMP error quotes. It belongs to no session here: it was seen before, or somewhere else. */
function quotedMessage(udp: Part): Part | undefined {
  const payload = udp.bytes.subarray(udp.at + 8, udp.end);
  const parsed = parseMessage(payload, Math.max(payload.length, (udp.uint(4, 2) ?? 8) - 8));
  const ip = udp.carrier;
  if (!parsed || !ip) return undefined;
  const [srcAt, dstAt, length] = ip.protocol === IPV4 ? [12, 16, 4] : [8, 24, 16];
  const ends = new Ends(udp.bytes, ip.at + srcAt, ip.at + dstAt, length, udp.uint(0, 2) ?? 0, udp.uint(2, 2) ?? 0);
  const message = new TrackedMessage(parsed, ends);
  const { bytes, scope, pane } = udp;
  return new Part(WIREGUARD, { bytes, scope, message, pane }, { at: udp.at + 8, length: payload.length, end: udp.end }, undefined, undefined, true);
}
const last = (parts: readonly Part[]): Part | undefined => parts.at(-1);
/** Types of ICMP and ICMPv6 that carry data of the asker. */
const ECHO: ReadonlySet<number> = new Set([0, 8, 128, 129]);
