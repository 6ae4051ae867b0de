// The little that WireGuard looks at in an inner packet (RFC 791, RFC 8200): version, lengths, and where the addresses are.

/** Smallest packets. */
export const IP4_HEADER = 20;
export const IP6_HEADER = 40;
export const Ip4 = { TOTAL_LENGTH: 2, FRAGMENT: 6, PROTOCOL: 9, SOURCE: 12, DESTINATION: 16 } as const;
export const Ip6 = { PAYLOAD_LENGTH: 4, NEXT_HEADER: 6, SOURCE: 8, DESTINATION: 24 } as const;

/** Length that the packet's own header claims, or 0 when it is no IP packet or claims more than there is (`length` bytes at `at`). */
export function innerLength(u8: Uint8Array, at: number, length: number): number {
  if (length < IP4_HEADER) return 0;
  const version = u8[at]! >>> 4;
  if (version === 4) {
    const total = (u8[at + Ip4.TOTAL_LENGTH]! << 8) | u8[at + Ip4.TOTAL_LENGTH + 1]!;
    return total >= IP4_HEADER && total <= length ? total : 0;
  }
  if (version !== 6) return 0;
  const total = IP6_HEADER + ((u8[at + Ip6.PAYLOAD_LENGTH]! << 8) | u8[at + Ip6.PAYLOAD_LENGTH + 1]!);
  return total <= length ? total : 0;
}

/** Bytes to pad a packet with: to a multiple of 16, but never beyond the MTU (0: not known). */
export function paddingOf(length: number, mtu: number): number {
  if (mtu === 0) return -length & 15;
  const last = length > mtu ? length % mtu : length;
  return Math.min(mtu, (last + 15) & ~15) - last;
}
