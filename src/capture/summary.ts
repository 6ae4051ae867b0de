// One line for a packet: source, destination, protocol, and what it says; the columns and words of tshark where it has any (section 2.8).
import { formatIp } from "../base/ip.ts";
import type { ArpLayer, DataLayer, IcmpLayer, IpLayer, Layer, TcpLayer, UdpLayer } from "../packet/layer.ts";
import { infoOf } from "./message.ts";
import type { TrackedPacket } from "./tracker.ts";

export type Summary = { readonly src: string; readonly dst: string; readonly protocol: string; readonly info: string };

export const formatMac = (mac: Uint8Array): string => Array.from(mac, (b) => b.toString(16).padStart(2, "0")).join(":");
const hex4 = (n: number): string => `0x${n.toString(16).padStart(4, "0")}`;

const PROTOCOLS: Readonly<Record<number, string>> = {
  1: "ICMP",
  4: "IPIP",
  6: "TCP",
  17: "UDP",
  41: "IPv6",
  47: "GRE",
  50: "ESP",
  58: "ICMPv6",
  132: "SCTP",
};
export const protocolName = (n: number): string => PROTOCOLS[n] ?? String(n);

const UNREACHABLE4: Readonly<Record<number, string>> = {
  0: "Network unreachable",
  1: "Host unreachable",
  2: "Protocol unreachable",
  3: "Port unreachable",
  4: "Fragmentation needed",
  13: "Communication administratively filtered",
};
const UNREACHABLE6: Readonly<Record<number, string>> = {
  0: "no route to destination",
  1: "Administratively prohibited",
  3: "Address unreachable",
  4: "Port unreachable",
};
const ICMPV6: Readonly<Record<number, string>> = {
  2: "Packet Too Big",
  3: "Time Exceeded",
  4: "Parameter Problem",
  130: "Multicast Listener Query",
  131: "Multicast Listener Report",
  132: "Multicast Listener Done",
  133: "Router Solicitation",
  134: "Router Advertisement",
  135: "Neighbor Solicitation",
  136: "Neighbor Advertisement",
  143: "Multicast Listener Report Message v2",
};

/** ICMP's and ICMPv6's words. */
export function icmpInfo(l: IcmpLayer, bytes: Uint8Array, ip: IpLayer | undefined): string {
  const v6 = l.kind === "icmpv6";
  const echo = v6 ? { 128: "request", 129: "reply" }[l.type] : { 8: "request", 0: "reply" }[l.type];
  if (echo) {
    const seq = l.rest & 0xffff;
    const id = hex4(l.rest >>> 16);
    const hops = ip?.kind === "ipv6" ? `, hop limit=${ip.hopLimit}` : ip ? `, ttl=${ip.ttl}` : "";
    const pad = echo === "request" || v6 ? "" : "  ";
    return v6
      ? `Echo (ping) ${echo} id=${id}, seq=${seq}${hops}`
      : `Echo (ping) ${echo}${pad}  id=${id}, seq=${seq}/${((seq & 255) << 8) | (seq >> 8)}${hops}`;
  }
  if (!v6 && l.type === 3) return `Destination unreachable (${UNREACHABLE4[l.code] ?? `code ${l.code}`})`;
  if (v6 && l.type === 1) return `Destination Unreachable (${UNREACHABLE6[l.code] ?? `code ${l.code}`})`;
  if (!v6 && l.type === 11) return "Time-to-live exceeded";
  if (!v6 && l.type === 5) return "Redirect";
  const name = v6 ? ICMPV6[l.type] : undefined;
  if (name && (l.type === 135 || l.type === 136) && l.at + 24 <= bytes.length)
    return `${name}${l.type === 135 ? " for" : ""} ${formatIp(bytes.subarray(l.at + 8, l.at + 24))}`;
  return name ?? `type ${l.type}, code ${l.code}`;
}

const TCP_FLAGS = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE"];
const tcpInfo = (l: TcpLayer): string => {
  const flags = TCP_FLAGS.filter((_, i) => l.flags & (1 << i));
  const ack = l.flags & 16 ? ` Ack=${l.acknowledgement}` : "";
  return `${l.srcPort} → ${l.dstPort} [${flags.join(", ")}] Seq=${l.sequence}${ack} Win=${l.window} Len=${Math.max(0, l.end - l.at - l.length)}`;
};
const udpInfo = (l: UdpLayer): string => `${l.srcPort} → ${l.dstPort} Len=${Math.max(0, l.totalLength - 8)}`;
const arpInfo = (l: ArpLayer): string =>
  l.operation === 1 ? `Who has ${formatIp(l.targetIp)}? Tell ${formatIp(l.senderIp)}` : `${formatIp(l.senderIp)} is at ${formatMac(l.senderMac)}`;

