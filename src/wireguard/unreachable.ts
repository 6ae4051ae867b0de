// What the host is told of its packets that go nowhere, for no peer has their destination or the peer has no endpoint: ICMP host unreachable (RFC 792), or
// ICMPv6 address unreachable (RFC 4443), so that programs hear at once what they would wait for in vain. The kernel's device does so too. The data half
// leaves the packet's first bytes in one place for the control half, which takes them at its leisure: while the place is taken, nothing is told.
import { Ip4, IP4_HEADER, Ip6, IP6_HEADER } from "./inner.ts";
import { Head, type Tables, Unreachable } from "./tables.ts";

const [FREE, FILLING, FULL] = [0, 1, 2];
const [ICMP, ICMP6] = [1, 58];
/** Type and code. */
const HOST_UNREACHABLE = [3, 1] as const;
const ADDRESS_UNREACHABLE = [1, 3] as const;
const ICMP_HEADER = 8;
const HOPS = 64;

/** Data half: remembers the packet, if the place is free, and wakes the control half. */
export function leaveUnreachable(t: Tables, at: number, length: number): void {
  const cell = t.unreachable;
  if (Atomics.compareExchange(t.i32, cell + Unreachable.STATE, FREE, FILLING) !== FREE) return;
  const kept = Math.min(length, Unreachable.PACKET_BYTES);
  t.i32[cell + Unreachable.LENGTH] = kept;
  t.u8.copyWithin(4 * (cell + Unreachable.PACKET), at, at + kept);
  Atomics.store(t.i32, cell + Unreachable.STATE, FULL);
  Atomics.add(t.i32, t.head + Head.SIGNAL, 1);
}

/** Control half: whether a packet waits. */
export const isUnreachableLeft = (t: Tables): boolean => Atomics.load(t.i32, t.unreachable + Unreachable.STATE) === FULL;

/** Control half: takes it; the message for the host, or undefined when none may be sent about such a packet. */
export function takeUnreachable(t: Tables): Uint8Array | undefined {
  const at = 4 * (t.unreachable + Unreachable.PACKET);
  const packet = t.u8.slice(at, at + t.i32[t.unreachable + Unreachable.LENGTH]!);
  Atomics.store(t.i32, t.unreachable + Unreachable.STATE, FREE);
  return unreachable(packet);
}

/**
 * The message about a packet, of which at least the IP header is given. It comes from the address that cannot be reached: any of the host's own would be
 * refused as a martian. undefined: RFC 1122 3.2.2 and RFC 4443 2.4 forbid one (about errors, multicasts, later fragments, packets of nobody).
 */
export function unreachable(packet: Uint8Array): Uint8Array | undefined {
  return packet[0]! >>> 4 === 4 ? unreachable4(packet) : unreachable6(packet);
}

function unreachable4(packet: Uint8Array): Uint8Array | undefined {
  const header = 4 * (packet[0]! & 15);
  const source = packet.subarray(Ip4.SOURCE, Ip4.SOURCE + 4);
  const destination = packet.subarray(Ip4.DESTINATION, Ip4.DESTINATION + 4);
  const later = ((packet[Ip4.FRAGMENT]! & 0x1f) | packet[Ip4.FRAGMENT + 1]!) !== 0;
  // Of ICMP only questions are answered: echo, timestamp, mask.
  const error = packet[Ip4.PROTOCOL] === ICMP && ![8, 13, 15, 17].includes(packet[header]!);
  if (header < IP4_HEADER || later || error || destination[0]! >= 224 || source[0]! >= 224 || source[0] === 0) return undefined;
  const out = new Uint8Array(IP4_HEADER + ICMP_HEADER + packet.length);
  const view = new DataView(out.buffer);
  out[0] = 0x45;
  // Precedence "internetwork control", as the kernel's own.
  out[1] = 0xc0;
  view.setUint16(Ip4.TOTAL_LENGTH, out.length);
  out[8] = HOPS;
  out[Ip4.PROTOCOL] = ICMP;
  out.set(destination, Ip4.SOURCE);
  out.set(source, Ip4.DESTINATION);
  view.setUint16(10, checksum(out.subarray(0, IP4_HEADER), 0));
  out.set(HOST_UNREACHABLE, IP4_HEADER);
  out.set(packet, IP4_HEADER + ICMP_HEADER);
  view.setUint16(IP4_HEADER + 2, checksum(out.subarray(IP4_HEADER), 0));
  return out;
}

function unreachable6(packet: Uint8Array): Uint8Array | undefined {
  const source = packet.subarray(Ip6.SOURCE, Ip6.SOURCE + 16);
  const destination = packet.subarray(Ip6.DESTINATION, Ip6.DESTINATION + 16);
  const error = packet[Ip6.NEXT_HEADER] === ICMP6 && (packet[IP6_HEADER]! & 0x80) === 0;
  if (error || destination[0] === 0xff || source[0] === 0xff || source.every((b) => b === 0)) return undefined;
  const out = new Uint8Array(IP6_HEADER + ICMP_HEADER + packet.length);
  const view = new DataView(out.buffer);
  out[0] = 0x60;
  view.setUint16(Ip6.PAYLOAD_LENGTH, out.length - IP6_HEADER);
  out[Ip6.NEXT_HEADER] = ICMP6;
  out[7] = HOPS;
  out.set(destination, Ip6.SOURCE);
  out.set(source, Ip6.DESTINATION);
  out.set(ADDRESS_UNREACHABLE, IP6_HEADER);
  out.set(packet, IP6_HEADER + ICMP_HEADER);
  // The pseudo-header: both addresses, the length, the protocol.
  view.setUint16(IP6_HEADER + 2, checksum(out.subarray(Ip6.SOURCE), out.length - IP6_HEADER + ICMP6));
  return out;
}

/** RFC 1071, over big-endian words. */
function checksum(bytes: Uint8Array, start: number): number {
  let sum = start;
  for (let i = 0; i < bytes.length; i++) sum += i % 2 === 0 ? bytes[i]! << 8 : bytes[i]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
