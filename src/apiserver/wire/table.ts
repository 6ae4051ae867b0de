// Tables: what `kubectl get` prints. https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
import { age } from "../../api/age.ts";
import type { Column, Kind } from "../../api/kind.ts";
import type { Resource } from "../../api/meta.ts";

type ColumnDefinition = { name: string; type: string; format: string; description: string; priority: number };
export type IncludeObject = "None" | "Metadata" | "Object";

const NAME: ColumnDefinition = { name: "Name", type: "string", format: "name", description: "Name of the object.", priority: 0 };
const AGE: Column<Resource> = { name: "Age", type: "date", priority: 0, description: "Since creation.", value: (o) => o.metadata.creationTimestamp };

const columnsOf = (kind: Kind): readonly Column<Resource>[] => (kind.columns.length > 0 ? kind.columns : [AGE]);

export const columnDefinitions = (kind: Kind): ColumnDefinition[] => [
  ...(kind.nameColumn === false ? [] : [NAME]),
  // A date is sent as an age, so that every client prints the same; the tables of the core kinds also say so.
  ...columnsOf(kind).map((c) => ({
    name: c.name,
    type: c.type === "date" && kind.builtIn ? "string" : c.type,
    format: "",
    description: c.description,
    priority: c.priority,
  })),
];

/** One row; `now` in ms. `version` is that of meta.k8s.io. */
export function rowOf(kind: Kind, object: Resource, options: { now: number; include: IncludeObject; version: string }): object {
  const cells = columnsOf(kind).map((c) => {
    const value = c.value(object);
    if (c.type === "date") return typeof value === "string" ? age(options.now - Date.parse(value)) : "<unknown>";
    return value ?? null;
  });
  const shown = options.include === "None" ? undefined : options.include === "Object" ? object : partial(object, options.version);
  return { cells: kind.nameColumn === false ? cells : [object.metadata.name, ...cells], ...(shown ? { object: shown } : {}) };
}

/** Only the metadata of an object. */
export const partial = (object: Resource, version: string): object => ({
  kind: "PartialObjectMetadata",
  apiVersion: `meta.k8s.io/${version}`,
  metadata: object.metadata,
});

/** A bookmark's row: no cells, only the version that it marks. */
export const bookmarkRow = (kind: Kind, object: Resource, version: string): object => ({
  cells: columnDefinitions(kind).map(() => null),
  object: partial(object, version),
});

export const table = (version: string, metadata: object, definitions: ColumnDefinition[] | null, rows: object[]): object => ({
  kind: "Table",
  apiVersion: `meta.k8s.io/${version}`,
  metadata,
  columnDefinitions: definitions,
  rows,
});
