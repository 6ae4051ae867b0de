// What all kinds share beside ObjectMeta, as it goes over the wire: meta.k8s.io/v1. https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/
import { anything, integer, list, object, type Schema, string } from "../../api/schema.ts";

export const LIST_META: Schema = object("Metadata of a list.", {
  resourceVersion: string("The version that the list is of; a watch goes on from it."),
  continue: string("Where the next page starts; empty: there is none."),
  remainingItemCount: integer("Objects beyond this page; absent where a selector hides it.", 0),
  selfLink: string("Not used."),
});

const CAUSE: Schema = object("One reason.", {
  reason: string("One word why."),
  message: string("Why, for a person."),
  field: string("Path of the field that this is about, such as spec.cidr."),
});

export const STATUS: Schema = object("The outcome of a request that is not an object.", {
  apiVersion: string("v1."),
  kind: string("Status."),
  metadata: LIST_META,
  status: string("Success or Failure."),
  message: string("What happened, for a person."),
  reason: string("One word why."),
  details: object("What it is about.", {
    name: string("Name of the object."),
    group: string("Group of the kind."),
    kind: string("The kind, or its plural."),
    uid: string("Identity of the object."),
    causes: list("All reasons.", CAUSE, { "x-kubernetes-list-type": "atomic" }),
    retryAfterSeconds: integer("Seconds after which to try again."),
  }),
  code: integer("HTTP status."),
});

export const DELETE_OPTIONS: Schema = object("How to delete.", {
  apiVersion: string("v1."),
  kind: string("DeleteOptions."),
  dryRun: list("All: process everything, store nothing.", string("All."), { "x-kubernetes-list-type": "atomic" }),
  gracePeriodSeconds: integer("Seconds that a pod is given to end, instead of its own; 0: it goes at once."),
  orphanDependents: { type: "boolean", description: "What came before propagationPolicy: true is Orphan, false is Background." },
  preconditions: object("What must hold.", { uid: string("Identity of the object."), resourceVersion: string("Version of the object.") }),
  propagationPolicy: string("What becomes of dependents.", { enum: ["Background", "Foreground", "Orphan"] }),
});

export const PATCH: Schema = anything("A patch, in the form that its content type says.");
