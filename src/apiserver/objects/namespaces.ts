// Namespaces hold what is in them: nothing is made in one that is missing or ending, and what is in one goes before it.
import { isObject, type JsonObject } from "../../api/json.ts";
import type { Kind } from "../../api/kind.ts";
import { NAMESPACE } from "../../api/namespace.ts";
import { forbidden, notFound } from "../../api/status.ts";
import { list } from "./list.ts";
import type { Registry, WriteOptions } from "./registry.ts";

const KEPT = ["default", "kube-system", "kube-node-lease"];

/** Throws ApiError: 404 without the namespace, 403 while it is being deleted. */
export async function namespaceMustBe(registry: Registry, namespace: string, kind: Kind, object: JsonObject): Promise<void> {
  const found = await registry.find(NAMESPACE, "", namespace);
  if (!found) throw notFound(NAMESPACE, namespace);
  if (found.metadata.deletionTimestamp === undefined) return;
  const name = isObject(object.metadata) && typeof object.metadata.name === "string" ? object.metadata.name : "";
  throw forbidden(kind, name, `unable to create new content in namespace ${namespace} because it is being terminated`);
}

/** Deletes what is in the namespace. Throws ApiError 403 for those that stay. */
export async function emptyNamespace(registry: Registry, kinds: readonly Kind[], name: string, options: WriteOptions): Promise<void> {
  if (KEPT.includes(name)) throw forbidden(NAMESPACE, name, "this namespace may not be deleted");
  if (options.dryRun || !(await registry.find(NAMESPACE, "", name))) return;
  for (const kind of kinds.filter((k) => k.namespaced)) {
    const { items } = await list(registry, kind, name, new URLSearchParams(), new AbortController().signal);
    for (const o of items)
      await registry.remove(
        { kind, namespace: name, name: o.metadata.name, subresource: "", rest: "" },
        { user: options.user, dryRun: false, validation: "Ignore" },
      );
  }
}
