// The lock of the datastore: ClusterInformation.spec.datastoreReady. While it is false no addresses are given out.
import { CLUSTER_INFORMATION, type ClusterInformation } from "../../api/clusterinformation.ts";
import { TortieError } from "../../base/errors.ts";
import { find } from "../../client/find.ts";
import type { Client } from "../../client/types.ts";

/** Throws TortieError for a cluster without ClusterInformation. */
export async function clusterInformation(client: Client): Promise<ClusterInformation> {
  const found = await find(client, CLUSTER_INFORMATION, "default");
  if (!found) throw new TortieError("the cluster has no ClusterInformation: Calico is not installed there");
  return found;
}

export const isLocked = (cluster: ClusterInformation): boolean => cluster.spec?.datastoreReady === false;

/** Throws calicoctl's sentence; `aim` is what the lock is wanted for. */
export function checkLocked(cluster: ClusterInformation, aim: string): void {
  if (!isLocked(cluster))
    throw new TortieError(`datastore is not locked. Run the \`calicoctl datastore migrate lock\` command in order to begin ${aim}`);
}

export async function setLock(client: Client, locked: boolean): Promise<void> {
  await clusterInformation(client);
  await client.patch(CLUSTER_INFORMATION, "default", { spec: { datastoreReady: !locked } });
}
