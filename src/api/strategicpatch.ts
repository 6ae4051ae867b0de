// Strategic merge patch for the core kinds: a merge patch in which lists with a merge key are merged item by item, as the schema says.
// https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
// Directives: $patch (replace, delete, merge), $deleteFromPrimitiveList/FIELD, $setElementOrder/FIELD, $retainKeys.
import { isObject, type JsonObject, type JsonValue } from "./json.ts";
import type { Schema } from "./schema.ts";

/** A directive that cannot be followed. */
export class StrategicPatchError extends Error {}

const DELETE_FROM = "$deleteFromPrimitiveList/";
const ORDER = "$setElementOrder/";

/** `target` with `patch` applied under `schema`; neither is changed. Throws StrategicPatchError. */
export function strategicPatch(target: JsonValue | undefined, patch: JsonObject, schema: Schema | undefined): JsonValue | undefined {
  const directive = patch.$patch;
  if (directive === "delete") return {};
  if (directive === "replace") return withoutDirectives(patch);
  if (directive !== undefined && directive !== "merge") throw new StrategicPatchError(`unknown patch type found: ${JSON.stringify(directive)}`);
  const out: JsonObject = isObject(target) ? { ...target } : {};
  const retained = patch.$retainKeys;
  if (Array.isArray(retained)) {
    const keys = new Set(retained);
    for (const key of Object.keys(out)) if (!keys.has(key)) delete out[key];
  }
  for (const [key, value] of Object.entries(patch)) {
    if (key === "$patch" || key === "$retainKeys" || key.startsWith(ORDER)) continue;
    if (key.startsWith(DELETE_FROM)) {
      const field = key.slice(DELETE_FROM.length);
      if (!Array.isArray(value)) throw new StrategicPatchError(`${key} must be a list`);
      const list = out[field];
      const unwanted = new Set(value.map(textOf));
      if (Array.isArray(list)) out[field] = list.filter((x) => !unwanted.has(textOf(x)));
      continue;
    }
    const member = schema?.properties?.[key] ?? schema?.additionalProperties;
    if (value === null) delete out[key];
    else if (isObject(value)) {
      const merged = strategicPatch(out[key], value, member);
      if (merged !== undefined) out[key] = merged;
    } else if (Array.isArray(value)) out[key] = mergeList(out[key], value, member);
    else out[key] = value;
  }
  for (const [key, order] of Object.entries(patch))
    if (key.startsWith(ORDER)) {
      const field = key.slice(ORDER.length);
      const list = out[field];
      const mergeKey = (schema?.properties?.[field] ?? {})["x-kubernetes-patch-merge-key"];
      if (Array.isArray(list) && Array.isArray(order)) out[field] = sorted(list, order, mergeKey);
    }
  return out;
}

function mergeList(current: JsonValue | undefined, patch: JsonValue[], schema: Schema | undefined): JsonValue[] {
  const merges = schema?.["x-kubernetes-patch-strategy"]?.startsWith("merge") ?? false;
  if (patch.some((p) => isObject(p) && p.$patch === "replace")) return patch.filter((p) => !(isObject(p) && p.$patch === "replace"));
  if (!merges) return patch.map((p) => (isObject(p) ? withoutDirectives(p) : p));
  const key = schema?.["x-kubernetes-patch-merge-key"];
  const out: (JsonValue | undefined)[] = Array.isArray(current) ? [...current] : [];
  /** Where each item is, by what tells it from others; the first of those that are the same. Lists are as long as their writers like. */
  const places = new Map<string, number>();
  const idOf = (item: JsonValue | undefined): string | undefined =>
    key === undefined ? textOf(item) : isObject(item) ? textOf(item[key]) : undefined;
  const place = (item: JsonValue | undefined, at: number): void => {
    const id = idOf(item);
    if (id !== undefined && !places.has(id)) places.set(id, at);
  };
  for (const [at, item] of out.entries()) place(item, at);
  for (const item of patch) {
    if (key !== undefined && (!isObject(item) || item[key] === undefined))
      throw new StrategicPatchError(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
    const id = idOf(item)!;
    const at = places.get(id);
    if (key === undefined || !isObject(item)) {
      if (at === undefined) place(item, out.push(item) - 1);
    } else if (item.$patch === "delete") {
      if (at !== undefined) out[at] = undefined;
      places.delete(id);
    } else if (at === undefined) place(item, out.push(withoutDirectives(item)) - 1);
    else out[at] = strategicPatch(out[at], item, schema?.items) ?? {};
  }
  return out.filter((item) => item !== undefined);
}

/** The same for values that are the same; what lists are merged by are texts and numbers. */
const textOf = (value: JsonValue | undefined): string => JSON.stringify(value) ?? "";

// Items named in `order` come in that order, in the places that items named there hold; others stay where they are.
function sorted(list: JsonValue[], order: JsonValue[], mergeKey: string | undefined): JsonValue[] {
  const idOf = (x: JsonValue): string => textOf(mergeKey !== undefined && isObject(x) ? x[mergeKey] : x);
  const ranks = new Map([...order.entries()].toReversed().map(([i, o]) => [idOf(o), i]));
  const rank = (x: JsonValue): number => ranks.get(idOf(x)) ?? -1;
  const named = list.filter((x) => rank(x) >= 0).toSorted((a, b) => rank(a) - rank(b));
  let next = 0;
  return list.map((x) => (rank(x) >= 0 ? named[next++]! : x));
}

function withoutDirectives(value: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(value).filter(([k]) => !k.startsWith("$")));
}
