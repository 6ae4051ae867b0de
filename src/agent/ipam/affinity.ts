// Claiming a block for a node: the affinity is written as pending, then the block is created (the one step that decides), then the affinity is confirmed.
import { blockAffinity, type BlockAffinity } from "../../api/blockaffinity.ts";
import { ipamBlock, type IPAMBlock } from "../../api/ipamblock.ts";
import { apiVersionOf } from "../../api/kind.ts";
import { isAlreadyExists, isConflict, isNotFound } from "../../client/error.ts";
import type { Client } from "../../client/types.ts";
import { blockName, emptyBlock, ownerOf } from "./block.ts";

/** "<node>-10-65-0-0-26". */
export const affinityName = (node: string, cidr: string): string => `${node}-${blockName(cidr)}`;

async function ignoring<T>(expected: (thrown: unknown) => boolean, work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (thrown) {
    if (expected(thrown)) return undefined;
    throw thrown;
  }
}

/** Claims the block; undefined: another node was faster. Finishes what an earlier try of the same node left half done. */
export async function claimBlock(client: Client, node: string, cidr: string): Promise<IPAMBlock | undefined> {
  const pending: BlockAffinity = {
    apiVersion: apiVersionOf(blockAffinity),
    kind: blockAffinity.kind,
    metadata: { name: affinityName(node, cidr) },
    spec: { state: "pending", node, type: "host", cidr, deleted: false },
  };
  const affinity = await ignoring(isAlreadyExists, client.create(blockAffinity, pending));
  const fresh: IPAMBlock = {
    apiVersion: apiVersionOf(ipamBlock),
    kind: ipamBlock.kind,
    metadata: { name: blockName(cidr) },
    spec: emptyBlock(cidr, `host:${node}`),
  };
  const created = await ignoring(isAlreadyExists, client.create(ipamBlock, fresh));
  const block = created ?? (await ignoring(isNotFound, client.get(ipamBlock, blockName(cidr))));
  if (!block || ownerOf(block.spec) !== node) {
    await ignoring(isNotFound, client.delete(blockAffinity, affinityName(node, cidr)));
    return undefined;
  }
  const current = affinity ?? (await ignoring(isNotFound, client.get(blockAffinity, affinityName(node, cidr))));
  // A conflict means that another task of this node confirms it too.
  if (current && current.spec.state !== "confirmed")
    await ignoring(isConflict, client.update(blockAffinity, { ...current, spec: { ...current.spec, state: "confirmed" } }));
  return block;
}
