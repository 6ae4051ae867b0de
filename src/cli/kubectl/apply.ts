// kubectl apply -f: three-way merge between what was applied before, what is wanted, and what is there.
// https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/#how-apply-calculates-differences-and-merges-changes
import { isObject, type JsonObject, type JsonValue, sameJson } from "../../api/json.ts";
import { kindOf } from "../../api/kinds.ts";
import type { Resource } from "../../api/meta.ts";
import { TortieError } from "../../base/errors.ts";
import { isNotFound } from "../../client/error.ts";
import type { RestClient } from "../../client/rest.ts";
import { readDocuments } from "../calicoctl/input.ts";
import { sorted } from "../calicoctl/yaml.ts";
import { refusal, refusalText } from "./refusal.ts";
import { titleOf } from "./resolve.ts";

const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

/** The merge patch that makes `wanted` of `there`; what was in `before` and is no longer wanted goes. undefined: nothing to do. */
export function threeWay(before: JsonObject, wanted: JsonObject, there: JsonObject): JsonObject | undefined {
  const patch: JsonObject = {};
  for (const [key, value] of Object.entries(wanted)) {
    const current: JsonValue | undefined = Object.hasOwn(there, key) ? there[key] : undefined;
    if (isObject(value) && isObject(current)) {
      const old = before[key];
      const inner = threeWay(isObject(old) ? old : {}, value, current);
      if (inner) patch[key] = inner;
    } else if (value !== null && !sameJson(value, current)) patch[key] = value;
    else if (value === null && current !== undefined) patch[key] = null;
  }
  for (const key of Object.keys(before)) if (!Object.hasOwn(wanted, key) && Object.hasOwn(there, key)) patch[key] = null;
  return Object.keys(patch).length > 0 ? patch : undefined;
}

function withAnnotation(object: Resource, text: string): Resource {
  return { ...object, metadata: { ...object.metadata, annotations: { ...object.metadata.annotations, [LAST_APPLIED]: text } } };
}

function previous(there: Resource): JsonObject {
  try {
    const value: unknown = JSON.parse(there.metadata.annotations?.[LAST_APPLIED] ?? "{}");
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

async function applyOne(client: RestClient, manifest: Resource, namespace: string, source: string): Promise<string> {
  const kind = kindOf(manifest);
  if (!kind)
    throw new TortieError(
      `error: resource mapping not found for name: "${manifest.metadata?.name ?? ""}": no matches for kind "${manifest.kind}" in version "${manifest.apiVersion}"`,
    );
  const name = manifest.metadata?.name;
  if (!name) throw new TortieError("error: resource name may not be empty");
  const scope = kind.namespaced ? { namespace: manifest.metadata.namespace ?? namespace } : {};
  const plain: Resource = { ...manifest, metadata: { ...manifest.metadata, ...scope, annotations: { ...manifest.metadata.annotations } } };
  delete plain.metadata.annotations![LAST_APPLIED];
  const wanted = withAnnotation(plain, `${JSON.stringify(sorted(plain))}\n`);
  const options = { ...scope, fieldManager: "kubectl-client-side-apply", fieldValidation: "Strict" } as const;
  let there: Resource;
  try {
    there = await client.get(kind, name, scope);
  } catch (thrown) {
    if (!isNotFound(thrown)) throw thrown;
    await client.create(kind, wanted, options).catch((error: unknown) => {
      throw refusal(error, `error when creating "${source}": `);
    });
    return `${titleOf(kind, name)} created`;
  }
  const patch = threeWay(previous(there), wanted as unknown as JsonObject, there as unknown as JsonObject);
  if (!patch) return `${titleOf(kind, name)} unchanged`;
  await client.patch(kind, name, patch, { ...options, type: "merge" });
  return `${titleOf(kind, name)} configured`;
}

export async function apply(client: RestClient, path: string, recursive: boolean, namespace: string): Promise<number> {
  const manifests = readDocuments(path, recursive).flatMap((value): Resource[] => {
    if (!isObject(value)) return [];
    return (value.kind === "List" && Array.isArray(value.items) ? value.items : [value]) as unknown as Resource[];
  });
  if (manifests.length === 0) throw new TortieError("error: no objects passed to apply");
  let failed = 0;
  for (const manifest of manifests) {
    try {
      process.stdout.write(`${await applyOne(client, manifest, namespace, path === "-" ? "STDIN" : path)}\n`);
    } catch (thrown) {
      failed = 1;
      process.stderr.write(`${refusalText(thrown)}\n`);
    }
  }
  return failed;
}
