// Schemas as they are published: with the markers that clients compute changes by written out where the schema leaves them to be understood.
// https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
import type { Schema } from "../../api/schema.ts";

type Published = Schema | { readonly $ref: string };

/** Name and schema of what is a number or a text, which stands by itself so that clients name it. */
export const INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
export const INT_OR_STRING_SCHEMA: object = {
  description: "A whole number, or a text.",
  "x-kubernetes-int-or-string": true,
  oneOf: [{ type: "integer" }, { type: "string" }],
};

/** `schema` with the list type of each list: with a merge key a map, merged without one a set, else replaced as a whole. */
export function published(schema: Schema): Published {
  if (schema["x-kubernetes-int-or-string"]) return { $ref: `#/components/schemas/${INT_OR_STRING}` };
  return {
    ...schema,
    ...(schema.type === "array" ? listMarkers(schema) : {}),
    ...(schema.properties ? { properties: Object.fromEntries(Object.entries(schema.properties).map(([k, s]) => [k, published(s) as Schema])) } : {}),
    ...(schema.items ? { items: published(schema.items) as Schema } : {}),
    ...(schema.additionalProperties ? { additionalProperties: published(schema.additionalProperties) as Schema } : {}),
  };
}

function listMarkers(schema: Schema): Partial<Schema> {
  const key = schema["x-kubernetes-patch-merge-key"];
  const merged = schema["x-kubernetes-patch-strategy"]?.includes("merge") ?? false;
  const type = schema["x-kubernetes-list-type"] ?? (key !== undefined ? "map" : merged ? "set" : "atomic");
  const keys = schema["x-kubernetes-list-map-keys"] ?? (key === undefined ? undefined : [key]);
  return { "x-kubernetes-list-type": type, ...(type === "map" && keys ? { "x-kubernetes-list-map-keys": keys } : {}) };
}
