// YAML as calicoctl prints it: keys in alphabetical order, lists not indented, nothing folded, and quoted what YAML 1.1 readers would take for
// something else than text.
import { stringify } from "yaml";

/** The value with the keys of every object in alphabetical order, absent ones left out. */
export function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, v]) => v !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([k, v]) => [k, sorted(v)]));
}

/** One document, with its last newline. */
export const yamlOf = (value: unknown): string =>
  stringify(sorted(value), { version: "1.1", indent: 2, indentSeq: false, lineWidth: 0, aliasDuplicateObjects: false });

/** calicoctl's JSON: indented by two, kind and apiVersion first, no newline at the end. */
export function jsonOf(value: unknown): string {
  const first = (v: unknown): unknown => {
    if (Array.isArray(v)) return v.map(first);
    if (typeof v !== "object" || v === null || !("kind" in v && "apiVersion" in v)) return v;
    const { kind, apiVersion, metadata, items, ...rest } = v as Record<string, unknown>;
    return { kind, apiVersion, metadata, ...rest, ...(items === undefined ? {} : { items: first(items) }) };
  };
  return JSON.stringify(first(value), null, 2);
}
