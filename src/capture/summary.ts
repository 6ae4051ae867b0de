// One line for a packet: source, destination, protocol, and what it says; the columns and words of tshark where it has any (section 2.8).
import { ipTextAt } from "./addresstexts.ts";
import { Dissection } from "./dissect.ts";
import { icmpInfo } from "./fields/icmp.ts";
import { icmpv6Info } from "./fields/icmpv6.ts";
import { arpInfo } from "./fields/link.ts";
import { optionsInfo } from "./fields/tcpoptions.ts";
import { flagNames, segmentLength } from "./fields/transport.ts";
import type { Part } from "./fields/part.ts";
import { formatMac, hex, macName } from "./fields/row.ts";
import { PROTOCOL_NUMBERS } from "./fields/words.ts";
import { infoOf } from "./message.ts";
import type { TrackedMessage, TrackedPacket } from "./tracked.ts";

/** A packet in Wireshark's columns. */
export type Summary = { readonly src: string; readonly dst: string; readonly protocol: string; readonly info: string };

export { formatMac };
const SHORT: Readonly<Record<number, string>> = { 41: "IPv6", 47: "GRE", 50: "ESP" };
/** "TCP", "ESP"; the number when it has no name here. */
export const protocolName = (n: number): string => SHORT[n] ?? PROTOCOL_NUMBERS[n] ?? String(n);

const tcpInfo = (p: Part): string => {
  const flags = p.uint(12, 2) ?? 0;
  const f = p.flow?.tcp;
  const ack = flags & 16 ? ` Ack=${f?.acknowledgement ?? p.uint(8, 4)}` : "";
  return (
    `${p.uint(0, 2)} → ${p.uint(2, 2)} [${flagNames(flags & 0x1ff) || "<None>"}] Seq=${f?.sequence ?? p.uint(4, 4)}${ack}` +
    ` Win=${f?.window ?? p.uint(14, 2)} Len=${segmentLength(p)}${optionsInfo(p)}`
  );
};
const udpInfo = (p: Part): string => `${p.uint(0, 2)} → ${p.uint(2, 2)} Len=${Math.max(0, (p.uint(4, 2) ?? 8) - 8)}`;

/** The fragment that this IP packet is: Wireshark's words. */
function fragmentInfo(ip: Part): string | undefined {
  if (ip.protocol.name === "ip") {
    const word = ip.uint(6, 2) ?? 0;
    if ((word & 0x3fff) === 0) return undefined;
    const proto = ip.uint(9, 1) ?? 0;
    const id = (ip.uint(4, 2) ?? 0).toString(16).padStart(4, "0");
    return `Fragmented IP protocol (proto=${PROTOCOL_NUMBERS[proto] ?? "Unknown"} ${proto}, off=${(word & 0x1fff) * 8}, ID=${id})`;
  }
  const f = ip.extensions.find((e) => e.layer?.kind === "fragment");
  const word = f?.uint(2, 2) ?? 0;
  if (!f || (word & 0xfff9) === 0) return undefined;
  return `IPv6 fragment (off=${word & 0xfff8} more=${word & 1 ? "y" : "n"} ident=${hex(f.uint(4, 4) ?? 0, 8)} nxt=${f.uint(0, 1)})`;
}

const endText = (b: Uint8Array, at: number, length: number, names: ReadonlyMap<string, string> | undefined): string => {
  const text = ipTextAt(b, at, length);
  return names?.get(text) ?? text;
};
function addresses(ip: Part | undefined, link: Part | undefined): { src: string; dst: string } {
  const of = (p: Part, at: number, length: number): string => (p.at + at + length <= p.end ? endText(p.bytes, p.at + at, length, p.scope.names) : "");
  if (ip) return ip.protocol.name === "ip" ? { src: of(ip, 12, 4), dst: of(ip, 16, 4) } : { src: of(ip, 8, 16), dst: of(ip, 24, 16) };
  if (link?.protocol.name === "eth") return { src: formatMac(link.bytesAt(6, 6)!), dst: macName(link.bytesAt(0, 6)!) };
  if (link?.protocol.name === "sll") {
    const source = link.bytesAt(link.length === 20 ? 12 : 6, 6);
    return { src: source ? formatMac(source) : "", dst: "" };
  }
  return { src: "", dst: "" };
}

