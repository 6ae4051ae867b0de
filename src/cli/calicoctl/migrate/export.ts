// datastore migrate export: everything that a person or IPAM wrote, as one file for `import` into another store of ours.
import { BLOCK_AFFINITY } from "../../../api/blockaffinity.ts";
import { IPAM_BLOCK } from "../../../api/ipamblock.ts";
import { IPAM_HANDLE } from "../../../api/ipamhandle.ts";
import type { Kind } from "../../../api/kind.ts";
import type { Resource } from "../../../api/meta.ts";
import { TortieError } from "../../../base/errors.ts";
import type { Client } from "../../../client/types.ts";
import { backend } from "../backend.ts";
import { checkLocked, clusterInformation } from "../lock.ts";
import { type ResourceType, TYPES } from "../types.ts";
import { isOurs } from "../version.ts";
import { formatExport, renewed } from "./file.ts";

/** Those with a place of their own in the file. */
const ELSEWHERE = new Set(["ClusterInformation", "IPAMBlock", "BlockAffinity", "IPAMHandle"]);
const exported = ({ kind }: ResourceType): boolean => kind.group === "projectcalico.org" && !ELSEWHERE.has(kind.kind);

/** A Node's status is its keys, which are kept; of the others it is what their nodes reported, and will again. */
function written(object: Resource): Resource {
  if (object.kind === "Node" || !("status" in object)) return object;
  const { status: _s, ...rest } = object;
  return rest;
}

const all = async <T extends Resource>(client: Client, kind: Kind<T>): Promise<T[]> => (await client.list(kind)).items.map((o) => renewed(kind, o));

/** The text of the file. Throws TortieError when the datastore is not locked, or is Calico's own. */
export async function exportAll(client: Client): Promise<string> {
  const cluster = await clusterInformation(client);
  if (!isOurs(cluster))
    throw new TortieError("invalid datastore type: kubernetes to export from for datastore migration. Datastore type must be etcdv3", {
      hint: "Only what a tortie server keeps is exported; kubectl get -o yaml prints what a cluster keeps.",
    });
  checkLocked(cluster, "migration");
  const resources: Resource[] = [];
  for (const type of TYPES.filter(exported))
    for (const object of (await backend(client).list(type)).items) resources.push(written(renewed(type.kind, object)));
  return formatExport(resources, cluster, {
    block_affinities: await all(client, BLOCK_AFFINITY),
    blocks: await all(client, IPAM_BLOCK),
    ipam_handles: await all(client, IPAM_HANDLE),
  });
}
