// ClusterInformation of projectcalico.org/v3, named default: what this cluster is. Written by the server when it starts with an empty store.
import type { Kind } from "./kind.ts";
import { noDefaults } from "./kind.ts";
import type { Resource } from "./meta.ts";
import { boolean, object, resource, string } from "./schema.ts";

export type ClusterInformationSpec = {
  clusterGUID?: string;
  clusterType?: string;
  calicoVersion?: string;
  datastoreReady?: boolean;
  variant?: string;
};
export type ClusterInformation = Resource & { spec?: ClusterInformationSpec };

export const CLUSTER_INFORMATION: Kind<ClusterInformation> = {
  group: "projectcalico.org",
  version: "v3",
  kind: "ClusterInformation",
  plural: "clusterinformations",
  singular: "clusterinformation",
  shortNames: ["clusterinfo", "clusterinfos"],
  namespaced: false,
  hasStatus: false,
  builtIn: false,
  categories: [],
  schema: resource("What this cluster is.", {
    spec: object("Facts.", {
      clusterGUID: string("Identity of the cluster."),
      clusterType: string("What it is made of."),
      calicoVersion: string("Version of the product that runs it."),
      datastoreReady: boolean("Whether clients may use the datastore."),
      variant: string("Variant of the product."),
    }),
  }),
  defaults: noDefaults,
  validate: () => [],
  columns: [
    { name: "Version", type: "string", priority: 0, description: "Version of the product.", value: (c) => c.spec?.calicoVersion },
    { name: "Ready", type: "boolean", priority: 0, description: "Whether the datastore may be used.", value: (c) => c.spec?.datastoreReady },
    { name: "Types", type: "string", priority: 0, description: "What the cluster is made of.", value: (c) => c.spec?.clusterType },
  ],
};
