// Tree nodes of link, network and transport layers, with Wireshark's field names.
import { formatIp } from "../base/ip.ts";
import type { Layer } from "../packet/layer.ts";
import { formatMac, icmpInfo, protocolName } from "./summary.ts";
import { field, node, type Pane, type TreeNode } from "./tree.ts";

const hex = (n: number, digits: number): string => `0x${n.toString(16).padStart(digits, "0")}`;

/** One node a layer. `explained`: the payload after the last layer is somebody else's (WireGuard's). */
export function layerNodes(layers: readonly Layer[], bytes: Uint8Array, explained: boolean, pane: Pane = "frame"): TreeNode[] {
  return layers.flatMap((l, i) => {
    if (l.kind === "data" && explained && i === layers.length - 1 && !l.why) return [];
    return [{ ...layerNode(l, layers, bytes), pane, at: l.at, length: l.length }];
  });
}

function layerNode(l: Layer, layers: readonly Layer[], bytes: Uint8Array): TreeNode {
  switch (l.kind) {
    case "ethernet":
      return node(`Ethernet II, Src: ${formatMac(l.src)}, Dst: ${formatMac(l.dst)}`, [
        field("eth.dst", "Destination", formatMac(l.dst)),
        field("eth.src", "Source", formatMac(l.src)),
        field("eth.type", "Type", hex(l.type, 4)),
      ]);
    case "vlan":
      return node(`802.1Q Virtual LAN, PRI: ${l.priority}, ID: ${l.id}`, [field("vlan.id", "ID", l.id), field("vlan.etype", "Type", hex(l.type, 4))]);
    case "cooked":
      return node(`Linux cooked capture v${l.version}`, [
        field(
          "sll.pkttype",
          "Packet type",
          l.packetType,
          ["to us", "broadcast", "multicast", "to another host", "sent by us"][l.packetType] ?? String(l.packetType),
        ),
        field("sll.hatype", "Link-layer address type", l.arphrd),
        ...(l.ifindex === undefined ? [] : [field("sll.ifindex", "Interface index", l.ifindex)]),
        field("sll.etype", "Protocol", hex(l.type, 4)),
      ]);
    case "null":
      return node("Null/Loopback", [field("null.family", "Family", l.family)]);
    case "ipv4":
      return node(`Internet Protocol Version 4, Src: ${formatIp(l.src)}, Dst: ${formatIp(l.dst)}`, [
        field("ip.hdr_len", "Header length", l.length),
        field("ip.dsfield", "Differentiated services field", hex(l.tos, 2)),
        field("ip.len", "Total length", l.totalLength),
        field("ip.id", "Identification", hex(l.id, 4)),
        field("ip.flags.df", "Don't fragment", l.dontFragment, l.dontFragment ? "Set" : "Not set"),
        field("ip.flags.mf", "More fragments", l.moreFragments, l.moreFragments ? "Set" : "Not set"),
        field("ip.frag_offset", "Fragment offset", l.fragmentOffset),
        field("ip.ttl", "Time to live", l.ttl),
        field("ip.proto", "Protocol", l.protocol, `${protocolName(l.protocol)} (${l.protocol})`),
        field("ip.checksum", "Header checksum", hex(l.checksum, 4)),
        field("ip.src", "Source address", formatIp(l.src)),
        field("ip.dst", "Destination address", formatIp(l.dst)),
      ]);
    case "ipv6":
      return node(`Internet Protocol Version 6, Src: ${formatIp(l.src)}, Dst: ${formatIp(l.dst)}`, [
        field("ipv6.tclass", "Traffic class", hex(l.trafficClass, 2)),
        field("ipv6.flow", "Flow label", hex(l.flowLabel, 5)),
        field("ipv6.plen", "Payload length", l.payloadLength),
        field("ipv6.nxt", "Next header", l.nextHeader, `${protocolName(l.nextHeader)} (${l.nextHeader})`),
        field("ipv6.hlim", "Hop limit", l.hopLimit),
        field("ipv6.src", "Source address", formatIp(l.src)),
        field("ipv6.dst", "Destination address", formatIp(l.dst)),
      ]);
    case "extension":
      return node(`IPv6 extension header ${l.header}, next ${l.nextHeader}`);
    case "fragment":
      return node("Fragment Header for IPv6", [
        field("ipv6.fraghdr.offset", "Offset", l.fragmentOffset),
        field("ipv6.fraghdr.more", "More fragments", l.moreFragments),
        field("ipv6.fraghdr.ident", "Identification", hex(l.id, 8)),
      ]);
    case "tcp":
      return node(`Transmission Control Protocol, Src Port: ${l.srcPort}, Dst Port: ${l.dstPort}`, [
        field("tcp.srcport", "Source port", l.srcPort),
        field("tcp.dstport", "Destination port", l.dstPort),
        field("tcp.len", "Segment length", Math.max(0, l.end - l.at - l.length)),
        field("tcp.seq_raw", "Sequence number (raw)", l.sequence),
        field("tcp.ack_raw", "Acknowledgement number (raw)", l.acknowledgement),
        field("tcp.flags", "Flags", hex(l.flags, 4)),
        field("tcp.window_size_value", "Window", l.window),
        field("tcp.checksum", "Checksum", hex(l.checksum, 4)),
      ]);
    case "udp":
      return node(`User Datagram Protocol, Src Port: ${l.srcPort}, Dst Port: ${l.dstPort}`, [
        field("udp.srcport", "Source port", l.srcPort),
        field("udp.dstport", "Destination port", l.dstPort),
        field("udp.length", "Length", l.totalLength),
        field("udp.checksum", "Checksum", hex(l.checksum, 4)),
      ]);
    case "icmp":
    case "icmpv6": {
      const ip = layers.findLast((x) => (x.kind === "ipv4" || x.kind === "ipv6") && x.at < l.at);
      const title = l.kind === "icmp" ? "Internet Control Message Protocol" : "Internet Control Message Protocol v6";
      return node(`${title}: ${icmpInfo(l, bytes, ip?.kind === "ipv4" || ip?.kind === "ipv6" ? ip : undefined)}`, [
        field(`${l.kind}.type`, "Type", l.type),
        field(`${l.kind}.code`, "Code", l.code),
        field(`${l.kind}.checksum`, "Checksum", hex(l.checksum, 4)),
        ...(l.type === 8 || l.type === 0 || l.type === 128 || l.type === 129
          ? [
              field(l.kind === "icmp" ? "icmp.ident" : "icmpv6.echo.identifier", "Identifier", l.rest >>> 16),
              field(l.kind === "icmp" ? "icmp.seq" : "icmpv6.echo.sequence_number", "Sequence number", l.rest & 0xffff),
            ]
          : []),
      ]);
    }
    case "arp":
      return node(`Address Resolution Protocol (${l.operation === 1 ? "request" : "reply"})`, [
        field("arp.opcode", "Opcode", l.operation),
        field("arp.src.hw_mac", "Sender MAC", formatMac(l.senderMac)),
        field("arp.src.proto_ipv4", "Sender IP", formatIp(l.senderIp)),
        field("arp.dst.hw_mac", "Target MAC", formatMac(l.targetMac)),
        field("arp.dst.proto_ipv4", "Target IP", formatIp(l.targetIp)),
      ]);
    case "vxlan":
      return node("Virtual eXtensible Local Area Network", [field("vxlan.vni", "VNI", l.vni)]);
    case "geneve":
      return node("Generic Network Virtualization Encapsulation", [
        field("geneve.vni", "VNI", l.vni),
        field("geneve.proto_type", "Protocol", hex(l.type, 4)),
      ]);
    case "gre":
      return node("Generic Routing Encapsulation", [
        field("gre.proto", "Protocol", hex(l.type, 4)),
        ...(l.key === undefined ? [] : [field("gre.key", "Key", hex(l.key, 8))]),
      ]);
    case "esp":
      return node("Encapsulating Security Payload", [field("esp.spi", "SPI", hex(l.spi, 8)), field("esp.sequence", "Sequence", l.sequence)]);
    case "quote":
      return node("[Quoted by the error above: not on the wire for itself]");
    case "data":
      return node(`Data (${l.length} bytes)${l.why ? ` [${WHY[l.why]}]` : ""}`, [field("data.len", "Length", l.length)]);
  }
}

const WHY: Readonly<Record<string, string>> = {
  fragment: "a later fragment of an IP packet",
  unknown: "no protocol that is known here",
  truncated: "cut when captured",
  "too deep": "too many encapsulations within one another",
};
