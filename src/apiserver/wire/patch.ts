// The patch types, by content type, and which kinds take which.
import { isObject, type JsonObject, type JsonValue } from "../../api/json.ts";
import { jsonPatch, JsonPatchError } from "../../api/jsonpatch.ts";
import type { Kind } from "../../api/kind.ts";
import { mergePatch } from "../../api/mergepatch.ts";
import { ApiError, badRequest, noServerSideApply, unsupportedMediaType } from "../../api/status.ts";
import { strategicPatch, StrategicPatchError } from "../../api/strategicpatch.ts";
import { messageOf } from "../../base/errors.ts";
import { mediaType, parseText, refuseInexact } from "./body.ts";

const JSON_PATCH = "application/json-patch+json";
const MERGE_PATCH = "application/merge-patch+json";
const APPLY_PATCH = "application/apply-patch+yaml";
const STRATEGIC_PATCH = "application/strategic-merge-patch+json";
/** Core kinds have merge keys; others have no strategic patch, as custom resources of Kubernetes. */
const acceptedBy = (kind: Kind): string[] => [JSON_PATCH, MERGE_PATCH, ...(kind.builtIn ? [STRATEGIC_PATCH] : [])];

export type Patch = {
  readonly duplicates: readonly string[];
  /** `current` with the patch applied, a new object. Throws ApiError. */
  readonly apply: (current: JsonObject) => JsonObject;
};

/** Reads a patch for `kind`. Throws ApiError: 415 for a type it does not take, 400 for what cannot be read. */
export async function readPatch(kind: Kind, bytes: Uint8Array, contentType: string | undefined): Promise<Patch> {
  const type = mediaType(contentType);
  if (type === APPLY_PATCH) throw noServerSideApply(acceptedBy(kind));
  if (contentType === undefined || !acceptedBy(kind).includes(type)) throw unsupportedMediaType(acceptedBy(kind));
  let value: JsonValue;
  let duplicates: readonly string[];
  try {
    ({ value, duplicates } = await parseText(bytes, false));
  } catch (thrown) {
    refuseInexact(kind, thrown);
    throw badRequest(`error decoding patch: ${messageOf(thrown)}`);
  }
  if (type === JSON_PATCH) return { duplicates, apply: (current) => object(applyJsonPatch(current, value)) };
  if (!isObject(value)) throw badRequest("error decoding patch: a merge patch is an object");
  const patch = value;
  if (type === MERGE_PATCH) return { duplicates, apply: (current) => object(mergePatch(current, patch)) };
  return { duplicates, apply: (current) => object(applyStrategic(current, patch, kind)) };
}

function object(value: JsonValue | undefined): JsonObject {
  if (!isObject(value)) throw badRequest("error decoding patch: the result is not an object");
  return value;
}

function applyJsonPatch(current: JsonObject, patch: JsonValue): JsonValue {
  try {
    return jsonPatch(current, patch);
  } catch (thrown) {
    if (!(thrown instanceof JsonPatchError)) throw thrown;
    if (thrown.malformed) throw badRequest(`error decoding patch: ${thrown.message}`);
    throw new ApiError({
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: "the server rejected our request due to an error in our request",
      reason: "Invalid",
      details: { causes: [{ field: "patch", message: thrown.message }] },
      code: 422,
    });
  }
}

function applyStrategic(current: JsonObject, patch: JsonObject, kind: Kind): JsonValue | undefined {
  try {
    return strategicPatch(current, patch, kind.schema);
  } catch (thrown) {
    if (thrown instanceof StrategicPatchError) throw badRequest(`error decoding patch: ${thrown.message}`);
    throw thrown;
  }
}
