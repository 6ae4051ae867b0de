// Writes a capture again, as it is read: with keys in front so that Wireshark opens it decrypted, or without any secrets, or only what was inside the tunnel
// (section 3.7). Nothing is kept: a file may be of any size.
import { decode } from "../packet/decode.ts";
import { UdpFinder } from "../packet/finder.ts";
import { LINK_RAW } from "../packet/link.ts";
import { DATA_OVERHEAD } from "../wireguard/messages.ts";
import { ByLink, type OpenFile } from "./bylink.ts";
import type { Facts } from "./facts.ts";
import { secretsOf } from "./keylog.ts";
import { segmentSize } from "./message.ts";
import { type CapturedPacket, type CaptureInterface, MAX_PACKET } from "./packet.ts";
import { datagramOf, segmentComment, splitFrame } from "./split.ts";
import type { TrackedPacket } from "./tracked.ts";
import { PcapngWriter, type Sink } from "./writer.ts";

/** How a capture is written again. */
export type RewriteOptions = {
  /** Key log text that goes before the first packet; "" puts none there: remarks that may hold a key are left out too. */
  readonly keyLog: string;
  /** One file whatever the link types. @default one a link type */
  readonly together?: boolean;
};

/**
 * Writes packets as they are, super-datagrams cut into their messages, as they come. The capture's own secrets blocks stay behind, as do blocks that nobody
 * here understands: what is in them cannot be told.
 */
export class Rewriter {
  /** Packets written. */
  written = 0;
  readonly #facts: Facts;
  readonly #writer: ByLink;
  /** Numbers of interfaces as written, by those in the capture. */
  readonly #numbers = new Map<number, number>();
  readonly #finder = new UdpFinder();
  readonly #strip: boolean;

  constructor(facts: Facts, open: OpenFile, { keyLog, together = false }: RewriteOptions) {
    this.#facts = facts;
    this.#strip = keyLog === "";
    const snaplen = facts.interfaces.reduce((most, i) => Math.max(most, i.snaplen || MAX_PACKET), 0);
    this.#writer = new ByLink(open, { together, snaplen });
    if (keyLog !== "") this.#writer.secrets(secretsOf(keyLog));
    for (const i of facts.interfaces) this.#numbers.set(i.id, this.#writer.addInterface(this.#strip ? harmless(i) : i));
    const names = this.#strip
      ? facts.names.map((n) => ({ ip: n.ip, names: n.names.filter(isHarmless) })).filter((n) => n.names.length > 0)
      : facts.names;
    if (names.length > 0) this.#writer.names(names);
  }

  /** The next packet; interfaces are those of `facts`. */
  packet(p: CapturedPacket): void {
    const comments = this.#strip ? p.comments.filter(isHarmless) : p.comments;
    // A hash or a verdict may be bytes of any kind.
    const details = this.#strip ? undefined : p.details;
    const parts = this.#isSuper(p) ? splitFrame(p.data, p.iface.link) : undefined;
    if (!parts) return this.#write(p.iface.id, { ...p, details, comments });
    // Wireshark would see one damaged message.
    for (const [i, data] of parts.entries())
      this.#write(p.iface.id, { ...p, data, details, originalLength: data.length, comments: [...comments, segmentComment(i, parts.length)] });
  }
  #write(iface: number, packet: CapturedPacket): void {
    this.#writer.packet(this.#numbers.get(iface)!, packet);
    this.written++;
  }

  #isSuper(p: CapturedPacket): boolean {
    if (p.data.length < p.originalLength) return false;
    const f = this.#finder;
    const found = f.find(p.data, p.iface.link);
    if (found === "udp") return segmentSize(p.data, f.payload, f.end) > 0;
    const d = found === "ask" ? datagramOf(p.data, decode(p.data, p.iface.link)) : undefined;
    return d !== undefined && segmentSize(d.payload, 0, d.payload.length) > 0;
  }

  /** The counters of the interfaces, which stand last. */
  end(): void {
    for (const s of this.#facts.statistics) {
      const counted = this.#strip ? { ...s, comments: s.comments?.filter(isHarmless) ?? [] } : s;
      this.#writer.statistics(this.#numbers.get(s.iface.id)!, s.time ?? 0n, counted);
    }
  }
}

/** 32 bytes of base64 or hex in one piece may be a key: public ones go with the private. */
const KEY = /(?<![A-Za-z0-9+/_-])([A-Za-z0-9+/_-]{43}=?|[0-9a-fA-F]{64})(?![A-Za-z0-9+/_=-])/;
const isHarmless = (text: string): boolean => !KEY.test(text);

/** An interface without texts that may hold a key. */
function harmless(i: CaptureInterface): CaptureInterface {
  const kept = Object.entries(i).filter(([, value]) => typeof value !== "string" || isHarmless(value));
  return { ...(Object.fromEntries(kept) as unknown as CaptureInterface), comments: i.comments.filter(isHarmless) };
}

/** Writes only the inner packets, as IP without a link layer: for who may see the traffic but must not hold a node's keys. */
export class InnerWriter {
  /** Packets written. */
  written = 0;
  /** Packets left out because another capture point had seen them too. */
  copies = 0;
  readonly #writer: PcapngWriter;
  readonly #iface: number;
  readonly #sessions: ReadonlySet<number>;

  /** `sessions`: numbers of those whose packets are written. @default all */
  constructor(sink: Sink, sessions: Iterable<number> = []) {
    this.#sessions = new Set(sessions);
    this.#writer = new PcapngWriter(sink, { comment: "inner packets of a WireGuard capture" });
    this.#iface = this.#writer.addInterface({ link: LINK_RAW, name: "decrypted" });
  }
  /** What opened of a packet; nothing when nothing did, or when it is a copy of one before. */
  packet(t: TrackedPacket): void {
    for (const { message, opened, session, sight } of t.messages) {
      if (!opened || opened.length === 0 || (this.#sessions.size > 0 && !this.#sessions.has(session?.number ?? -1))) continue;
      if (sight === "copy") {
        this.copies++;
        continue;
      }
      const total = message.length - DATA_OVERHEAD - opened.padding;
      const comments = opened.authenticated ? [] : ["unauthenticated: the packet was cut when captured"];
      this.#writer.packet(this.#iface, { time: t.packet.time, data: opened.bytes, originalLength: Math.max(total, opened.length), comments });
      this.written++;
    }
  }
}
