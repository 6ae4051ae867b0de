// What the API does not tell of a cluster and the machines do: addresses that nodes and pods really have, and what nodes route to their pods. A family
// or a range that nobody declared must not go by as a stranger's.
import { covers, contains, parseCidr } from "../../base/cidr.ts";
import { formatIp, parseIp } from "../../base/ip.ts";
import { isLinkLocal } from "../../capture/audit/address.ts";
import type { InventoryDocument } from "../../capture/audit/inventory.ts";
import type { Look } from "./observe.ts";

/** A node as it was found; `podLinks`: links to its pods. */
export type FoundNode = { readonly node: string; readonly look: Look; readonly podLinks: ReadonlySet<string> };
/** A pod as it was found: `name` is "namespace/name". */
export type FoundPod = { readonly name: string; readonly node: string; readonly addresses: readonly string[] };

export function completed(document: InventoryDocument, nodes: readonly FoundNode[], pods: readonly FoundPod[]): InventoryDocument {
  const ranges = document.nodes.flatMap((n) => n.podCIDRs.map((t) => parseCidr(t)!));
  return {
    ...document,
    nodes: document.nodes.map((n) => {
      const found = nodes.find((f) => f.node === n.name);
      if (!found) return n;
      const { look, podLinks } = found;
      const devices = new Set(look.devices.map((d) => d.name));
      const known = new Set([...n.ips, ...(n.tunnelIPs ?? [])]);
      const own = look.addresses.filter((a) => isGlobal(a.address) && !known.has(a.address));
      const isTunnel = (a: { dev: string; address: string }): boolean => devices.has(a.dev) || ranges.some((r) => contains(r, parseIp(a.address)!));
      const routed = look.routes
        .filter((r) => r.dev !== undefined && podLinks.has(r.dev) && r.type === undefined)
        .flatMap((r) => parseCidr(r.dst) ?? []);
      const fresh = routed.filter((c) => c.prefix > 0 && !isLinkLocal(c.ip) && !ranges.some((r) => covers(r, c)));
      return {
        ...n,
        ips: [...n.ips, ...own.filter((a) => !isTunnel(a)).map((a) => a.address)],
        tunnelIPs: [...(n.tunnelIPs ?? []), ...own.filter(isTunnel).map((a) => a.address)],
        podCIDRs: [...new Set([...n.podCIDRs, ...fresh.map((c) => `${formatIp(c.ip)}/${c.prefix}`)])],
      };
    }),
    pods: [
      ...document.pods.map((p) => ({ ...p, ips: [...new Set([...p.ips, ...(pods.find((f) => f.name === p.name)?.addresses ?? [])])] })),
      ...pods.filter((f) => !document.pods.some((p) => p.name === f.name)).map((f) => ({ name: f.name, node: f.node, ips: [...f.addresses] })),
    ],
  };
}

/** False for what never leaves a machine or a link. */
export function isGlobal(address: string): boolean {
  const ip = parseIp(address);
  return ip !== undefined && !isLinkLocal(ip) && !(ip.length === 4 ? ip[0] === 127 : ip.every((b, i) => b === (i === 15 ? 1 : 0)));
}
