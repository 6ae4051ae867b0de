// Revocation of tortie.io/v1: a certificate that is no longer taken, or everything that a user was given up to this object's creation. What the user is
// given afterwards holds, so that a node that was lost can join again while its old certificate stays dead. Open connections end at once.
import type { Kind } from "./kind.ts";
import { noDefaults } from "./kind.ts";
import type { Resource } from "./meta.ts";
import { object, resource, string } from "./schema.ts";

export type Revocation = Resource & { spec: { serial?: string; user?: string; reason?: string } };

export const REVOCATION: Kind<Revocation> = {
  group: "tortie.io",
  version: "v1",
  kind: "Revocation",
  plural: "revocations",
  singular: "revocation",
  shortNames: [],
  namespaced: false,
  hasStatus: false,
  builtIn: false,
  categories: [],
  schema: resource(
    "A certificate, or what a user was given until now, that is no longer taken.",
    {
      spec: object("Exactly one of serial and user.", {
        serial: string("Serial number of a certificate, in hexadecimal.", { pattern: "^[0-9A-Fa-f]{1,64}$" }),
        user: string("Name of the user, such as system:node:k8s-w1: what was issued before this object is refused.", { maxLength: 270 }),
        reason: string("Why, for a person.", { maxLength: 1024 }),
      }),
    },
    ["spec"],
  ),
  defaults: noDefaults,
  validate: ({ spec }) =>
    (spec.serial === undefined) === (spec.user === undefined)
      ? [{ field: "spec", reason: "FieldValueInvalid", message: "Invalid value: exactly one of serial and user must be given" }]
      : [],
  columns: [
    { name: "User", type: "string", priority: 0, description: "Whose credentials are refused.", value: (r) => r.spec.user },
    { name: "Serial", type: "string", priority: 0, description: "Which certificate is refused.", value: (r) => r.spec.serial },
    { name: "Reason", type: "string", priority: 0, description: "Why.", value: (r) => r.spec.reason },
    { name: "Age", type: "date", priority: 0, description: "Since it is refused.", value: (r) => r.metadata.creationTimestamp },
  ],
};
