// IPAMHandle of projectcalico.org/v3: which blocks hold the addresses of one owner, and how many. Its name is the lower-cased handle.
import type { Kind } from "./kind.ts";
import { noDefaults } from "./kind.ts";
import type { Resource } from "./meta.ts";
import { boolean, integer, map, object, resource, string } from "./schema.ts";

/** `block` counts addresses by the block's CIDR. */
export type IPAMHandleSpec = { handleID: string; block: Record<string, number>; deleted?: boolean };
export type IPAMHandle = Resource & { spec: IPAMHandleSpec };

export const IPAM_HANDLE: Kind<IPAMHandle> = {
  group: "projectcalico.org",
  version: "v3",
  kind: "IPAMHandle",
  plural: "ipamhandles",
  singular: "ipamhandle",
  shortNames: [],
  namespaced: false,
  hasStatus: false,
  builtIn: false,
  categories: [],
  schema: resource(
    "Which blocks hold the addresses of one owner.",
    {
      spec: object(
        "The handle.",
        {
          handleID: string("The owner's handle."),
          block: map("Addresses by block.", integer("How many.", 0)),
          deleted: boolean("Marked for deletion."),
        },
        ["handleID", "block"],
      ),
    },
    ["spec"],
  ),
  defaults: noDefaults,
  validate: () => [],
  columns: [{ name: "ID", type: "string", priority: 0, description: "The handle.", value: (h) => h.spec.handleID }],
};
