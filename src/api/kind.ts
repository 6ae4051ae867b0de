// A kind of resource: its names, how it is validated and printed. One file a kind; nothing about storage or screens.
import type { FieldError, Resource } from "./meta.ts";
import type { Schema } from "./schema.ts";

export type Column<T extends Resource> = {
  name: string;
  type: "string" | "integer" | "boolean" | "date";
  /** 0 is always shown, 1 with -o wide. */
  priority: number;
  description: string;
  /** For a date: an RFC 3339 text; whoever prints it makes it an age. undefined: no value. */
  value: (object: T) => string | number | boolean | undefined;
};

/** What the objects of a kind go through beside the general rules. Only namespaces do: they hold what is in them. */
export type Lifecycle<T extends Resource> = {
  readonly created: (object: T) => T;
  /** An update by the main path, with what it may not change taken from `old`. */
  readonly updated: (object: T, old: T) => T;
  /** PUT …/finalize: `old` with what only this may change taken from `sent`. */
  readonly finalized: (old: T, sent: T) => T;
  /** Its deletion was asked for, for the first time. */
  readonly deleted: (object: T) => T;
  /** Whether a deleted object stays although its metadata has no finalizers. */
  readonly held: (object: T) => boolean;
};

export interface Kind<T extends Resource = Resource> {
  /** "" for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly namespaced: boolean;
  readonly hasStatus: boolean;
  /** Beside status: parts that are written on their own. */
  readonly subresources?: readonly string[];
  /** Core kinds allow strategic merge patches and store metadata through /status (apiserver.md 3.6, 3.9). */
  readonly builtIn: boolean;
  /** A status sent with a create is kept (Node), not dropped. */
  readonly keepsStatusOnCreate?: true;
  /** Its objects have no metadata.generation, as those of most core kinds. */
  readonly generation?: false;
  readonly lifecycle?: Lifecycle<T>;
  /** Its objects are those of another kind, under other names. */
  readonly storedAs?: { readonly kind: Kind; readonly write: (object: T) => Resource; readonly read: (stored: Resource) => T };
  /** Seconds that a deleted object is given to come to its end, before whoever runs it takes it away; 0: it goes at once (pods). */
  readonly gracePeriod?: (object: T) => number;
  /** An update must name the version that it is based on, although the kind is a core kind (Lease). */
  readonly versionedUpdate?: true;
  /** Fields that a field selector may name, beside metadata.name and metadata.namespace. */
  readonly selectable?: readonly string[];
  /** Its table does not begin with the name (Event). */
  readonly nameColumn?: false;
  readonly categories: readonly string[];
  /** The structure: JSON Schema of the whole object. Unknown fields are refused or pruned by it. */
  readonly schema: Schema;
  /** Fills what the writer left out; returns a new object. */
  readonly defaults: (object: T) => T;
  /** Rules that a schema cannot say; `old` is given on update. */
  readonly validate: (object: T, old?: T) => FieldError[];
  readonly columns: readonly Column<T>[];
}

/** "projectcalico.org/v3", "v1". */
export const apiVersionOf = (k: Pick<Kind, "group" | "version">): string => (k.group === "" ? k.version : `${k.group}/${k.version}`);

/** "felixconfigurations.projectcalico.org", "nodes": how messages name a kind. */
export const resourceOf = (k: Pick<Kind, "group" | "plural">): string => (k.group === "" ? k.plural : `${k.plural}.${k.group}`);
/** The same object, each optional field as it came: for kinds without defaults. */
export const noDefaults = <T extends Resource>(object: T): T => object;