const fragmentInfo = (ip: IpLayer | undefined, layers: readonly Layer[]): string => {
  if (ip?.kind === "ipv4")
    return `Fragmented IP protocol (proto=${protocolName(ip.protocol)} ${ip.protocol}, off=${ip.fragmentOffset}, ID=${ip.id.toString(16).padStart(4, "0")})`;
  const f = layers.findLast((l) => l.kind === "fragment");
  return f?.kind === "fragment" ? `IPv6 fragment (off=${f.fragmentOffset} more=${f.moreFragments ? "y" : "n"} nxt=${f.nextHeader})` : "IPv6 fragment";
};

/** The line of the innermost packet among these layers. */
export function summarize(layers: readonly Layer[], bytes: Uint8Array): Summary {
  // What an ICMP error quotes is part of its message, not the packet.
  const quote = layers.findIndex((l) => l.kind === "quote");
  const real = quote < 0 ? layers : layers.slice(0, quote);
  const ip = real.findLast((l): l is IpLayer => l.kind === "ipv4" || l.kind === "ipv6");
  const ethernet = real.findLast((l) => l.kind === "ethernet");
  const mac =
    ethernet?.kind === "ethernet"
      ? { src: formatMac(ethernet.src), dst: isBroadcast(ethernet.dst) ? "Broadcast" : formatMac(ethernet.dst) }
      : { src: "", dst: "" };
  const ends = ip ? { src: formatIp(ip.src), dst: formatIp(ip.dst) } : mac;
  const last = real.findLast((l) => l.kind !== "data");
  const data = real.at(-1)?.kind === "data" ? (real.at(-1) as DataLayer) : undefined;
  const isFirst = ip?.kind === "ipv4" ? ip.moreFragments : real.some((l) => l.kind === "fragment" && l.moreFragments);
  if ((data?.why === "fragment" || isFirst) && ip) return { ...ends, protocol: ip.kind === "ipv4" ? "IPv4" : "IPv6", info: fragmentInfo(ip, real) };
  switch (last?.kind) {
    case "tcp":
      return { ...ends, protocol: "TCP", info: tcpInfo(last) };
    case "udp":
      return { ...ends, protocol: "UDP", info: udpInfo(last) };
    case "icmp":
    case "icmpv6":
      return { ...ends, protocol: last.kind === "icmp" ? "ICMP" : "ICMPv6", info: icmpInfo(last, bytes, ip) };
    case "arp":
      return { ...mac, protocol: "ARP", info: arpInfo(last) };
    case "esp":
      return { ...ends, protocol: "ESP", info: `ESP (SPI=0x${last.spi.toString(16).padStart(8, "0")})` };
    case "ipv4":
    case "ipv6":
    case "extension":
    case "fragment":
      if (!ip) break;
      return {
        ...ends,
        protocol: ip.kind === "ipv4" ? "IPv4" : "IPv6",
        info: data?.why === "truncated" ? "packet cut when captured" : `IP protocol ${ip.kind === "ipv4" ? ip.protocol : ip.nextHeader}`,
      };
    case "ethernet":
    case "vlan":
    case "cooked":
      return { ...mac, protocol: hex4(last.type), info: `${last.kind === "ethernet" ? "Ethernet II" : last.kind} ${hex4(last.type)}` };
    case "geneve":
    case "gre":
    case "null":
    case "quote":
    case "vxlan":
    case undefined:
      break;
  }
  return { ...ends, protocol: "data", info: `${bytes.length} bytes that no layer explains` };
}
const isBroadcast = (mac: Uint8Array): boolean => mac.every((b) => b === 255);

export type PacketLines = {
  /** The frame as it is on the wire. */
  readonly outer: Summary;
  /** What its WireGuard messages hold, one for each that opened. */
  readonly inner: readonly Summary[];
};

/** Outer and inner line of a tracked packet. A WireGuard message is named as Wireshark does. */
export function linesOf(t: TrackedPacket): PacketLines {
  const plain = summarize(t.whole?.layers ?? t.layers, t.whole?.bytes ?? t.packet.data);
  const first = t.messages[0];
  const more = t.messages.length > 1 ? ` (and ${t.messages.length - 1} more in one super-datagram)` : "";
  const outer = first ? { ...plain, protocol: "WireGuard", info: infoOf(first.message) + more } : plain;
  const inner = t.messages
    .filter((m) => m.opened && m.opened.bytes.length > 0)
    .map((m) => {
      const line = summarize(m.opened!.layers, m.opened!.bytes);
      return m.opened!.authenticated ? line : { ...line, info: `${line.info} [unauthenticated: the packet was cut when captured]` };
    });
  return { outer, inner };
}
