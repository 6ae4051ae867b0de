// One packet as tcpdump prints it; what is WireGuard's is said as such, which tcpdump cannot.
import { formatIp } from "../../base/ip.ts";
import { isKeepalive, parseMessage, splitSegments } from "../../capture/message.ts";
import { formatMac } from "../../capture/summary.ts";
import { decode } from "../../packet/decode.ts";
import type { CookedLayer, DataLayer, IpLayer, Layer, UdpLayer } from "../../packet/layer.ts";
import { arpText, icmp6Text, icmpText } from "./icmp.ts";
import { Connections, tcpText } from "./tcp.ts";

export type LineOptions = {
  /** -e: the link header too. */
  link: boolean;
  /** -v: the IP header's fields too. */
  verbose: boolean;
  /** -S: sequence numbers as they are. */
  absolute: boolean;
  /** Name of an interface by its number. */
  interfaceName(index: number): string;
};

const ETHERTYPES: Readonly<Record<number, string>> = {
  0x800: "IPv4",
  0x806: "ARP",
  0x86dd: "IPv6",
  0x8100: "802.1Q",
  0x88a8: "802.1Q-QinQ",
  0x88cc: "LLDP",
};
const PROTOCOLS: Readonly<Record<number, string>> = {
  1: "icmp",
  2: "igmp",
  6: "tcp",
  17: "udp",
  47: "gre",
  50: "esp",
  51: "ah",
  58: "ipv6-icmp",
  132: "sctp",
};
const NEXT_HEADERS: Readonly<Record<number, string>> = { 0: "Options", 6: "TCP", 17: "UDP", 44: "Fragment", 58: "ICMPv6" };
const DIRECTIONS: Readonly<Record<number, string>> = { 0: "In", 1: "B", 2: "M", 3: "P", 4: "Out" };

const hex = (n: number, digits: number): string => `0x${n.toString(16).padStart(digits, "0")}`;
const ethertype = (n: number): string => `ethertype ${ETHERTYPES[n] ?? "Unknown"} (${hex(n, 4)})`;

/** Where the packet ends on the wire, which may be beyond what was captured. */
const wireEnd = (ip: IpLayer): number =>
  ip.kind === "ipv4" ? (ip.totalLength === 0 ? ip.end : ip.at + ip.totalLength) : ip.at + ip.length + ip.payloadLength;

/** WireGuard's message in a datagram: "WG init sender 0x3d46c786 [148]", or undefined. */
function wireguardText(udp: UdpLayer, bytes: Uint8Array): string | undefined {
  const length = udp.totalLength - 8;
  const payload = bytes.subarray(udp.at + 8, udp.end);
  const parts = payload.length === length ? splitSegments(payload) : [payload];
  const first = parts[0] ?? payload;
  const m = parseMessage(first, parts.length > 1 ? first.length : length);
  if (!m) return undefined;
  const id = (n: number): string => hex(n, 8);
  const more = parts.length > 1 ? ` (${parts.length} messages, not cut yet)` : "";
  switch (m.type) {
    case 1:
      return `WG init sender ${id(m.sender)} [${length}]`;
    case 2:
      return `WG response sender ${id(m.sender)} receiver ${id(m.receiver)} [${length}]`;
    case 3:
      return `WG cookie receiver ${id(m.receiver)} [${length}]`;
    case 4:
      return `WG ${isKeepalive(m) ? "keepalive" : "data"} receiver ${id(m.receiver)} counter ${m.counter} [${length}]${more}`;
  }
}

export class LinePrinter {
  readonly #options: LineOptions;
  readonly #connections = new Connections();

  constructor(options: LineOptions) {
    this.#options = options;
  }

  /** Without the time. Encapsulated packets come on lines of their own. */
  line(bytes: Uint8Array, link: number, originalLength: number): string {
    return this.#layers(decode(bytes, link), bytes, originalLength);
  }

