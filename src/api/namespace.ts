// Namespace of v1.
import type { Kind } from "./kind.ts";
import type { Resource } from "./meta.ts";
import { anything, list, object, resource, string } from "./schema.ts";

export type Namespace = Resource & {
  spec?: { finalizers?: string[] };
  status?: { phase?: "Active" | "Terminating"; conditions?: Record<string, unknown>[] };
};

export const NAMESPACE: Kind<Namespace> = {
  group: "",
  version: "v1",
  kind: "Namespace",
  plural: "namespaces",
  singular: "namespace",
  shortNames: ["ns"],
  namespaced: false,
  hasStatus: true,
  builtIn: true,
  categories: [],
  selectable: ["status.phase"],
  schema: resource("A scope for names.", {
    spec: object("Desired state.", { finalizers: list("Names that must be gone before removal.", string("A finalizer.")) }),
    status: object("Observed state.", {
      phase: string("Active or Terminating.", { enum: ["Active", "Terminating"] }),
      conditions: list("Conditions.", anything("A condition."), { "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "type" }),
    }),
  }),
  defaults: (n) => ({ ...n, status: { ...n.status, phase: n.status?.phase ?? "Active" } }),
  validate: () => [],
  columns: [
    { name: "Status", type: "string", priority: 0, description: "Active or Terminating.", value: (n) => n.status?.phase },
    { name: "Age", type: "date", priority: 0, description: "Since creation.", value: (n) => n.metadata.creationTimestamp },
  ],
};
