// patch: read, apply, check, write. Whatever cannot be applied is refused before anything changes.
import { isObject, type JsonObject, type JsonValue, parseJson } from "../../api/json.ts";
import { jsonPatch } from "../../api/jsonpatch.ts";
import { mergePatch } from "../../api/mergepatch.ts";
import type { Resource } from "../../api/meta.ts";
import { strategicPatch } from "../../api/strategicpatch.ts";
import { messageOf, TortieError } from "../../base/errors.ts";
import type { Backend } from "./backend.ts";
import { checkChange } from "./check.ts";
import type { ResourceType } from "./types.ts";

export const PATCH_TYPES = ["strategic", "merge", "json"] as const;
export type PatchType = (typeof PATCH_TYPES)[number];

const fail = (step: string, why: string): TortieError => new TortieError(`hit error: ${step}: ${why}`);
const PERFORMING: Readonly<Record<PatchType, string>> = {
  strategic: "performing strategic merge patch",
  merge: "performing merge patch",
  json: "performing JSON patch",
};

function parsePatch(text: string, type: PatchType): JsonValue {
  let parsed: ReturnType<typeof parseJson>;
  try {
    parsed = parseJson(text);
  } catch (thrown) {
    throw fail(PERFORMING[type], `invalid JSON document: ${messageOf(thrown)}`);
  }
  if (parsed.duplicates.length > 0) throw fail(PERFORMING[type], `invalid JSON document: the field ${parsed.duplicates[0]} is given twice`);
  if (type === "json" ? !Array.isArray(parsed.value) : !isObject(parsed.value))
    throw fail(PERFORMING[type], `invalid JSON document: it must be ${type === "json" ? "an array of operations" : "an object"}`);
  return parsed.value;
}

function applied(current: Resource, patch: JsonValue, type: PatchType, kind: ResourceType["kind"]): Resource {
  const target = JSON.parse(JSON.stringify(current)) as JsonObject;
  let result: JsonValue | undefined;
  try {
    if (type === "json") result = jsonPatch(target, patch);
    else if (type === "merge") result = mergePatch(target, patch);
    else result = strategicPatch(target, patch as JsonObject, kind.schema);
  } catch (thrown) {
    throw fail(PERFORMING[type], messageOf(thrown));
  }
  if (!isObject(result) || !isObject(result.metadata)) throw fail("creating resource from patched data", "the result is not a resource");
  for (const field of ["apiVersion", "kind"] as const)
    if (result[field] !== current[field]) throw fail("creating resource from patched data", `${field} cannot be changed`);
  for (const field of ["name", "namespace", "uid"] as const)
    if (result.metadata[field] !== current.metadata[field]) throw fail("creating resource from patched data", `metadata.${field} cannot be changed`);
  return result as unknown as Resource;
}

/** Patches one resource; throws with calicoctl's words ("hit error: …"). */
export async function patchResource(
  backend: Backend,
  type: ResourceType,
  name: string,
  patchText: string,
  options: { type: PatchType; namespace: string | undefined },
): Promise<void> {
  const patch = parsePatch(patchText, options.type);
  try {
    await backend.modify(type, name, options.namespace, (current) => {
      const next = applied(current, patch, options.type, type.kind);
      try {
        checkChange(type, next, current);
      } catch (thrown) {
        throw fail("creating resource from patched data", messageOf(thrown));
      }
      return next;
    });
  } catch (thrown) {
    const words = messageOf(thrown);
    if (words.startsWith("hit error:")) throw thrown;
    const step = words.startsWith("resource does not exist:") || words.startsWith("operation ") ? "" : "updating existing resource: ";
    throw new TortieError(`hit error: ${step}${words}`, { cause: thrown, hint: thrown instanceof TortieError ? thrown.hint : "" });
  }
}
