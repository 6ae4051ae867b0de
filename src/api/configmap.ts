// ConfigMap of v1: settings for programs. https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/config-map-v1/
import { type DataFields, dataColumn, dataProblems } from "./data.ts";
import type { Kind } from "./kind.ts";
import { noDefaults } from "./kind.ts";
import type { FieldError, Resource } from "./meta.ts";
import { boolean, map, resource, string } from "./schema.ts";

export type ConfigMap = Resource & { data?: Record<string, string>; /** Base64. */ binaryData?: Record<string, string>; immutable?: boolean };

const FIELDS: DataFields = { text: "data", base64: "binaryData" };

function validate(configMap: ConfigMap, old?: ConfigMap): FieldError[] {
  const errors = dataProblems(configMap, FIELDS, old);
  for (const key of Object.keys(configMap.binaryData ?? {}))
    if (Object.hasOwn(configMap.data ?? {}, key))
      errors.push({
        field: `binaryData[${key}]`,
        reason: "FieldValueInvalid",
        message: `Invalid value: ${JSON.stringify(key)}: duplicate of key present in data`,
      });
  return errors;
}

export const CONFIG_MAP: Kind<ConfigMap> = {
  group: "",
  version: "v1",
  kind: "ConfigMap",
  plural: "configmaps",
  singular: "configmap",
  shortNames: ["cm"],
  namespaced: true,
  hasStatus: false,
  builtIn: true,
  generation: false,
  categories: [],
  schema: resource("Settings for programs.", {
    data: map("Texts by key.", string("A text.")),
    binaryData: map("Bytes by key, in base64.", string("Bytes in base64.")),
    immutable: boolean("Refuse changes of data and binaryData from now on."),
  }),
  defaults: noDefaults,
  validate,
  columns: [
    dataColumn(FIELDS),
    { name: "Age", type: "date", priority: 0, description: "Since creation.", value: (c) => c.metadata.creationTimestamp },
  ],
};
