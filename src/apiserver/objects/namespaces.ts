// Namespaces hold what is in them: nothing is made in one that is missing or ending. What empties a deleted one is termination.ts.
import type { Kind } from "../../api/kind.ts";
import type { Resource } from "../../api/meta.ts";
import { NAMESPACE } from "../../api/namespace.ts";
import { forbidden, notFound } from "../../api/status.ts";

const KEPT = ["default", "kube-system", "kube-node-lease"];

/** `found`, when something (`object` of `kind`) may be made in it. Throws ApiError: 404 without the namespace, 403 while it is being deleted. */
export function openNamespace(kind: Kind, object: string, namespace: string, found: Resource | undefined): Resource {
  if (!found) throw notFound(NAMESPACE, namespace);
  if (found.metadata.deletionTimestamp === undefined) return found;
  throw forbidden(kind, object, `unable to create new content in namespace ${namespace} because it is being terminated`, [
    { reason: "NamespaceTerminating", message: `namespace ${namespace} is being terminated`, field: "metadata.namespace" },
  ]);
}

/** Throws ApiError 403 for the namespaces that stay. */
export function mayBeDeleted(namespace: string): void {
  if (KEPT.includes(namespace)) throw forbidden(NAMESPACE, namespace, "this namespace may not be deleted");
}
