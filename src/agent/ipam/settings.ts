// What the cluster's administrators say about the giving of addresses: IPAMConfiguration, and whether the datastore is locked.
import { CLUSTER_INFORMATION } from "../../api/clusterinformation.ts";
import { IPAM_CONFIGURATION } from "../../api/ipamconfiguration.ts";
import { TortieError } from "../../base/errors.ts";
import { find } from "../../client/find.ts";
import type { Client } from "../../client/types.ts";

export type Settings = {
  /** Nodes take no addresses from blocks of other nodes. */
  readonly strictAffinity: boolean;
  /** How many blocks a node may still claim that has `owned` of them. */
  readonly blocksLeft: (owned: number) => number;
};

/** Reads them. Throws TortieError while the datastore is locked: what is being split or moved must stand still. */
export async function settingsOf(client: Client): Promise<Settings> {
  const [configuration, cluster] = await Promise.all([find(client, IPAM_CONFIGURATION, "default"), find(client, CLUSTER_INFORMATION, "default")]);
  if (cluster?.spec?.datastoreReady === false)
    throw new TortieError("Cannot give out addresses: the datastore is locked", { hint: "calicoctl datastore migrate unlock ends it." });
  const { strictAffinity = false, autoAllocateBlocks = true, maxBlocksPerHost = 0 } = configuration?.spec ?? {};
  const most = maxBlocksPerHost > 0 ? maxBlocksPerHost : Infinity;
  return { strictAffinity, blocksLeft: (owned) => (autoAllocateBlocks ? Math.max(0, most - owned) : 0) };
}
