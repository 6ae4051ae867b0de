// Which pools may give an address, and which blocks they can be cut into. Pure.
import type { Labels } from "../../api/labelselector.ts";
import { selects } from "../../api/selector.ts";
import { covers, formatCidr, overlaps, parseCidr } from "../../base/cidr.ts";
import { addToIp } from "../../base/ip.ts";

export type Use = "Workload" | "Tunnel";
export type IpVersion = 4 | 6;
/** What an address is for, and where. */
export type Purpose = { readonly use: Use; readonly version: IpVersion; readonly node: Labels | undefined; readonly namespace: Labels | undefined };
/** What is needed of an IPPool. */
export type Pool = {
  metadata: { name: string; deletionTimestamp?: string };
  spec: {
    cidr: string;
    blockSize?: number;
    disabled?: boolean;
    nodeSelector?: string;
    namespaceSelector?: string;
    allowedUses?: readonly string[];
    assignmentMode?: string;
  };
};

/** Calico's defaults. */
const BLOCK_PREFIX = { 4: 26, 6: 122 } as const;
/** Enough for any cluster: of a larger pool only the first so many blocks are used, so that their numbers stay exact. */
const MOST_BLOCKS = 2 ** 32;

export const versionOf = (cidr: string): IpVersion | undefined => {
  const length = parseCidr(cidr)?.ip.length;
  return length === undefined ? undefined : length === 4 ? 4 : 6;
};

/** Pools that may give an address for this purpose, by name. */
export function usablePools<P extends Pool>(pools: readonly P[], { use, version, node, namespace }: Purpose): P[] {
  return pools
    .filter(({ metadata, spec }) => {
      const uses = spec.allowedUses ?? [];
      return (
        versionOf(spec.cidr) === version &&
        spec.disabled !== true &&
        spec.assignmentMode !== "Manual" &&
        metadata.deletionTimestamp === undefined &&
        (uses.length === 0 || uses.includes(use)) &&
        selects(spec.nodeSelector ?? "", node) &&
        (use !== "Workload" || selects(spec.namespaceSelector ?? "", namespace))
      );
    })
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

/** True when the block (its CIDR) lies in one of the pools. */
export const inPools = (pools: readonly Pool[], cidr: string): boolean => {
  const block = parseCidr(cidr);
  return block !== undefined && pools.some((p) => covers(parseCidr(p.spec.cidr)!, block));
};

/** FNV-1a, 32 bits: where a node begins to look for a free block, so that nodes that start together do not all want the same one. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193) >>> 0;
  // The last characters of names differ ("w1", "w2"): spread them over all bits.
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d) >>> 0;
  return (h ^ (h >>> 13)) >>> 0;
}

/** The pool's prefixes of block size, each once, beginning at a place that depends on the node. */
export function* candidates(pool: Pool, node: string): Generator<string> {
  const { ip, prefix } = parseCidr(pool.spec.cidr)!;
  const size = Math.max(prefix, pool.spec.blockSize ?? BLOCK_PREFIX[ip.length === 4 ? 4 : 6]);
  const count = Math.min(2 ** (size - prefix), MOST_BLOCKS);
  const start = hash(node) % count;
  for (let i = 0; i < count; i++) yield formatCidr({ ip: addToIp(ip, ((start + i) % count) * 2 ** (8 * ip.length - size)), prefix: size });
}

/** The first candidates that overlap no block there is. */
export function* freeBlocks(pool: Pool, node: string, taken: readonly string[]): Generator<string> {
  const blocks = taken.map(parseCidr).filter((c) => c !== undefined);
  const known = new Set(taken);
  for (const text of candidates(pool, node)) {
    const c = known.has(text) ? undefined : parseCidr(text);
    if (c && !blocks.some((b) => overlaps(b, c))) yield text;
  }
}
