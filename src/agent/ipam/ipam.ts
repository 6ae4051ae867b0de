// Giving out addresses: blocks in the store, changed by compare-and-swap, so that any number of agents and plug-ins may ask at once and no address is
// given twice. The order of writes is Calico's: handle, then block; a crash in between leaks a count, never an address.
import { blockName, IPAM_BLOCK, type IPAMBlock } from "../../api/ipamblock.ts";
import { IP_POOL } from "../../api/ippool.ts";
import type { Kind } from "../../api/kind.ts";
import type { Labels } from "../../api/labelselector.ts";
import type { Resource } from "../../api/meta.ts";
import { NAMESPACE } from "../../api/namespace.ts";
import { NODE } from "../../api/node.ts";
import { TortieError } from "../../base/errors.ts";
import { isConflict } from "../../client/error.ts";
import { find } from "../../client/find.ts";
import type { Client } from "../../client/types.ts";
import { claimBlock } from "./affinity.ts";
import { allocate, type Allocation, allocations, heldBy, type Holder, ordinalOf, ownerOf, releaseAddress as freed, releaseHandle } from "./block.ts";
import { countHandle, getHandle } from "./handle.ts";
import { type Settings, settingsOf } from "./settings.ts";
import { freeBlocks, inPools, type IpVersion, type Pool, type Use, usablePools, versionOf } from "./pool.ts";

export type AssignRequest = {
  readonly node: string;
  /** Released by it. One address of each version a handle: asked again, the same one is given. */
  readonly handle: string;
  readonly use: Use;
  /** @default 4 */
  readonly version?: IpVersion;
  /** Of the pod that the address is for. */
  readonly namespace?: string;
  /** Stored beside the address: node, type, namespace, pod. */
  readonly attributes: Readonly<Record<string, string>>;
};
export type Assigned = { readonly address: string; readonly block: string };

const getBlock = (client: Client, cidr: string): Promise<IPAMBlock | undefined> => find(client, IPAM_BLOCK, blockName(cidr));

/** Takes an address from this block; undefined when it is full or gone. */
async function takeFrom(client: Client, first: IPAMBlock, holder: Holder): Promise<Assigned | undefined> {
  const { cidr } = first.spec;
  if (!allocate(first.spec, holder)) return undefined;
  await countHandle(client, holder.handle, cidr, 1);
  try {
    for (let block: IPAMBlock | undefined = first; block; block = await getBlock(client, cidr)) {
      const taken = allocate(block.spec, holder);
      if (!taken) break;
      try {
        await client.update(IPAM_BLOCK, { ...block, spec: taken.block });
        return { address: taken.address, block: cidr };
      } catch (thrown) {
        if (!isConflict(thrown)) throw thrown;
      }
    }
  } catch (thrown) {
    await countHandle(client, holder.handle, cidr, -1).catch(() => {});
    throw thrown;
  }
  await countHandle(client, holder.handle, cidr, -1);
  return undefined;
}

/** What the handle holds of this version already: in a usable pool it is kept, elsewhere given back. */
async function held(client: Client, handle: string, version: IpVersion, pools: readonly Pool[]): Promise<Assigned | undefined> {
  const record = await getHandle(client, handle);
  for (const cidr of Object.keys(record?.spec.block ?? {})) {
    const block = inPools(pools, cidr) ? await getBlock(client, cidr) : undefined;
    const allocation = block && heldBy(block.spec, handle)[0];
    if (allocation) return { address: allocation.address, block: cidr };
  }
  if (record) await release(client, handle, (cidr) => versionOf(cidr) === version);
  return undefined;
}

/** One walk over the blocks there are: own ones, a new one, borrowed ones. */
async function search(
  client: Client,
  node: string,
  holder: Holder,
  pools: readonly Pool[],
  all: readonly IPAMBlock[],
  { strictAffinity, blocksLeft }: Settings,
): Promise<Assigned | undefined> {
  const usable = all.filter((b) => inPools(pools, b.spec.cidr));
  const own = all.filter((b) => ownerOf(b.spec) === node);
  for (const block of usable.filter((b) => own.includes(b))) {
    const taken = await takeFrom(client, block, holder);
    if (taken) return taken;
  }
  const known = all.map((b) => b.spec.cidr);
  let claims = blocksLeft(own.length);
  for (const pool of pools) {
    if (claims <= 0) break;
    for (const cidr of freeBlocks(pool, node, known)) {
      const block = await claimBlock(client, node, cidr, strictAffinity);
      const taken = block && (await takeFrom(client, block, holder));
      if (taken) return taken;
      if (block && --claims <= 0) break;
    }
  }
  for (const block of usable.filter((b) => !strictAffinity && ownerOf(b.spec) !== node && !b.spec.strictAffinity)) {
    const taken = await takeFrom(client, block, holder);
    if (taken) return taken;
  }
  return undefined;
}

