// What a kind or one of its fields is, as text: the words of `kubectl explain`, from the same schema, with the limits that it does not show.
import type { Kind } from "./kind.ts";
import { OBJECT_META, type Schema } from "./schema.ts";

/** "string", "[]Object", "map[string]string", "ObjectMeta": as kubectl names types. */
export function typeName(schema: Schema): string {
  if (schema === OBJECT_META) return "ObjectMeta";
  if (schema["x-kubernetes-int-or-string"]) return "IntOrString";
  if (schema.type === "array") return `[]${schema.items ? typeName(schema.items) : "Object"}`;
  if (schema.type === "object" && schema.additionalProperties) return `map[string]${typeName(schema.additionalProperties)}`;
  return schema.type === "object" || schema.type === undefined ? "Object" : schema.type;
}

/** The fields that are below `schema`, through lists and maps. */
export const fieldsOf = (schema: Schema): Readonly<Record<string, Schema>> =>
  schema.properties ?? (schema.items ? fieldsOf(schema.items) : schema.additionalProperties ? fieldsOf(schema.additionalProperties) : {});
const requiredOf = (schema: Schema): readonly string[] =>
  schema.required ?? (schema.items ? requiredOf(schema.items) : schema.additionalProperties ? requiredOf(schema.additionalProperties) : []);

/** The schema at a path of field names, or how many of them lead somewhere. */
export function fieldAt(schema: Schema, path: readonly string[]): Schema | number {
  let at = schema;
  for (const [i, name] of path.entries()) {
    const fields = fieldsOf(at);
    if (!Object.hasOwn(fields, name)) return i;
    at = fields[name]!;
  }
  return at;
}

/** What values must keep to, beside their type: "from 1 to 65535", "matches ^a$". */
export function limitsOf(schema: Schema): string[] {
  const { minimum, maximum, maxLength, maxItems, pattern, format, nullable } = schema;
  const range =
    minimum !== undefined && maximum !== undefined
      ? [`from ${minimum} to ${maximum}`]
      : minimum !== undefined
        ? [`at least ${minimum}`]
        : maximum !== undefined
          ? [`at most ${maximum}`]
          : [];
  return [
    ...range,
    ...(maxLength === undefined ? [] : [`at most ${maxLength} characters`]),
    ...(maxItems === undefined ? [] : [`at most ${maxItems} items`]),
    ...(pattern === undefined ? [] : [`matches ${pattern}`]),
    ...(format === undefined ? [] : [format]),
    ...(nullable ? ["or null"] : []),
    ...(schema["x-kubernetes-preserve-unknown-fields"] ? ["further fields are kept as they are"] : []),
  ];
}
/** The words that are allowed, of the field or of its items. */
export const wordsOf = (schema: Schema): readonly string[] => schema.enum ?? schema.items?.enum ?? [];

const WIDTH = 76;
/** Lines of at most WIDTH characters, each indented by `by`. */
function wrapped(text: string, by: number): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].map((l) => `${" ".repeat(by)}${l}\n`).join("");
}

const words = (schema: Schema): string =>
  wordsOf(schema)
    .map((w) => (w === "" ? '""' : w))
    .join(", ");
const described = (schema: Schema): string => {
  const limits = limitsOf(schema);
  return [schema.description ?? "", limits.length > 0 ? `(${limits.join("; ")})` : ""].filter((t) => t !== "").join(" ") || "<no description>";
};

function list(schema: Schema, recursive: boolean, depth: number): string {
  const required = requiredOf(schema);
  return Object.entries(fieldsOf(schema))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, field]) => {
      const head = `${" ".repeat(depth)}${name}\t<${typeName(field)}>${required.includes(name) ? " -required-" : ""}\n`;
      const choice = wordsOf(field).length > 0 ? `${" ".repeat(depth)}enum: ${words(field)}\n` : "";
      return recursive ? head + choice + list(field, recursive, depth + 2) : `${head}${choice}${wrapped(described(field), depth + 2)}\n`;
    })
    .join("");
}

/** The text of a kind, or of the field at `path`, which is there. */
export function explain(kind: Kind, path: readonly string[], { recursive = false }: { recursive?: boolean } = {}): string {
  const schema = fieldAt(kind.schema, path) as Schema;
  const group = kind.group === "" ? "" : `GROUP:      ${kind.group}\n`;
  const names = `${group}KIND:       ${kind.kind}\nVERSION:    ${kind.version}\n\n`;
  const field = path.length === 0 ? "" : `FIELD: ${path.at(-1)} <${typeName(schema)}>\n`;
  const choice =
    wordsOf(schema).length > 0
      ? `ENUM:\n${wordsOf(schema)
          .map((w) => `    ${w === "" ? '""' : w}\n`)
          .join("")}\n`
      : "";
  const fields = list(schema, recursive, 2);
  return (
    `${names}${field}${choice || (field && "\n")}DESCRIPTION:\n${wrapped(described(schema), 4)}\n${fields === "" ? "" : `FIELDS:\n${fields}`}`.trimEnd() +
    "\n"
  );
}

/** The kind that "ippools.spec.cidr" begins with, also with its group ("ippools.projectcalico.org.spec.cidr"), and the path of the field behind it. */
export function splitField(text: string, find: (word: string, group?: string) => Kind | undefined): { kind: Kind; path: string[] } | undefined {
  const [word = "", ...path] = text.split(".");
  for (let n = path.length; n > 0; n--) {
    const kind = find(word, path.slice(0, n).join("."));
    if (kind) return { kind, path: path.slice(n) };
  }
  const kind = find(word);
  return kind && { kind, path };
}
