// The Internet checksum (RFC 1071) and the pseudo headers of IPv4 and IPv6.
import type { Ip } from "../base/ip.ts";

/** One's complement sum of 16-bit words, folded; an odd last byte counts as the high half. `sum` is what was summed before. */
export function sum16(bytes: Uint8Array, sum = 0): number {
  let total = sum;
  const even = bytes.length & ~1;
  for (let i = 0; i < even; i += 2) total += (bytes[i]! << 8) | bytes[i + 1]!;
  if (even < bytes.length) total += bytes[even]! << 8;
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 65_536);
  return total;
}

/** The checksum field's value for these bytes (the field itself zero in them). Over bytes with a right checksum in place the result is 0. */
export const checksum = (bytes: Uint8Array, sum = 0): number => ~sum16(bytes, sum) & 0xffff;

/** Sum of the pseudo header that UDP, TCP and ICMPv6 start from. */
export function pseudoSum(src: Ip, dst: Ip, protocol: number, length: number): number {
  return sum16(dst, sum16(src, protocol + (length >>> 16) + (length & 0xffff)));
}
