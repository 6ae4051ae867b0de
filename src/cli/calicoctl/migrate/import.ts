// datastore migrate import: a file of `export` into an empty store, which stays locked until somebody unlocks it.
import { BLOCK_AFFINITY } from "../../../api/blockaffinity.ts";
import { CLUSTER_INFORMATION } from "../../../api/clusterinformation.ts";
import { FELIX_CONFIGURATION } from "../../../api/felixconfiguration.ts";
import { IPAM_BLOCK } from "../../../api/ipamblock.ts";
import { IPAM_HANDLE } from "../../../api/ipamhandle.ts";
import { IP_POOL } from "../../../api/ippool.ts";
import type { Kind } from "../../../api/kind.ts";
import { NODE } from "../../../api/node.ts";
import { messageOf, TortieError } from "../../../base/errors.ts";
import { isNotFound } from "../../../client/error.ts";
import type { Client } from "../../../client/types.ts";
import { backend } from "../backend.ts";
import { setLock } from "../lock.ts";
import { type Exported, renewed } from "./file.ts";

/** Throws when there is anything that an import could overwrite. What every store has from its first moment does not count. */
async function checkEmpty(client: Client): Promise<void> {
  for (const kind of [IP_POOL, IPAM_BLOCK, BLOCK_AFFINITY, IPAM_HANDLE, FELIX_CONFIGURATION] as unknown as Kind[]) {
    const { items } = await client.list(kind).catch((thrown: unknown) => {
      if (!isNotFound(thrown)) throw thrown;
      throw new TortieError(`cannot import: the cluster does not know the kind ${kind.kind}`, {
        cause: thrown,
        hint: "Install Calico's definitions there first, or those of docs/reference/crds.",
      });
    });
    const some = items.find((o) => kind.kind !== FELIX_CONFIGURATION.kind || o.metadata.name !== "default");
    if (some)
      throw new TortieError(`datastore is not empty: there is a ${kind.kind}, ${some.metadata.name}`, {
        hint: "Import into the datastore of a new server.",
      });
  }
}

/** Writes everything; the result is what to print. What could not be written is told at the end, all of it. */
export async function importAll(client: Client, { items, cluster, ipam }: Exported): Promise<string> {
  await checkEmpty(client);
  await setLock(client, true);
  const calico = backend(client);
  const nodes = new Set((await client.list(NODE)).items.map((n) => n.metadata.name));
  const [warnings, failures]: [string[], string[]] = [[], []];
  const attempt = async (what: string, write: Promise<unknown>): Promise<void> => {
    try {
      await write;
    } catch (thrown) {
      failures.push(`${what}: ${messageOf(thrown)}`);
    }
  };
  for (const { type, object } of items) {
    const { name } = object.metadata;
    if (type.kind.kind === "Node" && !nodes.has(name))
      warnings.push(
        `[WARNING] Attempted to import node ${name} from etcd that references a nonexistent Kubernetes node. Skipping it: its agent adds it when it starts.\n`,
      );
    else await attempt(`${type.kind.kind}(${name})`, calico.apply(type, object));
  }
  const create = async <T extends Parameters<typeof renewed>[1]>(kind: Kind<T>, objects: readonly T[]): Promise<void> => {
    for (const o of objects) await attempt(`${kind.kind}(${o.metadata.name})`, client.create(kind, renewed(kind, o)));
  };
  await create(IPAM_BLOCK, ipam.blocks);
  await create(BLOCK_AFFINITY, ipam.block_affinities);
  await create(IPAM_HANDLE, ipam.ipam_handles);
  const { clusterGUID } = cluster.spec ?? {};
  if (clusterGUID !== undefined) await attempt("ClusterInformation", client.patch(CLUSTER_INFORMATION, "default", { spec: { clusterGUID } }));
  if (failures.length > 0)
    throw new TortieError(`${warnings.join("")}cannot import all: ${failures.join("; ")}`, {
      hint: "The datastore stays locked. Mend the file and import it into a new datastore.",
    });
  return `${warnings.join("")}Datastore information successfully imported. The datastore is locked: run \`calicoctl datastore migrate unlock\` when all is as it should be.\n`;
}
