// Paths of the Kubernetes API. https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
import type { Kind } from "../api/kind.ts";

export type Names = Pick<Kind, "group" | "version" | "plural" | "namespaced">;
export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** "?a=b&c=d", or "". Absent values are left out. */
export function queryOf(query: Query): string {
  const parts = Object.entries(query).flatMap(([k, v]) =>
    v === undefined || v === "" ? [] : [`${encodeURIComponent(k)}=${encodeURIComponent(String(v))}`],
  );
  return parts.length > 0 ? `?${parts.join("&")}` : "";
}

/** Path of a collection (no `name`) or of one object. A namespaced kind without `namespace` means all namespaces. */
export function pathOf(kind: Names, at: { namespace?: string | undefined; name?: string; subresource?: string | undefined } = {}): string {
  const base = kind.group === "" ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const scope = kind.namespaced && at.namespace !== undefined ? `/namespaces/${encodeURIComponent(at.namespace)}` : "";
  const one = at.name === undefined ? "" : `/${encodeURIComponent(at.name)}${at.subresource ? `/${at.subresource}` : ""}`;
  return `${base}${scope}/${kind.plural}${one}`;
}
