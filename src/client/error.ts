// The server's refusal, in its own words: ApiError with the Status that was answered.
import { ApiError, isApiError, type Status } from "../api/status.ts";

export { ApiError, isApiError, type Status, type StatusCause } from "../api/status.ts";

export const isNotFound = (thrown: unknown): boolean => thrown instanceof ApiError && thrown.code === 404;
/** Someone else wrote first: read again and try again. */
export const isConflict = (thrown: unknown): boolean => isApiError(thrown, "Conflict");
export const isAlreadyExists = (thrown: unknown): boolean => isApiError(thrown, "AlreadyExists");
/** The revision asked for is no longer kept: list again. */
export const isExpired = (thrown: unknown): boolean => thrown instanceof ApiError && thrown.code === 410;

const failure = (code: number, message: string): ApiError =>
  new ApiError({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", reason: "", code, message });

/** The error of a Status that came over the wire, with what it left out. */
export function apiErrorOfStatus(status: Partial<Status> | null | undefined, httpStatus = 500): ApiError {
  if (typeof status !== "object" || status === null) return failure(httpStatus, `the server answered ${httpStatus}`);
  const code = typeof status.code === "number" ? status.code : httpStatus;
  const message = status.message || `the server answered ${code} ${status.reason ?? ""}`.trim();
  return new ApiError({ ...failure(code, message).status, ...status, code, message });
}

/** The error of an answer: its Status, or, when the body is none (a proxy's page), its status code and the first words of the body. */
export function apiErrorOf(httpStatus: number, body: string): ApiError {
  try {
    const parsed = JSON.parse(body) as Partial<Status>;
    if (parsed?.kind === "Status") return apiErrorOfStatus(parsed, httpStatus);
  } catch {
    // not JSON: said below
  }
  const words = body.trim().replace(/\s+/g, " ").slice(0, 200);
  return failure(httpStatus, `the server answered ${httpStatus}${words ? `: ${words}` : ""}`);
}
