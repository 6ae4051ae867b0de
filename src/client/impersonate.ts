// Acting as somebody else: what a kubeconfig's user says of it, as the headers that a server takes.
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
import { isObject } from "../api/json.ts";

export type ImpersonationFields = { as?: unknown; "as-uid"?: unknown; "as-groups"?: unknown; "as-user-extra"?: unknown };
export type ImpersonationHeaders = Readonly<Record<string, string | string[]>>;

const isText = (v: unknown): v is string => typeof v === "string" && v !== "";
const isTexts = (v: unknown): v is string[] => Array.isArray(v) && v.every((t) => typeof t === "string");
/** Headers are bytes: names beyond ASCII go as UTF-8. */
const bytesOf = (text: string): string => Buffer.from(text, "utf8").toString("latin1");
const EXTRA = "impersonate-extra-";

/** The headers, or undefined when nobody else is meant. `fail` throws a sentence about the kubeconfig. */
export function impersonationOf(user: ImpersonationFields, fail: (why: string) => never): ImpersonationHeaders | undefined {
  const { as, "as-uid": uid, "as-groups": groups, "as-user-extra": extra } = user;
  if (!isText(as))
    return [uid, groups, extra].some((v) => v !== undefined && v !== null) ? fail("as-uid, as-groups and as-user-extra need as") : undefined;
  if (groups !== undefined && !isTexts(groups)) return fail("as-groups is no list of texts");
  if (extra !== undefined && !(isObject(extra) && Object.values(extra).every(isTexts))) return fail("as-user-extra is no mapping of lists of texts");
  const headers: Record<string, string | string[]> = { "impersonate-user": bytesOf(as) };
  if (isText(uid)) headers["impersonate-uid"] = bytesOf(uid);
  if (groups) headers["impersonate-group"] = groups.map(bytesOf);
  for (const [key, values] of Object.entries(extra ?? {})) headers[EXTRA + encodeURIComponent(key.toLowerCase())] = (values as string[]).map(bytesOf);
  return headers;
}
