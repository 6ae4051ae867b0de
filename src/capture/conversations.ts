// Who talks to whom, and how much: Wireshark's conversations (`tshark -z conv,ip`), of the frames on the wire and of what is inside the tunnels.
import { formatEndpoint, formatIp, type Ip } from "../base/ip.ts";
import { decodeIp } from "../packet/decode.ts";
import type { Layer } from "../packet/layer.ts";
import type { TrackedPacket } from "./tracked.ts";

/** One end, and what it sent. */
export type ConversationEnd = {
  readonly ip: Ip;
  /** Of TCP and UDP. */
  readonly port: number | undefined;
  packets: number;
  /** Of whole frames, outside; of IP packets, inside. As on the wire, whatever was kept of it. */
  bytes: number;
};
/** Two ends; the one that was seen to send first comes first. */
export type Conversation = {
  readonly protocol: "ip" | "tcp" | "udp";
  /** Between addresses inside a tunnel. */
  readonly inside: boolean;
  readonly ends: readonly [ConversationEnd, ConversationEnd];
  /** Nanoseconds since 1970. */
  first: bigint | undefined;
  last: bigint | undefined;
};

/** What a hostile capture can cost; packets of more conversations are counted in `more`. */
const MAX_CONVERSATIONS = 65_536;

/** Collects conversations packet by packet, for analyse() and the like. Bounded. */
export class Conversations {
  readonly #all = new Map<string, Conversation>();
  /** Packets of conversations beyond the 65,536 that are told apart. */
  more = 0;

  /** In the order in which they began. */
  list(): Conversation[] {
    return [...this.#all.values()];
  }

  /** Takes a packet; those with several messages (segmentation offload) count each inside. */
  add(t: TrackedPacket): void {
    const { time, originalLength } = t.packet;
    this.#addLayers(t.whole?.layers ?? t.layers, false, originalLength, time);
    for (const { opened } of t.messages) if (opened && opened.length > 0) this.#addLayers(decodeIp(opened.bytes), true, opened.length, time);
  }

  /** Every IP layer counts, as an overlay has several; what an ICMP error quotes does not. A transport counts once: where its fragments are put together. */
  #addLayers(layers: readonly Layer[], inside: boolean, bytes: number, time: bigint | undefined): void {
    let ip: { readonly src: Ip; readonly dst: Ip } | undefined;
    for (const l of layers) {
      if (l.kind === "icmp" || l.kind === "icmpv6") return;
      if (l.kind === "ipv4" || l.kind === "ipv6") {
        ip = l;
        this.#count("ip", inside, [l.src, undefined], [l.dst, undefined], bytes, time);
        if (l.kind === "ipv4" && (l.moreFragments || l.fragmentOffset > 0)) return;
      } else if (l.kind === "fragment" && (l.moreFragments || l.fragmentOffset > 0)) return;
      else if (ip && (l.kind === "tcp" || l.kind === "udp")) this.#count(l.kind, inside, [ip.src, l.srcPort], [ip.dst, l.dstPort], bytes, time);
    }
  }

  #count(protocol: Conversation["protocol"], inside: boolean, src: End, dst: End, bytes: number, time: bigint | undefined): void {
    const [from, to] = [textOf(src), textOf(dst)];
    const id = `${protocol} ${inside} ${from < to ? `${from} ${to}` : `${to} ${from}`}`;
    let c = this.#all.get(id);
    if (!c) {
      if (this.#all.size >= MAX_CONVERSATIONS) return void this.more++;
      c = { protocol, inside, ends: [endOf(src), endOf(dst)], first: time, last: time };
      this.#all.set(id, c);
    }
    const [a, b] = c.ends;
    const sender = textOf([a.ip, a.port]) === from ? a : b;
    sender.packets++;
    sender.bytes += bytes;
    c.last = time ?? c.last;
  }
}

type End = readonly [ip: Ip, port: number | undefined];
const textOf = ([ip, port]: End): string => (port === undefined ? formatIp(ip) : formatEndpoint(ip, port));
const endOf = ([ip, port]: End): ConversationEnd => ({ ip: ip.slice(), port, packets: 0, bytes: 0 });
