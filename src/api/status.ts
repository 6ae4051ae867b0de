// Kubernetes' Status objects: how the API says that something cannot be done, and the exact words that clients look for.
// https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
import type { FieldError, Resource } from "./meta.ts";
import { type Kind, resourceOf } from "./kind.ts";

export type StatusCause = { reason?: string; message?: string; field?: string };
export type StatusDetails = { name?: string; group?: string; kind?: string; uid?: string; causes?: StatusCause[]; retryAfterSeconds?: number };
export type Status = {
  kind: "Status";
  apiVersion: "v1";
  metadata: { continue?: string };
  status: "Success" | "Failure";
  message?: string;
  reason?: string;
  details?: StatusDetails;
  code: number;
};

/** A Status that was thrown: by the server to answer it, by a client because it was answered. */
export class ApiError extends Error {
  readonly status: Status;
  constructor(status: Status) {
    super(status.message ?? status.reason ?? `the server answered ${status.code}`);
    this.name = "ApiError";
    this.status = status;
  }
  get code(): number {
    return this.status.code;
  }
  get reason(): string {
    return this.status.reason ?? "";
  }
}

/** True when `thrown` is an ApiError with one of these reasons ("NotFound", "Conflict", …). */
export const isApiError = (thrown: unknown, ...reasons: string[]): thrown is ApiError =>
  thrown instanceof ApiError && (reasons.length === 0 || reasons.includes(thrown.reason));

const failure = (code: number, reason: string, message: string, details?: StatusDetails): ApiError =>
  new ApiError({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, ...(details ? { details } : {}), code });

type Names = Pick<Kind, "group" | "plural">;
const detailsOf = (kind: Names, name: string): StatusDetails => ({
  ...(name === "" ? {} : { name }),
  ...(kind.group === "" ? {} : { group: kind.group }),
  kind: kind.plural,
});

export const notFound = (kind: Names, name: string): ApiError =>
  failure(404, "NotFound", `${resourceOf(kind)} "${name}" not found`, detailsOf(kind, name));
export const alreadyExists = (kind: Names, name: string): ApiError =>
  failure(409, "AlreadyExists", `${resourceOf(kind)} "${name}" already exists`, detailsOf(kind, name));
export const conflict = (
  kind: Names,
  name: string,
  why = "the object has been modified; please apply your changes to the latest version and try again",
): ApiError => failure(409, "Conflict", `Operation cannot be fulfilled on ${resourceOf(kind)} "${name}": ${why}`, detailsOf(kind, name));
export const forbidden = (kind: Names, name: string, why: string, causes?: StatusCause[]): ApiError =>
  failure(403, "Forbidden", `${resourceOf(kind)}${name === "" ? "" : ` "${name}"`} is forbidden: ${why}`, {
    ...detailsOf(kind, name),
    ...(causes ? { causes } : {}),
  });
export const badRequest = (message: string): ApiError => failure(400, "BadRequest", message);
export const unauthorized = (): ApiError => failure(401, "Unauthorized", "Unauthorized");
export const methodNotAllowed = (kind?: Names): ApiError =>
  failure(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", kind ? detailsOf(kind, "") : {});
export const notAcceptable = (accepted: readonly string[]): ApiError =>
  failure(406, "NotAcceptable", `only the following media types are accepted: ${accepted.join(", ")}`);
export const expired = (message: string, continueToken?: string): ApiError => {
  const error = failure(410, "Expired", message);
  if (continueToken !== undefined) error.status.metadata.continue = continueToken;
  return error;
};
export const tooLarge = (limit: number): ApiError => failure(413, "RequestEntityTooLarge", `Request entity too large: limit is ${limit}`);
export const tooLargeToStore = (message: string): ApiError => failure(413, "RequestEntityTooLarge", message);
export const unsupportedMediaType = (accepted: readonly string[]): ApiError =>
  failure(415, "UnsupportedMediaType", `the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`);
export const tooManyRequests = (): ApiError =>
  failure(429, "TooManyRequests", "Too many requests, please try again later.", { retryAfterSeconds: 1 });
export const internalError = (message: string): ApiError => failure(500, "InternalError", `Internal error occurred: ${message}`);
export const unavailable = (message: string): ApiError => failure(503, "ServiceUnavailable", message);
/** A resourceVersion that is not reached in time. */
export const tooLargeResourceVersion = (asked: number, current: number): ApiError =>
  failure(504, "Timeout", `Timeout: Too large resource version: ${asked}, current: ${current}`, {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
    retryAfterSeconds: 1,
  });

/** Errors that one answer tells. */
const MAX_TOLD = 100;

/** 422: `errors` in one line, and each as a cause with its field. `kind` is the Kind here (not the plural). */
export function invalid(kind: Pick<Kind, "group" | "kind">, name: string, errors: readonly FieldError[]): ApiError {
  const told = errors.slice(0, MAX_TOLD);
  const lines = told.map((e) => (e.field === "" ? e.message : `${e.field}: ${e.message}`));
  if (errors.length > told.length) lines.push(`and ${errors.length - told.length} more`);
  const all = lines.length === 1 ? lines[0]! : `[${lines.join(", ")}]`;
  const named = kind.group === "" ? kind.kind : `${kind.kind}.${kind.group}`;
  return failure(422, "Invalid", `${named} "${name}" is invalid: ${all}`, {
    ...(name === "" ? {} : { name }),
    ...(kind.group === "" ? {} : { group: kind.group }),
    kind: kind.kind,
    causes: told.map((e) => ({ reason: e.reason, message: e.message, field: e.field })),
  });
}

/** 415: what would make GitOps tools work is not there yet; `accepted` are the patches that are. */
export const noServerSideApply = (accepted: readonly string[]): ApiError =>
  failure(
    415,
    "UnsupportedMediaType",
    `server-side apply (application/apply-patch+yaml) is not available on this server: use "kubectl apply" without --server-side, or send a patch of type ${accepted.join(" or ")}`,
  );

/** What a delete answers: no code, that is the response's. */
export const deleted = (kind: Names, object: Resource): Omit<Status, "code"> => ({
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Success",
  details: { ...detailsOf(kind, object.metadata.name), ...(object.metadata.uid ? { uid: object.metadata.uid } : {}) },
});
