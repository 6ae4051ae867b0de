// Namespace of v1: a scope for names. A deleted one stays, Terminating, until all that is in it is gone; then its finalizer goes by …/finalize, and it with it.
// https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/
import type { Kind } from "./kind.ts";
import type { Resource } from "./meta.ts";
import { anything, list, object, resource, string } from "./schema.ts";

export type Namespace = Resource & {
  spec?: { finalizers?: string[] };
  status?: { phase?: "Active" | "Terminating"; conditions?: Record<string, unknown>[] };
};

/** The one that waits for the content. */
export const CONTENT_FINALIZER = "kubernetes";
/** Names itself, so that selectors can. */
const NAME_LABEL = "kubernetes.io/metadata.name";

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
  generation: false,
  categories: [],
  selectable: ["status.phase"],
  schema: resource("A scope for names.", {
    spec: object("Desired state.", { finalizers: list("Names that must be gone before removal.", string("A finalizer.")) }),
    status: object("Observed state.", {
      phase: string("Active or Terminating.", { enum: ["Active", "Terminating"] }),
      conditions: list("Conditions.", anything("A condition."), { "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "type" }),
    }),
  }),
  defaults: (n) => ({
    ...n,
    metadata: { ...n.metadata, labels: { ...n.metadata.labels, [NAME_LABEL]: n.metadata.name } },
    status: { ...n.status, phase: n.status?.phase ?? "Active" },
  }),
  lifecycle: {
    created: (n) => ({ ...n, spec: { ...n.spec, finalizers: [...new Set([...(n.spec?.finalizers ?? []), CONTENT_FINALIZER])] } }),
    updated: ({ spec: _s, ...n }, old) => ({ ...n, ...(old.spec ? { spec: old.spec } : {}) }),
    finalized: (old, sent) => ({ ...old, spec: { ...old.spec, finalizers: sent.spec?.finalizers ?? [] } }),
    deleted: (n) => ({
      ...n,
      spec: { ...n.spec, finalizers: n.spec?.finalizers ?? [CONTENT_FINALIZER] },
      status: { ...n.status, phase: "Terminating" },
    }),
    held: (n) => (n.spec?.finalizers ?? []).length > 0,
  },
  validate: () => [],
  columns: [
    { name: "Status", type: "string", priority: 0, description: "Active or Terminating.", value: (n) => n.status?.phase },
    { name: "Age", type: "date", priority: 0, description: "Since creation.", value: (n) => n.metadata.creationTimestamp },
  ],
};