  #layers(all: readonly Layer[], bytes: Uint8Array, wire: number): string {
    const ipAt = all.findIndex((l) => l.kind === "ipv4" || l.kind === "ipv6" || l.kind === "arp");
    const head = this.#linkText(ipAt < 0 ? all : all.slice(0, ipAt), bytes, wire);
    if (ipAt < 0) {
      const last = all.findLast((l) => l.kind === "ethernet" || l.kind === "vlan" || l.kind === "cooked");
      return this.#options.link ? `${head}length ${wire}` : `${head}${last && "type" in last ? ethertype(last.type) : "unknown"}, length ${wire}`;
    }
    const layer = all[ipAt]!;
    const rest = all.slice(ipAt + 1);
    const bare = this.#options.link && head !== "";
    if (layer.kind === "arp") return `${head}${bare ? "" : "ARP, "}${arpText(layer, Math.max(layer.length, wire - layer.at))}`;
    const ip = layer as IpLayer;
    return `${head}${bare ? "" : ip.kind === "ipv4" ? "IP " : "IP6 "}${this.#headerText(ip)}${this.#ipText(ip, rest, bytes)}`;
  }

  #linkText(layers: readonly Layer[], bytes: Uint8Array, wire: number): string {
    // Raw IP, as tcpdump says it.
    if (layers.length === 0) return this.#options.link ? "ip: " : "";
    let out = "";
    for (const l of layers) {
      if (l.kind === "cooked") out += this.#cookedText(l, bytes, wire);
      else if (!this.#options.link) continue;
      else if (l.kind === "ethernet") out += `${formatMac(l.src)} > ${formatMac(l.dst)}, ${ethertype(l.type)}, length ${wire}: `;
      else if (l.kind === "vlan") out += `vlan ${l.id}, p ${l.priority}, ${ethertype(l.type)}, `;
    }
    return out;
  }

  #cookedText(l: CookedLayer, bytes: Uint8Array, wire: number): string {
    const way = DIRECTIONS[l.packetType] ?? "?";
    const name = l.ifindex === undefined ? "" : `${this.#options.interfaceName(l.ifindex).padEnd(5)} `;
    if (!this.#options.link) return l.version === 1 ? "" : `${name}${way.padEnd(3)} `;
    const index = l.ifindex === undefined ? "" : `ifindex ${l.ifindex} `;
    const [size, at] = l.version === 1 ? [bytes[l.at + 5]!, l.at + 6] : [bytes[l.at + 11]!, l.at + 12];
    const mac = size === 6 ? `${formatMac(bytes.subarray(at, at + 6))} ` : "";
    return `${name}${l.version === 1 ? way.padStart(3) : way.padEnd(3)} ${index}${mac}${ethertype(l.type)}, length ${wire}: `;
  }

  #headerText(ip: IpLayer): string {
    if (!this.#options.verbose) return "";
    if (ip.kind === "ipv6") {
      const label = ip.flowLabel > 0 ? `flowlabel ${hex(ip.flowLabel, 5)}, ` : "";
      const traffic = ip.trafficClass > 0 ? `class ${hex(ip.trafficClass, 2)}, ` : "";
      const next = NEXT_HEADERS[ip.nextHeader] ?? "unknown";
      return `(${traffic}${label}hlim ${ip.hopLimit}, next-header ${next} (${ip.nextHeader}) payload length: ${ip.payloadLength}) `;
    }
    const flags = [ip.moreFragments ? "+" : "", ip.dontFragment ? "DF" : ""].filter(Boolean).join(", ") || "none";
    const name = (PROTOCOLS[ip.protocol] ?? "unknown").toUpperCase();
    const length = ip.totalLength === 0 ? ip.end - ip.at : ip.totalLength;
    return `(tos ${hex(ip.tos, 1)}, ttl ${ip.ttl}, id ${ip.id}, offset ${ip.fragmentOffset}, flags [${flags}], proto ${name} (${ip.protocol}), length ${length})\n    `;
  }

  #ipText(ip: IpLayer, rest: readonly Layer[], bytes: Uint8Array): string {
    const ends = (src: string, dst: string): string => `${src} > ${dst}: `;
    const [src, dst] = [formatIp(ip.src), formatIp(ip.dst)];
    const carried = rest.findIndex((l) => l.kind !== "extension" && l.kind !== "fragment");
    const own = carried < 0 ? rest : rest.slice(0, carried);
    const more = carried < 0 ? [] : rest.slice(carried);
    const extensions = own.map((l) => (l.kind !== "extension" ? "" : l.header === 0 ? "HBH " : l.header === 60 ? "DSTOPT " : ""));
    const fragment6 = own.find((l) => l.kind === "fragment");
    const before = `${extensions.join("")}${fragment6 ? `frag (${fragment6.fragmentOffset}|${wireEnd(ip) - fragment6.at - 8}) ` : ""}`;
    const l = more[0];
    const length = wireEnd(ip) - (l?.at ?? ip.end);
    const plain = ends(src, dst);
    const withPorts = (p: { srcPort: number; dstPort: number }): string => ends(`${src}.${p.srcPort}`, `${dst}.${p.dstPort}`) + before;
    if (l?.kind === "udp") return withPorts(l) + this.#udpText(l, more.slice(1), bytes);
    if (l?.kind === "tcp") {
      const numbers = this.#options.absolute ? l : this.#connections.relative(src, dst, l);
      return withPorts(l) + tcpText(l, bytes, Math.max(0, length - l.length), numbers);
    }
    if (l?.kind === "icmp") return `${plain}ICMP ${icmpText(l, more)}, length ${length}`;
    if (l?.kind === "icmpv6") return `${plain}${before}ICMP6, ${icmp6Text(l, more, bytes)}, length ${length}`;
    if (l?.kind === "esp") return `${plain}ESP(spi=${hex(l.spi, 8)},seq=0x${l.sequence.toString(16)}), length ${length}`;
    if (l?.kind === "gre") return `${plain}GREv0, length ${length}: ${this.#layers(more.slice(1), bytes, l.end - l.at - l.length)}`;
    if (l?.kind === "ipv4" || l?.kind === "ipv6") return plain + this.#layers(more, bytes, length);
    return plain + before + otherText(ip, l?.kind === "data" ? l : undefined, fragment6 !== undefined, length);
  }

  #udpText(l: UdpLayer, inner: readonly Layer[], bytes: Uint8Array): string {
    const overlay = inner[0];
    if (overlay?.kind === "vxlan" || overlay?.kind === "geneve") {
      const from = overlay.at + overlay.length;
      const wire = l.at + l.totalLength - from;
      const id = overlay.vni;
      const name = overlay.kind === "vxlan" ? `VXLAN, flags [I] (0x08), vni ${id}\n` : `Geneve, Flags [none], vni ${hex(id, 1)}: `;
      // Lengths within are counted from the inner frame on.
      return name + this.#layers(inner.slice(1).map(shifted(from)), bytes.subarray(from), wire);
    }
    return wireguardText(l, bytes) ?? `UDP, length ${l.totalLength - 8}`;
  }
}

/** The layer with its places counted from `from`. */
const shifted =
  (from: number) =>
  (l: Layer): Layer => {
    const [at, end] = [l.at - from, l.end - from];
    return l.kind === "ethernet" || l.kind === "ipv4" || l.kind === "ipv6" ? { ...l, src: l.src, dst: l.dst, at, end } : { ...l, at, end };
  };

function otherText(ip: IpLayer, data: DataLayer | undefined, fragment6: boolean, length: number): string {
  const protocol = ip.kind === "ipv4" ? ip.protocol : ip.nextHeader;
  if (data?.why === "truncated") return `[|${PROTOCOLS[protocol] ?? "ip"}]`;
  if (ip.kind === "ipv4" && ip.fragmentOffset > 0) return `ip-proto-${protocol}`;
  return fragment6 ? "" : `ip-proto-${protocol} ${length}`;
}
