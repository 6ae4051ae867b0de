// A kind of resource: its names, how it is validated and printed. One file a kind; nothing about storage or screens.
import type { TSchema } from "typebox";
import type { FieldError, Resource } from "./meta.ts";

export type Column<T extends Resource> = {
  name: string;
  type: "string" | "integer" | "boolean" | "date";
  /** 0 is always shown, 1 with -o wide. */
  priority: number;
  description: string;
  value: (object: T) => string | number | boolean | undefined;
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
  /** Core kinds allow strategic merge patches and store metadata through /status (apiserver.md 3.6, 3.9). */
  readonly builtIn: boolean;
  readonly categories: readonly string[];
  /** The structure: JSON Schema of the whole object. Unknown fields are refused or pruned by it. */
  readonly schema: TSchema;
  /** Fills what the writer left out; returns a new object. */
  readonly defaults: (object: T) => T;
  /** Rules that a schema cannot say; `old` is given on update. */
  readonly validate: (object: T, old?: T) => FieldError[];
  readonly columns: readonly Column<T>[];
}

/** "projectcalico.org/v3", "v1". */
export const apiVersionOf = (k: Pick<Kind, "group" | "version">): string => (k.group === "" ? k.version : `${k.group}/${k.version}`);
