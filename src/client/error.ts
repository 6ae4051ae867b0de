// The server's refusal, in its own words. https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
import { TortieError } from "../base/errors.ts";

export type StatusCause = { reason?: string; message?: string; field?: string };
export type Status = {
  kind?: "Status";
  status?: "Success" | "Failure";
  message?: string;
  reason?: string;
  code?: number;
  details?: { name?: string; group?: string; kind?: string; uid?: string; causes?: StatusCause[]; retryAfterSeconds?: number };
};

export class ApiError extends TortieError {
  readonly status: Status;
  /** HTTP status. */
  readonly code: number;
  /** "NotFound", "Conflict", "Invalid", …; "Unknown" when the server gave none. */
  readonly reason: string;
  constructor(status: Status) {
    super(status.message || `the server answered ${status.code ?? 0} ${status.reason ?? ""}`.trim());
    this.name = "ApiError";
    this.status = status;
    this.code = status.code ?? 500;
    this.reason = status.reason || "Unknown";
  }
  /** The refused fields, if the server named them. */
  get causes(): readonly StatusCause[] {
    return this.status.details?.causes ?? [];
  }
}

export const isNotFound = (thrown: unknown): boolean => thrown instanceof ApiError && thrown.code === 404;
export const isConflict = (thrown: unknown): boolean => thrown instanceof ApiError && thrown.code === 409 && thrown.reason !== "AlreadyExists";
export const isAlreadyExists = (thrown: unknown): boolean => thrown instanceof ApiError && thrown.reason === "AlreadyExists";
/** The revision asked for is no longer kept: list again. */
export const isExpired = (thrown: unknown): boolean => thrown instanceof ApiError && thrown.code === 410;

/** The error of an answer: its Status, or, when the body is none (a proxy's page), its status code and the first words of the body. */
export function apiErrorOf(httpStatus: number, body: string): ApiError {
  try {
    const parsed = JSON.parse(body) as Status;
    if (parsed && typeof parsed === "object" && parsed.kind === "Status") return new ApiError({ ...parsed, code: parsed.code ?? httpStatus });
  } catch {
    // not JSON: said below
  }
  const words = body.trim().replace(/\s+/g, " ").slice(0, 200);
  return new ApiError({ code: httpStatus, reason: "Unknown", message: `the server answered ${httpStatus}${words ? `: ${words}` : ""}` });
}
