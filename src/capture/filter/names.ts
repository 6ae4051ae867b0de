// Names that may stand for numbers in an expression (pcap-filter(7); IANA's registries for ports and protocols).

export const PORTS: Readonly<Record<string, number>> = {
  ftp: 21,
  ssh: 22,
  telnet: 23,
  smtp: 25,
  domain: 53,
  bootps: 67,
  bootpc: 68,
  tftp: 69,
  http: 80,
  ntp: 123,
  snmp: 161,
  bgp: 179,
  https: 443,
  syslog: 514,
  "dhcpv6-client": 546,
  "dhcpv6-server": 547,
  wireguard: 51820,
  vxlan: 4789,
  geneve: 6081,
};

export const IP_PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: 1,
  igmp: 2,
  ipip: 4,
  tcp: 6,
  udp: 17,
  ipv6: 41,
  gre: 47,
  esp: 50,
  ah: 51,
  icmp6: 58,
  sctp: 132,
};

export const ETHER_TYPES: Readonly<Record<string, number>> = { ip: 0x800, arp: 0x806, rarp: 0x8035, ip6: 0x86dd };

/** Offsets and values for `tcp[tcpflags] & tcp-syn != 0` and the like. */
export const CONSTANTS: Readonly<Record<string, number>> = {
  icmptype: 0,
  icmpcode: 1,
  icmp6type: 0,
  icmp6code: 1,
  "icmp-echoreply": 0,
  "icmp-unreach": 3,
  "icmp-sourcequench": 4,
  "icmp-redirect": 5,
  "icmp-echo": 8,
  "icmp-routeradvert": 9,
  "icmp-routersolicit": 10,
  "icmp-timxceed": 11,
  "icmp-paramprob": 12,
  "icmp-tstamp": 13,
  "icmp-tstampreply": 14,
  "icmp-ireq": 15,
  "icmp-ireqreply": 16,
  "icmp-maskreq": 17,
  "icmp-maskreply": 18,
  "icmp6-destinationunreach": 1,
  "icmp6-packettoobig": 2,
  "icmp6-timeexceeded": 3,
  "icmp6-parameterproblem": 4,
  "icmp6-echo": 128,
  "icmp6-echoreply": 129,
  "icmp6-multicastlistenerquery": 130,
  "icmp6-multicastlistenerreportv1": 131,
  "icmp6-multicastlistenerdone": 132,
  "icmp6-routersolicit": 133,
  "icmp6-routeradvert": 134,
  "icmp6-neighborsolicit": 135,
  "icmp6-neighboradvert": 136,
  "icmp6-redirect": 137,
  "icmp6-multicastlistenerreportv2": 143,
  tcpflags: 13,
  "tcp-fin": 1,
  "tcp-syn": 2,
  "tcp-rst": 4,
  "tcp-push": 8,
  "tcp-ack": 16,
  "tcp-urg": 32,
  "tcp-ece": 64,
  "tcp-cwr": 128,
};

export const NETWORKS: readonly string[] = ["ip", "ip6", "arp", "rarp"];
export const TRANSPORTS: readonly string[] = ["tcp", "udp", "sctp"];
/** Words that a primitive, or `proto[…]`, may begin with. */
export const PROTOCOLS: readonly string[] = [...NETWORKS, ...TRANSPORTS, "icmp", "icmp6", "ether", "link"];
