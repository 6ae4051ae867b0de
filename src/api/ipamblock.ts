// IPAMBlock of projectcalico.org/v3: a cut of a pool, the addresses in it that are taken, and by whom. Field names as Calico stores them.
import { formatCidr, parseCidr } from "../base/cidr.ts";
import type { Kind } from "./kind.ts";
import { noDefaults } from "./kind.ts";
import type { FieldError, Resource } from "./meta.ts";
import { boolean, integer, list, map, object, resource, type Schema, string, time } from "./schema.ts";

/** Who holds an address: `secondary` has node, type, pod, namespace, timestamp. */
export type AllocationAttribute = { handle_id?: string | null; secondary?: Record<string, string> | null };
export type IPAMBlockSpec = {
  cidr: string;
  /** "host:NODE"; absent when no node owns the block. */
  affinity?: string;
  affinityClaimTime?: string | null;
  strictAffinity: boolean;
  /** One slot an address, in order: an index into `attributes`, or null when free. */
  allocations: (number | null)[];
  /** Ordinals of free addresses, in the order in which they are given out. */
  unallocated: number[];
  attributes: AllocationAttribute[];
  deleted: boolean;
  sequenceNumber?: number;
  sequenceNumberForAllocation?: Record<string, number>;
};
export type IPAMBlock = Resource & { spec: IPAMBlockSpec };

/** "10.65.0.0/26" → "10-65-0-0-26": the name of a block's object. */
export const blockName = (cidr: string): string => cidr.replace(/[.:/]/g, "-");

const spec: Schema = object(
  "The block.",
  {
    cidr: string("Range of the block."),
    affinity: string("The owner, host:NODE."),
    affinityClaimTime: { ...time("When the owner claimed it."), nullable: true },
    strictAffinity: boolean("Only the owner may take addresses."),
    allocations: list("One slot an address: an index into attributes, or null.", { type: "integer", nullable: true }, { maxItems: 4096 }),
    unallocated: list("Ordinals of free addresses.", { type: "integer" }, { maxItems: 4096 }),
    attributes: list(
      "Who holds addresses.",
      object("A holder.", {
        handle_id: { ...string("The handle."), nullable: true },
        secondary: { ...map("Node, type, pod, namespace and others.", string("Value.")), nullable: true },
      }),
      { maxItems: 4096 },
    ),
    deleted: boolean("Marked for deletion."),
    sequenceNumber: integer("Counts changes."),
    sequenceNumberForAllocation: map("Change at which an ordinal was taken.", { type: "integer" }),
  },
  ["cidr", "strictAffinity", "allocations", "unallocated", "attributes", "deleted"],
);

function validate(block: IPAMBlock, old?: IPAMBlock): FieldError[] {
  const s = block.spec;
  const cidr = parseCidr(s.cidr);
  const invalid = (field: string, value: unknown, message: string): FieldError => ({
    field,
    reason: "FieldValueInvalid",
    message: `Invalid value: ${JSON.stringify(value)}: ${message}`,
  });
  if (!cidr || formatCidr(cidr) !== s.cidr) return [invalid("spec.cidr", s.cidr, "must be a masked CIDR")];
  if (old && old.spec.cidr !== s.cidr) return [invalid("spec.cidr", s.cidr, "field is immutable")];
  const size = 2 ** (8 * cidr.ip.length - cidr.prefix);
  const errors: FieldError[] = [];
  if (s.allocations.length !== size) errors.push(invalid("spec.allocations", s.allocations.length, `must have ${size} slots`));
  const badSlot = s.allocations.findIndex((a) => a !== null && (a < 0 || a >= s.attributes.length));
  if (badSlot >= 0) errors.push(invalid(`spec.allocations[${badSlot}]`, s.allocations[badSlot], "must be null or an index into spec.attributes"));
  const badFree = s.unallocated.findIndex((o) => o < 0 || o >= size || s.allocations[o] !== null);
  if (badFree >= 0) errors.push(invalid(`spec.unallocated[${badFree}]`, s.unallocated[badFree], "must be the ordinal of a free address"));
  return errors;
}

export const IPAM_BLOCK: Kind<IPAMBlock> = {
  group: "projectcalico.org",
  version: "v3",
  kind: "IPAMBlock",
  plural: "ipamblocks",
  singular: "ipamblock",
  shortNames: [],
  namespaced: false,
  hasStatus: false,
  builtIn: false,
  categories: [],
  schema: resource("A cut of a pool and the addresses in it that are taken.", { spec }, ["spec"]),
  defaults: noDefaults,
  validate,
  columns: [
    { name: "CIDR", type: "string", priority: 0, description: "Range of the block.", value: (b) => b.spec.cidr },
    { name: "Affinity", type: "string", priority: 0, description: "The owner.", value: (b) => b.spec.affinity },
    { name: "ClaimTime", type: "string", priority: 0, description: "When it was claimed.", value: (b) => b.spec.affinityClaimTime ?? undefined },
  ],
};
