// Packets of every kind that filters speak of, on every link type, made here; and expressions about them.
import { concat } from "../../src/base/bytes.ts";
import { parseIp } from "../../src/base/ip.ts";
import { arp, ethernet, icmp, ipv4, ipv6, tcp, udp, vlan } from "../../src/packet/build.ts";

const ip = (text: string): Uint8Array => parseIp(text)!;
const A = ip("10.0.0.1");
const B = ip("192.168.1.2");
const A6 = ip("2001:db8::1");
const B6 = ip("fe80::2");
const MAC_A = new Uint8Array([2, 0, 0, 0, 0, 1]);
const MAC_B = new Uint8Array([2, 0, 0, 0, 0, 2]);
const BROADCAST = new Uint8Array(6).fill(255);

const IPV4 = 0x800;
const IPV6 = 0x86dd;
const ARP = 0x806;

function wireguard(type: number): Uint8Array {
  const message = new Uint8Array({ 1: 148, 2: 92, 3: 64, 4: 128 }[type]!);
  message[0] = type;
  return message;
}
const ports: readonly (readonly [number, number])[] = [
  [51820, 51820],
  [40000, 51820],
  [53, 40000],
  [4789, 4789],
  [80, 443],
];
const payloads: readonly Uint8Array[] = [new Uint8Array(0), new Uint8Array(1), new Uint8Array(40).fill(7), ...[1, 2, 3, 4].map(wireguard)];

/** IPv4 options: the header is 4 bytes longer. */
function withOptions(packet: Uint8Array): Uint8Array {
  const out = concat(packet.subarray(0, 20), new Uint8Array([1, 1, 1, 0]), packet.subarray(20));
  out[0] = 0x46;
  new DataView(out.buffer).setUint16(2, out.length);
  return out;
}

function networkPackets(): { type: number; bytes: Uint8Array }[] {
  const out: { type: number; bytes: Uint8Array }[] = [];
  const v4 = (bytes: Uint8Array): void => void out.push({ type: IPV4, bytes });
  const v6 = (bytes: Uint8Array): void => void out.push({ type: IPV6, bytes });
  for (const [sp, dp] of ports) {
    for (const payload of payloads) {
      const d4 = ipv4({ src: A, dst: B, protocol: 17 }, udp(A, B, sp, dp, payload));
      v4(d4);
      v4(withOptions(d4));
      v6(ipv6({ src: A6, dst: B6, protocol: 17 }, udp(A6, B6, sp, dp, payload)));
    }
    for (const flags of [2, 16, 18, 4]) {
      v4(ipv4({ src: B, dst: A, protocol: 6 }, tcp(B, A, { srcPort: sp, dstPort: dp, flags })));
      v6(ipv6({ src: B6, dst: A6, protocol: 6 }, tcp(B6, A6, { srcPort: sp, dstPort: dp, flags }, new Uint8Array(3))));
    }
    v4(ipv4({ src: A, dst: B, protocol: 132 }, new Uint8Array([sp >> 8, sp, dp >> 8, dp, 0, 0, 0, 0, 0, 0, 0, 0])));
    v4(ipv4({ src: A, dst: B, protocol: 17, moreFragments: true, id: 9 }, udp(A, B, sp, dp, new Uint8Array(24))));
    v4(ipv4({ src: A, dst: B, protocol: 17, fragmentOffset: 32, id: 9 }, new Uint8Array(24).fill(0xca)));
    v6(ipv6({ src: A6, dst: B6, protocol: 44 }, concat(new Uint8Array([17, 0, 0, 0, 0, 0, 0, 1]), udp(A6, B6, sp, dp, new Uint8Array(8)))));
  }
  const quoted = ipv4({ src: B, dst: A, protocol: 17 }, udp(B, A, 5, 6, new Uint8Array(8)));
  for (const type of [0, 3, 8, 11])
    v4(ipv4({ src: A, dst: B, protocol: 1 }, icmp(A, B, { type }, type === 3 || type === 11 ? quoted : new Uint8Array(8))));
  for (const type of [128, 129, 135]) v6(ipv6({ src: A6, dst: B6, protocol: 58 }, icmp(A6, B6, { type }, type === 135 ? B6 : new Uint8Array(8))));
  v4(ipv4({ src: A, dst: ip("224.0.0.5"), protocol: 89 }, new Uint8Array(30)));
  v4(ipv4({ src: ip("127.0.0.1"), dst: ip("127.0.0.1"), protocol: 47 }, new Uint8Array(4)));
  v6(ipv6({ src: B6, dst: ip("ff02::1"), protocol: 0 }, new Uint8Array(16)));
  out.push({ type: ARP, bytes: arp(1, MAC_A, A, new Uint8Array(6), B) });
  out.push({ type: ARP, bytes: arp(2, MAC_B, B, MAC_A, A) });
  out.push({ type: 0x8035, bytes: arp(3, MAC_A, A, MAC_A, B) });
  out.push({ type: 0x88cc, bytes: new Uint8Array(60) });
  return out;
}

