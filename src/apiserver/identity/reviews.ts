// What one may ask about permissions: answered from the table of roles, never stored. `kubectl auth can-i`, `auth can-i --list`, `auth whoami`.
// https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
import { isObject, type JsonObject, type JsonValue } from "../../api/json.ts";
import { KINDS } from "../../api/kinds.ts";
import type { Schema } from "../../api/schema.ts";
import { badRequest, invalid } from "../../api/status.ts";
import type { User, Verb } from "../wire/request.ts";
import * as schemas from "./reviewschemas.ts";
import { allowing, allowingPath, rolesOf } from "./authorize.ts";
import type { Role, Rule } from "./roles.ts";

/** A kind that is only created, to be answered. */
export type Review = {
  readonly group: string;
  readonly version: "v1";
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly namespaced: false;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly hasStatus: false;
  readonly builtIn: true;
  readonly schema: Schema;
  /** The status of the review that `user` sent. Throws ApiError. */
  readonly status: (user: User, spec: JsonObject, context: ReviewContext) => JsonObject;
  /** The spec as the answer shows it. */
  readonly shown: (spec: JsonObject) => JsonObject;
};
export type ReviewContext = {
  /** Whose token this is, or why it is not taken. */
  readonly bearer: (token: string) => { readonly user: User } | { readonly refused: string };
};

const review = (group: string, kind: string, schema: Schema, status: Review["status"], shown: Review["shown"] = (spec) => spec): Review => ({
  group,
  version: "v1",
  kind,
  plural: `${kind.toLowerCase()}s`,
  singular: kind.toLowerCase(),
  namespaced: false,
  shortNames: [],
  categories: [],
  hasStatus: false,
  builtIn: true,
  schema,
  status,
  shown,
});

const text = (value: JsonValue | undefined): string => (typeof value === "string" ? value : "");
const because = (role: Role): string => `the role of ${role.name} allows it`;

const AUTHORIZATION = "authorization.k8s.io";
const wrong = (kind: string, field: string, value: JsonValue, rule: string): Error =>
  invalid({ group: AUTHORIZATION, kind }, "", [{ field, reason: "FieldValueInvalid", message: `Invalid value: ${JSON.stringify(value)}: ${rule}` }]);

/** Whether `user` may do what `spec` names: one of resourceAttributes and nonResourceAttributes. Throws ApiError. */
function access(kind: string, user: User, { resourceAttributes: resource, nonResourceAttributes: path }: JsonObject): JsonObject {
  if (isObject(resource) && isObject(path))
    throw wrong(kind, "spec.nonResourceAttributes", path, "cannot be specified in combination with resourceAttributes");
  if (!isObject(resource) && !isObject(path))
    throw wrong(kind, "spec.resourceAttributes", null, "exactly one of nonResourceAttributes or resourceAttributes must be specified");
  const role = isObject(path)
    ? allowingPath(user, text(path.verb), text(path.path))
    : isObject(resource)
      ? // Verbs beyond ours, and "*", are only an administrator's.
        allowing(user, {
          verb: (text(resource.verb) === "*" ? "deletecollection" : text(resource.verb)) as Verb,
          group: text(resource.group),
          resource: text(resource.resource),
          subresource: text(resource.subresource),
        })
      : undefined;
  return role ? { allowed: true, reason: because(role) } : { allowed: false };
}

/** "*" stays for an administrator; where something is left out, the kinds are named. */
function listed({ group, resource, except, verbs }: Rule): JsonObject[] {
  if (!except) return [{ verbs: group === "*" ? ["*"] : [...verbs], apiGroups: [group], resources: [resource] }];
  const groups = [...new Set(KINDS.map((k) => k.group))];
  return groups.map((g) => ({
    verbs: [...verbs],
    apiGroups: [g],
    resources: KINDS.filter((k) => k.group === g && !except.includes(k.plural)).flatMap((k) =>
      k.hasStatus ? [k.plural, `${k.plural}/status`] : [k.plural],
    ),
  }));
}

function rules(user: User): JsonObject {
  const roles = rolesOf(user);
  return {
    resourceRules: roles.flatMap((role) => role.rules.flatMap(listed)),
    nonResourceRules: roles
      .filter((role) => role.paths.length > 0)
      .map((role) => ({
        verbs: role.paths.includes("*") ? ["*"] : ["get"],
        nonResourceURLs: role.paths.flatMap((p) => (p === "*" || role.name === "everybody" ? [p] : [p, `${p}/*`])),
      })),
    incomplete: false,
  };
}

const userInfo = ({ name, groups, extra }: User): JsonObject => ({
  username: name,
  groups: [...groups],
  ...(extra ? { extra: Object.fromEntries(Object.entries(extra).map(([key, values]) => [key, [...values]])) } : {}),
});

function token(spec: JsonObject, credentials: ReviewContext): JsonObject {
  if (text(spec.token) === "") throw badRequest("spec.token must be given");
  const known = credentials.bearer(text(spec.token));
  return "refused" in known ? { authenticated: false, error: known.refused } : { authenticated: true, user: userInfo(known.user) };
}

function other(spec: JsonObject): User {
  if (text(spec.user) === "" && !(Array.isArray(spec.groups) && spec.groups.length > 0))
    throw wrong("SubjectAccessReview", "spec.user", text(spec.user), "at least one of user or group must be specified");
  return { name: text(spec.user), groups: (Array.isArray(spec.groups) ? spec.groups : []).filter((g) => typeof g === "string") };
}

export const REVIEWS: readonly Review[] = [
  review(AUTHORIZATION, "SelfSubjectAccessReview", schemas.SELF_SUBJECT_ACCESS_REVIEW, (user, spec) => access("SelfSubjectAccessReview", user, spec)),
  review(AUTHORIZATION, "SelfSubjectRulesReview", schemas.SELF_SUBJECT_RULES_REVIEW, rules),
  review(AUTHORIZATION, "SubjectAccessReview", schemas.SUBJECT_ACCESS_REVIEW, (_asker, spec) => access("SubjectAccessReview", other(spec), spec)),
  review("authentication.k8s.io", "SelfSubjectReview", schemas.SELF_SUBJECT_REVIEW, (user) => ({ userInfo: userInfo(user) })),
  // The token does not go back: answers are written down more often than requests.
  review(
    "authentication.k8s.io",
    "TokenReview",
    schemas.TOKEN_REVIEW,
    (_asker, spec, context) => token(spec, context),
    ({ token: _token, ...rest }) => rest,
  ),
];
