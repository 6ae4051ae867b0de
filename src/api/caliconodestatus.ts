// CalicoNodeStatus of projectcalico.org/v3: what the agent of one node reports of itself, for those who ask by creating it.
// https://docs.tigera.io/calico/latest/reference/resources/caliconodestatus
import type { Kind } from "./kind.ts";
import { noDefaults } from "./kind.ts";
import type { FieldError, Resource } from "./meta.ts";
import { anything, integer, list, object, resource, type Schema, string, time } from "./schema.ts";

export type CalicoNodeStatusSpec = { node: string; classes: ("Agent" | "BGP" | "Routes")[]; /** 0: never. */ updatePeriodSeconds: number };
export type CalicoNodeStatus = Resource & {
  spec: CalicoNodeStatusSpec;
  status?: { lastUpdated?: string | null; agent?: Record<string, unknown>; bgp?: Record<string, unknown>; routes?: Record<string, unknown> };
};

const spec: Schema = object(
  "What is asked.",
  {
    node: string("The node that reports. Cannot be changed."),
    classes: list("What it reports.", string("A class.", { enum: ["Agent", "BGP", "Routes"] })),
    updatePeriodSeconds: integer("Seconds between two reports; 0: no more.", 0, 86_400),
  },
  ["node", "classes", "updatePeriodSeconds"],
);

export const CALICO_NODE_STATUS: Kind<CalicoNodeStatus> = {
  group: "projectcalico.org",
  version: "v3",
  kind: "CalicoNodeStatus",
  plural: "caliconodestatuses",
  singular: "caliconodestatus",
  shortNames: [],
  namespaced: false,
  hasStatus: true,
  builtIn: false,
  categories: [],
  schema: resource(
    "What the agent of one node reports of itself.",
    {
      spec,
      status: object("The report.", {
        lastUpdated: { ...time("When the node reported."), nullable: true },
        agent: anything("State of the routing agents."),
        bgp: anything("Sessions with BGP peers."),
        routes: anything("Routes that the node knows."),
      }),
    },
    ["spec"],
  ),
  defaults: noDefaults,
  validate: (now, old): FieldError[] =>
    old && old.spec.node !== now.spec.node
      ? [{ field: "spec.node", reason: "FieldValueInvalid", message: `Invalid value: ${JSON.stringify(now.spec.node)}: field is immutable` }]
      : [],
  columns: [
    { name: "Node", type: "string", priority: 0, description: "The node that reports.", value: (s) => s.spec.node },
    { name: "Classes", type: "string", priority: 0, description: "What it reports.", value: (s) => s.spec.classes.join(",") },
  ],
};
