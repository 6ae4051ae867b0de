// Watches: a line of JSON for each event, in the order of revisions. https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
// Here is what may be asked; watcher.ts does it.
import type { Kind } from "../../api/kind.ts";
import { invalid, notAcceptable } from "../../api/status.ts";
import type { Stored } from "../../store/store.ts";
import { formFor, includeObjectOf } from "../wire/answer.ts";
import { Encoder } from "./lines.ts";
import { prefixOf, type Registry } from "./registry.ts";
import { type ApiRequest, type ApiResponse, flag } from "../wire/request.ts";
import { countOf, reached, selectionOf, versionOf } from "./select.ts";
import { type Watched, Watcher } from "./watcher.ts";

const FIRST_TIMEOUT_S = 1800;

/** ms, as a timer can wait them. */
const patience = (seconds: number): number => Math.min(Math.max(0, seconds) * 1000, 2 ** 31 - 1);

const refused = (field: string, message: string): Error =>
  invalid({ group: "meta.k8s.io", kind: "ListOptions" }, "", [{ field, reason: "FieldValueForbidden", message }]);

/** Starts a watch of a collection. Throws ApiError before anything is sent. */
export async function watch(
  registry: Registry,
  kind: Kind,
  namespace: string,
  request: ApiRequest,
  clock: { now: () => number; random: () => number },
): Promise<ApiResponse> {
  const { store } = registry;
  const { query } = request;
  const selection = selectionOf(kind, query);
  const version = versionOf(query);
  const initial = query.has("sendInitialEvents") ? flag(query, "sendInitialEvents") : undefined;
  const match = query.get("resourceVersionMatch") ?? "";
  if (initial !== undefined && match !== "NotOlderThan")
    throw refused("resourceVersionMatch", "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
  if (initial === undefined && match !== "")
    throw refused("resourceVersionMatch", "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
  const bookmarks = flag(query, "allowWatchBookmarks");
  const ms = patience(countOf(query, "timeoutSeconds") || FIRST_TIMEOUT_S * (1 + clock.random()));
  const form = formFor(request);
  // Nobody could tell where one document of YAML ends.
  if (form.yaml) throw notAcceptable(["application/json"]);
  const encoder = new Encoder(registry, kind, form, includeObjectOf(request), clock.now);
  if (version !== undefined) await reached(store, version, request);
  const prefix = prefixOf(kind, namespace);
  // Without a version, or with "any", the present objects come first, as if they were added now.
  const replay = initial ?? (version === undefined || version === 0);
  const present = replay ? await store.range(prefix) : undefined;
  if (!replay && version === undefined) await store.sync();
  const after = present?.revision ?? (version === undefined || version === 0 ? store.revision : version);
  return endless(
    form.contentType,
    { registry, kind, prefix, selection, encoder, bookmarks, ms },
    after,
    present?.items ?? [],
    initial === true && bookmarks,
  );
}

function endless(contentType: string, watched: Watched, after: number, present: readonly Stored[], marked: boolean): ApiResponse {
  // Until they are sent, and no longer: a watch lasts an hour, and what was there at its beginning is another by then.
  let items = present;
  return {
    code: 200,
    headers: { "content-type": contentType },
    body: (sink) => {
      const watcher = new Watcher(watched, sink, after);
      const first = items;
      items = [];
      watcher.replay(first, marked);
      return () => watcher.stop();
    },
  };
}
