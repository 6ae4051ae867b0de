// A node's own address when nobody gave one: the first on an interface that looks physical, as Calico's "first-found". Pure.
import type { Address, Link } from "../sys/ip.ts";

/** Interfaces of containers, tunnels and virtual switches. */
const VIRTUAL = /^(lo|docker.*|cbr.*|dummy.*|virbr.*|lxcbr.*|veth.*|cali.*|tun.*|tap.*|flannel.*|kube-ipvs.*|cni.*|vxlan.*|wireguard\.cali.*|wg.*)$/;
const TUNNELS = new Set(["tun", "vxlan", "wireguard", "ipip", "bridge", "dummy"]);

/** "192.168.10.10/24" in the order of the interfaces, or undefined. */
export function firstFound(links: readonly Link[], addresses: readonly Address[]): string | undefined {
  for (const link of links) {
    if (!link.up || VIRTUAL.test(link.name) || TUNNELS.has(link.kind ?? "")) continue;
    const found = addresses.find((a) => a.dev === link.name && a.scope === "global");
    if (found) return `${found.address}/${found.prefix}`;
  }
  return undefined;
}

/** The interface that holds an address. */
export const holderOf = (addresses: readonly Address[], address: string | undefined): string | undefined =>
  addresses.find((a) => a.address === address)?.dev;
