// What a writer sent: JSON or YAML into an object, with the keys that stood twice. Texts of the errors as Kubernetes'.
import type { Kind } from "../../api/kind.ts";
import { apiVersionOf } from "../../api/kind.ts";
import { child, InexactNumber, isObject, type JsonObject, type JsonValue, MAX_DEPTH, type Parsed, parseJson } from "../../api/json.ts";
import { badRequest, invalid, unsupportedMediaType } from "../../api/status.ts";
import { messageOf } from "../../base/errors.ts";
import { decodeProtobuf, hasProtobuf } from "./protobuf.ts";

const [JSON_TYPE, YAML_TYPE, PROTOBUF_TYPE] = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

/** Bytes that a request may have. */
export const BODY_LIMIT: number = 3 * 1024 * 1024;

/** Bytes that a body of YAML may have: reading YAML takes time that grows faster than its length, and it is read while nobody else is served. */
export const YAML_LIMIT: number = 64 * 1024;

export const mediaType = (header: string | undefined): string => (header ?? "application/json").split(";")[0]!.trim().toLowerCase();

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Throws SyntaxError. */
export async function parseText(bytes: Uint8Array, yaml: boolean): Promise<Parsed> {
  if (yaml && bytes.length > YAML_LIMIT) throw new SyntaxError(`YAML is taken up to ${YAML_LIMIT} bytes; send JSON`);
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw new SyntaxError("the text is not UTF-8");
  }
  return yaml ? parseYaml(text) : parseJson(text);
}

async function parseYaml(text: string): Promise<Parsed> {
  // Loaded only now: most bodies are JSON.
  const { parseDocument } = await import("yaml");
  const document = parseDocument(text, { uniqueKeys: true, logLevel: "silent", schema: "core", intAsBigInt: true });
  const duplicate = document.errors.find((e) => e.code === "DUPLICATE_KEY");
  if (duplicate) throw new SyntaxError(duplicate.message.split("\n")[0]);
  // The parser calls itself for each level, until it cannot.
  if (document.errors[0]?.message.startsWith("Maximum call stack")) throw new SyntaxError("nested too deep");
  if (document.errors[0]) throw new SyntaxError(document.errors[0].message.split("\n")[0]);
  // Once more as JSON: the same limits on depth and keys, and no dates or other types of YAML.
  return parseJson(JSON.stringify(withNumbers(document.toJS({ maxAliasCount: 100 }), "", new Set(), 0)));
}

/** `value` with the whole numbers of YAML as numbers, in place; `seen`: what aliases name again. Throws InexactNumber, SyntaxError. */
function withNumbers(value: unknown, path: string, seen: Set<object>, depth: number): unknown {
  if (typeof value === "bigint") {
    if (!Number.isSafeInteger(Number(value))) throw new InexactNumber(path, String(value).slice(0, 40));
    return Number(value);
  }
  if (typeof value !== "object" || value === null || seen.has(value)) return value;
  if (depth === MAX_DEPTH) throw new SyntaxError(`nested deeper than ${MAX_DEPTH} levels`);
  seen.add(value);
  const members = value as Record<string, unknown>;
  for (const [key, member] of Object.entries(members)) {
    const at = Array.isArray(value) ? `${path}[${key}]` : child(path, key);
    members[key] = withNumbers(member, at, seen, depth + 1);
  }
  return value;
}

/** What is needed to read an object of a kind. */
export type Form = Pick<Kind, "group" | "version" | "kind" | "builtIn">;
export type Decoded = { readonly object: JsonObject; readonly duplicates: readonly string[] };

/** An object of `kind`, as a create or an update sends it; apiVersion and kind are filled in or must fit. Throws ApiError. */
export async function decodeObject(kind: Form, bytes: Uint8Array, contentType: string | undefined): Promise<Decoded> {
  const type = mediaType(contentType);
  const protobuf = kind.builtIn && hasProtobuf(kind.kind);
  if (type !== JSON_TYPE && type !== YAML_TYPE && !(type === PROTOBUF_TYPE && protobuf))
    throw unsupportedMediaType([JSON_TYPE, YAML_TYPE, ...(protobuf ? [PROTOBUF_TYPE] : [])]);
  const wanted = `the object provided is unrecognized (must be of type ${kind.kind})`;
  let parsed: Parsed;
  try {
    parsed = type === PROTOBUF_TYPE ? { value: decodeProtobuf(bytes), duplicates: [] } : await parseText(bytes, type === YAML_TYPE);
  } catch (thrown) {
    refuseInexact(kind, thrown);
    throw badRequest(`${wanted}: couldn't get version/kind; json parse error: ${messageOf(thrown)}`);
  }
  const object = parsed.value;
  if (!isObject(object)) throw badRequest(`${wanted}: couldn't get version/kind; json parse error: the body is not an object`);
  return { object: typed(kind, object), duplicates: parsed.duplicates };
}

/** Throws ApiError 422 for a number that would come back as another one; anything else is left to the caller. */
export function refuseInexact(kind: Pick<Kind, "group" | "kind">, thrown: unknown): void {
  if (thrown instanceof InexactNumber) throw invalid(kind, "", [{ field: thrown.field, reason: "FieldValueInvalid", message: thrown.message }]);
}

/** `object` with apiVersion and kind, which must be those of `kind` where they are given. Throws ApiError. */
export function typed(kind: Form, object: JsonObject): JsonObject {
  const apiVersion = apiVersionOf(kind);
  if (object.kind !== undefined && object.kind !== kind.kind) {
    const name = isObject(object.metadata) && typeof object.metadata.name === "string" ? object.metadata.name : "";
    const message = `Invalid value: ${JSON.stringify(object.kind)}: must be ${kind.kind}`;
    throw invalid(kind, name, [{ field: "kind", reason: "FieldValueInvalid", message }]);
  }
  if (object.apiVersion !== undefined && object.apiVersion !== apiVersion)
    throw badRequest(
      `the API version in the data (${JSON.stringify(object.apiVersion).replaceAll('"', "")}) does not match the expected API version (${apiVersion})`,
    );
  return { ...object, apiVersion, kind: kind.kind };
}

/** The options in the body of a delete. Throws SyntaxError. */
export async function decodeDeleteOptions(bytes: Uint8Array, contentType: string | undefined): Promise<JsonValue> {
  const type = mediaType(contentType);
  return type === PROTOBUF_TYPE ? decodeProtobuf(bytes) : (await parseText(bytes, type === YAML_TYPE)).value;
}
