// A request as the rest of this folder sees it, whatever carried it: who asks for what. Path grammar and verbs of the Kubernetes API:
// https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
import type { Kind } from "../../api/kind.ts";

export type User = {
  readonly name: string;
  readonly groups: readonly string[];
  /** What else is known: which credential it was, which node a token is for. Keys as in Kubernetes. */
  readonly extra?: Readonly<Record<string, readonly string[]>>;
  /** Why the credentials that came are not taken; then nothing is answered but 401. */
  readonly refused?: string;
};

export type ApiRequest = {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly user: User;
  /** Names the request in the audit log and in its answer (Audit-Id). */
  readonly id: string;
  /** Where the request came from, for the audit log. */
  readonly source: string;
  /** The whole body; throws ApiError 413 beyond the limit. */
  readonly body: () => Promise<Uint8Array>;
  /** Aborted when the asker went away. */
  readonly signal: AbortSignal;
};

/** Takes the parts of an answer without end. */
export interface Sink {
  write(chunk: string | Uint8Array): void;
  /** Bytes written that the asker has not taken yet. */
  readonly waiting: number;
  /** Calls `then` once, when the asker has taken what was waiting. */
  drain(then: () => void): void;
  end(): void;
}
export type ApiResponse = {
  readonly code: number;
  readonly headers: Readonly<Record<string, string>>;
  /** A whole body, or what fills an endless one; its result is called when the asker goes away or the server stops. */
  readonly body: string | Uint8Array | ((sink: Sink) => () => void);
  /** Name of the object that was made, for the audit log. */
  readonly made?: string;
};

export type Verb = "get" | "list" | "watch" | "create" | "update" | "patch" | "delete" | "deletecollection";

/** What a path means. `name` is "" for a collection; `rest` is what follows a subresource. */
export type ResourcePath = {
  readonly group: string;
  readonly version: string;
  readonly namespace: string;
  readonly plural: string;
  readonly name: string;
  readonly subresource: string;
  readonly rest: string;
};

/** Undefined when the path is not one of a resource (discovery, /healthz, …) or is malformed. */
export function parsePath(path: string): ResourcePath | undefined {
  let parts: string[];
  try {
    parts = path.split("/").slice(1).map(decodeURIComponent);
  } catch {
    return undefined;
  }
  if (parts.at(-1) === "") parts.pop();
  // A slash inside a segment (%2F) would reach into another name's key.
  if (parts.some((p) => p.includes("/"))) return undefined;
  const core = parts[0] === "api";
  if (!core && parts[0] !== "apis") return undefined;
  const [group, version] = core ? ["", parts[1]] : [parts[1], parts[2]];
  let at = parts.slice(core ? 2 : 3);
  if (group === undefined || version === undefined || at.length === 0 || at.includes("") || at.includes(".") || at.includes("..")) return undefined;
  let namespace = "";
  // namespaces/NAME alone, and its subresources, are the namespace object itself.
  if (at[0] === "namespaces" && at.length >= 3 && !(at.length === 3 && (at[2] === "status" || at[2] === "finalize"))) {
    namespace = at[1]!;
    at = at.slice(2);
  }
  const [plural, name = "", subresource = "", ...rest] = at;
  return { group, version, namespace, plural: plural!, name, subresource, rest: rest.join("/") };
}

const TRUE = new Set(["1", "true", "True", "TRUE", "t"]);
/** A query parameter that is true. */
export const flag = (query: URLSearchParams, name: string): boolean => TRUE.has(query.get(name) ?? "");

/** The verb that authorization and audit see; undefined for a method that the API does not have. */
export function verbOf(method: string, path: Pick<ResourcePath, "name">, query: URLSearchParams): Verb | undefined {
  const one = path.name !== "";
  switch (method) {
    case "GET":
    case "HEAD":
      return one ? "get" : flag(query, "watch") ? "watch" : "list";
    case "POST":
      return "create";
    case "PUT":
      return "update";
    case "PATCH":
      return "patch";
    case "DELETE":
      return one ? "delete" : "deletecollection";
    default:
      return undefined;
  }
}

/** What is asked, once the kind is known. */
export type Target = { readonly kind: Kind; readonly namespace: string; readonly name: string; readonly subresource: string; readonly rest: string };
