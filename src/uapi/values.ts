// The protocol's values: keys in hex decoded straight from the bytes, strict decimal numbers, addresses.
import { parseCidr } from "../base/cidr.ts";
import { formatEndpoint, parseEndpoint } from "../base/ip.ts";
import { type AllowedIpChange, type Endpoint, KEY_LENGTH } from "./types.ts";

/**
 * The 32 bytes of 64 hex digits (either case), into `key`; false, and zeros, when it is none. Without branches or look-ups on the digits, as they are
 * secret.
 */
export function decodeKey(hex: Uint8Array, key: Uint8Array): boolean {
  if (hex.length !== 2 * KEY_LENGTH) return false;
  let bad = 0;
  for (let i = 0; i < hex.length; i++) {
    const c = hex[i]!;
    const digit = c ^ 48;
    const isDigit = (digit - 10) >> 8;
    const alpha = (c & ~32) - 55;
    const isAlpha = ((alpha - 10) ^ (alpha - 16)) >> 8;
    bad |= ~(isDigit | isAlpha);
    key[i >> 1] = (key[i >> 1]! << 4) | (isDigit & digit) | (isAlpha & alpha);
  }
  if (bad !== 0) key.fill(0);
  return bad === 0;
}

/** The same in an array of its own, or undefined. */
export function parseKey(hex: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  // Outside the garbage-collected heap, which would leave copies where it was.
  const key = new Uint8Array(new ArrayBuffer(KEY_LENGTH));
  return decodeKey(hex, key) ? key : undefined;
}

/** A decimal number up to `max`, without sign, leading zeros or blanks; undefined otherwise. */
export function parseNumber(text: string, max: number): number | undefined {
  if (!/^(0|[1-9][0-9]{0,15})$/.test(text) || Number(text) > max) return undefined;
  return Number(text);
}

/** A counter of 64 bits: a number while that is exact. */
export function parseCounter(text: string): number | bigint | undefined {
  if (!/^[0-9]{1,20}$/.test(text)) return undefined;
  const n = Number(text);
  return Number.isSafeInteger(n) ? n : BigInt(text);
}

/** `1.2.3.4:5`, `[::1]:5` or `[fe80::1%zone]:5`, or undefined. No names. */
export function parseUapiEndpoint(text: string): Endpoint | undefined {
  const zone = /^\[([^\]%]+)%([0-9A-Za-z_.:-]{1,15})\](:.*)$/.exec(text);
  const endpoint = parseEndpoint(zone ? `[${zone[1]}]${zone[3]}` : text);
  return endpoint && zone ? { ...endpoint, zone: zone[2]! } : endpoint;
}

export function formatUapiEndpoint(e: Endpoint): string {
  const text = formatEndpoint(e.ip, e.port);
  return e.zone === undefined ? text : text.replace("]", `%${e.zone}]`);
}

/** `addr/len`, or `-addr/len` to remove it. The length is mandatory; host bits are cleared. */
export function parseAllowedIp(text: string): AllowedIpChange | undefined {
  const remove = text.startsWith("-");
  const cidr = text.includes("/") ? parseCidr(remove ? text.slice(1) : text) : undefined;
  return cidr && remove ? { ...cidr, remove } : cidr;
}

/** ASCII text of a line's part that is no secret. */
export const ascii = (bytes: Uint8Array): string => String.fromCharCode.apply(null, bytes as unknown as number[]);
