// Writes a capture again: with keys in front so that Wireshark opens it decrypted, without any secrets, or only what was inside the tunnel (section 3.7).
import { LINK_RAW } from "../packet/link.ts";
import { DATA_OVERHEAD } from "../wireguard/messages.ts";
import { secretsOf } from "./keylog.ts";
import type { CaptureInterface, CapturedPacket } from "./packet.ts";
import type { Facts } from "./facts.ts";
import { segmentComment, splitFrame } from "./split.ts";
import type { TrackedPacket } from "./tracked.ts";
import { type NewInterface, type NewPacket, PcapngWriter, type Sink } from "./writer.ts";

const described = (i: CaptureInterface): NewInterface => ({
  link: i.link,
  snaplen: i.snaplen,
  ...(i.name === undefined ? {} : { name: i.name }),
  ...(i.description === undefined ? {} : { description: i.description }),
  ...(i.filter === undefined ? {} : { filter: i.filter }),
  ...(i.os === undefined ? {} : { os: i.os }),
  ...(i.mac === undefined ? {} : { mac: i.mac }),
});

const again = (p: CapturedPacket): NewPacket => ({
  time: p.time ?? 0n,
  data: p.data,
  originalLength: p.originalLength,
  comments: p.comments,
  ...(p.direction ? { direction: p.direction } : {}),
  ...(p.dropped === undefined ? {} : { dropped: p.dropped }),
});

/** Writes packets as they are, super-datagrams cut into their messages, as they come. */
export class Rewriter {
  readonly #facts: Facts;
  readonly #writer: PcapngWriter;
  readonly #ids: ReadonlyMap<number, number>;

  /** `keyLog` goes before the first packet; "" leaves every secret out. */
  constructor(facts: Facts, keyLog: string, sink: Sink) {
    const writer = new PcapngWriter(sink);
    if (keyLog !== "") writer.secrets(secretsOf(keyLog));
    this.#ids = new Map(facts.interfaces.map((i) => [i.id, writer.addInterface(described(i))]));
    if (facts.names.length > 0) writer.names(facts.names);
    this.#facts = facts;
    this.#writer = writer;
  }
  packet(p: CapturedPacket): void {
    for (const one of segments(p)) this.#writer.packet(this.#ids.get(p.iface.id) ?? 0, one);
  }
  /** The counters of the interfaces, which stand last. */
  end(): void {
    for (const s of this.#facts.statistics) {
      const { start, end, received, accepted, osDropped, delivered } = s;
      const counted = Object.fromEntries(Object.entries({ start, end, received, accepted, osDropped, delivered }).filter(([, n]) => n !== undefined));
      this.#writer.statistics(this.#ids.get(s.iface.id) ?? 0, s.time ?? 0n, counted);
    }
  }
}

/** Writes only the inner packets, as IP without a link layer: for who may see the traffic but must not hold a node's keys. */
export class InnerWriter {
  written = 0;
  readonly #writer: PcapngWriter;
  readonly #iface: number;

  constructor(sink: Sink) {
    this.#writer = new PcapngWriter(sink, { comment: "inner packets of a WireGuard capture" });
    this.#iface = this.#writer.addInterface({ link: LINK_RAW, name: "decrypted" });
  }
  packet(t: TrackedPacket): void {
    for (const { message, opened } of t.messages) {
      if (!opened || opened.length === 0) continue;
      const total = message.length - DATA_OVERHEAD - opened.padding;
      const comments = opened.authenticated ? [] : ["unauthenticated: the packet was cut when captured"];
      this.#writer.packet(this.#iface, {
        time: t.packet.time ?? 0n,
        data: opened.bytes,
        originalLength: Math.max(total, opened.length),
        comments,
      });
      this.written++;
    }
  }
}

/** One packet a message; see splitFrame. */
function segments(p: CapturedPacket): NewPacket[] {
  const base = again(p);
  const frames = splitFrame(p.data, p.iface.link);
  if (!frames) return [base];
  return frames.map((data, i) => ({
    ...base,
    data,
    originalLength: data.length,
    comments: [...(base.comments ?? []), segmentComment(i, frames.length)],
  }));
}
