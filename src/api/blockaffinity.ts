// BlockAffinity of projectcalico.org/v3: a node's claim on a block, made before the block itself.
import type { Kind } from "./kind.ts";
import { noDefaults } from "./kind.ts";
import type { Resource } from "./meta.ts";
import { boolean, object, resource, string } from "./schema.ts";

export type BlockAffinitySpec = {
  state: "pending" | "confirmed" | "pendingDeletion";
  node: string;
  type?: string;
  cidr: string;
  deleted: boolean;
};
export type BlockAffinity = Resource & { spec: BlockAffinitySpec };

export const BLOCK_AFFINITY: Kind<BlockAffinity> = {
  group: "projectcalico.org",
  version: "v3",
  kind: "BlockAffinity",
  plural: "blockaffinities",
  singular: "blockaffinity",
  shortNames: ["affinity", "affinities"],
  namespaced: false,
  hasStatus: false,
  builtIn: false,
  categories: [],
  schema: resource(
    "A node's claim on a block.",
    {
      spec: object(
        "The claim.",
        {
          state: string("How far the claim is.", { enum: ["pending", "confirmed", "pendingDeletion"] }),
          node: string("The node."),
          type: string("host or virtual."),
          cidr: string("Range of the block."),
          deleted: boolean("Marked for deletion."),
        },
        ["state", "node", "cidr", "deleted"],
      ),
    },
    ["spec"],
  ),
  defaults: noDefaults,
  validate: (a, old) =>
    old && (old.spec.node !== a.spec.node || old.spec.cidr !== a.spec.cidr)
      ? [{ field: "spec", reason: "FieldValueInvalid", message: `Invalid value: ${JSON.stringify(a.spec)}: node and cidr are immutable` }]
      : [],
  columns: [
    { name: "CIDR", type: "string", priority: 0, description: "Range of the block.", value: (a) => a.spec.cidr },
    { name: "Node", type: "string", priority: 0, description: "The node.", value: (a) => a.spec.node },
    { name: "Type", type: "string", priority: 0, description: "host or virtual.", value: (a) => a.spec.type },
  ],
};
