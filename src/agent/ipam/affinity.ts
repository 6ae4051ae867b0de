// Claiming a block for a node: the affinity is written as pending, then the block is created (the one step that decides), then the affinity is confirmed.
import { BLOCK_AFFINITY, type BlockAffinity } from "../../api/blockaffinity.ts";
import { blockName, IPAM_BLOCK, type IPAMBlock } from "../../api/ipamblock.ts";
import { apiVersionOf } from "../../api/kind.ts";
import { isAlreadyExists, isConflict, isNotFound } from "../../client/error.ts";
import { affinityName } from "../../client/layouts/names.ts";
import type { Client } from "../../client/types.ts";
import { emptyBlock, ownerOf } from "./block.ts";

async function ignoring<T>(expected: (thrown: unknown) => boolean, work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (thrown) {
    if (expected(thrown)) return undefined;
    throw thrown;
  }
}

/** Claims the block; undefined: another node was faster. Finishes what an earlier try of the same node left half done. */
export async function claimBlock(client: Client, node: string, cidr: string, strictAffinity: boolean): Promise<IPAMBlock | undefined> {
  const pending: BlockAffinity = {
    apiVersion: apiVersionOf(BLOCK_AFFINITY),
    kind: BLOCK_AFFINITY.kind,
    metadata: { name: affinityName(node, cidr) },
    spec: { state: "pending", node, type: "host", cidr, deleted: false },
  };
  const affinity = await ignoring(isAlreadyExists, client.create(BLOCK_AFFINITY, pending));
  const fresh: IPAMBlock = {
    apiVersion: apiVersionOf(IPAM_BLOCK),
    kind: IPAM_BLOCK.kind,
    metadata: { name: blockName(cidr) },
    spec: emptyBlock(cidr, `host:${node}`, strictAffinity),
  };
  const created = await ignoring(isAlreadyExists, client.create(IPAM_BLOCK, fresh));
  const block = created ?? (await ignoring(isNotFound, client.get(IPAM_BLOCK, blockName(cidr))));
  if (!block || ownerOf(block.spec) !== node) {
    await ignoring(isNotFound, client.delete(BLOCK_AFFINITY, affinityName(node, cidr)));
    return undefined;
  }
  const current = affinity ?? (await ignoring(isNotFound, client.get(BLOCK_AFFINITY, affinityName(node, cidr))));
  if (current && current.spec.state !== "confirmed") {
    const confirmed: BlockAffinity = { ...current, spec: { ...current.spec, state: "confirmed" } };
    // A conflict means that another task of this node confirms it too.
    await ignoring(isConflict, client.update(BLOCK_AFFINITY, confirmed));
  }
  return block;
}
