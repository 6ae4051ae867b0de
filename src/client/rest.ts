// The typed client over any Transport. Verbs, paths and media types: https://kubernetes.io/docs/reference/using-api/api-concepts/
import { apiVersionOf, type Kind } from "../api/kind.ts";
import type { Resource, ResourceList, WatchEvent } from "../api/meta.ts";
import { TortieError } from "../base/errors.ts";
import { type ApiError, apiErrorOf, apiErrorOfStatus, isExpired, type Status } from "./error.ts";
import { linesOf, textOf } from "./lines.ts";
import { pause } from "./pause.ts";
import { pathOf, type Query, queryOf } from "./path.ts";
import type { HttpRequest, Transport } from "./transport.ts";
import type { Client, ListOptions, PatchType, WatchOptions, WriteOptions } from "./types.ts";

const PAGE = 500;
/** A server that asks us to come back (429, 503 with Retry-After) is asked again this often, as client-go does. */
const RETRIES = 2;
const RETRY_AFTER_LIMIT_S = 5;

/** Media types of patches. https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-apply */
export const CONTENT_TYPE: Readonly<Record<PatchType, string>> = {
  merge: "application/merge-patch+json",
  json: "application/json-patch+json",
  strategic: "application/strategic-merge-patch+json",
};

export type RawRequest = {
  query?: Query;
  /** Becomes JSON. */
  body?: unknown;
  contentType?: string;
  /** @default "application/json" */
  accept?: string;
  signal?: AbortSignal | undefined;
};

type RawWatch = RawRequest & Pick<WatchOptions, "idleMs" | "onOpen">;

/** A Client that also takes requests by path: discovery, tables, /version. */
export interface RestClient extends Client {
  readonly transport: Transport;
  /** The kind by the names that this cluster has for it, for paths: some keep Calico's resources under another group (layouts/). */
  served<T extends Resource>(kind: Kind<T>): Promise<Kind<T>>;
  /** The JSON of a successful answer. Throws ApiError, TortieError. */
  raw<T>(method: HttpRequest["method"], path: string, request?: RawRequest): Promise<T>;
  /** The events of a watch at `path`; objects of any kind, also Tables. */
  rawWatch<T>(path: string, request: RawWatch): AsyncGenerator<{ type: string; object: T }>;
}

async function send(transport: Transport, method: HttpRequest["method"], path: string, request: RawRequest): Promise<AsyncIterable<Uint8Array>> {
  const headers: Record<string, string> = { accept: request.accept ?? "application/json" };
  const body = request.body === undefined ? undefined : JSON.stringify(request.body);
  if (body !== undefined) headers["content-type"] = request.contentType ?? "application/json";
  const full = path + queryOf(request.query ?? {});
  for (let attempt = 0; ; attempt++) {
    const answer = await transport.request({ method, path: full, headers, ...(body === undefined ? {} : { body }), signal: request.signal });
    if (answer.status >= 200 && answer.status < 300) return answer.body;
    const error = apiErrorOf(answer.status, await textOf(answer.body, 16 << 20));
    const after = retryAfter(answer.headers["retry-after"], error);
    const asked = (answer.status === 429 || answer.status === 503) && after !== undefined && after <= RETRY_AFTER_LIMIT_S;
    if (!asked || attempt >= RETRIES || request.signal?.aborted) throw error;
    await pause(after * 1000, request.signal);
  }
}

/** Seconds that a server asks to wait: a number or a date (RFC 9110, 10.2.3); kept in the error, for who waits longer than a request may. */
function retryAfter(text: string | undefined, error: ApiError): number | undefined {
  if (text === undefined) return undefined;
  const seconds = /^[0-9]{1,6}$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
  if (Number.isNaN(seconds)) return undefined;
  error.status.details = { ...error.status.details, retryAfterSeconds: Math.max(0, seconds) };
  return Math.max(0, seconds);
}

function parse<T>(text: string, where: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new TortieError(`Cannot read the answer of ${where}: it is not JSON`, { cause });
  }
}

/** Bookmarks come about once a minute. */
const IDLE_MS = 130_000;
/** A server that writes empty lines to say that it lives (ours does, every 20 s) is missed sooner. */
const KEPT_ALIVE_IDLE_MS = 50_000;
const NEWLINE = 10;

/** Ends with an error when nothing, not even a keep-alive, came for `idleMs`: the peer is gone without a word. */
async function* lively(chunks: AsyncIterable<Uint8Array>, longestMs: number, where: string): AsyncGenerator<Uint8Array> {
  let idleMs = longestMs;
  const it = chunks[Symbol.asyncIterator]();
  try {
    for (;;) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const silence = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new TortieError(`Cannot go on watching ${where}: it was silent for ${idleMs} ms`)), idleMs);
      });
      try {
        const next = await Promise.race([it.next(), silence]);
        if (next.done) return;
        if (next.value.length === 1 && next.value[0] === NEWLINE) idleMs = Math.min(longestMs, KEPT_ALIVE_IDLE_MS);
        yield next.value;
      } finally {
        clearTimeout(timer);
      }
    }
  } finally {
    // Not awaited: a generator that waits for the dead peer would wait for ever; destroying the connection is immediate.
    void it.return?.()?.catch(() => {});
  }
}

