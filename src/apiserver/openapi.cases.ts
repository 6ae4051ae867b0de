// Objects and faults from the OpenAPI documents that a server publishes: what a client would build from them, and what nobody should.
import type { Dice } from "../base/random.cases.ts";
import { isObject, type JsonObject, type JsonValue } from "../api/json.ts";
import type { Schema } from "../api/schema.ts";

type Published = Schema & { readonly $ref?: string; readonly allOf?: readonly Published[] };
type Operation = { readonly "x-kubernetes-group-version-kind": { readonly group: string; readonly version: string; readonly kind: string } };
type PathItem = {
  readonly post?: Operation & { readonly requestBody: { readonly content: Record<string, { readonly schema: Published }> } };
  readonly patch?: Operation;
};
export type OpenApiDocument = { readonly paths: Record<string, PathItem>; readonly components: { readonly schemas: Record<string, Published> } };

/** What can be created, and where. */
export type Creatable = { readonly kind: string; readonly apiVersion: string; readonly path: string; readonly schema: Schema };

function resolve(schema: Published, document: OpenApiDocument): Published {
  const first = schema.allOf?.[0] ?? schema;
  return first.$ref === undefined ? first : resolve(document.components.schemas[first.$ref.split("/").at(-1)!]!, document);
}

/** `schema` with what it refers to in its place. */
function inlined(schema: Published, document: OpenApiDocument): Schema {
  const s = resolve(schema, document);
  return {
    ...s,
    ...(s.properties ? { properties: Object.fromEntries(Object.entries(s.properties).map(([k, p]) => [k, inlined(p, document)])) } : {}),
    ...(s.items ? { items: inlined(s.items, document) } : {}),
    ...(s.additionalProperties ? { additionalProperties: inlined(s.additionalProperties, document) } : {}),
  };
}

export const creatableOf = (document: OpenApiDocument): Creatable[] =>
  Object.entries(document.paths).flatMap(([path, { post }]) => {
    if (!post) return [];
    const { group, version, kind } = post["x-kubernetes-group-version-kind"];
    const { schema } = post.requestBody.content["application/json"]!;
    return [
      {
        kind,
        apiVersion: group === "" ? version : `${group}/${version}`,
        path: path.replace("{namespace}", "default"),
        schema: inlined(schema, document),
      },
    ];
  });

/** Texts of which one fits most patterns. */
const TEXTS = ["a", "wg0", "25s", "10.0.0.0/16", "1"];

/** A value that the schema lets through. */
export function valid(schema: Schema, dice: Dice, depth = 0): JsonValue {
  if (schema["x-kubernetes-int-or-string"]) return dice.chance(0.5) ? 1 : "100m";
  switch (schema.type) {
    case "string":
      if (schema.enum) return dice.pick(schema.enum);
      if (schema.format === "date-time") return "2026-11-23T12:00:00Z";
      if (schema.format === "cidr") return "10.0.0.0/16";
      if (schema.format === "ipv4") return "10.0.0.1";
      if (schema.format === "ipv6") return "fd00::1";
      if (schema.pattern !== undefined) return TEXTS.find((t) => new RegExp(schema.pattern!).test(t)) ?? "a";
      return dice.pick(["a", "b", "ü"]);
    case "integer":
    case "number": {
      const least = schema.minimum ?? 0;
      return least + dice.below(Math.min(1000, (schema.maximum ?? least + 1000) - least + 1));
    }
    case "boolean":
      return dice.chance(0.5);
    case "array":
      // Of one item: sets and maps want different ones.
      return schema.items && depth < 6 && dice.chance(0.5) ? [valid(schema.items, dice, depth + 1)] : [];
    case "object": {
      const out: JsonObject = {};
      for (const [name, s] of Object.entries(schema.properties ?? {}))
        if (schema.required?.includes(name) || (depth < 6 && dice.chance(0.5))) out[name] = valid(s, dice, depth + 1);
      if (schema.additionalProperties && dice.chance(0.5)) out[dice.pick(["a", "b.c/d"])] = valid(schema.additionalProperties, dice, depth + 1);
      return out;
    }
    case undefined:
      return {};
    default:
      throw new Error("a schema of no known type");
  }
}

/** A place in a value: `set` puts another value there, or takes it away (undefined). */
export type Place = {
  readonly path: string;
  readonly schema: Schema;
  readonly value: JsonValue;
  readonly required: boolean;
  readonly set: (value: JsonValue | undefined) => void;
};

/** All places below `value`, which `schema` lets through; paths as the server's errors name them. */
export function placesOf(schema: Schema, value: JsonValue, path = ""): Place[] {
  const at = (s: Schema | undefined, v: JsonValue, p: string, required: boolean, set: Place["set"]): Place[] =>
    s ? [{ path: p, schema: s, value: v, required, set }, ...placesOf(s, v, p)] : [];
  if (Array.isArray(value)) return value.flatMap((v, i) => at(schema.items, v, `${path}[${i}]`, false, (x) => void (value[i] = x ?? null)));
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([key, v]) => {
    const declared = schema.properties?.[key];
    const p = declared || !schema.additionalProperties ? (path === "" ? key : `${path}.${key}`) : `${path}[${key}]`;
    return at(declared ?? schema.additionalProperties, v, p, schema.required?.includes(key) ?? false, (x) => {
      if (x === undefined) delete value[key];
      else value[key] = x;
    });
  });
}

/** Whether unknown fields are refused or dropped there. */
export const isClosed = (schema: Schema): boolean =>
  schema.type === "object" && schema.properties !== undefined && !schema.additionalProperties && !schema["x-kubernetes-preserve-unknown-fields"];

/** A value that the schema does not let through, and why; undefined: it lets everything through. */
export function faulty({ schema, value, required }: Place, dice: Dice): { readonly value: JsonValue | undefined; readonly why: string } | undefined {
  const wrongType = (): JsonValue => {
    const others: JsonValue[] = ["x", 1.5, true, [1], { x: 1 }];
    const fits = (v: JsonValue): boolean =>
      schema.type === "array" ? Array.isArray(v) : schema.type === "object" ? isObject(v) : typeof v === schema.type;
    return dice.pick(others.filter((o) => !(schema.type === "integer" ? typeof o === "number" && Number.isInteger(o) : fits(o))));
  };
  if (schema["x-kubernetes-int-or-string"]) return { value: dice.pick<JsonValue>([1.5, true, [], {}]), why: "type" };
  if (schema.type === undefined) return undefined;
  if (schema.enum && dice.chance(0.5)) return { value: "no such word", why: "enum" };
  if (schema.maximum !== undefined && dice.chance(0.5)) return { value: schema.maximum + 1, why: "range" };
  if (schema.minimum !== undefined && dice.chance(0.5)) return { value: schema.minimum - 1, why: "range" };
  if ((schema.pattern ?? schema.format) !== undefined && schema.type === "string" && dice.chance(0.5)) return { value: "\u0000 no", why: "form" };
  if (schema.maxItems !== undefined && dice.chance(0.5)) return { value: Array.from({ length: schema.maxItems + 1 }, () => value), why: "length" };
  if (required && dice.chance(0.3)) return { value: undefined, why: "required" };
  return { value: wrongType(), why: "type" };
}
