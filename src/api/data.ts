// What ConfigMap and Secret have in common: maps of keys to texts or bytes, with one limit on their size, that can be made immutable.
// Rules and texts: https://kubernetes.io/docs/concepts/configuration/configmap/ and …/secret/
import { fromBase64 } from "../base/bytes.ts";
import { sameJson } from "./json.ts";
import type { Column } from "./kind.ts";
import type { FieldError, Resource } from "./meta.ts";

/** Names of the fields with plain texts and with base64; undefined: there is none. */
export type DataFields = { readonly text?: string; readonly base64: string };
type WithData = Resource & { immutable?: boolean };

/** Bytes of all values together. */
const MAX_DATA: number = 1024 * 1024;
const KEY = /^[-._a-zA-Z0-9]{1,253}$/;

const mapOf = (object: Resource, field: string | undefined): Record<string, string> =>
  (field === undefined ? undefined : (object as unknown as Record<string, Record<string, string> | undefined>)[field]) ?? {};

/** What is wrong with the keys, the values, their size, or the change of something immutable. */
export function dataProblems(object: WithData, fields: DataFields, old?: WithData): FieldError[] {
  const errors: FieldError[] = [];
  let size = 0;
  for (const field of [fields.text, fields.base64])
    for (const [key, value] of Object.entries(mapOf(object, field))) {
      if (!KEY.test(key) || key === "." || key.startsWith(".."))
        errors.push({
          field: `${field}[${key}]`,
          reason: "FieldValueInvalid",
          message: `Invalid value: ${JSON.stringify(key)}: a valid config key must consist of alphanumeric characters, '-', '_' or '.'`,
        });
      // Without the value: it may be a secret.
      if (field === fields.base64 && !fromBase64(value))
        errors.push({ field: `${field}[${key}]`, reason: "FieldValueInvalid", message: "Invalid value: the value is not base64" });
      size += field === fields.base64 ? Math.floor((value.length * 3) / 4) : value.length;
    }
  if (size > MAX_DATA)
    errors.push({ field: fields.text ?? fields.base64, reason: "FieldValueTooLong", message: `Too long: may not be more than ${MAX_DATA} bytes` });
  if (old?.immutable) {
    const frozen = (field: string): void =>
      void errors.push({ field, reason: "FieldValueForbidden", message: "Forbidden: field is immutable when `immutable` is set" });
    if (!object.immutable) frozen("immutable");
    for (const field of [fields.text, fields.base64]) if (field !== undefined && !sameJson(mapOf(object, field), mapOf(old, field))) frozen(field);
  }
  return errors;
}

/** How many keys there are. */
export const dataColumn = (fields: DataFields): Column<Resource> => ({
  name: "Data",
  type: "integer",
  priority: 0,
  description: "How many keys it has.",
  value: (o) => Object.keys(mapOf(o, fields.text)).length + Object.keys(mapOf(o, fields.base64)).length,
});
