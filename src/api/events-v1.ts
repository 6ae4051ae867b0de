// Event of events.k8s.io/v1: the events of v1 (event.ts) under other names; both are one and the same objects.
// https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
import { EVENT, type Event, EVENT_NAMES, eventReference, type ObjectReference } from "./event.ts";
import type { Kind } from "./kind.ts";
import { noDefaults } from "./kind.ts";
import type { FieldError, Resource } from "./meta.ts";
import { integer, object, resource, string, time } from "./schema.ts";

export type EventV1 = Resource & {
  /** RFC 3339 with microseconds. */
  eventTime?: string | null;
  series?: { count: number; lastObservedTime: string };
  reportingController?: string;
  reportingInstance?: string;
  action?: string;
  reason?: string;
  regarding?: ObjectReference;
  related?: ObjectReference;
  note?: string;
  type?: string;
  deprecatedSource?: { component?: string; host?: string };
  deprecatedFirstTimestamp?: string | null;
  deprecatedLastTimestamp?: string | null;
  deprecatedCount?: number;
};

/** Names here, and there. */
const NAMES = [
  ["regarding", "involvedObject"],
  ["note", "message"],
  ["reportingController", "reportingComponent"],
  ["deprecatedSource", "source"],
  ["deprecatedFirstTimestamp", "firstTimestamp"],
  ["deprecatedLastTimestamp", "lastTimestamp"],
  ["deprecatedCount", "count"],
] as const;
const THERE: ReadonlyMap<string, string> = new Map(NAMES);
const HERE: ReadonlyMap<string, string> = new Map(NAMES.map(([here, there]) => [there, here]));

const renamed = (event: Resource, names: ReadonlyMap<string, string>, apiVersion: string): object => ({
  ...Object.fromEntries(Object.entries(event).map(([name, value]) => [names.get(name) ?? name, value as unknown])),
  apiVersion,
});
const toCore = (event: EventV1): Event => ({ involvedObject: {}, ...renamed(event, THERE, "v1") }) as Event;

const required = (field: string, message = "Required value"): FieldError => ({ field, reason: "FieldValueRequired", message });

/** Who writes by these names says all of it; what was written by the others may have less. */
function validate(event: EventV1, old?: EventV1): FieldError[] {
  const errors = EVENT.validate(toCore(event)).map((e) => ({ ...e, field: e.field.replace("involvedObject", "regarding") }));
  if (old) return errors;
  if (!event.eventTime) errors.push(required("eventTime"));
  for (const field of ["reportingController", "reportingInstance", "action", "reason"] as const) if (!event[field]) errors.push(required(field));
  if (event.type !== "Normal" && event.type !== "Warning")
    errors.push({
      field: "type",
      reason: "FieldValueInvalid",
      message: `Invalid value: ${JSON.stringify(event.type ?? "")}: must be Normal or Warning`,
    });
  if ((event.note ?? "").length > 1024)
    errors.push({ field: "note", reason: "FieldValueTooLong", message: "Too long: may not be more than 1024 bytes" });
  return errors;
}

export const EVENTS_V1: Kind<EventV1> = {
  ...EVENT_NAMES,
  group: "events.k8s.io",
  storedAs: { kind: EVENT as unknown as Kind, write: toCore, read: (stored) => renamed(stored, HERE, "events.k8s.io/v1") as EventV1 },
  selectable: EVENT.selectable!.filter((f) => f !== "source").map((f) => f.replace(/^[^.]+/, (name) => HERE.get(name) ?? name)),
  schema: resource("What happened to an object.", {
    eventTime: { ...time("When it happened first."), nullable: true },
    series: object("A row of equal events.", { count: integer("How often it happened."), lastObservedTime: time("When it happened last.") }, [
      "count",
      "lastObservedTime",
    ]),
    reportingController: string("The program that reports it."),
    reportingInstance: string("Which instance of it."),
    action: string("What was done, or failed."),
    reason: string("One word why."),
    regarding: eventReference("The object that this is about."),
    related: eventReference("Another object that has to do with it."),
    note: string("What happened, for a person."),
    type: string("Normal or Warning."),
    deprecatedSource: object("Of events written as v1: who reports it.", { component: string("The program."), host: string("Its node.") }),
    deprecatedFirstTimestamp: { ...time("Of events written as v1: when it happened first."), nullable: true },
    deprecatedLastTimestamp: { ...time("Of events written as v1: when it happened last."), nullable: true },
    deprecatedCount: integer("Of events written as v1: how often it happened."),
  }),
  defaults: noDefaults,
  validate,
  columns: EVENT.columns.map((c) => ({ ...c, value: (event: EventV1) => c.value(toCore(event)) })),
};
