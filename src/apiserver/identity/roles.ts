// The three fixed roles, and what everybody has, as one table: who belongs to a role, and what it may do. There are no RBAC objects.
// What depends on the object itself (a node writes only what is its own) is in admission.ts.
// The node's rules follow Kubernetes' Node authorizer, extended to the kinds of Calico and our own.
import type { User, Verb } from "../wire/request.ts";

/** Group of the administrators, as in Kubernetes. */
export const ADMINS = "system:masters";
/** Group of those who may look but not touch. */
export const VIEWERS = "tortie:viewers";
/** Group of the nodes' agents, whose names begin with NODE_PREFIX. */
export const NODES = "system:nodes";
export const NODE_PREFIX = "system:node:";
/** Group of those who have a token to join with, and no certificate yet. */
export const BOOTSTRAPPERS = "system:bootstrappers";
/** What is known of the bearer of such a token: the node that it is for. */
export const BOUND_NODE = "tortie.io/node";
/** Group of everybody who is known. */
export const AUTHENTICATED = "system:authenticated";
/** Group of everybody else. */
export const UNAUTHENTICATED = "system:unauthenticated";

const READ: readonly Verb[] = ["get", "list", "watch"];
const WRITE: readonly Verb[] = ["create", "update", "patch", "delete"];
const ALL: readonly Verb[] = [...READ, ...WRITE, "deletecollection"];

/** `resource` is a plural, with the subresource after a slash; "*" is everything but `except`. */
export type Rule = { readonly group: string; readonly resource: string; readonly except?: readonly string[]; readonly verbs: readonly Verb[] };
/** `paths` beside the resources: exact, or "*" for all. */
export type Role = {
  readonly name: string;
  readonly has: (user: User) => boolean;
  readonly rules: readonly Rule[];
  readonly paths: readonly string[];
};

/** What reading everything does not cover: secrets, and the hashes of tokens; and reading a stream, running a command or capturing packets are not reads. */
const GUARDED = [
  "secrets",
  "accesstokens",
  "accesstokens/status",
  "pods/exec",
  "pods/attach",
  "pods/log",
  "pods/portforward",
  "nodes/stream",
  "nodes/capture",
  "nodes/keylog",
  "nodes/audit",
  "nodes/probe",
  "nodes/proxy",
] as const;
const READ_ALL: Rule = { group: "*", resource: "*", except: GUARDED, verbs: READ };
const may = (verbs: readonly Verb[], group: string, ...resources: string[]): Rule[] => resources.map((resource) => ({ group, resource, verbs }));

export const ROLES: readonly Role[] = [
  {
    name: "admin",
    has: (user) => user.groups.includes(ADMINS),
    rules: [{ group: "*", resource: "*", verbs: ALL }],
    paths: ["*"],
  },
  {
    name: "viewer",
    has: (user) => user.groups.includes(VIEWERS),
    rules: [READ_ALL, ...may(["get"], "", "pods/log")],
    paths: [],
  },
  {
    name: "node",
    has: (user) => nodeOf(user) !== undefined,
    rules: [
      // What an agent goes by. Not what is in the cluster beside: configurations of others, events, grants, revocations, others' requests for certificates.
      ...may(READ, "", "namespaces", "nodes", "nodes/status", "pods", "pods/status"),
      ...may(READ, "coordination.k8s.io", "leases"),
      ...may(READ, "projectcalico.org", "felixconfigurations", "ippools", "ippools/status", "clusterinformations", "ipamconfigurations"),
      ...may(READ, "projectcalico.org", "ipamblocks", "blockaffinities", "ipamhandles", "caliconodestatuses", "caliconodestatuses/status"),
      ...may(READ, "tortie.io", "nodeencryptions", "nodeencryptions/status"),
      ...may(["create", "update", "patch"], "", "nodes"),
      ...may(["update", "patch"], "", "nodes/status", "pods/status"),
      ...may(["create", "update", "patch"], "", "events"),
      ...may(["create", "update", "patch"], "events.k8s.io", "events"),
      ...may(WRITE, "coordination.k8s.io", "leases"),
      ...may(["create", "get"], "certificates.k8s.io", "certificatesigningrequests"),
      ...may(WRITE, "projectcalico.org", "ipamblocks", "blockaffinities", "ipamhandles"),
      ...may(["update", "patch"], "projectcalico.org", "caliconodestatuses/status"),
      ...may(WRITE, "tortie.io", "nodeencryptions"),
      ...may(["update", "patch"], "tortie.io", "nodeencryptions/status"),
      ...may(["get"], "tortie.io", "nodes/stream"),
    ],
    paths: [],
  },
  {
    name: "joining node",
    has: (user) => user.groups.includes(BOOTSTRAPPERS),
    rules: may(["create", "get"], "certificates.k8s.io", "certificatesigningrequests"),
    paths: [],
  },
  {
    name: "everybody who is known",
    has: (user) => !user.groups.includes(UNAUTHENTICATED),
    rules: [
      ...may(["create"], "authorization.k8s.io", "selfsubjectaccessreviews", "selfsubjectrulesreviews"),
      ...may(["create"], "authentication.k8s.io", "selfsubjectreviews"),
    ],
    paths: ["/api", "/apis", "/openapi"],
  },
  {
    name: "everybody",
    has: () => true,
    rules: [],
    paths: ["/healthz", "/livez", "/readyz", "/version"],
  },
];

/** The node whose agent `user` is, or undefined. */
export function nodeOf(user: User): string | undefined {
  return user.groups.includes(NODES) && user.name.startsWith(NODE_PREFIX) && user.name.length > NODE_PREFIX.length
    ? user.name.slice(NODE_PREFIX.length)
    : undefined;
}
/** Before the public first part of such a token, in the name of its bearer. */
export const BEARER_PREFIX = "system:bootstrap:";
/** The public first part of the token to join with that `user` came with, or undefined. */
export const tokenOf = (user: User): string | undefined =>
  user.groups.includes(BOOTSTRAPPERS) && user.name.startsWith(BEARER_PREFIX) ? user.name.slice(BEARER_PREFIX.length) : undefined;
/** The node that the bearer of a token may ask a certificate for, or undefined. */
export const boundNode = (user: User): string | undefined => (user.groups.includes(BOOTSTRAPPERS) ? user.extra?.[BOUND_NODE]?.[0] : undefined);
export const isAdmin = (user: User): boolean => user.groups.includes(ADMINS);
