// AccessToken of tortie.io/v1: a bearer token that the server takes, without the token: only its hash is kept, so that whoever reads the datastore or a
// backup cannot use it. (Kubernetes keeps bootstrap tokens readable, as Secrets in kube-system.) The object's name is the token's public first part.
import { sameJson } from "./json.ts";
import type { Kind } from "./kind.ts";
import { noDefaults } from "./kind.ts";
import type { Resource } from "./meta.ts";
import { nameProblem } from "./names.ts";
import { object, resource, string, time } from "./schema.ts";

export type AccessToken = Resource & {
  spec: {
    /** "node": may ask for the certificate of one node, and nothing else. */
    role: "admin" | "viewer" | "node";
    /** Name of the user, or of the node. */
    user: string;
    /** SHA-256 of the whole token, in hexadecimal. */
    hash: string;
    /** RFC 3339. */
    expires: string;
  };
  /** Of a token to join with: written by the server. */
  status?: {
    /** SHA-256 of the public key that a certificate was issued for with it, in base64url; from then on it serves no other. */
    key?: string;
    /** RFC 3339. */
    used?: string;
  };
};

export const ACCESS_TOKEN: Kind<AccessToken> = {
  group: "tortie.io",
  version: "v1",
  kind: "AccessToken",
  plural: "accesstokens",
  singular: "accesstoken",
  shortNames: [],
  namespaced: false,
  hasStatus: true,
  builtIn: false,
  categories: [],
  schema: resource(
    "A bearer token that the server takes; only its hash is kept.",
    {
      spec: object(
        "Whose it is. Cannot be changed.",
        {
          role: string("What the token lets do.", { enum: ["admin", "viewer", "node"] }),
          user: string("Name of the user, or of the node that may join with it.", { maxLength: 253 }),
          hash: string("SHA-256 of the token, in hexadecimal.", { pattern: "^[0-9a-f]{64}$" }),
          expires: time("When it ends."),
        },
        ["role", "user", "hash", "expires"],
      ),
      status: object("What a node joined with. Written by the server.", {
        key: string("SHA-256 of the public key that a certificate was issued for with this token, in base64url: it serves no other key.", {
          maxLength: 64,
        }),
        used: time("When that was."),
      }),
    },
    ["spec"],
  ),
  defaults: noDefaults,
  validate: (now, old) => {
    const { role, user } = now.spec;
    const problem = role === "node" ? nameProblem(user, "subdomain") : userProblem(user);
    if (problem !== undefined)
      return [{ field: "spec.user", reason: "FieldValueInvalid", message: `Invalid value: ${JSON.stringify(user)}: ${problem}` }];
    return old && !sameJson(old.spec, now.spec)
      ? [{ field: "spec", reason: "FieldValueInvalid", message: "Invalid value: field is immutable: delete the token and make another" }]
      : [];
  },
  columns: [
    { name: "Role", type: "string", priority: 0, description: "What it lets do.", value: (t) => t.spec.role },
    { name: "User", type: "string", priority: 0, description: "Whose it is.", value: (t) => t.spec.user },
    { name: "Expires", type: "string", priority: 0, description: "When it ends.", value: (t) => t.spec.expires },
    { name: "Used", type: "string", priority: 0, description: "When the node joined with it.", value: (t) => t.status?.used },
    { name: "Age", type: "date", priority: 0, description: "Since creation.", value: (t) => t.metadata.creationTimestamp },
  ],
};

/** Why this cannot be the name of a person or a program, or undefined: names of the system's own are not given away. */
export const userProblem = (name: string): string | undefined =>
  !/^[A-Za-z0-9][-A-Za-z0-9_.@+:]*$/.test(name) || name.length > 253
    ? "a name is letters, digits and -_.@+:, up to 253, and begins with a letter or a digit"
    : name.startsWith("system:")
      ? 'names that begin with "system:" belong to the system'
      : undefined;
