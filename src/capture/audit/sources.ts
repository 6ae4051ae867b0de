// What each capture point was seen to be: its node and link, filters, cut and lost packets, and how much of it there was to hold against the kernel's own
// counters.
import { linkName, LINK_ETHERNET, LINK_SLL, LINK_SLL2 } from "../../packet/link.ts";
import type { Layer } from "../../packet/layer.ts";
import type { CapturedPacket } from "../packet.ts";
import type { LinkObservation, Observed } from "./observed.ts";

/** One capture: a file, or a wire of a node. */
export type Source = {
  readonly name: string;
  /** The node whose wire it is, when that is known. */
  readonly node?: string;
  /** The link that it was taken on, when the file does not say. */
  readonly link?: string;
  /** Why it ended before it was told to. */
  readonly broken?: string;
};
export type Volume = {
  packets: number;
  bytes: number;
  /** With super-packets counted as what the network card makes of them. */
  mostPackets: number;
  mostBytes: number;
  /** Packets that the audit itself sent by it in the clear, which were found to be what they are. */
  controls: number;
  first: bigint | undefined;
  last: bigint | undefined;
};

export const MIN_SNAPLEN = 256;
const HEADERS = 66;
const LINK_HEADER = 22;
const ETHERNET_MTU = 1500;
/** What the capture says of a message that it cut out of a super-datagram (split.ts). */
const SEGMENT = /^message ([0-9]+) of [0-9]+ of one captured super-datagram/;

export class Sources {
  readonly names: Set<string> = new Set();
  /** By "node link"; the link is "" where nobody said. */
  readonly volumes: Map<string, Volume> = new Map();
  readonly broken: string[] = [];
  readonly filters: Set<string> = new Set();
  readonly cut: Set<string> = new Set();
  /** Why packets of a source cannot be told apart from what is plain by design. */
  readonly blind: Set<string> = new Set();
  readonly nodes: Set<string> = new Set();
  readonly #known = new Map<string, LinkObservation | undefined>();
  readonly #observed: Observed;

  constructor(observed: Observed) {
    this.#observed = observed;
  }

  /** A capture that may have no packet at all. */
  announce(source: Source): void {
    this.names.add(source.name);
    if (source.node !== undefined) this.nodes.add(source.node);
    if (source.broken !== undefined) this.broken.push(`the capture on ${source.name} broke off: ${source.broken}`);
    if (source.link !== undefined) this.#volume(source.node, source.link);
  }

  /** Takes note of a packet: what there was of its link. undefined: it is plain by design and is not to be judged. */
  add(packet: CapturedPacket, source: Source, layers: readonly Layer[]): Volume | undefined {
    if (!this.names.has(source.name)) this.announce(source);
    const cooked = layers[0]?.kind === "cooked" ? layers[0] : undefined;
    const link = this.#linkOf(packet, source, cooked?.ifindex);
    if (link?.role === "inside") return undefined;
    const i = packet.iface;
    if (i.link === LINK_SLL) this.blind.add(`${source.name}: ${linkName(i.link)} does not tell interfaces`);
    else if (i.link === LINK_SLL2 && !link) this.blind.add(`${source.name}: which link has index ${cooked?.ifindex ?? "?"} is not known`);
    else if (i.link !== LINK_ETHERNET && i.link !== LINK_SLL2 && !link)
      this.blind.add(`${source.name}: packets without a link header, as a tunnel device has them, where plain packets are right`);
    if (i.snaplen !== 0 && i.snaplen < MIN_SNAPLEN) this.cut.add(`${source.name}: ${i.snaplen} bytes were kept`);
    if (packet.data.length < packet.originalLength && packet.data.length < MIN_SNAPLEN)
      this.cut.add(`${source.name}: packet ${packet.number} was cut to ${packet.data.length}`);
    if (i.filter) this.filters.add(`${source.name}: ${i.filter}`);
    const udp = layers.find((l) => l.kind === "udp");
    const volume = this.#volume(source.node, link?.name ?? source.link ?? i.name ?? "");
    count(packet, volume, link?.mtu ?? ETHERNET_MTU, udp ? udp.at + udp.length : HEADERS);
    return volume;
  }

  #linkOf(packet: CapturedPacket, source: Source, ifindex: number | undefined): LinkObservation | undefined {
    const key = `${source.name} ${packet.iface.id} ${ifindex ?? ""}`;
    if (this.#known.has(key)) return this.#known.get(key);
    const links = source.node === undefined ? [] : (this.#observed.of(source.node)?.links ?? []);
    const name = source.link ?? packet.iface.name;
    const found = ifindex !== undefined ? links.find((l) => l.index === ifindex) : links.find((l) => l.name === name);
    if (this.#known.size < 4096) this.#known.set(key, found);
    return found;
  }

  #volume(node: string | undefined, link: string): Volume {
    const key = `${node ?? ""} ${link}`;
    let v = this.volumes.get(key);
    if (!v) this.volumes.set(key, (v = { packets: 0, bytes: 0, mostPackets: 0, mostBytes: 0, controls: 0, first: undefined, last: undefined }));
    return v;
  }

  /** What was captured of a node's link; undefined when it was not captured. A file that does not name its link stands for a node's only one. */
  of(node: string, link: LinkObservation, wires: number): Volume | undefined {
    return this.volumes.get(`${node} ${link.name}`) ?? (wires === 1 ? this.volumes.get(`${node} `) : undefined);
  }
}

/** `headers`: bytes before the payload. */
function count(p: CapturedPacket, v: Volume, mtu: number, headers: number): void {
  const part = p.comments.map((c) => SEGMENT.exec(c)?.[1]).find((n) => n !== undefined);
  // Cut out of one super-datagram by the capture: the kernel counted that one.
  const again = part !== undefined && part !== "1";
  const length = Math.max(0, p.originalLength - (again ? headers : 0));
  const over = p.originalLength - LINK_HEADER - mtu;
  const more = over > 0 ? Math.ceil(over / (mtu - HEADERS)) : 0;
  v.packets += again ? 0 : 1;
  v.bytes += length;
  v.mostPackets += (again ? 0 : 1) + more;
  v.mostBytes += length + more * HEADERS;
  if (p.time === undefined) return;
  if (v.first === undefined || p.time < v.first) v.first = p.time;
  if (v.last === undefined || p.time > v.last) v.last = p.time;
}
