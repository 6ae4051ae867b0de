// Writes a capture again: with keys in front so that Wireshark opens it decrypted, without any secrets, or only what was inside the tunnel (section 3.7).
import { LINK_RAW } from "../packet/link.ts";
import { secretsOf } from "./keylog.ts";
import type { CaptureInterface, CapturedPacket } from "./packet.ts";
import type { CaptureFile } from "./reader.ts";
import { segmentComment, splitFrame } from "./split.ts";
import type { TrackedPacket } from "./tracker.ts";
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

/** The packets as they are, super-datagrams cut into their messages; `keyLog` goes before the first packet. "" leaves every secret out. */
export function rewrite(file: CaptureFile, packets: readonly TrackedPacket[], keyLog: string, sink: Sink): void {
  const writer = new PcapngWriter(sink);
  if (keyLog !== "") writer.secrets(secretsOf(keyLog));
  const ids = new Map(file.interfaces.map((i) => [i.id, writer.addInterface(described(i))]));
  if (file.names.length > 0) writer.names(file.names);
  for (const t of packets) for (const p of segments(t)) writer.packet(ids.get(t.packet.iface.id) ?? 0, p);
  for (const s of file.statistics) {
    const { start, end, received, accepted, osDropped, delivered } = s;
    const counted = Object.fromEntries(Object.entries({ start, end, received, accepted, osDropped, delivered }).filter(([, n]) => n !== undefined));
    writer.statistics(ids.get(s.iface.id) ?? 0, s.time ?? 0n, counted);
  }
}

/** Only the inner packets, as IP without a link layer: for who may see the traffic but must not hold a node's keys. The result is their number. */
export function writeInner(packets: readonly TrackedPacket[], sink: Sink): number {
  const writer = new PcapngWriter(sink, { comment: "inner packets of a WireGuard capture" });
  const iface = writer.addInterface({ link: LINK_RAW, name: "decrypted" });
  let written = 0;
  for (const t of packets) {
    for (const m of t.messages) {
      if (!m.opened || m.opened.bytes.length === 0) continue;
      const total = m.message.length - 32 - m.opened.padding;
      const comments = m.opened.authenticated ? [] : ["unauthenticated: the packet was cut when captured"];
      writer.packet(iface, { time: t.packet.time ?? 0n, data: m.opened.bytes, originalLength: Math.max(total, m.opened.bytes.length), comments });
      written++;
    }
  }
  return written;
}

/** One packet a message; see splitFrame. */
function segments(t: TrackedPacket): NewPacket[] {
  const base = again(t.packet);
  const frames = t.split && !t.whole ? splitFrame(t.packet.data, t.packet.iface.link) : undefined;
  if (!frames) return [base];
  return frames.map((data, i) => ({
    ...base,
    data,
    originalLength: data.length,
    comments: [...(base.comments ?? []), segmentComment(i, frames.length)],
  }));
}
