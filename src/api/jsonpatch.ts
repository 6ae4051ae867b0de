// JSON Patch, RFC 6902, over pointers of RFC 6901. Bounded: at most MAX_OPERATIONS operations, and what "copy" adds stays below MAX_COPIED.
import { copyJson, isObject, type JsonObject, type JsonValue, sameJson } from "./json.ts";

export const MAX_OPERATIONS = 10_000;
/** Characters of JSON that copies may add in all. */
export const MAX_COPIED: number = 3 * 1024 * 1024;

/** Why a patch cannot be applied: `malformed` is the patch's own fault, else the object does not fit it (test failed, path missing). */
export class JsonPatchError extends Error {
  readonly malformed: boolean;
  constructor(message: string, malformed: boolean) {
    super(message);
    this.name = "JsonPatchError";
    this.malformed = malformed;
  }
}
const malformed = (message: string): never => {
  throw new JsonPatchError(message, true);
};
const misfit = (message: string): never => {
  throw new JsonPatchError(message, false);
};

function pointer(text: unknown, index: number): string[] {
  if (typeof text !== "string") return malformed(`operation ${index}: the path must be a string`);
  if (text === "") return [];
  if (!text.startsWith("/") || /~(?![01])/.test(text)) return malformed(`operation ${index}: "${text}" is not a JSON pointer`);
  const parts = text
    .slice(1)
    .split("/")
    .map((p) => p.replaceAll("~1", "/").replaceAll("~0", "~"));
  return parts.includes("__proto__") ? malformed(`operation ${index}: the key "__proto__" is not allowed`) : parts;
}

function arrayIndex(list: JsonValue[], token: string, forInsert: boolean): number {
  if (forInsert && token === "-") return list.length;
  const at = /^(0|[1-9][0-9]{0,8})$/.test(token) ? Number(token) : misfit(`"${token}" is not an index`);
  return at < list.length + (forInsert ? 1 : 0) ? at : misfit(`index ${at} is out of bounds`);
}

function get(root: JsonValue, path: readonly string[]): JsonValue {
  let at = root;
  for (const token of path) {
    if (Array.isArray(at)) at = at[arrayIndex(at, token, false)]!;
    else if (isObject(at) && Object.hasOwn(at, token)) at = at[token]!;
    else return misfit(`path /${path.join("/")} does not exist`);
  }
  return at;
}

// `root` is our own copy: containers are changed in place.
function add(root: JsonValue, path: readonly string[], value: JsonValue): JsonValue {
  if (path.length === 0) return value;
  const parent = get(root, path.slice(0, -1));
  const token = path.at(-1)!;
  if (Array.isArray(parent)) parent.splice(arrayIndex(parent, token, true), 0, value);
  else if (isObject(parent)) parent[token] = value;
  else misfit(`path /${path.join("/")} does not lead into an object or array`);
  return root;
}

function remove(root: JsonValue, path: readonly string[]): JsonValue {
  if (path.length === 0) return misfit("the whole object cannot be removed");
  get(root, path);
  const parent = get(root, path.slice(0, -1)) as JsonValue[] | JsonObject;
  const token = path.at(-1)!;
  if (Array.isArray(parent)) parent.splice(arrayIndex(parent, token, false), 1);
  else delete parent[token];
  return root;
}

/** `target` with the operations applied in order; `target` is not changed. Throws JsonPatchError. */
export function jsonPatch(target: JsonValue, patch: JsonValue): JsonValue {
  if (!Array.isArray(patch)) return malformed("a JSON patch is an array of operations");
  if (patch.length > MAX_OPERATIONS) return malformed(`a JSON patch has at most ${MAX_OPERATIONS} operations, this one has ${patch.length}`);
  let root = copyJson(target);
  let copied = 0;
  for (const [i, op] of patch.entries()) {
    if (!isObject(op)) return malformed(`operation ${i} is not an object`);
    const path = pointer(op.path, i);
    const value = (): JsonValue => (Object.hasOwn(op, "value") ? copyJson(op.value!) : malformed(`operation ${i}: value is missing`));
    switch (typeof op.op === "string" ? op.op : "") {
      case "add":
        root = add(root, path, value());
        break;
      case "remove":
        root = remove(root, path);
        break;
      case "replace":
        get(root, path);
        root = path.length === 0 ? value() : add(remove(root, path), path, value());
        break;
      case "move": {
        const from = pointer(op.from, i);
        if (from.length < path.length && from.every((t, n) => t === path[n])) return misfit(`operation ${i}: a value cannot be moved into itself`);
        const moved = get(root, from);
        if (from.length === path.length && from.every((t, n) => t === path[n])) break;
        root = add(remove(root, from), path, moved);
        break;
      }
      case "copy": {
        const source = get(root, pointer(op.from, i));
        copied += JSON.stringify(source).length;
        if (copied > MAX_COPIED) return malformed("the copies of this patch are too large");
        root = add(root, path, copyJson(source));
        break;
      }
      case "test":
        if (!sameJson(get(root, path), value())) return misfit(`operation ${i}: testing value /${path.join("/")} failed`);
        break;
      default:
        return malformed(`operation ${i}: unknown op ${JSON.stringify(op.op ?? null)}`);
    }
  }
  return root;
}
