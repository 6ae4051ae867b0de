// Secret of v1: what only some may read. Values never appear in messages. https://kubernetes.io/docs/concepts/configuration/secret/
import { toBase64, utf8 } from "../base/bytes.ts";
import { type DataFields, dataColumn, dataProblems } from "./data.ts";
import type { Kind } from "./kind.ts";
import type { FieldError, Resource } from "./meta.ts";
import { boolean, map, resource, string } from "./schema.ts";

export type Secret = Resource & {
  /** Base64. */
  data?: Record<string, string>;
  /** Written only: becomes part of data. */
  stringData?: Record<string, string>;
  type?: string;
  immutable?: boolean;
};

const FIELDS: DataFields = { base64: "data" };

function defaults({ stringData, ...secret }: Secret): Secret {
  const plain = Object.entries(stringData ?? {}).map(([key, value]) => [key, toBase64(utf8(value))]);
  return {
    ...secret,
    ...(plain.length > 0 ? { data: { ...secret.data, ...(Object.fromEntries(plain) as Record<string, string>) } } : {}),
    type: secret.type ?? "Opaque",
  };
}

function validate(secret: Secret, old?: Secret): FieldError[] {
  const errors = dataProblems(secret, FIELDS, old);
  if (old && old.type !== secret.type)
    errors.push({ field: "type", reason: "FieldValueInvalid", message: `Invalid value: ${JSON.stringify(secret.type)}: field is immutable` });
  return errors;
}

export const SECRET: Kind<Secret> = {
  group: "",
  version: "v1",
  kind: "Secret",
  plural: "secrets",
  singular: "secret",
  shortNames: [],
  namespaced: true,
  hasStatus: false,
  builtIn: true,
  generation: false,
  categories: [],
  selectable: ["type"],
  schema: resource("What only some may read.", {
    data: map("Bytes by key, in base64.", string("Bytes in base64.")),
    stringData: map("Texts by key; written only, read as data.", string("A text.")),
    type: string("What the data is for. [Default: Opaque]"),
    immutable: boolean("Refuse changes of data from now on."),
  }),
  defaults,
  validate,
  columns: [
    { name: "Type", type: "string", priority: 0, description: "What the data is for.", value: (s) => s.type },
    dataColumn(FIELDS),
    { name: "Age", type: "date", priority: 0, description: "Since creation.", value: (s) => s.metadata.creationTimestamp },
  ],
};
