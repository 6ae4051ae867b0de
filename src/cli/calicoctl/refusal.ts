// The server's refusals, and those found before asking it, in Calico's words.
import { isObject, type JsonValue } from "../../api/json.ts";
import type { Kind } from "../../api/kind.ts";
import type { Resource } from "../../api/meta.ts";
import { TortieError } from "../../base/errors.ts";
import { ApiError } from "../../client/error.ts";

type Refused = { field?: string; message?: string };
type Field = { field: string; value: string; reason: string };

/** The value at a path such as spec.peers[0].name, as people write it; undefined when there is none. */
function valueAt(object: Resource, path: string): string | undefined {
  let at: JsonValue | undefined = object as unknown as JsonValue;
  for (const key of path.match(/[^.[\]]+/g) ?? [])
    at = Array.isArray(at) ? at[Number(key)] : isObject(at) && Object.hasOwn(at, key) ? at[key] : undefined;
  return at === undefined ? undefined : typeof at === "string" ? at : JSON.stringify(at);
}

/** "Invalid value: 70000: must be less …" gives value and reason apart. */
function fieldOf(error: Refused, object: Resource | undefined): Field {
  const { field = "", message = "" } = error;
  const m = /^(?:Invalid|Unsupported|Duplicate) value: ("(?:[^"\\]|\\.)*"|\{.*\}|\[.*\]|[^:]*): (.*)$/s.exec(message);
  const reason = (m ? m[2]! : message).replace(`${field} in body `, "");
  return { field, value: (object && valueAt(object, field)) ?? m?.[1]?.replace(/^"(.*)"$/s, "$1") ?? "", reason };
}

/** One refused field on one line, several below a heading. `object` has the values that were refused, where it is known. */
export function invalidFields(errors: readonly Refused[], object?: Resource): TortieError {
  const fields = errors.map((e) => fieldOf(e, object));
  const [one] = fields;
  if (fields.length === 1 && one) return new TortieError(`error with field ${one.field} = '${one.value}' (${one.reason})`);
  return new TortieError(`error with the following fields:\n${fields.map((f) => `-  ${f.field} = '${f.value}' (${f.reason})`).join("\n")}`);
}

export const unrecognised = (fields: readonly string[]): TortieError =>
  new TortieError(fields.map((f) => `field in document is not recognized or is in the wrong location: ${f}`).join("\n"));

/** The fields that nobody knows, from `strict decoding error: unknown field "spec.x"`. */
const unknownFields = (message: string): string[] => [...message.matchAll(/unknown field "([^"]+)"/g)].map((m) => m[1]!);

/** What calicoctl says instead of `thrown`. `namespace` only for namespaced kinds. */
export function refusal(thrown: unknown, kind: Pick<Kind, "kind">, name: string, namespace: string | undefined): unknown {
  if (!(thrown instanceof ApiError)) return thrown;
  const who = `${kind.kind}(${namespace === undefined ? name : `${namespace}/${name}`})`;
  const say = (text: string): TortieError => new TortieError(text, { cause: thrown });
  if (thrown.code === 404) return say(`resource does not exist: ${who} with error: ${thrown.message}`);
  if (thrown.reason === "AlreadyExists") return say(`resource already exists: ${who} with error: ${thrown.message}`);
  if (thrown.reason === "Conflict") return say(`update conflict: ${who}`);
  if (thrown.code === 401 || thrown.code === 403) return say(`connection is unauthorized: ${thrown.message}`);
  const causes = (thrown.status.details?.causes ?? []).filter((c) => c.field !== undefined);
  if (thrown.code === 422 && causes.length > 0) return invalidFields(causes);
  const unknown = unknownFields(thrown.message);
  if (thrown.code === 400 && unknown.length > 0) return unrecognised(unknown);
  return say(thrown.message);
}