const u16 = (n: number): Uint8Array => new Uint8Array([n >> 8, n]);
function cooked(type: number, outgoing: boolean, bytes: Uint8Array): Uint8Array {
  return concat(u16(outgoing ? 4 : 0), u16(1), u16(6), MAC_A, u16(0), u16(type), bytes);
}
function cooked2(type: number, outgoing: boolean, bytes: Uint8Array): Uint8Array {
  return concat(u16(type), u16(0), new Uint8Array([0, 0, 0, 3]), u16(1), new Uint8Array([outgoing ? 4 : 0, 6]), MAC_A, u16(0), bytes);
}

/** Address family, in a byte order; 24, 28 and 30 are IPv6 on one system or another. */
function family(type: number, i: number, big: boolean, bytes: Uint8Array): Uint8Array {
  const header = new Uint8Array(4);
  new DataView(header.buffer).setUint32(0, type === IPV4 ? 2 : type === IPV6 ? [24, 28, 30][i % 3]! : 99, !big);
  return concat(header, bytes);
}

export const LINK_NAMES: Readonly<Record<number, string>> = {
  0: "NULL",
  1: "EN10MB",
  101: "RAW",
  108: "LOOP",
  113: "LINUX_SLL",
  228: "IPV4",
  229: "IPV6",
  276: "LINUX_SLL2",
};
export const LINKS: readonly number[] = Object.keys(LINK_NAMES).map(Number);

/** The packets on a link type; with `cut`, some are also there cut short. */
export function corpus(link: number, cut: boolean): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (const [i, { type, bytes }] of networkPackets().entries()) {
    if (link === 101) {
      if (type === IPV4 || type === IPV6) frames.push(bytes);
    } else if (link === 228 || link === 229) {
      if (type === (link === 228 ? IPV4 : IPV6)) frames.push(bytes);
    } else if (link === 0 || link === 108) frames.push(family(type, i, link === 108, bytes));
    else if (link === 113) frames.push(cooked(type, i % 2 === 0, bytes));
    else if (link === 276) frames.push(cooked2(type, i % 2 === 0, bytes));
    else {
      frames.push(ethernet(i % 5 === 0 ? BROADCAST : MAC_B, MAC_A, type, bytes));
      if (i % 3 === 0) frames.push(ethernet(MAC_B, MAC_A, 0x8100, vlan(i % 2 === 0 ? 7 : 4094, type, bytes)));
      if (i % 9 === 0) frames.push(ethernet(MAC_B, MAC_A, 0x88a8, vlan(5, 0x8100, vlan(7, type, bytes))));
    }
  }
  return frames.flatMap((f, i) => (cut && i % 4 === 0 ? [f, f.subarray(0, 1 + ((i * 7) % f.length))] : [f]));
}

const lines = (text: string): string[] => text.trim().split("\n");

