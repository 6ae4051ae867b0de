// CaptureGrant of tortie.io/v1: who may capture on which nodes, with keys or without, and until when. Administrators need none; everybody else sees packets of
// others only by one. It cannot be changed, only deleted, which ends what runs by it; it is removed when its time is over.
import { sameJson } from "./json.ts";
import type { Kind } from "./kind.ts";
import { noDefaults } from "./kind.ts";
import type { FieldError, Resource } from "./meta.ts";
import { list, object, resource, string, time } from "./schema.ts";

export type GrantedAction = "capture" | "keys";
export type CaptureGrantSpec = {
  users?: string[];
  groups?: string[];
  /** Names, or "*" for all. */
  nodes: string[];
  /** A capture with keys wants both, a key log wants keys. */
  actions: GrantedAction[];
  /** RFC 3339. */
  expires: string;
  reason: string;
};
export type CaptureGrant = Resource & { spec: CaptureGrantSpec };

const DAY_MS = 86_400_000;
/** From its creation, in ms. */
export const LONGEST_GRANT_MS: number = 7 * DAY_MS;

const wrong = (field: keyof CaptureGrantSpec | undefined, value: unknown, why: string): FieldError => ({
  field: field === undefined ? "spec" : `spec.${field}`,
  reason: "FieldValueInvalid",
  message: `Invalid value: ${JSON.stringify(value)}: ${why}`,
});

function validate({ spec, metadata }: CaptureGrant, old?: CaptureGrant): FieldError[] {
  if (old) return sameJson(old.spec, spec) ? [] : [wrong(undefined, spec, "a grant cannot be changed: delete it and make another")];
  const errors: FieldError[] = [];
  const required = (field: keyof CaptureGrantSpec, why: string): void =>
    void errors.push({ field: `spec.${field}`, reason: "FieldValueRequired", message: `Required value: ${why}` });
  if ((spec.users ?? []).length + (spec.groups ?? []).length === 0) required("users", "a user or a group must be named");
  if (spec.nodes.length === 0) required("nodes", 'a node must be named, or "*"');
  if (spec.actions.length === 0) required("actions", "an action must be named");
  if (spec.reason.trim() === "") required("reason", "whoever reads the audit log should see what it was for");
  const [begins, ends] = [Date.parse(metadata.creationTimestamp ?? ""), Date.parse(spec.expires)];
  if (!(ends > begins)) errors.push(wrong("expires", spec.expires, "it must be in the future"));
  else if (ends - begins > LONGEST_GRANT_MS) errors.push(wrong("expires", spec.expires, `it must be within ${LONGEST_GRANT_MS / DAY_MS} days`));
  return errors;
}

/** Whether it lets `user` do this on `node` at `now` (ms since 1970). */
export function grants(
  grant: CaptureGrant,
  asked: { user: string; groups: readonly string[]; node: string; action: GrantedAction; now: number },
): boolean {
  const { users = [], groups = [], nodes, actions, expires } = grant.spec;
  return (
    (users.includes(asked.user) || groups.some((g) => asked.groups.includes(g))) &&
    (nodes.includes("*") || nodes.includes(asked.node)) &&
    actions.includes(asked.action) &&
    grant.metadata.deletionTimestamp === undefined &&
    asked.now < Date.parse(expires)
  );
}

const who = ({ users = [], groups = [] }: CaptureGrantSpec): string => [...users, ...groups.map((g) => `group ${g}`)].join(",");

export const CAPTURE_GRANT: Kind<CaptureGrant> = {
  group: "tortie.io",
  version: "v1",
  kind: "CaptureGrant",
  plural: "capturegrants",
  singular: "capturegrant",
  shortNames: ["cg"],
  namespaced: false,
  hasStatus: false,
  builtIn: false,
  categories: [],
  schema: resource(
    "Lets others than administrators capture packets on nodes for a time. It cannot be changed, only deleted, and is removed when its time is over.",
    {
      spec: object(
        "What is granted.",
        {
          users: list("Names of users.", string("A user."), { maxItems: 100, "x-kubernetes-list-type": "set" }),
          groups: list("Groups of users.", string("A group."), { maxItems: 100, "x-kubernetes-list-type": "set" }),
          nodes: list('Names of nodes, or "*" for all.', string("A node."), { maxItems: 1000, "x-kubernetes-list-type": "set" }),
          actions: list("What may be done: capture packets, and have the keys that open them.", string("An action.", { enum: ["capture", "keys"] }), {
            "x-kubernetes-list-type": "set",
          }),
          expires: time("When it ends, at most 7 days from its creation."),
          reason: string("What it is for; it stands in the audit log.", { maxLength: 1000 }),
        },
        ["nodes", "actions", "expires", "reason"],
      ),
    },
    ["spec"],
  ),
  defaults: noDefaults,
  validate,
  columns: [
    { name: "Who", type: "string", priority: 0, description: "Users and groups.", value: (g) => who(g.spec) },
    { name: "Nodes", type: "string", priority: 0, description: "On which nodes.", value: (g) => g.spec.nodes.join(",") },
    { name: "Actions", type: "string", priority: 0, description: "What may be done.", value: (g) => g.spec.actions.join(",") },
    { name: "Expires", type: "string", priority: 0, description: "When it ends.", value: (g) => g.spec.expires },
    { name: "Age", type: "date", priority: 0, description: "Since creation.", value: (g) => g.metadata.creationTimestamp },
    { name: "Reason", type: "string", priority: 1, description: "What it is for.", value: (g) => g.spec.reason },
  ],
};
