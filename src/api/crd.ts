// The definition of a kind for a real Kubernetes: CustomResourceDefinition of apiextensions.k8s.io/v1, from the kind's own schema and columns. Our server
// serves them too, to be read. https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
// Rules that a schema cannot say (Kind.validate) and defaults are not in it: they are the server's.
import { type Column, type Kind, noDefaults, resourceOf } from "./kind.ts";
import type { Resource } from "./meta.ts";
import { anything, resource, type Schema } from "./schema.ts";

export type PrinterColumn = { name: string; type: string; description: string; priority?: number; jsonPath: string };
export type CustomResourceDefinition = Resource & {
  spec: {
    group: string;
    names: { plural: string; singular: string; kind: string; listKind: string; shortNames?: readonly string[]; categories?: readonly string[] };
    scope: "Cluster" | "Namespaced";
    versions: {
      name: string;
      served: true;
      storage: true;
      schema: { openAPIV3Schema: Schema };
      subresources?: { status: object };
      additionalPrinterColumns?: PrinterColumn[];
      selectableFields?: { jsonPath: string }[];
    }[];
  };
  status?: object;
};

export function customResourceDefinition(kind: Kind): CustomResourceDefinition {
  const { group, plural, singular, shortNames, categories } = kind;
  const columns = kind.columns.flatMap((c) => printerColumn(c, kind.schema) ?? []);
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: resourceOf(kind) },
    spec: {
      group,
      names: {
        plural,
        singular,
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        ...(shortNames.length > 0 ? { shortNames } : {}),
        ...(categories.length > 0 ? { categories } : {}),
      },
      scope: kind.namespaced ? "Namespaced" : "Cluster",
      versions: [
        {
          name: kind.version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: structural(kind.schema) },
          ...(kind.hasStatus ? { subresources: { status: {} } } : {}),
          ...(columns.length > 0 ? { additionalPrinterColumns: columns } : {}),
          ...(kind.selectable ? { selectableFields: kind.selectable.map((f) => ({ jsonPath: `.${f}` })) } : {}),
        },
      ],
    },
  };
}

/** Those that can be custom resources. */
export const isCustom = (kind: Kind): boolean => !kind.builtIn;

/** What is not allowed in a definition left out: the fields of metadata, and the strategies of strategic merge patches. */
function structural(schema: Schema): Schema {
  const { properties, ...rest } = withoutStrategies(schema);
  return { ...rest, properties: { ...properties, metadata: { type: "object" } } };
}

function withoutStrategies(schema: Schema): Schema {
  const { "x-kubernetes-patch-strategy": _s, "x-kubernetes-patch-merge-key": _k, ...kept } = schema;
  return {
    ...kept,
    ...(kept.properties ? { properties: Object.fromEntries(Object.entries(kept.properties).map(([k, s]) => [k, withoutStrategies(s)])) } : {}),
    ...(kept.items ? { items: withoutStrategies(kept.items) } : {}),
    ...(kept.additionalProperties ? { additionalProperties: withoutStrategies(kept.additionalProperties) } : {}),
  };
}

/** Undefined for a column that is more than a field: a definition has only paths. */
function printerColumn(column: Column<Resource>, schema: Schema): PrinterColumn | undefined {
  const path = fieldRead(column);
  if (!path || !leadsTo(schema, path)) return undefined;
  const { name, type, description, priority } = column;
  return { name, type, description, ...(priority > 0 ? { priority } : {}), jsonPath: path.map((p) => `.${p}`).join("") };
}

const PATH = Symbol("path");

/** The path of the field that a column shows as it is, found by letting it read an object whose every field says where it is. */
function fieldRead(column: Column<Resource>): string[] | undefined {
  const at = (path: string[]): object =>
    new Proxy({}, { get: (_, key) => (key === PATH ? path : typeof key === "string" ? at([...path, key]) : undefined) });
  try {
    const read: unknown = column.value(at([]) as Resource);
    return typeof read === "object" && read !== null ? (read as { [PATH]?: string[] })[PATH] : undefined;
  } catch {
    return undefined;
  }
}

const leadsTo = (schema: Schema | undefined, path: readonly string[]): boolean =>
  schema !== undefined &&
  (path.length === 0 ? schema.type !== "object" && schema.type !== "array" : leadsTo(schema.properties?.[path[0]!], path.slice(1)));

/** The kind of the definitions themselves, which are only read. */
export const CUSTOM_RESOURCE_DEFINITION: Kind = {
  group: "apiextensions.k8s.io",
  version: "v1",
  kind: "CustomResourceDefinition",
  plural: "customresourcedefinitions",
  singular: "customresourcedefinition",
  shortNames: ["crd", "crds"],
  namespaced: false,
  hasStatus: false,
  builtIn: true,
  categories: ["api-extensions"],
  schema: resource("How a kind is defined. These can only be read.", { spec: anything("The definition."), status: anything("Observed state.") }, [
    "spec",
  ]),
  defaults: noDefaults,
  validate: () => [],
  columns: [{ name: "Created At", type: "string", priority: 0, description: "When the server started.", value: (c) => c.metadata.creationTimestamp }],
};
