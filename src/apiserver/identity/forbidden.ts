// The exact words of a refusal by authorization, as the API server of Kubernetes says them.
import { ApiError } from "../../api/status.ts";
import type { User } from "../wire/request.ts";

type Named = { verb: string; group: string; resource: string; subresource: string; namespace: string; name: string };

export function forbiddenText(user: User, asked: Named | { verb: string; path: string }): ApiError {
  const who = `User ${JSON.stringify(user.name)} cannot`;
  if ("path" in asked)
    return new ApiError({
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: `forbidden: ${who} ${asked.verb} path ${JSON.stringify(asked.path)}`,
      reason: "Forbidden",
      details: {},
      code: 403,
    });
  const resource = asked.subresource === "" ? asked.resource : `${asked.resource}/${asked.subresource}`;
  const where = asked.namespace === "" ? "at the cluster scope" : `in the namespace ${JSON.stringify(asked.namespace)}`;
  const full = asked.group === "" ? asked.resource : `${asked.resource}.${asked.group}`;
  const subject = asked.name === "" ? full : `${full} ${JSON.stringify(asked.name)}`;
  return new ApiError({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: `${subject} is forbidden: ${who} ${asked.verb} resource ${JSON.stringify(resource)} in API group ${JSON.stringify(asked.group)} ${where}`,
    reason: "Forbidden",
    details: { ...(asked.name === "" ? {} : { name: asked.name }), ...(asked.group === "" ? {} : { group: asked.group }), kind: asked.resource },
    code: 403,
  });
}
