// The file of `datastore migrate export`: the resources as YAML documents, ClusterInformation as JSON, IPAM's objects as JSON; lines of "===" between.
import { readFileSync } from "node:fs";
import type { BlockAffinity } from "../../../api/blockaffinity.ts";
import type { ClusterInformation } from "../../../api/clusterinformation.ts";
import type { IPAMBlock } from "../../../api/ipamblock.ts";
import type { IPAMConfiguration } from "../../../api/ipamconfiguration.ts";
import type { IPAMHandle } from "../../../api/ipamhandle.ts";
import type { IPPool } from "../../../api/ippool.ts";
import { isObject, type JsonObject, parseJson } from "../../../api/json.ts";
import { apiVersionOf, type Kind } from "../../../api/kind.ts";
import { kindOf } from "../../../api/kinds.ts";
import type { Resource } from "../../../api/meta.ts";
import { checkStructure } from "../../../api/structure.ts";
import { messageOf, TortieError } from "../../../base/errors.ts";
import { checkDocument } from "../check.ts";
import { type Item, itemsOfText } from "../input.ts";
import type { Addresses } from "../ipam/load.ts";
import { jsonOf, yamlOf } from "../yaml.ts";

export type IpamObjects = { blocks: IPAMBlock[]; block_affinities: BlockAffinity[]; ipam_handles: IPAMHandle[] };
export type Exported = { items: Item[]; cluster: ClusterInformation; ipam: IpamObjects };

const SEPARATOR = "===\n";

export const formatExport = (resources: readonly Resource[], cluster: ClusterInformation, ipam: IpamObjects): string =>
  [resources.map(yamlOf).join("---\n"), `${jsonOf(cluster)}\n`, `${jsonOf(ipam)}\n`].join(SEPARATOR);

/** A list of whole objects of the kinds that IPAM keeps; throws for anything else. */
function checked(value: unknown, kind: string): Resource[] {
  if (!Array.isArray(value)) throw new TortieError(`it has no list of ${kind}s`);
  return value.map((o: unknown) => {
    const found = isObject(o) ? kindOf(o as { apiVersion: string; kind: string }) : undefined;
    if (!found || found.kind !== kind) throw new TortieError(`${JSON.stringify(o).slice(0, 80)} is not a ${kind}`);
    const { errors, unknown } = checkStructure(found.schema, o as JsonObject);
    const problem = errors[0] ? `${errors[0].field}: ${errors[0].message}` : unknown[0] && `unknown field ${unknown[0]}`;
    if (problem) throw new TortieError(`a ${kind} is not one: ${problem}`);
    return o as Resource;
  });
}

function json(text: string): JsonObject {
  const { value } = parseJson(text);
  if (!isObject(value)) throw new TortieError("it is not an object");
  return value;
}

/** Reads a whole file; throws TortieError before anything is used of a bad one. */
export function readExport(path: string): Exported {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (thrown) {
    throw new TortieError(`cannot read ${path}: ${messageOf(thrown)}`, { cause: thrown });
  }
  const [resources = "", cluster, ipam] = text.split(/^===\r?\n/m);
  if (cluster === undefined) throw new TortieError("no cluster information specified in file");
  if (ipam === undefined || ipam.trim() === "") throw new TortieError("no IPAM resources specified in file");
  const items = itemsOfText(resources, path);
  for (const { type, object } of items) checkDocument(type, object);
  try {
    const { blocks, block_affinities, ipam_handles } = json(ipam);
    return {
      items,
      cluster: json(cluster) as unknown as ClusterInformation,
      ipam: {
        blocks: checked(blocks, "IPAMBlock") as IPAMBlock[],
        block_affinities: checked(block_affinities, "BlockAffinity") as BlockAffinity[],
        ipam_handles: checked(ipam_handles, "IPAMHandle") as IPAMHandle[],
      },
    };
  } catch (thrown) {
    throw new TortieError(`cannot read ${path}: ${messageOf(thrown)}`, { cause: thrown });
  }
}

/** What `ipam show` needs, as it was when the file was written. */
export function addressesOf({ items, ipam }: Exported): Addresses {
  const of = (kind: string): Resource[] => items.filter((i) => i.type.kind.kind === kind).map((i) => i.object);
  const [configuration] = of("IPAMConfiguration") as IPAMConfiguration[];
  return { pools: of("IPPool") as IPPool[], blocks: ipam.blocks, configuration };
}

/** `object` as it would be written anew: what the other store assigned is left out. */
export function renewed<T extends Resource>(kind: Kind<T>, object: T): T {
  const { name, namespace, labels, annotations } = object.metadata;
  const metadata = { name, ...(namespace ? { namespace } : {}), ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) };
  return { ...object, apiVersion: apiVersionOf(kind), kind: kind.kind, metadata };
}
