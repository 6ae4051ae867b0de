// Display filters over leak-nodeA-rich.pcapng and the number of frames that each matches: tshark 4.0.17 gives the same.
export const FILTERS: readonly [string, number][] = [
  ["wg", 34],
  ["wg.type == 1", 1],
  ["wg.type != 4", 2],
  ["wg.type in {1, 2}", 2],
  ["wg.counter >= 10", 12],
  ["wg.receiver == 0x9e4f97b2 && wg.counter < 2", 2],
  ['wg.ephemeral contains "kOhWwQUJ"', 1],
  ["ip.addr == 10.244.2.20 and not vxlan", 56],
  ["(icmp || tcp) && wg", 32],
  ["!(wg || icmpv6 || arp)", 40],
  ["udp.port == 4789", 28],
  ["frame.number > 100", 2],
];
