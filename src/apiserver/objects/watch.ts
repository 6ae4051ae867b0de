// Watches: a line of JSON for each event, in the order of revisions. https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
// A watcher that falls behind is ended (it resumes from its version); one that asks for forgotten history gets 410 as an ERROR event.
import { apiVersionOf, type Kind } from "../../api/kind.ts";
import type { Resource } from "../../api/meta.ts";
import { expired, invalid } from "../../api/status.ts";
import { type Change, CompactedError } from "../../store/store.ts";
import type { Form } from "../wire/accept.ts";
import { formFor, includeObjectOf } from "../wire/answer.ts";
import { itemsOf, prefixOf, type Registry, withVersion } from "./registry.ts";
import { type ApiRequest, type ApiResponse, flag, type Sink } from "../wire/request.ts";
import { countOf, reached, selectionOf, versionOf } from "./select.ts";
import { bookmarkRow, columnDefinitions, type IncludeObject, partial, rowOf, table } from "../wire/table.ts";

/** Silence after which an empty line is written: harmless to clients, and it keeps them and what is between from giving up. */
const KEEP_ALIVE_MS = 20_000;
const BOOKMARK_MS = 60_000;
/** Bytes that a watcher may leave untaken. */
const BACKLOG: number = 8 * 1024 * 1024;
const FIRST_TIMEOUT_S = 1800;

type EventType = "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
// An object goes out to every watcher as the same text.
const texts = new WeakMap<object, string>();
function textOf(object: object): string {
  let text = texts.get(object);
  if (text === undefined) {
    text = JSON.stringify(object);
    texts.set(object, text);
  }
  return text;
}

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
  const seconds = countOf(query, "timeoutSeconds") || FIRST_TIMEOUT_S * (1 + clock.random());
  const form = formFor(request);
  const encoder = new Encoder(kind, form, includeObjectOf(request), clock.now);
  if (version !== undefined) await reached(store, version, request.signal);
  const prefix = prefixOf(kind, namespace);
  // Without a version, or with "any", the present objects come first, as if they were added now.
  const replay = initial ?? (version === undefined || version === 0);
  const present = replay ? await store.range(prefix) : undefined;
  if (!replay && version === undefined) await store.sync();
  const after = present?.revision ?? (version === undefined || version === 0 ? store.revision : version);

  const start = (sink: Sink): (() => void) => {
    let stopWatch = (): void => {};
    let over = false;
    let quiet = true;
    const send = (type: EventType, object: Resource): void => {
      quiet = false;
      sink.write(encoder.event(type, object));
      if (sink.waiting > BACKLOG) end();
    };
    const bookmark = (annotations?: Record<string, string>): void =>
      send("BOOKMARK", {
        apiVersion: apiVersionOf(kind),
        kind: kind.kind,
        metadata: { resourceVersion: String(store.revision), ...(annotations ? { annotations } : {}) } as Resource["metadata"],
      });
    const timers = [
      setInterval(() => {
        if (quiet) sink.write("\n");
        quiet = true;
      }, KEEP_ALIVE_MS),
      setTimeout(end, Math.min(seconds * 1000, 2 ** 31 - 1)),
      ...(bookmarks ? [setInterval(() => bookmark(), BOOKMARK_MS), setTimeout(() => bookmark(), Math.max(0, seconds - 2) * 1000)] : []),
    ];
    function stop(): void {
      over = true;
      stopWatch();
      for (const timer of timers) clearTimeout(timer);
    }
    function end(): void {
      if (over) return;
      stop();
      sink.end();
    }
    for (const object of present ? itemsOf(registry, kind, present.items) : []) if (selection.matches(object)) send("ADDED", object);
    if (initial === true && bookmarks) bookmark({ "k8s.io/initial-events-end": "true" });
    try {
      stopWatch = store.watch(prefix, after, (changes) => {
        for (const change of changes) {
          if (over) return;
          const event = eventOf(registry, kind, selection.matches, change);
          if (event) send(event.type, event.object);
        }
      });
      if (over) stopWatch();
    } catch (thrown) {
      if (!(thrown instanceof CompactedError)) throw thrown;
      sink.write(`${JSON.stringify({ type: "ERROR", object: expired(thrown.message).status })}\n`);
      end();
    }
    return stop;
  };
  return { code: 200, headers: { "content-type": form.contentType }, body: start };
}

type Event = { type: EventType; object: Resource };

/** What a change means to a watcher: an object that stops matching is deleted for it, with its last content. */
function eventOf(registry: Registry, kind: Kind, matches: (o: Resource) => boolean, change: Change): Event | undefined {
  const before = change.previous && registry.decode(kind, change.previous.value, change.previous.revision);
  const after = change.value && registry.decode(kind, change.value, change.revision);
  const was = before !== undefined && matches(before);
  if (after !== undefined && matches(after)) return { type: was ? "MODIFIED" : "ADDED", object: after };
  return was ? { type: "DELETED", object: withVersion(before, change.revision) } : undefined;
}

class Encoder {
  readonly #kind: Kind;
  readonly #form: Form;
  readonly #include: IncludeObject;
  readonly #now: () => number;
  #first = true;

  constructor(kind: Kind, form: Form, include: IncludeObject, now: () => number) {
    this.#kind = kind;
    this.#form = form;
    this.#include = include;
    this.#now = now;
  }

  event(type: EventType, object: Resource): string {
    return `{"type":"${type}","object":${this.#object(type, object)}}\n`;
  }

  #object(type: EventType, object: Resource): string {
    const { as, version } = this.#form;
    if (as === "Object") return textOf(object);
    if (as === "PartialObjectMetadata") return JSON.stringify(partial(object, version));
    const row =
      type === "BOOKMARK"
        ? bookmarkRow(this.#kind, object, version)
        : rowOf(this.#kind, object, { now: this.#now(), include: this.#include, version });
    // Columns are said once.
    const definitions = this.#first ? columnDefinitions(this.#kind) : null;
    this.#first = false;
    return JSON.stringify(table(version, { resourceVersion: object.metadata.resourceVersion }, definitions, [row]));
  }
}
