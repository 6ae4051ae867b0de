// Lease of coordination.k8s.io/v1: who holds something, and since when; agents' heartbeats and elections among servers.
// https://kubernetes.io/docs/concepts/architecture/leases/
import type { Kind } from "./kind.ts";
import { noDefaults } from "./kind.ts";
import type { Resource } from "./meta.ts";
import { integer, object, resource, string, time } from "./schema.ts";

export type LeaseSpec = {
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  /** RFC 3339 with microseconds. */
  acquireTime?: string;
  renewTime?: string;
  leaseTransitions?: number;
  strategy?: string;
  preferredHolder?: string;
};
export type Lease = Resource & { spec?: LeaseSpec };

export const LEASE: Kind<Lease> = {
  group: "coordination.k8s.io",
  version: "v1",
  kind: "Lease",
  plural: "leases",
  singular: "lease",
  shortNames: [],
  namespaced: true,
  hasStatus: false,
  builtIn: true,
  generation: false,
  versionedUpdate: true,
  categories: [],
  schema: resource("Who holds something, and since when.", {
    spec: object("The lease.", {
      holderIdentity: string("Who holds it."),
      leaseDurationSeconds: integer("Seconds after renewTime at which others may take it.", 1),
      acquireTime: time("When it was taken."),
      renewTime: time("When the holder renewed it last."),
      leaseTransitions: integer("How often it changed hands.", 0),
      strategy: string("How a coordinated election picks the holder."),
      preferredHolder: string("Who should get it next."),
    }),
  }),
  defaults: noDefaults,
  validate: () => [],
  columns: [
    { name: "Holder", type: "string", priority: 0, description: "Who holds it.", value: (l) => l.spec?.holderIdentity },
    { name: "Age", type: "date", priority: 0, description: "Since creation.", value: (l) => l.metadata.creationTimestamp },
  ],
};
