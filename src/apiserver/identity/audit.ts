// The audit log: who asked what of which object, whether they might, and what came of it; never a body. A line of JSON for each request, an Event of
// audit.k8s.io/v1 at level Metadata, so that what reads Kubernetes' audit logs reads ours: https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/
// Left out, because they would bury the rest: what agents report of themselves every second, and looks at health, unless they fail.
import type { JsonObject } from "../../api/json.ts";
import { parsePath } from "../wire/request.ts";
import { NODE_PREFIX } from "./roles.ts";
import { parseToken } from "./token.ts";

export type AuditLine = {
  /** Verb of the API, or what a stream is for: "connect", "exec", "capture". */
  readonly verb: string;
  readonly path: string;
  /** Name of the user. */
  readonly user: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
  readonly id?: string;
  /** @default "ResponseComplete" */
  readonly stage?: "ResponseStarted" | "ResponseComplete";
  /** With its "?". */
  readonly query?: string;
  readonly source?: string;
  readonly agent?: string;
  /** Name of the object that was made, which the path does not say. */
  readonly name?: string;
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
  /** Which role let it happen; absent where none did. */
  readonly role?: string;
  /** When the request came, ms since 1970. @default now */
  readonly received?: number;
};
/** Further fields go into the annotations. */
export type Audited = AuditLine & Readonly<Record<string, unknown>>;

const REPORTS = "/apis/tortie.io/v1/nodeencryptions/";
const HEALTH = new Set(["/healthz", "/livez", "/readyz"]);
/** Kinds whose refusals may quote what must not be written down. */
const SECRET = new Set(["secrets", "accesstokens", "tokenreviews"]);

const isRoutine = (line: AuditLine): boolean =>
  (line.code ?? 0) < 400 && (HEALTH.has(line.path) || (line.user.startsWith(NODE_PREFIX) && line.path.startsWith(REPORTS)));

/** RFC 3339 with microseconds. */
const stamp = (ms: number): string => new Date(ms).toISOString().replace("Z", "000Z");

const OWN = [
  "verb",
  "path",
  "user",
  "groups",
  "extra",
  "id",
  "stage",
  "query",
  "source",
  "agent",
  "name",
  "code",
  "reason",
  "message",
  "role",
  "received",
];

/** The Event of one line, or undefined for what is not written down. `now` in ms since 1970; `id` names lines that bring no name. */
export function auditEvent(line: Audited, now: number, id: string): JsonObject | undefined {
  if (isRoutine(line)) return undefined;
  const path = parsePath(line.path);
  const { groups, extra, source, agent, code = 0, role } = line;
  // What a role lets through may still be refused, for what the object is: that is in the outcome.
  const forbidden = role === undefined && (code === 401 || code === 403);
  const more = Object.entries(line).filter(([key, value]) => !OWN.includes(key) && value !== undefined);
  return {
    kind: "Event",
    apiVersion: "audit.k8s.io/v1",
    level: "Metadata",
    auditID: line.id ?? id,
    stage: line.stage ?? "ResponseComplete",
    requestURI: `${line.path}${withoutTokens(line.query ?? "")}`,
    verb: line.verb,
    user: { username: line.user, ...(groups ? { groups: [...groups] } : {}), ...(extra ? { extra: mutable(extra) } : {}) },
    ...(source === undefined ? {} : { sourceIPs: [source] }),
    ...(agent === undefined ? {} : { userAgent: agent }),
    ...(path ? { objectRef: referenceOf(path, line.name) } : {}),
    responseStatus: {
      metadata: {},
      ...(code >= 400 ? { status: "Failure" } : {}),
      ...(line.message === undefined || line.message === "" || SECRET.has(path?.plural ?? "") ? {} : { message: line.message }),
      ...(line.reason === undefined ? {} : { reason: line.reason }),
      code,
    },
    requestReceivedTimestamp: stamp(line.received ?? now),
    stageTimestamp: stamp(now),
    annotations: {
      "authorization.k8s.io/decision": forbidden ? "forbid" : "allow",
      "authorization.k8s.io/reason": role === undefined ? byGrant(line) : `the role of ${role} allows it`,
      ...Object.fromEntries(more.map(([key, value]) => [`tortie.io/${key}`, typeof value === "string" ? value : JSON.stringify(value)])),
    },
  };
}

/** A token in a query is not taken, but it holds elsewhere. */
function withoutTokens(query: string): string {
  const asked = new URLSearchParams(query);
  const secret = [...asked].filter(([, value]) => parseToken(value) !== undefined);
  for (const [name] of secret) asked.set(name, "(hidden)");
  return secret.length === 0 ? query : `?${asked.toString()}`;
}

const byGrant = ({ grant }: Audited): string => (typeof grant === "string" ? `the CaptureGrant ${JSON.stringify(grant)} allows it` : "");

const mutable = (extra: NonNullable<AuditLine["extra"]>): JsonObject => Object.fromEntries(Object.entries(extra).map(([k, v]) => [k, [...v]]));

function referenceOf(path: NonNullable<ReturnType<typeof parsePath>>, made = ""): JsonObject {
  const { plural: resource, namespace, group: apiGroup, version: apiVersion, subresource } = path;
  const given = { namespace, name: path.name === "" ? made : path.name, apiGroup };
  return {
    resource,
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== "")),
    apiVersion,
    ...(subresource === "" ? {} : { subresource }),
  };
}
