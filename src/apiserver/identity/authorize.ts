// Who may do what: roles.ts has the table, here it is asked.
import type { ApiError } from "../../api/status.ts";
import type { User, Verb } from "../wire/request.ts";
import { forbiddenText } from "./forbidden.ts";
import { type Role, ROLES, type Rule } from "./roles.ts";

export type Asked = { verb: Verb; group: string; resource: string; subresource: string; namespace: string; name: string };

export const rolesOf = (user: User): Role[] => ROLES.filter((role) => role.has(user));

/** The role that lets `user` do this, or undefined. */
export function allowing(user: User, asked: Pick<Asked, "verb" | "group" | "resource" | "subresource">): Role | undefined {
  const resource = asked.subresource === "" ? asked.resource : `${asked.resource}/${asked.subresource}`;
  return rolesOf(user).find((role) => role.rules.some((rule) => covers(rule, asked.verb, asked.group, resource)));
}

const covers = (rule: Rule, verb: Verb, group: string, resource: string): boolean =>
  (rule.group === "*" || rule.group === group) &&
  // Who may everything but something may not everything.
  (rule.resource === "*" ? !rule.except || (resource !== "*" && !rule.except.includes(resource)) : rule.resource === resource) &&
  rule.verbs.includes(verb);

/** Undefined when allowed. */
export const authorize = (user: User, asked: Asked): ApiError | undefined => (allowing(user, asked) ? undefined : forbiddenText(user, asked));

/** The role that lets `user` ask for `path`, which is not one of a resource, or undefined. `method` in any case. */
export function allowingPath(user: User, method: string, path: string): Role | undefined {
  const root = `/${path.split("/")[1] ?? ""}`;
  const reads = ["get", "head"].includes(method.toLowerCase());
  return rolesOf(user).find((role) => role.paths.some((p) => p === "*" || (reads && p === root)));
}