/** All link types. */
export const EXPRESSIONS: readonly string[] = lines(`
ip
ip6
arp
rarp
tcp
udp
sctp
icmp
icmp6
udp port 51820
port 51820
tcp port 80
sctp port 80
src port 53
dst port 443
src and dst port 51820
src or dst port 53
port 80 or 443
tcp dst port 80 or 443 or 53
udp src port 53 or dst port 51820
portrange 50-60
udp portrange 51000-52000
port domain
host 10.0.0.1
src host 10.0.0.1
dst 10.0.0.1
host 2001:db8::1
src fe80::2
ip host 192.168.1.2
arp host 10.0.0.1
host 10.0.0.1 and not 192.168.1.2
src and dst host 127.0.0.1
net 10.0.0.0/8
net 10
src net 192.168
net 192.168.1.0 mask 255.255.255.0
dst net 192.168.1.2/31
ip6 net fe80::/10
net 0.0.0.0/0
net 2001:db8::/33
net 10.0.0.0/30
src net 2001:db8::/127
ip6 host 2001:db8::1
rarp host 10.0.0.1
ip proto 17
ip6 proto 17
proto 17
ip proto 89
ip proto \\tcp
ip6 proto 58
proto 47
less 60
greater 100
len = 62
len > 100 and len < 180
len - 1 >= 99
tcp or udp and port 8080
(tcp or udp) and port 51820
tcp or (udp and port 53)
not udp
not (tcp or udp)
! udp && ip || arp
udp[8:1] >= 1 and udp[8:1] <= 4 and udp[9:1] == 0 and udp[10:2] == 0
ip6 proto 17 and ip6[48] >= 1 and ip6[48] <= 4 and ip6[50:2] == 0
tcp[13] & 2 != 0
tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn
icmp[icmptype] = icmp-echo
icmp[0] != 8
icmp6[0] = 128
ip[0] & 0xf > 5
ip[0] & 15 = 5
ip[2:2] - ((ip[0] & 0xf) << 2) > 60
ip[6:2] & 0x1fff != 0
ip[8] = 64
ip[12:4] = 0x0a000001
udp[udp[4:2] - 1] = 7
udp[ip[0] & 3] = 0xca
ip[ip[0] & 0xf] = 0
udp[0:2] = udp[2:2]
udp[4:2] % 8 = 0
udp[4:2] / 3 > 10
udp[4:2] * 2 > 100
(udp[0:2] ^ udp[2:2]) = 0
udp[4:2] | 1 = 49
-1 = 0xffffffff
1 = 1
1 = 2
udp[4:2] >> 3 = 6
tcp[12] >> 4 << 2 = 20
ip multicast
ip6 multicast
not ip multicast and not arp
udp and not port 51820
ip and not (src net 10.0.0.0/8 and dst net 192.168.0.0/16)
not port 22
ip6 or port 53
`);

/** On packets that are whole: libpcap loads in another order, and a load beyond the end of a packet rejects it. */
export const WHOLE_EXPRESSIONS: readonly string[] = lines(`
host 10.0.0.1 or 192.168.1.2
udp port 51820 or udp port 4789 or icmp or icmp6 or arp or tcp port 443
udp or ip6[6] = 44
udp port 51820 or host 10.0.0.1 or 2001:db8::1 and not arp
`);

/** Ethernet only. */
export const ETHERNET_EXPRESSIONS: readonly string[] = lines(`
ether host 02:00:00:00:00:01
ether src 2:0:0:0:0:1
ether dst ff:ff:ff:ff:ff:ff
ether broadcast
broadcast
ether multicast
multicast
ether proto 0x88cc
ether proto \\arp
ether proto 0x8100
vlan
vlan 7
vlan and udp port 51820
vlan 7 and host 10.0.0.1
not vlan
vlan 5 and vlan 7
vlan and vlan and udp
udp or vlan
ether[12:2] = 0x8100
ether[0] & 1 = 1
link[0] = 2
vlan and ip[8] = 64
`);
export const COOKED_EXPRESSIONS: readonly string[] = lines(`
outbound
inbound and udp
link[0:2] = 4
`);
