// kubectl --as and the like: nobody may act as somebody else here. To overlook the headers would be to answer as the one who asks, with all that they may.
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
import { ApiError } from "../../api/status.ts";
import type { User } from "../wire/request.ts";

/** Throws ApiError 403. `headers` with lower-case names. */
export function refuseImpersonation(user: User, headers: Readonly<Record<string, unknown>>): void {
  const asked = Object.keys(headers).find((name) => name.startsWith("impersonate-"));
  if (asked === undefined) return;
  throw new ApiError({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: `forbidden: User ${JSON.stringify(user.name)} cannot impersonate: this server does not let anyone act as somebody else (${asked})`,
    reason: "Forbidden",
    details: {},
    code: 403,
  });
}
