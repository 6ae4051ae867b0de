// IPAMConfiguration of projectcalico.org/v3: how blocks of addresses are given to nodes. There is one, "default".
// https://docs.tigera.io/calico/latest/reference/resources/ipamconfig
import type { Kind } from "./kind.ts";
import type { Resource } from "./meta.ts";
import { boolean, integer, object, resource } from "./schema.ts";

export type IPAMConfigurationSpec = { strictAffinity: boolean; autoAllocateBlocks?: boolean; /** 0: no limit. */ maxBlocksPerHost?: number };
export type IPAMConfiguration = Resource & { spec: IPAMConfigurationSpec };

export const IPAM_CONFIGURATION: Kind<IPAMConfiguration> = {
  group: "projectcalico.org",
  version: "v3",
  kind: "IPAMConfiguration",
  plural: "ipamconfigurations",
  singular: "ipamconfiguration",
  shortNames: ["ipamconfig", "ipamconfigs"],
  namespaced: false,
  hasStatus: false,
  builtIn: false,
  categories: [],
  schema: resource(
    "How blocks of addresses are given to nodes.",
    {
      spec: object(
        "The settings.",
        {
          strictAffinity: boolean("Nodes take no addresses from blocks of other nodes."),
          autoAllocateBlocks: boolean("Nodes take a further block when theirs are full. [Default: true]"),
          maxBlocksPerHost: integer("Blocks that a node may have; 0: no limit. [Default: 0]", 0, 2 ** 31 - 1),
        },
        ["strictAffinity"],
      ),
    },
    ["spec"],
  ),
  defaults: (c) => ({ ...c, spec: { ...c.spec, autoAllocateBlocks: c.spec.autoAllocateBlocks ?? true } }),
  validate: (c) =>
    c.metadata.name === "default"
      ? []
      : [
          {
            field: "metadata.name",
            reason: "FieldValueInvalid",
            message: `Invalid value: ${JSON.stringify(c.metadata.name)}: resource name must be 'default'`,
          },
        ],
  columns: [
    {
      name: "StrictAffinity",
      type: "boolean",
      priority: 0,
      description: "Whether nodes keep to their own blocks.",
      value: (c) => c.spec.strictAffinity,
    },
    { name: "MaxBlocksPerHost", type: "integer", priority: 0, description: "Blocks that a node may have.", value: (c) => c.spec.maxBlocksPerHost },
    {
      name: "AutoAllocateBlocks",
      type: "boolean",
      priority: 0,
      description: "Whether nodes take further blocks.",
      value: (c) => c.spec.autoAllocateBlocks,
    },
  ],
};
