// Answers: objects, lists, tables and refusals as bytes.
import type { Kind } from "../../api/kind.ts";
import { apiVersionOf } from "../../api/kind.ts";
import type { Resource } from "../../api/meta.ts";
import { ApiError, badRequest, internalError, notAcceptable, type Status, tooLargeToStore, unavailable } from "../../api/status.ts";
import { StoreError } from "../../store/store.ts";
import { formOf, type Form } from "./accept.ts";
import type { ApiRequest, ApiResponse } from "./request.ts";
import { columnDefinitions, type IncludeObject, partial, rowOf, table } from "./table.ts";

export type ListMeta = { resourceVersion: string; continue?: string; remainingItemCount?: number };

/** Throws ApiError 406. */
export function formFor(request: ApiRequest): Form {
  const form = formOf(request.headers.accept);
  if (!form) throw notAcceptable(["application/json", "application/yaml"]);
  return form;
}

/** Throws ApiError 400. */
export function includeObjectOf(request: ApiRequest): IncludeObject {
  const asked = request.query.get("includeObject") ?? "";
  if (asked === "" || asked === "Metadata") return "Metadata";
  if (asked === "None" || asked === "Object") return asked;
  throw badRequest(
    `Unable to convert to Table as requested: includeObject: Invalid value: ${JSON.stringify(asked)}: must be 'Metadata', 'Object', 'None', or empty`,
  );
}

/** Throws ApiError when the answer cannot be given as it is asked for: to be known before anything is written. */
export function checkForm(request: ApiRequest): void {
  if (formFor(request).as === "Table") includeObjectOf(request);
}

const BROWSERS = /^(curl|Wget|Mozilla\/5\.0)/;
const pretty = (request: ApiRequest): boolean => {
  const asked = request.query.get("pretty");
  return asked === null ? BROWSERS.test(request.headers["user-agent"] ?? "") : asked === "true" || asked === "1";
};

/** True when objects go out as they are stored: JSON, not made for reading. Throws ApiError 406. */
export function plainJson(request: ApiRequest): boolean {
  const form = formFor(request);
  return form.as === "Object" && !form.yaml && !pretty(request);
}

/** What readers of YAML 1.1 (Go's, Python's) would take for something else than text is quoted: "on", "no", times. */
const YAML = { version: "1.1", indentSeq: false, lineWidth: 0, aliasDuplicateObjects: false } as const;

async function encode(request: ApiRequest, form: Form, value: object): Promise<string> {
  if (form.yaml) return (await import("yaml")).stringify(value, YAML);
  return pretty(request) ? `${JSON.stringify(value, null, 2)}\n` : JSON.stringify(value);
}

export async function answer(request: ApiRequest, code: number, value: object, warnings: readonly string[] = []): Promise<ApiResponse> {
  const form = formFor(request);
  return plain(code, form.as === "Object" ? form.contentType : "application/json", await encode(request, form, value), warnings);
}

function plain(code: number, contentType: string, body: string, warnings: readonly string[]): ApiResponse {
  const headers: Record<string, string> = { "content-type": contentType };
  // Line breaks cannot stand in a header; several warnings are one header's list.
  if (warnings.length > 0)
    headers.warning = warnings
      .slice(0, 20)
      .map((w) => `299 - ${JSON.stringify(w).replace(/[^\x20-\x7e]/g, "?")}`)
      .join(", ");
  return { code, headers, body };
}

/** One object, in the form that was asked for. */
export async function answerObject(
  request: ApiRequest,
  now: number,
  kind: Kind,
  object: Resource,
  options: { code?: number; warnings?: readonly string[] } = {},
): Promise<ApiResponse> {
  const form = formFor(request);
  const { code = 200, warnings = [] } = options;
  const { resourceVersion } = object.metadata;
  const value =
    form.as === "Table"
      ? table(form.version, { resourceVersion }, columnDefinitions(kind), [
          rowOf(kind, object, { now, include: includeObjectOf(request), version: form.version }),
        ])
      : form.as === "PartialObjectMetadata"
        ? partial(object, form.version)
        : object;
  return plain(code, form.contentType, await encode(request, form, value), warnings);
}

/** Lists of all but the core kinds say that there is no more by an empty text, as Kubernetes' lists of custom resources do. */
export const listMeta = (kind: Kind, metadata: ListMeta): ListMeta => (kind.builtIn ? metadata : { continue: "", ...metadata });

export async function answerList(request: ApiRequest, now: number, kind: Kind, items: readonly Resource[], metadata: ListMeta): Promise<ApiResponse> {
  const form = formFor(request);
  let value: object;
  if (form.as === "Table") {
    const options = { now, include: includeObjectOf(request), version: form.version };
    value = table(
      form.version,
      metadata,
      columnDefinitions(kind),
      items.map((o) => rowOf(kind, o, options)),
    );
  } else if (form.as === "PartialObjectMetadata")
    value = {
      kind: "PartialObjectMetadataList",
      apiVersion: `meta.k8s.io/${form.version}`,
      metadata,
      items: items.map((o) => partial(o, form.version)),
    };
  else value = { kind: `${kind.kind}List`, apiVersion: apiVersionOf(kind), metadata: listMeta(kind, metadata), items };
  return plain(200, form.contentType, await encode(request, form, value), []);
}

/** The Status of whatever was thrown; what nobody foresaw is 500 without its inside. */
export function statusOf(thrown: unknown): Status {
  if (thrown instanceof ApiError) return thrown.status;
  if (thrown instanceof StoreError) return (thrown.reason === "too large" ? tooLargeToStore : unavailable)(thrown.message).status;
  return internalError("the server met an error that it did not expect").status;
}

/** `request`: what was asked, where that is known: how its answer is to look. */
export function answerError(thrown: unknown, request?: ApiRequest): ApiResponse {
  const status = statusOf(thrown);
  const retry = status.details?.retryAfterSeconds;
  return {
    code: status.code,
    headers: { "content-type": "application/json", ...(retry === undefined ? {} : { "retry-after": String(retry) }) },
    body: request && pretty(request) ? `${JSON.stringify(status, null, 2)}\n` : `${JSON.stringify(status)}\n`,
  };
}

/** An unknown path, as Kubernetes answers it. */
export const NO_SUCH_PAGE: ApiResponse = {
  code: 404,
  headers: { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" },
  body: "404 page not found\n",
};
