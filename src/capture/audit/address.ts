// Addresses as keys of a map: an IPv4 address is a number, which costs no text for each packet.
import { type Cidr, contains } from "../../base/cidr.ts";
import type { Ip } from "../../base/ip.ts";

export type AddressKey = number | string;

export function addressKey(ip: Ip): AddressKey {
  if (ip.length === 4) return ((ip[0]! << 24) | (ip[1]! << 16) | (ip[2]! << 8) | ip[3]!) >>> 0;
  let text = "";
  for (let i = 0; i < ip.length; i += 2) text += String.fromCharCode((ip[i]! << 8) | ip[i + 1]!);
  return text;
}

/** Addresses that never leave a link: link-local, multicast, unspecified, broadcast. */
export function isLinkLocal(ip: Ip): boolean {
  if (ip.length === 4) return ip[0]! >= 224 || ip[0] === 0 || (ip[0] === 169 && ip[1] === 254);
  return ip[0] === 0xff || (ip[0] === 0xfe && (ip[1]! & 0xc0) === 0x80) || ip.every((b) => b === 0);
}

/** The longest of the prefixes that holds the address. */
export function longest<T extends { readonly cidr: Cidr }>(entries: readonly T[], ip: Ip): T | undefined {
  let best: T | undefined;
  for (const e of entries) if (contains(e.cidr, ip) && (!best || e.cidr.prefix > best.cidr.prefix)) best = e;
  return best;
}
