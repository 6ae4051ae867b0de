// The structure of a kind as JSON Schema, in the subset that Kubernetes calls structural (OpenAPI v3): plain data, so that it is published as it
// is in /openapi/v3 and costs nothing to load. https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
// structure.ts checks objects against it.

export type Schema = {
  readonly description?: string;
  readonly type?: "object" | "array" | "string" | "integer" | "number" | "boolean";
  readonly nullable?: boolean;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  /** A map: every value has this structure. */
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  readonly maxItems?: number;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly format?: "date-time" | "ipv4" | "ipv6" | "cidr" | "int32" | "int64";
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  /** Undeclared fields are kept as they are. */
  readonly "x-kubernetes-preserve-unknown-fields"?: boolean;
  readonly "x-kubernetes-int-or-string"?: boolean;
  readonly "x-kubernetes-list-type"?: "atomic" | "set" | "map";
  readonly "x-kubernetes-list-map-keys"?: readonly string[];
  readonly "x-kubernetes-patch-strategy"?: "merge" | "retainKeys" | "merge,retainKeys";
  readonly "x-kubernetes-patch-merge-key"?: string;
};

type Extra = Omit<Schema, "type" | "description">;

/** An object with these fields; `required` names those that must be there. */
export const object = (description: string, properties: Record<string, Schema>, required: readonly string[] = []): Schema => ({
  type: "object",
  description,
  properties,
  ...(required.length > 0 ? { required } : {}),
});
export const map = (description: string, values: Schema): Schema => ({ type: "object", description, additionalProperties: values });
export const list = (description: string, items: Schema, extra: Extra = {}): Schema => ({ type: "array", description, items, ...extra });
export const string = (description: string, extra: Extra = {}): Schema => ({ type: "string", description, ...extra });
export const integer = (description: string, minimum?: number, maximum?: number): Schema => ({
  type: "integer",
  description,
  ...(minimum === undefined ? {} : { minimum }),
  ...(maximum === undefined ? {} : { maximum }),
});
export const boolean = (description: string): Schema => ({ type: "boolean", description });
export const time = (description: string): Schema => string(description, { format: "date-time" });
/** Any object, kept as it is. */
export const anything = (description: string): Schema => ({ type: "object", description, "x-kubernetes-preserve-unknown-fields": true });

const ownerReference: Schema = object(
  "An object that this one depends on.",
  {
    apiVersion: string("API version of the owner."),
    kind: string("Kind of the owner."),
    name: string("Name of the owner."),
    uid: string("UID of the owner."),
    controller: boolean("Whether the owner is the managing controller."),
    blockOwnerDeletion: boolean("Whether the owner waits for this object when it is deleted in the foreground."),
  },
  ["apiVersion", "kind", "name", "uid"],
);

/** metadata of every kind. */
export const OBJECT_META: Schema = object("Standard object metadata.", {
  name: string("Unique name within the kind (and namespace)."),
  generateName: string("Prefix of a name that the server completes."),
  namespace: string("Namespace; empty for cluster-scoped kinds."),
  uid: string("Identity of this object in time and space; set by the server."),
  selfLink: string("Not used."),
  resourceVersion: string("Opaque version for optimistic concurrency and for watches; set by the server."),
  generation: integer("Counts changes of the desired state; set by the server."),
  creationTimestamp: { ...time("When the object was created; set by the server."), nullable: true },
  deletionTimestamp: { ...time("When deletion was asked for; set by the server."), nullable: true },
  deletionGracePeriodSeconds: integer("Seconds until removal."),
  labels: map("Keys and values to select objects by.", string("A label's value.")),
  annotations: map("Keys and values that are not selected by.", string("An annotation's value.")),
  finalizers: list("Names that must be gone before the object is removed.", string("A finalizer."), {
    "x-kubernetes-list-type": "set",
    "x-kubernetes-patch-strategy": "merge",
  }),
  ownerReferences: list("Objects that this one depends on.", ownerReference, {
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["uid"],
    "x-kubernetes-patch-strategy": "merge",
    "x-kubernetes-patch-merge-key": "uid",
  }),
  managedFields: list("Which writer owns which field.", anything("One writer's fields.")),
});

/** A whole object: apiVersion, kind and metadata with `fields` beside them. */
export const resource = (description: string, fields: Record<string, Schema>, required: readonly string[] = []): Schema =>
  object(
    description,
    {
      apiVersion: string("Version of the schema of this object."),
      kind: string("Kind of this object."),
      metadata: OBJECT_META,
      ...fields,
    },
    required,
  );
