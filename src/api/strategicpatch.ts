// Strategic merge patch for the core kinds: a merge patch in which lists with a merge key are merged item by item, as the schema says.
// https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
// Directives: $patch (replace, delete, merge), $deleteFromPrimitiveList/FIELD, $setElementOrder/FIELD, $retainKeys.
import { isObject, type JsonObject, type JsonValue, sameJson } from "./json.ts";
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
  if (Array.isArray(retained)) for (const key of Object.keys(out)) if (!retained.includes(key)) delete out[key];
  for (const [key, value] of Object.entries(patch)) {
    if (key === "$patch" || key === "$retainKeys" || key.startsWith(ORDER)) continue;
    if (key.startsWith(DELETE_FROM)) {
      const field = key.slice(DELETE_FROM.length);
      if (!Array.isArray(value)) throw new StrategicPatchError(`${key} must be a list`);
      const list = out[field];
      if (Array.isArray(list)) out[field] = list.filter((x) => !value.some((v) => sameJson(v, x)));
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
  let out = Array.isArray(current) ? [...current] : [];
  for (const item of patch) {
    if (key === undefined) {
      if (!out.some((x) => sameJson(x, item))) out.push(item);
      continue;
    }
    if (!isObject(item) || item[key] === undefined)
      throw new StrategicPatchError(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
    const at = out.findIndex((x) => isObject(x) && sameJson(x[key], item[key]));
    if (item.$patch === "delete") out = out.filter((_, i) => i !== at);
    else if (at < 0) out.push(withoutDirectives(item));
    else out[at] = strategicPatch(out[at], item, schema?.items) ?? {};
  }
  return out;
}

// Items named in `order` come in that order, in the places that items named there hold; others stay where they are.
function sorted(list: JsonValue[], order: JsonValue[], mergeKey: string | undefined): JsonValue[] {
  const idOf = (x: JsonValue): JsonValue | undefined => (mergeKey !== undefined && isObject(x) ? x[mergeKey] : x);
  const rank = (x: JsonValue): number => order.findIndex((o) => sameJson(idOf(o), idOf(x)));
  const named = list.filter((x) => rank(x) >= 0).toSorted((a, b) => rank(a) - rank(b));
  return list.map((x) => (rank(x) >= 0 ? named.shift()! : x));
}

function withoutDirectives(value: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(value).filter(([k]) => !k.startsWith("$")));
}
