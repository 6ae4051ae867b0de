// What etcd and gRPC answer when a call fails: which of a few things it is, and the words for a person.
// Codes: https://grpc.io/docs/guides/status-codes/; texts: etcd's api/v3rpc/rpctypes/error.go.
import type { ServiceError } from "@grpc/grpc-js";
import { messageOf } from "../../base/errors.ts";
import { StoreError } from "../store.ts";

/** `lost`: nobody answered, or not in time: try another member. `login`: the token is no longer good. */
export type EtcdReason = "lost" | "login" | "compacted" | "future" | "too large" | "no space" | "permission" | "other";

const [INVALID_ARGUMENT, CANCELLED, DEADLINE_EXCEEDED, PERMISSION_DENIED, RESOURCE_EXHAUSTED] = [3, 1, 4, 7, 8];
const [OUT_OF_RANGE, INTERNAL, UNAVAILABLE, UNAUTHENTICATED] = [11, 13, 14, 16];

export class EtcdError extends Error {
  readonly reason: EtcdReason;
  /** The call cannot have done anything. */
  readonly notDone: boolean;
  constructor(reason: EtcdReason, message: string, options: { notDone: boolean; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.name = "EtcdError";
    this.reason = reason;
    this.notDone = options.notDone;
  }
}

/** Of a call's gRPC status. */
export function reasonOf(code: number, details: string): EtcdReason {
  if (code === UNAUTHENTICATED || /invalid auth token|auth store is old|user name is empty/.test(details)) return "login";
  if (code === OUT_OF_RANGE && details.includes("compacted")) return "compacted";
  if (code === OUT_OF_RANGE && details.includes("future revision")) return "future";
  if (code === INVALID_ARGUMENT && details.includes("request is too large")) return "too large";
  if (code === RESOURCE_EXHAUSTED && /larger than max/.test(details)) return "too large";
  if (code === RESOURCE_EXHAUSTED && details.includes("space exceeded")) return "no space";
  if (code === PERMISSION_DENIED) return "permission";
  if ([UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED, INTERNAL].includes(code)) return "lost";
  return "other";
}

const words: Record<EtcdReason, (details: string) => string> = {
  lost: (details) => `etcd does not answer: ${details}`,
  login: (details) => `etcd does not know who asks: ${details}`,
  compacted: (details) => details,
  future: (details) => details,
  "too large": () => "etcd does not take requests of this size (its --max-request-bytes, 1.5 MiB unless it was changed)",
  "no space": () => "etcd has no space left: compact and defragment it, raise its --quota-backend-bytes, then `etcdctl alarm disarm`",
  permission: () => "etcd does not permit it: its user needs a role with readwrite on the prefix of all keys",
  other: (details) => `etcd refuses: ${details}`,
};

/** The error of a call that failed. */
export function etcdError(thrown: unknown): EtcdError {
  if (thrown instanceof EtcdError) return thrown;
  const { code, details } = thrown as Partial<ServiceError>;
  if (code === undefined || details === undefined) return new EtcdError("lost", messageOf(thrown), { notDone: false, cause: thrown });
  const reason = reasonOf(code, details);
  // A lost call may have been carried out, unless it was never sent or there was nobody to carry it out.
  const notDone = reason !== "lost" || /^No connection established|^etcdserver: no leader/.test(details);
  // gRPC's own remarks around the reason, empty ones among them.
  const said = details
    .replace(/^etcdserver: /, "")
    .replace(/^No connection established\. Last error: (?!null)(?:Error: )?/, "")
    .replace(/\.? *Resolution note: *$/, "");
  return new EtcdError(reason, words[reason](said), { notDone, cause: thrown });
}

/** The same as the store's users know it. */
export const storeError = (error: EtcdError): StoreError =>
  new StoreError(error.reason === "too large" ? "too large" : "unavailable", error.message, { cause: error });
