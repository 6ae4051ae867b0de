// JSON Merge Patch, RFC 7386: objects merge, null deletes, everything else replaces.
import { isObject, type JsonObject, type JsonValue } from "./json.ts";

/** `target` with `patch` applied; neither is changed. */
export function mergePatch(target: JsonValue | undefined, patch: JsonValue): JsonValue {
  if (!isObject(patch)) return patch;
  const out: JsonObject = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete out[key];
    else out[key] = mergePatch(out[key], value);
  }
  return out;
}