export function restClient(transport: Transport): RestClient {
  const raw = async <T>(method: HttpRequest["method"], path: string, request: RawRequest = {}): Promise<T> =>
    parse<T>(await textOf(await send(transport, method, path, request)), transport.where);

  async function* rawWatch<T>(path: string, request: RawWatch): AsyncGenerator<{ type: string; object: T }> {
    const body = await send(transport, "GET", path, request);
    request.onOpen?.();
    for await (const line of linesOf(lively(body, request.idleMs ?? IDLE_MS, transport.where))) {
      if (line === "" || line === "\r") continue;
      const event = parse<{ type: string; object: T }>(line, transport.where);
      if (event.type === "ERROR") throw apiErrorOfStatus(event.object as Partial<Status>);
      yield event;
    }
  }

  const writeQuery = (o: WriteOptions): Query => ({
    dryRun: o.dryRun ? "All" : undefined,
    fieldManager: o.fieldManager,
    fieldValidation: o.fieldValidation,
  });
  const namespaceOf = (kind: Pick<Kind, "namespaced">, namespace: string | undefined): string | undefined =>
    kind.namespaced ? (namespace ?? "default") : undefined;
  const write = <T extends Resource>(method: "POST" | "PUT", kind: Kind<T>, object: T, o: WriteOptions, subresource?: "status"): Promise<T> =>
    raw<T>(
      method,
      pathOf(kind, {
        namespace: namespaceOf(kind, o.namespace ?? object.metadata.namespace),
        ...(method === "PUT" ? { name: object.metadata.name } : {}),
        subresource,
      }),
      { query: writeQuery(o), body: { ...object, apiVersion: apiVersionOf(kind), kind: kind.kind }, signal: o.signal },
    );
  const listQuery = (o: ListOptions): Query => ({
    labelSelector: o.labelSelector,
    fieldSelector: o.fieldSelector,
    resourceVersion: o.resourceVersion,
  });

  async function list<T extends Resource>(kind: Kind<T>, o: ListOptions = {}): Promise<ResourceList<T>> {
    const path = pathOf(kind, { namespace: o.namespace });
    let items: T[] = [];
    let at = o.continue;
    let limit: number | undefined = o.limit ?? PAGE;
    for (;;) {
      let page: ResourceList<T>;
      try {
        page = await raw<ResourceList<T>>("GET", path, { query: { ...listQuery(o), limit, continue: at }, signal: o.signal });
      } catch (thrown) {
        // The pages' revision went out of the server's window: once more, all at once.
        if (!isExpired(thrown) || at === undefined || limit === undefined) throw thrown;
        [items, at, limit] = [[], undefined, undefined];
        continue;
      }
      // Items of a list need not say what they are; each that leaves here does.
      for (const item of page.items ?? []) items.push({ ...item, apiVersion: apiVersionOf(kind), kind: kind.kind });
      at = page.metadata?.continue || undefined;
      if (at === undefined) return { ...page, metadata: { ...page.metadata }, items };
    }
  }

  async function* watch<T extends Resource>(kind: Kind<T>, o: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    const query: Query = {
      ...listQuery(o),
      watch: true,
      allowWatchBookmarks: o.bookmarks ? true : undefined,
      sendInitialEvents: o.sendInitialEvents,
      resourceVersionMatch: o.sendInitialEvents === undefined ? undefined : "NotOlderThan",
      timeoutSeconds: o.timeoutSeconds,
    };
    const path = pathOf(kind, { namespace: o.namespace });
    const more = { ...(o.idleMs === undefined ? {} : { idleMs: o.idleMs }), ...(o.onOpen ? { onOpen: o.onOpen } : {}) };
    for await (const event of rawWatch<T>(path, { query, signal: o.signal, ...more })) yield event as WatchEvent<T>;
  }

  return {
    transport,
    served: async (kind) => kind,
    raw,
    rawWatch,
    list,
    watch,
    get: (kind, name, o = {}) => raw("GET", pathOf(kind, { namespace: namespaceOf(kind, o.namespace), name }), { signal: o.signal }),
    create: (kind, object, o = {}) => write("POST", kind, object, o),
    update: (kind, object, o = {}) => write("PUT", kind, object, o),
    updateStatus: (kind, object, o = {}) => write("PUT", kind, object, o, "status"),
    patch: (kind, name, patch, o = {}) =>
      raw("PATCH", pathOf(kind, { namespace: namespaceOf(kind, o.namespace), name, subresource: o.subresource }), {
        query: writeQuery(o),
        body: patch,
        contentType: CONTENT_TYPE[o.type ?? "merge"],
        signal: o.signal,
      }),
    delete: async (kind, name, o = {}) => {
      const preconditions = { ...(o.uid ? { uid: o.uid } : {}), ...(o.resourceVersion ? { resourceVersion: o.resourceVersion } : {}) };
      const options = {
        ...(Object.keys(preconditions).length > 0 ? { preconditions } : {}),
        ...(o.gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds: o.gracePeriodSeconds }),
      };
      await raw("DELETE", pathOf(kind, { namespace: namespaceOf(kind, o.namespace), name }), {
        ...(Object.keys(options).length > 0 ? { body: { kind: "DeleteOptions", apiVersion: "v1", ...options } } : {}),
        signal: o.signal,
      });
    },
    close: () => transport.close(),
  };
}
