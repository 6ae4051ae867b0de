// Who may do what: fixed roles in one table. The rules that need the object itself are in admission.ts.
// The node rules follow Kubernetes' Node authorizer and NodeRestriction, extended to the kinds of Calico and our own.
import type { ApiError } from "../../api/status.ts";
import { forbiddenText } from "./forbidden.ts";
import type { User, Verb } from "../wire/request.ts";

export const ADMINS = "system:masters";
export const NODES = "system:nodes";
export const NODE_PREFIX = "system:node:";

const READ: readonly Verb[] = ["get", "list", "watch"];
const WRITE: readonly Verb[] = ["create", "update", "patch", "delete"];

/** Plural, with the subresource after a slash; "*" is everything. */
type Rule = { readonly group: string; readonly resource: string; readonly verbs: readonly Verb[] };

/** What a node's agent may do; admission.ts narrows the writes to what is the node's own. */
const NODE_RULES: readonly Rule[] = [
  { group: "*", resource: "*", verbs: READ },
  { group: "", resource: "nodes", verbs: ["create", "update", "patch"] },
  { group: "", resource: "nodes/status", verbs: ["update", "patch"] },
  { group: "", resource: "pods/status", verbs: ["update", "patch"] },
  { group: "projectcalico.org", resource: "ipamblocks", verbs: WRITE },
  { group: "projectcalico.org", resource: "blockaffinities", verbs: WRITE },
  { group: "projectcalico.org", resource: "ipamhandles", verbs: WRITE },
  { group: "tortie.io", resource: "nodeencryptions", verbs: WRITE },
  { group: "tortie.io", resource: "nodeencryptions/status", verbs: ["update", "patch"] },
  { group: "tortie.io", resource: "nodes/stream", verbs: ["get"] },
];
/** What a node's "*" does not cover: secrets are not theirs; reading a stream, running a command or capturing packets are not reads. */
const NOT_READ = new Set(["secrets", "pods/exec", "pods/attach", "pods/portforward", "nodes/stream", "nodes/capture", "nodes/proxy"]);

/** What everybody may read without credentials. */
const PUBLIC = new Set(["/healthz", "/livez", "/readyz", "/version"]);

/** The node whose agent `user` is, or undefined. */
export function nodeOf(user: User): string | undefined {
  return user.groups.includes(NODES) && user.name.startsWith(NODE_PREFIX) && user.name.length > NODE_PREFIX.length
    ? user.name.slice(NODE_PREFIX.length)
    : undefined;
}
export const isAdmin = (user: User): boolean => user.groups.includes(ADMINS);

export type Asked = { verb: Verb; group: string; resource: string; subresource: string; namespace: string; name: string };

/** Undefined when allowed. */
export function authorize(user: User, asked: Asked): ApiError | undefined {
  if (isAdmin(user)) return undefined;
  const resource = asked.subresource === "" ? asked.resource : `${asked.resource}/${asked.subresource}`;
  const allowed =
    nodeOf(user) !== undefined &&
    NODE_RULES.some(
      (r) =>
        (r.group === "*" || r.group === asked.group) &&
        (r.resource === resource || (r.resource === "*" && !NOT_READ.has(resource))) &&
        r.verbs.includes(asked.verb),
    );
  return allowed ? undefined : forbiddenText(user, asked);
}

/** Undefined when allowed: discovery and documents for everybody who is known, health and version for everybody. */
export function authorizePath(user: User, method: string, path: string): ApiError | undefined {
  const known = !user.groups.includes("system:unauthenticated");
  const root = `/${path.split("/")[1] ?? ""}`;
  if (PUBLIC.has(root) || isAdmin(user) || (known && (method === "GET" || method === "HEAD"))) return undefined;
  return forbiddenText(user, { verb: method.toLowerCase(), path });
}
