// Addresses that were typed, and how many there are in a range.
import { parseCidr } from "../../../base/cidr.ts";
import { formatIp, parseIp } from "../../../base/ip.ts";
import { TortieError } from "../../../base/errors.ts";

/** The usual form of an address that was typed. Throws TortieError. */
export function addressOf(text: string): string {
  const ip = parseIp(text);
  if (!ip) throw new TortieError(`invalid IP address: ${text}`);
  return formatIp(ip);
}

/** Number of addresses in a CIDR, which may be more than can be counted exactly; 0 for what is none. */
export function capacityOf(cidr: string): number {
  const c = parseCidr(cidr);
  return c ? 2 ** (8 * c.ip.length - c.prefix) : 0;
}

const DIGITS = 5;

/** Go's %.5g: 65536, 1.0486e+06. */
export function shortNumber(n: number): string {
  if (n === 0) return "0";
  const [mantissa, exponent] = n.toExponential(DIGITS - 1).split("e") as [string, string];
  if (Number(exponent) >= -4 && Number(exponent) < DIGITS) return String(Number(n.toPrecision(DIGITS)));
  return `${Number(mantissa)}e${exponent[0]}${exponent.slice(1).padStart(2, "0")}`;
}

/** "5 (8%)" */
export const share = (part: number, whole: number): string => `${shortNumber(part)} (${whole === 0 ? 0 : Math.round((100 * part) / whole)}%)`;
