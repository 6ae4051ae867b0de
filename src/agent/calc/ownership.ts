// Which prefix belongs to which node. Blocks by their affinity; single addresses that a node uses from another's block (borrowed); tunnel addresses.
// Two claims on one prefix: the lower node name has it, so that every node decides alike.
import type { IPAMBlock } from "../../api/ipamblock.ts";
import { covers, formatCidr, parseCidr } from "../../base/cidr.ts";
import { compareIp } from "../../base/ip.ts";
import { allocations, ownerOf } from "../ipam/block.ts";
import type { NodeFacts } from "./facts.ts";

export type PrefixKind = "block" | "borrowed" | "tunnel";
export type Owned = { readonly cidr: string; readonly node: string; readonly kind: PrefixKind };

/** An IPPool's blockSize is 20 to 32: what is wider would draw traffic that no pod of the node can be meant by. */
const WIDEST_BLOCK = 20;

const RANK: Readonly<Record<PrefixKind, number>> = { block: 0, borrowed: 1, tunnel: 2 };
const isBetter = (a: Owned, b: Owned): boolean => (a.node === b.node ? RANK[a.kind] < RANK[b.kind] : a.node < b.node);

/** Order of prefix texts: by address, the wider first. */
export function comparePrefixes(a: string, b: string): number {
  const [x, y] = [parseCidr(a)!, parseCidr(b)!];
  return compareIp(x.ip, y.ip) || x.prefix - y.prefix;
}

function* claims(blocks: readonly IPAMBlock[], nodes: readonly NodeFacts[]): Generator<Owned> {
  for (const { spec } of blocks) {
    const cidr = spec.deleted === true ? undefined : parseCidr(spec.cidr);
    if (cidr?.ip.length !== 4 || cidr.prefix < WIDEST_BLOCK) continue;
    const owner = ownerOf(spec);
    if (owner !== undefined) yield { cidr: formatCidr(cidr), node: owner, kind: "block" };
    for (const { address, attributes } of allocations(spec)) {
      const user = attributes.node;
      if (user !== undefined && user !== owner) yield { cidr: `${address}/32`, node: user, kind: "borrowed" };
    }
  }
  for (const n of nodes)
    for (const address of [n.wireguardAddress, n.vxlanAddress, n.ipipAddress])
      if (address !== undefined) yield { cidr: `${address}/32`, node: n.name, kind: "tunnel" };
}

/** Every IPv4 prefix that belongs to a node, once, in order. */
export function ownership(blocks: readonly IPAMBlock[], nodes: readonly NodeFacts[]): Owned[] {
  const best = new Map<string, Owned>();
  for (const claim of claims(blocks, nodes)) {
    const known = best.get(claim.cidr);
    if (!known || isBetter(claim, known)) best.set(claim.cidr, claim);
  }
  return [...best.values()].sort((a, b) => comparePrefixes(a.cidr, b.cidr));
}

/** The prefixes of which none lies within another. */
export function widest(cidrs: readonly string[]): string[] {
  const parsed = [...new Set(cidrs)].map((text) => ({ text, cidr: parseCidr(text)! }));
  return parsed.filter((p) => !parsed.some((q) => q !== p && covers(q.cidr, p.cidr))).map((p) => p.text);
}
