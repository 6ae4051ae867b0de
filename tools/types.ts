// The kinds' schemas as TypeScript types, and a file that compiles only while the types written by hand are the same.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Kind } from "../src/api/kind.ts";
import { OBJECT_META, type Schema } from "../src/api/schema.ts";

const SOURCES = join(import.meta.dirname, "../src/api");
const key = (name: string): string => (/^[A-Za-z_]\w*$/.test(name) ? name : JSON.stringify(name));

/** The type of the values that `schema` lets through. */
export function typeOf(schema: Schema): string {
  const type = plainType(schema);
  return schema.nullable ? `${type} | null` : type;
}

function plainType(schema: Schema): string {
  if (schema["x-kubernetes-int-or-string"]) return "number | string";
  switch (schema.type) {
    case undefined:
      return "unknown";
    case "string":
      return schema.enum ? schema.enum.map((e) => JSON.stringify(e)).join(" | ") : "string";
    case "integer":
    case "number":
      return "number";
    case "boolean":
      return "boolean";
    case "array":
      return `(${schema.items ? typeOf(schema.items) : "unknown"})[]`;
    case "object":
      return objectType(schema);
    default:
      throw new Error("a schema of no known type");
  }
}

function objectType({ properties, required = [], additionalProperties, "x-kubernetes-preserve-unknown-fields": open }: Schema): string {
  const members = Object.entries(properties ?? {}).map(([name, s]) => `${key(name)}${required.includes(name) ? "" : "?"}: ${typeOf(s)}`);
  if (additionalProperties) members.push(`[key: string]: ${typeOf(additionalProperties)}`);
  else if (open) members.push("[key: string]: unknown");
  return `{ ${members.join("; ")} }`;
}

/** Where each kind is exported: its file and the name. */
async function exportsOf(kinds: readonly Kind[]): Promise<Map<Kind, { file: string; name: string }>> {
  const found = new Map<Kind, { file: string; name: string }>();
  for (const file of readdirSync(SOURCES)
    .filter((f) => f.endsWith(".ts") && !/\.(test|cases)\.ts$/.test(f))
    .toSorted()) {
    const module = (await import(join(SOURCES, file))) as Record<string, unknown>;
    for (const [name, value] of Object.entries(module))
      if (file !== "index.ts" && kinds.includes(value as Kind)) found.set(value as Kind, { file, name });
  }
  return found;
}

/** Text of the file that does not compile when a type and its schema differ. */
export async function typeChecks(kinds: readonly Kind[]): Promise<string> {
  const places = await exportsOf(kinds);
  const sorted = kinds.map((kind) => ({ kind, ...places.get(kind)! })).toSorted((a, b) => (a.file < b.file ? -1 : 1));
  const checks = sorted.map(({ kind, name }) => {
    const { apiVersion: _a, kind: _k, metadata: _m, ...own } = kind.schema.properties!;
    return `  True<Same<Own<typeof ${name}>, ${objectType({ ...kind.schema, properties: own })}>>,\n`;
  });
  // As it is read: with a name, and without what is taken from writers and dropped.
  const { selfLink: _s, ...read } = OBJECT_META.properties!;
  const metadata = objectType({
    ...OBJECT_META,
    required: ["name"],
    properties: Object.fromEntries(Object.entries(read).map(([name, { nullable: _n, ...schema }]) => [name, schema])),
  });
  return `// Written from the kinds' schemas by tools/reference.ts: change those, not this. It compiles only while the types say the same as the schemas.
${sorted.map(({ file, name }) => `import type { ${name} } from "./${file}";\n`).join("")}import type { Kind } from "./kind.ts";
import type { ObjectMeta } from "./meta.ts";

type Flat<T> = T extends readonly (infer U)[] ? Flat<U>[] : T extends object ? { [K in keyof T]: Flat<T[K]> } : T;
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
type True<T extends true> = T;
/** What an object of the kind has beside apiVersion, kind and metadata. */
type Own<K> = K extends Kind<infer T> ? Omit<T, "apiVersion" | "kind" | "metadata"> : never;
type Same<A, B> = Equal<Flat<A>, Flat<B>>;

/** What all kinds share, then one line a kind: that which differs does not compile. */
export type Checks = [
  True<Same<ObjectMeta, ${metadata}>>,
${checks.join("")}];
`;
}
