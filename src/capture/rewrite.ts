// Writes a capture again: with keys in front so that Wireshark opens it decrypted, without any secrets, or only what was inside the tunnel (section 3.7).
import { concat } from "../base/bytes.ts";
import { checksum, pseudoSum } from "../packet/checksum.ts";
import type { IpLayer, UdpLayer } from "../packet/layer.ts";
import { LINK_RAW } from "../packet/link.ts";
import { secretsOf } from "./keylog.ts";
import type { CaptureInterface, CapturedPacket } from "./packet.ts";
import type { CaptureFile } from "./reader.ts";
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

/** One packet a message: with a super-datagram's headers, lengths and checksums made right for each. */
function segments(t: TrackedPacket): NewPacket[] {
  const base = again(t.packet);
  if (!t.split || t.whole) return [base];
  const at = t.layers.findLastIndex((l) => l.kind === "udp");
  const udp = t.layers[at] as UdpLayer;
  const ip = t.layers.findLast((l, i): l is IpLayer => i < at && (l.kind === "ipv4" || l.kind === "ipv6"));
  if (!ip) return [base];
  return t.messages.map((m, i) => {
    const data = concat(t.packet.data.subarray(0, udp.at + 8), m.message.bytes);
    const v = new DataView(data.buffer);
    const length = 8 + m.message.length;
    v.setUint16(udp.at + 4, length);
    v.setUint16(udp.at + 6, 0);
    if (ip.kind === "ipv4") {
      v.setUint16(ip.at + 2, ip.length + (udp.at - ip.at - ip.length) + length);
      v.setUint16(ip.at + 10, 0);
      v.setUint16(ip.at + 10, checksum(data.subarray(ip.at, ip.at + ip.length)));
    } else v.setUint16(ip.at + 4, udp.at - ip.at - 40 + length);
    const sum = checksum(data.subarray(udp.at), pseudoSum(ip.src, ip.dst, 17, length));
    v.setUint16(udp.at + 6, sum === 0 ? 0xffff : sum);
    const comment = `message ${i + 1} of ${t.messages.length} of one captured super-datagram (segmentation offload)`;
    return { ...base, data, originalLength: udp.at + length, comments: [...(base.comments ?? []), comment] };
  });
}
