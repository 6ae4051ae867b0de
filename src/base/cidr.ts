// Address prefixes. A Cidr is always masked: its host bits are zero.
import { compareIp, formatIp, type Ip, parseIp } from "./ip.ts";

export type Cidr = { readonly ip: Ip; readonly prefix: number };

/** The prefix that covers `ip`; host bits are cleared. */
export function mask(ip: Ip, prefix: number): Cidr {
  const out = new Uint8Array(ip);
  for (let i = 0; i < out.length; i++) out[i]! &= (0xff00 >> Math.min(8, Math.max(0, prefix - 8 * i))) & 255;
  return { ip: out, prefix };
}

/** "10.0.0.0/24"; without a prefix length the address itself (/32, /128). Host bits are cleared. undefined when malformed. */
export function parseCidr(text: string): Cidr | undefined {
  const [addr, length, ...rest] = text.split("/");
  const ip = parseIp(addr!);
  if (!ip || rest.length > 0) return undefined;
  if (length === undefined) return { ip, prefix: 8 * ip.length };
  if (!/^(0|[1-9][0-9]{0,2})$/.test(length) || Number(length) > 8 * ip.length) return undefined;
  return mask(ip, Number(length));
}

export const formatCidr = (c: Cidr): string => `${formatIp(c.ip)}/${c.prefix}`;

export function contains(c: Cidr, ip: Ip): boolean {
  return c.ip.length === ip.length && compareIp(mask(ip, c.prefix).ip, c.ip) === 0;
}

/** True when `inner` lies wholly within `outer` (equal counts). */
export const covers = (outer: Cidr, inner: Cidr): boolean => outer.prefix <= inner.prefix && contains(outer, inner.ip);
export const overlaps = (a: Cidr, b: Cidr): boolean => covers(a, b) || covers(b, a);