/** By protocol: its name and its words. */
const INFO: Readonly<Record<string, readonly [name: string, info: (p: Part) => string]>> = {
  tcp: ["TCP", tcpInfo],
  udp: ["UDP", udpInfo],
  icmp: ["ICMP", icmpInfo],
  icmpv6: ["ICMPv6", icmpv6Info],
  arp: ["ARP", arpInfo],
  esp: ["ESP", (p) => `ESP (SPI=${hex(p.uint(0, 4) ?? 0, 8)})`],
};
/** The line of the innermost packet among these parts. */
function summarize(parts: readonly Part[], reassembled: boolean): Summary {
  let ip: Part | undefined;
  let link: Part | undefined;
  let top: Part | undefined;
  let last: Part | undefined;
  for (const p of parts) {
    // What an ICMP error quotes is part of its message, not the packet.
    if (p.quoted) continue;
    last = p;
    const { name } = p.protocol;
    if (name === "data") continue;
    top = p;
    if (name === "ip" || name === "ipv6") ip = p;
    else if (name === "eth" || name === "sll") link = p;
  }
  const isIp = top !== undefined && top === ip;
  const data = last?.layer;
  const ends = addresses(top?.protocol.name === "arp" ? undefined : ip, link);
  const fragment = ip && !(reassembled && ip.pane === "Frame") ? fragmentInfo(ip) : undefined;
  if (ip && fragment !== undefined) return { ...ends, protocol: ip.protocol.name === "ip" ? "IPv4" : "IPv6", info: fragment };
  const known = top && INFO[top.protocol.name];
  if (known && top) return { ...ends, protocol: known[0], info: known[1](top) };
  if (isIp && ip) {
    const number = ip.protocol.name === "ip" ? ip.uint(9, 1) : ip.uint(6, 1);
    const info =
      data?.kind === "data" && data.why === "truncated" ? "packet cut when captured" : `${PROTOCOL_NUMBERS[number ?? 256] ?? "Unknown"} (${number})`;
    return { ...ends, protocol: ip.protocol.name === "ip" ? "IPv4" : "IPv6", info };
  }
  const type = top?.layer && "type" in top.layer ? top.layer.type : undefined;
  if (type !== undefined && top)
    return { ...ends, protocol: hex(type, 4), info: top.protocol.name === "eth" ? "Ethernet II" : `${top.protocol.name} ${hex(type, 4)}` };
  return { ...ends, protocol: "data", info: `${parts[0]?.bytes.length ?? 0} bytes that no layer explains` };
}

/** What a list shows of a packet. */
export type PacketLines = {
  /** The frame as it is on the wire. */
  readonly outer: Summary;
  /** What its WireGuard messages hold, one for each that opened. */
  readonly inner: readonly Summary[];
};

/** Outer and inner line of a packet. A WireGuard message is named as Wireshark does. Without a dissection of it nothing of the packets before is told. */
export function linesOf(t: TrackedPacket, d: Dissection = new Dissection(t)): PacketLines {
  const outer = outerOf(t, d);
  if (!t.messages.some(hasInner)) return { outer, inner: NO_LINES };
  const inner = t.messages.filter(hasInner).map((m) => {
    const line = summarize(d.inner(m), false);
    return m.opened!.authenticated ? line : { ...line, info: `${line.info} [unauthenticated: the packet was cut when captured]` };
  });
  return { outer, inner };
}
const NO_LINES: readonly Summary[] = [];
const hasInner = (m: TrackedMessage): boolean => m.opened !== undefined && m.opened.length > 0;

/** Of WireGuard all is known without a dissection. */
function outerOf(t: TrackedPacket, d: Dissection): Summary {
  const [first] = t.messages;
  if (!first) return plainLine(t, d);
  const more = t.messages.length > 1 ? ` (and ${t.messages.length - 1} more in one super-datagram)` : "";
  const { frame, srcAt, dstAt, addressLength } = first.ends;
  const src = endText(frame, srcAt, addressLength, d.names);
  return { src, dst: endText(frame, dstAt, addressLength, d.names), protocol: "WireGuard", info: infoOf(first.message) + more };
}
/** The line of the frame whatever its messages are, from its layers. */
export const plainLine = (t: TrackedPacket, d: Dissection): Summary =>
  summarize(t.messages.length === 0 ? d.parts : d.parts.filter((p) => p.message === undefined), t.isPut);
