// ipam split: one pool becomes several of the same range. Addresses keep their blocks; what changes is which pool they count for.
import { IP_POOL, type IPPool } from "../../../api/ippool.ts";
import { formatCidr, parseCidr } from "../../../base/cidr.ts";
import { messageOf, TortieError } from "../../../base/errors.ts";
import { addToIp } from "../../../base/ip.ts";
import type { Client } from "../../../client/types.ts";
import { checkLocked, clusterInformation } from "../lock.ts";

export type SplitFlags = { cidr?: string; name?: string };

const MOST = 4096;

function countOf(text: string): number {
  const n = /^[0-9]{1,9}$/.test(text) ? Number(text) : 0;
  if (n < 2 || n > MOST || Math.log2(n) % 1 !== 0)
    throw new TortieError(`cannot split into ${text} IP pools: the number must be a power of 2, from 2 to ${MOST}`);
  return n;
}

/** The pools that `pool` becomes. Throws TortieError when a part would be smaller than a block. */
export function partsOf(pool: IPPool, count: number): IPPool[] {
  const { ip, prefix } = parseCidr(pool.spec.cidr)!;
  const bits = 8 * ip.length;
  const length = prefix + Math.log2(count);
  const block = pool.spec.blockSize ?? (bits === 32 ? 26 : 122);
  if (length > block) throw new TortieError(`cannot split ${pool.spec.cidr} into ${count} IP pools: each would be smaller than a block of /${block}`);
  const size = 2 ** (bits - length);
  const { labels, annotations } = pool.metadata;
  return Array.from({ length: count }, (_, i) => ({
    apiVersion: pool.apiVersion,
    kind: pool.kind,
    metadata: { name: `split-${pool.metadata.name}-${i}`, ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) },
    spec: { ...pool.spec, cidr: formatCidr({ ip: addToIp(ip, i * size), prefix: length }) },
  }));
}

function find(pools: readonly IPPool[], { cidr, name }: SplitFlags): IPPool {
  const wanted = cidr === undefined ? undefined : parseCidr(cidr);
  const pool = pools.find((p) => (cidr === undefined ? p.metadata.name === name : wanted !== undefined && p.spec.cidr === formatCidr(wanted)));
  if (!pool)
    throw new TortieError(cidr === undefined ? `unable to find IP pool ${name}` : `unable to find IP pool covering the specified CIDR ${cidr}`);
  return pool;
}

/** Splits; the result is what to print. The datastore must be locked: nobody may take addresses meanwhile. */
export async function split(count: string, flags: SplitFlags, connect: () => Promise<Client>): Promise<string> {
  const parts = countOf(count);
  if ((flags.cidr === undefined) === (flags.name === undefined)) throw new TortieError("Cannot split: name the IP pool with either --cidr or --name");
  const client = await connect();
  checkLocked(await clusterInformation(client), "the split");
  const pool = find((await client.list(IP_POOL)).items, flags);
  const made = partsOf(pool, parts);
  const disabled = await client.update(IP_POOL, { ...pool, spec: { ...pool.spec, disabled: true } });
  // Two pools of one range are refused by Calico's own servers, so the old one goes first, and comes back when the new ones cannot be made.
  await client.delete(IP_POOL, pool.metadata.name, disabled.metadata.uid === undefined ? {} : { uid: disabled.metadata.uid });
  const created: IPPool[] = [];
  try {
    for (const part of made) created.push(await client.create(IP_POOL, part));
  } catch (thrown) {
    for (const part of created) await client.delete(IP_POOL, part.metadata.name);
    const { labels, annotations } = pool.metadata;
    const metadata = { name: pool.metadata.name, ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) };
    await client.create(IP_POOL, { ...pool, metadata });
    throw new TortieError(`cannot split IP pool ${pool.metadata.name}: ${messageOf(thrown)}`, { cause: thrown });
  }
  const list = created.map((p) => `  ${p.metadata.name} ${p.spec.cidr}\n`).join("");
  return `Successfully split IP pool ${pool.metadata.name} into ${parts} IP pools:\n${list}You may now unlock the data store.\n`;
}
