// Addresses in filter expressions: hosts, nets (also in short forms), Ethernet addresses.
import { type Cidr, mask as maskOf } from "../../base/cidr.ts";
import { compareIp, type Ip, parseIp } from "../../base/ip.ts";

export function macOf(text: string): Uint8Array | undefined {
  const bytes = text.split(":").map((p) => parseInt(p, 16));
  return bytes.length === 6 ? new Uint8Array(bytes) : undefined;
}

/** Number of leading ones of a netmask, or undefined. */
function prefixOf(mask: Ip): number | undefined {
  const bits = [...mask].map((b) => b.toString(2).padStart(8, "0")).join("");
  return /^1*0*$/.test(bits) ? bits.lastIndexOf("1") + 1 : undefined;
}

/** Address and prefix of a host or a net, or what is wrong with it. `192.168` as a net is 192.168.0.0/16. */
export function hostOf(text: string, net: boolean, length: number | undefined, mask: string | undefined): Cidr | string {
  const parts = text.includes(":") ? 0 : text.split(".").length;
  const full = parts === 0 ? text : [...text.split("."), "0", "0", "0"].slice(0, 4).join(".");
  const ip = parseIp(full);
  if (!ip || (!net && parts !== 0 && parts !== 4)) return `"${text}" is not an address`;
  let prefix = length ?? (parts === 0 ? 128 : 8 * parts);
  if (mask !== undefined) {
    const m = parseIp(mask);
    const found = m?.length === ip.length ? prefixOf(m) : undefined;
    if (found === undefined) return `"${mask}" is not a netmask for "${text}"`;
    prefix = found;
  }
  if (prefix > 8 * ip.length) return `/${prefix} is too long for "${text}"`;
  const cidr = maskOf(ip, prefix);
  return compareIp(cidr.ip, ip) === 0 ? cidr : `"${text}/${prefix}" has bits beyond the prefix`;
}
