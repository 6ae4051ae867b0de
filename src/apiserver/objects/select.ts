// Which objects of a collection a list or watch is about: labels, fields, and from which version.
import { type FieldSelector, parseFieldSelector } from "../../api/fieldselector.ts";
import type { Kind } from "../../api/kind.ts";
import { type LabelSelector, parseLabelSelector, SelectorError } from "../../api/labelselector.ts";
import type { Resource } from "../../api/meta.ts";
import { badRequest, tooLargeResourceVersion } from "../../api/status.ts";
import type { Store } from "../../store/store.ts";

export type Selection = { readonly narrow: boolean; readonly matches: (object: Resource) => boolean; readonly name: string | undefined };

/** Throws ApiError 400. */
export function selectionOf(kind: Kind, query: URLSearchParams): Selection {
  const labels = query.get("labelSelector") ?? "";
  const fields = query.get("fieldSelector") ?? "";
  let byLabel: LabelSelector;
  let byField: FieldSelector;
  try {
    byLabel = parseLabelSelector(labels);
    byField = parseFieldSelector(fields, kind);
  } catch (thrown) {
    if (thrown instanceof SelectorError) throw badRequest(thrown.message);
    throw thrown;
  }
  return {
    narrow: labels !== "" || fields !== "",
    matches: (object) => byLabel(object.metadata.labels) && byField.matches(object),
    name: byField.terms.find((t) => t.field === "metadata.name" && t.equal)?.value,
  };
}

/** A resourceVersion in a query; undefined when absent. Throws ApiError 400. */
export function versionOf(query: URLSearchParams): number | undefined {
  const text = query.get("resourceVersion") ?? "";
  if (text === "") return undefined;
  const n = Number(text);
  if (!/^[0-9]{1,16}$/.test(text) || !Number.isSafeInteger(n))
    throw badRequest(
      `invalid resource version: resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  return n;
}

/** A whole number ≥ 0 in a query. Throws ApiError 400. */
export function countOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name) ?? "";
  if (text === "") return undefined;
  if (!/^[0-9]{1,12}$/.test(text)) throw badRequest(`invalid value for ${name}: ${JSON.stringify(text)} is not a whole number`);
  return Number(text);
}

/** How long a version that is not reached yet is waited for. */
const PATIENCE_MS = 3000;

/** Waits until the store has `revision`, or the asker is gone. Throws ApiError 504. */
export async function reached(store: Store, revision: number, asker: { readonly signal: AbortSignal }): Promise<void> {
  if (store.revision >= revision) return;
  // Another server on the same store may have given it out.
  await store.sync();
  if (store.revision >= revision) return;
  const { signal } = asker;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      stop();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, PATIENCE_MS);
    const stop = store.watch("", store.revision, () => {
      if (store.revision >= revision) done();
    });
    signal.addEventListener("abort", done);
  });
  if (store.revision < revision) throw tooLargeResourceVersion(revision, store.revision);
}
