// Checks a value against the structure of its kind: what has the wrong type or is out of range, which fields nobody declared, and the value
// without those and without nulls that mean nothing. Texts are those of the API server of Kubernetes.
import { parseIp } from "../base/ip.ts";
import { parseCidr } from "../base/cidr.ts";
import { child, isObject, type JsonObject, type JsonValue, sameJson } from "./json.ts";
import type { FieldError } from "./meta.ts";
import type { Schema } from "./schema.ts";

export type Checked = {
  readonly errors: readonly FieldError[];
  /** Paths of undeclared fields. */
  readonly unknown: readonly string[];
  /** The value without undeclared fields. */
  readonly pruned: JsonValue;
};

const MAX_REPORTED = 50;
const DATE_TIME = /^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$/;

export function checkStructure(schema: Schema, value: JsonValue): Checked {
  const errors: FieldError[] = [];
  const unknown: string[] = [];
  const report = (field: string, reason: string, message: string): void => {
    if (errors.length < MAX_REPORTED) errors.push({ field, reason, message });
  };
  const bad = (path: string, v: JsonValue, rule: string): void =>
    report(path, "FieldValueInvalid", `Invalid value: ${JSON.stringify(v)}: ${path} in body ${rule}`);

  function walk(s: Schema, v: JsonValue, path: string): JsonValue {
    if (v === null && s.nullable) return v;
    if (s["x-kubernetes-int-or-string"]) {
      if (typeof v !== "string" && !Number.isInteger(v)) wrongType(path, "integer,string", v);
      return v;
    }
    const { type } = s;
    if (type === undefined) return v;
    switch (type) {
      case "object":
        return isObject(v) ? walkObject(s, v, path) : wrongType(path, "object", v);
      case "array":
        return Array.isArray(v) ? walkArray(s, v, path) : wrongType(path, "array", v);
      case "string":
        if (typeof v !== "string") return wrongType(path, "string", v);
        checkString(s, v, path);
        return v;
      case "integer":
      case "number":
        if (typeof v !== "number" || (type === "integer" && !Number.isSafeInteger(v))) return wrongType(path, type, v);
        if (s.minimum !== undefined && v < s.minimum) bad(path, v, `should be greater than or equal to ${s.minimum}`);
        if (s.maximum !== undefined && v > s.maximum) bad(path, v, `should be less than or equal to ${s.maximum}`);
        return v;
      case "boolean":
        return typeof v === "boolean" ? v : wrongType(path, "boolean", v);
    }
  }

  function wrongType(path: string, wanted: string, v: JsonValue): JsonValue {
    const have = v === null ? "null" : Array.isArray(v) ? "array" : typeof v === "number" && Number.isInteger(v) ? "integer" : typeof v;
    report(path, "FieldValueTypeInvalid", `Invalid value: "${have}": ${path} in body must be of type ${wanted}: "${have}"`);
    return v;
  }

  function walkObject(s: Schema, v: JsonObject, path: string): JsonObject {
    const out: JsonObject = {};
    for (const [key, member] of Object.entries(v)) {
      const declared = s.properties !== undefined && Object.hasOwn(s.properties, key) ? s.properties[key] : undefined;
      const at = declared || !s.additionalProperties ? child(path, key) : `${path}[${key}]`;
      const structure = declared ?? s.additionalProperties;
      if (structure) {
        if (member !== null || structure.nullable) out[key] = walk(structure, member, at);
      } else if (s["x-kubernetes-preserve-unknown-fields"]) out[key] = member;
      else if (unknown.length < MAX_REPORTED) unknown.push(at);
    }
    for (const key of s.required ?? []) if (!Object.hasOwn(out, key)) report(child(path, key), "FieldValueRequired", "Required value");
    return out;
  }

  function walkArray(s: Schema, v: JsonValue[], path: string): JsonValue[] {
    if (s.maxItems !== undefined && v.length > s.maxItems) {
      report(path, "FieldValueTooMany", `Too many: ${v.length}: must have at most ${s.maxItems} items`);
      return v;
    }
    const out = v.map((item, i) => (s.items ? walk(s.items, item, `${path}[${i}]`) : item));
    if (s["x-kubernetes-list-type"] === "set") {
      const seen = new Set<JsonValue>();
      for (const [i, item] of out.entries()) {
        if (seen.has(item)) report(`${path}[${i}]`, "FieldValueDuplicate", `Duplicate value: ${JSON.stringify(item)}`);
        seen.add(item);
      }
    }
    return out;
  }

  function checkString(s: Schema, v: string, path: string): void {
    if (s.enum && !s.enum.includes(v))
      report(
        path,
        "FieldValueNotSupported",
        `Unsupported value: ${JSON.stringify(v)}: supported values: ${s.enum.map((e) => JSON.stringify(e)).join(", ")}`,
      );
    if (s.maxLength !== undefined && v.length > s.maxLength) report(path, "FieldValueTooLong", `Too long: may not be more than ${s.maxLength} bytes`);
    if (s.pattern !== undefined && !new RegExp(s.pattern).test(v)) bad(path, v, `should match '${s.pattern}'`);
    if (s.format !== undefined && !formatOk(s.format, v)) bad(path, v, `must be of type ${s.format}: ${JSON.stringify(v)}`);
  }

  const pruned = walk(schema, value, "");
  return { errors, unknown, pruned };
}

function formatOk(format: NonNullable<Schema["format"]>, v: string): boolean {
  switch (format) {
    case "date-time":
      return DATE_TIME.test(v);
    case "ipv4":
      return parseIp(v)?.length === 4;
    case "ipv6":
      return parseIp(v)?.length === 16;
    case "cidr":
      return v.includes("/") && parseCidr(v) !== undefined;
    case "int32":
    case "int64":
      return true;
  }
}

/** True when the objects are the same apart from what the server itself counts (resourceVersion, managedFields). */
export function sameObject(a: JsonObject, b: JsonObject): boolean {
  const bare = (o: JsonObject): JsonObject => {
    if (!isObject(o.metadata)) return o;
    const { resourceVersion: _rv, managedFields: _mf, ...metadata } = o.metadata;
    return { ...o, metadata };
  };
  return sameJson(bare(a), bare(b));
}