const listBlocks = async (client: Client): Promise<IPAMBlock[]> => (await client.list(IPAM_BLOCK)).items.filter((b) => !b.spec.deleted);
const blocksOf = async (client: Client, version: IpVersion): Promise<IPAMBlock[]> =>
  (await listBlocks(client)).filter((b) => versionOf(b.spec.cidr) === version);
const versions = (blocks: readonly IPAMBlock[]): string =>
  blocks
    .map((b) => `${b.metadata.name}@${b.metadata.resourceVersion}`)
    .sort()
    .join();

/** Labels of what the pools' selectors select by; asked for only when a pool has a selector that looks at them. */
async function labelsFor<T extends Resource>(
  client: Client,
  kind: Kind<T>,
  name: string | undefined,
  selectors: readonly (string | undefined)[],
): Promise<Labels | undefined> {
  if (name === undefined || selectors.every((s) => ["", "all()"].includes(s ?? ""))) return undefined;
  return (await find(client, kind, name))?.metadata.labels;
}

/**
 * Gives an address: from the node's own blocks, else from a new block claimed for it, else borrowed from another node's block.
 * Throws TortieError when no pool is usable or all are full.
 */
export async function assign(client: Client, request: AssignRequest): Promise<Assigned> {
  const { node, use, version = 4 } = request;
  const holder: Holder = { handle: request.handle, attributes: request.attributes };
  const all = (await client.list(IP_POOL)).items;
  const [nodeLabels, namespaceLabels] = await Promise.all([
    labelsFor(client, NODE, node, all.map((p) => p.spec.nodeSelector)), // prettier-ignore
    labelsFor(client, NAMESPACE, request.namespace, all.map((p) => p.spec.namespaceSelector)), // prettier-ignore
  ]);
  const pools = usablePools(all, { use, version, node: nodeLabels, namespace: namespaceLabels });
  if (pools.length === 0)
    throw new TortieError(`Cannot give node "${node}" an address: no IPPool allows it`, { hint: "calicoctl get ippool -o yaml shows the pools." });
  const already = await held(client, request.handle, version, pools);
  if (already) return already;
  const settings = await settingsOf(client);
  for (let blocks = await blocksOf(client, version); ;) {
    const found = await search(client, node, holder, pools, blocks, settings);
    if (found) return found;
    // Full, unless others claimed blocks or gave addresses back while we looked.
    const now = await blocksOf(client, version);
    if (versions(now) === versions(blocks))
      throw new TortieError(
        `Cannot give node "${node}" an address: every block of ${pools.map((p) => p.spec.cidr).join(", ")} that it may use is full`,
      );
    blocks = now;
  }
}

/** Gives back every address of a handle, or those in certain blocks. A handle that holds none is no error. */
export async function release(client: Client, handle: string, inBlock: (cidr: string) => boolean = () => true): Promise<void> {
  const record = await getHandle(client, handle);
  for (const [cidr, count] of Object.entries(record?.spec.block ?? {})) {
    if (!inBlock(cidr)) continue;
    for (let block = await getBlock(client, cidr); block; block = await getBlock(client, cidr)) {
      const after = releaseHandle(block.spec, handle);
      if (after.released === 0) break;
      try {
        await client.update(IPAM_BLOCK, { ...block, spec: after.block });
        break;
      } catch (thrown) {
        if (!isConflict(thrown)) throw thrown;
      }
    }
    await countHandle(client, handle, cidr, -count);
  }
}

/** Gives back one address; false: nobody holds it. `still` looks at its allocation in the block: what it refuses is not given back. */
export async function releaseAddress(client: Client, address: string, still: (held: Allocation) => boolean = () => true): Promise<boolean> {
  const found = (await listBlocks(client)).find((b) => ordinalOf(b.spec, address) !== undefined);
  for (let block = found; block; block = await getBlock(client, block.spec.cidr)) {
    const { spec } = block;
    const held = allocations(spec).find((a) => ordinalOf(spec, a.address) === ordinalOf(spec, address));
    const after = held && still(held) ? freed(spec, address) : undefined;
    if (!after) return false;
    try {
      await client.update(IPAM_BLOCK, { ...block, spec: after });
    } catch (thrown) {
      if (!isConflict(thrown)) throw thrown;
      continue;
    }
    if (held!.handle !== undefined) await countHandle(client, held!.handle, block.spec.cidr, -1);
    return true;
  }
  return false;
}
