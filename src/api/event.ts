// Event of v1: what happened to an object, kept for an hour. https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
import type { Kind } from "./kind.ts";
import { noDefaults } from "./kind.ts";
import type { FieldError, Resource } from "./meta.ts";
import { integer, object, resource, type Schema, string, time } from "./schema.ts";

export type ObjectReference = {
  kind?: string;
  namespace?: string;
  name?: string;
  uid?: string;
  apiVersion?: string;
  resourceVersion?: string;
  fieldPath?: string;
};
export type Event = Resource & {
  involvedObject: ObjectReference;
  reason?: string;
  message?: string;
  source?: { component?: string; host?: string };
  firstTimestamp?: string | null;
  lastTimestamp?: string | null;
  count?: number;
  type?: string;
  /** RFC 3339 with microseconds; of writers of events.k8s.io. */
  eventTime?: string | null;
  series?: { count?: number; lastObservedTime?: string };
  action?: string;
  related?: ObjectReference;
  reportingComponent?: string;
  reportingInstance?: string;
};

/** Seconds that an event is kept for. */
export const EVENT_TTL_S: number = 3600;

/** The structure of an ObjectReference. */
export const eventReference = (description: string): Schema =>
  object(description, {
    kind: string("Kind of the object."),
    namespace: string("Namespace of the object."),
    name: string("Name of the object."),
    uid: string("Identity of the object."),
    apiVersion: string("API version of the object."),
    resourceVersion: string("Version of the object that this is about."),
    fieldPath: string("Which part of the object this is about."),
  });
const orNull = (s: Schema): Schema => ({ ...s, nullable: true });

// An event about an object without a namespace stands in "default".
function validate(event: Event): FieldError[] {
  const { namespace } = event.involvedObject;
  const fits = namespace === undefined || namespace === "" ? event.metadata.namespace === "default" : namespace === event.metadata.namespace;
  return fits
    ? []
    : [
        {
          field: "involvedObject.namespace",
          reason: "FieldValueInvalid",
          message: `Invalid value: ${JSON.stringify(namespace ?? "")}: does not match event.namespace`,
        },
      ];
}

const lastSeen = (e: Event): string | undefined =>
  e.series?.lastObservedTime ?? e.lastTimestamp ?? e.firstTimestamp ?? e.eventTime ?? e.metadata.creationTimestamp;
const firstSeen = (e: Event): string | undefined => e.firstTimestamp ?? e.eventTime ?? e.metadata.creationTimestamp;
const sourceOf = (e: Event): string => [e.source?.component ?? e.reportingComponent ?? "", e.source?.host ?? ""].filter((s) => s !== "").join(", ");

/** What both views of events have. */
export const EVENT_NAMES = {
  version: "v1",
  kind: "Event",
  plural: "events",
  singular: "event",
  shortNames: ["ev"],
  namespaced: true,
  hasStatus: false,
  builtIn: true,
  generation: false,
  categories: [],
  nameColumn: false,
} as const;

export const EVENT: Kind<Event> = {
  ...EVENT_NAMES,
  group: "",
  selectable: [
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
  ],
  schema: resource(
    "What happened to an object.",
    {
      involvedObject: eventReference("The object that this is about."),
      reason: string("One word why."),
      message: string("What happened, for a person."),
      source: object("Who reports it.", { component: string("The program."), host: string("Its node.") }),
      firstTimestamp: orNull(time("When it happened first.")),
      lastTimestamp: orNull(time("When it happened last.")),
      count: integer("How often it happened."),
      type: string("Normal or Warning."),
      eventTime: orNull(time("When it happened.")),
      series: object("A row of equal events.", { count: integer("How often it happened."), lastObservedTime: time("When it happened last.") }),
      action: string("What was done, or failed."),
      related: eventReference("Another object that has to do with it."),
      reportingComponent: string("The program that reports it."),
      reportingInstance: string("Which instance of it."),
    },
    ["involvedObject"],
  ),
  defaults: noDefaults,
  validate,
  columns: [
    { name: "Last Seen", type: "date", priority: 0, description: "When it happened last.", value: lastSeen },
    { name: "Type", type: "string", priority: 0, description: "Normal or Warning.", value: (e) => e.type },
    { name: "Reason", type: "string", priority: 0, description: "One word why.", value: (e) => e.reason },
    {
      name: "Object",
      type: "string",
      priority: 0,
      description: "The object that this is about.",
      value: (e) => [(e.involvedObject.kind ?? "").toLowerCase(), e.involvedObject.name ?? ""].filter((s) => s !== "").join("/"),
    },
    { name: "Subobject", type: "string", priority: 1, description: "Which part of it.", value: (e) => e.involvedObject.fieldPath ?? "" },
    { name: "Source", type: "string", priority: 1, description: "Who reports it.", value: sourceOf },
    { name: "Message", type: "string", priority: 0, description: "What happened.", value: (e) => (e.message ?? "").trim() },
    { name: "First Seen", type: "date", priority: 1, description: "When it happened first.", value: firstSeen },
    { name: "Count", type: "string", priority: 1, description: "How often it happened.", value: (e) => String(e.series?.count ?? e.count ?? 1) },
    { name: "Name", type: "string", priority: 1, description: "Name of the event.", value: (e) => e.metadata.name },
  ],
};
