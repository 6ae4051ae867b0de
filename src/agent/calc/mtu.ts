// MTU of the devices: the host's less what the encapsulation adds. Overheads are Calico's, for IPv4 outside.
import type { Config } from "./config.ts";
import type { Facts } from "./types.ts";

const WIREGUARD_OVERHEAD = 60;
const VXLAN_OVERHEAD = 50;
/** Calico's guess when no interface matches: small enough for the clouds. */
const UNKNOWN_HOST_MTU = 1460;
/** The smallest MTU that an IPv4 link may have. */
const LEAST_MTU = 68;

/** The smallest MTU of the interfaces that are up and match. */
export function hostMtu(config: Pick<Config, "mtuPattern">, facts: Pick<Facts, "links">): number {
  const mtus = facts.links.filter((l) => l.up && config.mtuPattern.test(l.name)).map((l) => l.mtu);
  return mtus.length > 0 ? Math.min(...mtus) : UNKNOWN_HOST_MTU;
}

export const wireguardMtu = (config: Pick<Config, "mtu">, host: number): number =>
  config.mtu > 0 ? config.mtu : Math.max(LEAST_MTU, host - WIREGUARD_OVERHEAD);
export const vxlanMtu = (config: Pick<Config, "vxlanMtu">, host: number): number =>
  config.vxlanMtu > 0 ? config.vxlanMtu : Math.max(LEAST_MTU, host - VXLAN_OVERHEAD);
