// Watches: a line of JSON for each event, in the order of revisions. https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
// What a watcher has not taken yet waits in the store's history, not in memory: one that falls behind goes on where it was as soon as it reads again. One that
// asks for forgotten history, or fell behind it, gets 410 as an ERROR event.
import { apiVersionOf, type Kind } from "../../api/kind.ts";
import type { ObjectMeta, Resource } from "../../api/meta.ts";
import { expired, invalid, notAcceptable } from "../../api/status.ts";
import { utf8 } from "../../base/bytes.ts";
import { type Change, CompactedError, type Stored } from "../../store/store.ts";
import { formFor, includeObjectOf } from "../wire/answer.ts";
import { Encoder, type EventType } from "./lines.ts";
import { prefixOf, type Registry } from "./registry.ts";
import { type ApiRequest, type ApiResponse, flag, type Sink } from "../wire/request.ts";
import { countOf, reached, type Selection, selectionOf, versionOf } from "./select.ts";

/** Silence after which an empty line is written: harmless to clients, and it keeps them and what is between from giving up. */
const KEEP_ALIVE_MS = 20_000;
const BOOKMARK_MS = 60_000;
/** Bytes that a watcher may leave untaken before it is given no more. */
const BACKLOG: number = 256 * 1024;
const FIRST_TIMEOUT_S = 1800;
const NEWLINE: Uint8Array = utf8("\n");

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
  const seconds = countOf(query, "timeoutSeconds") || FIRST_TIMEOUT_S * (1 + clock.random());
  const form = formFor(request);
  // Nobody could tell where one document of YAML ends.
  if (form.yaml) throw notAcceptable(["application/json"]);
  const encoder = new Encoder(registry, kind, form, includeObjectOf(request), clock.now);
  if (version !== undefined) await reached(store, version, request.signal);
  const prefix = prefixOf(kind, namespace);
  // Without a version, or with "any", the present objects come first, as if they were added now.
  const replay = initial ?? (version === undefined || version === 0);
  const present = replay ? await store.range(prefix) : undefined;
  if (!replay && version === undefined) await store.sync();
  const after = present?.revision ?? (version === undefined || version === 0 ? store.revision : version);

  const start = (sink: Sink): (() => void) => {
    /** Of the store; undefined while the watcher is behind. */
    let following: (() => void) | undefined;
    /** What was sent is up to here. */
    let at = after;
    let over = false;
    let quiet = true;
    const write = (line: Uint8Array): void => {
      quiet = false;
      sink.write(line);
    };
    const full = (): boolean => sink.waiting > BACKLOG;
    const bookmark = (annotations?: Record<string, string>): void => {
      const metadata: Partial<ObjectMeta> = { resourceVersion: String(at), ...(annotations ? { annotations } : {}) };
      write(encoder.bookmark({ apiVersion: apiVersionOf(kind), kind: kind.kind, metadata } as Resource));
    };
    /** Only what was sent may be marked: who is behind is told nothing. */
    const mark = (): void => {
      if (!following || full()) return;
      at = Math.max(at, store.revision);
      bookmark();
    };
    const timers = [
      setInterval(() => {
        if (quiet && sink.waiting === 0) sink.write(NEWLINE);
        quiet = true;
      }, KEEP_ALIVE_MS),
      setTimeout(end, patience(seconds)),
      ...(bookmarks ? [setInterval(mark, BOOKMARK_MS), setTimeout(mark, patience(seconds - 2))] : []),
    ];
    function stop(): void {
      over = true;
      following?.();
      for (const timer of timers) clearTimeout(timer);
    }
    function end(): void {
      if (over) return;
      stop();
      sink.end();
    }
    const wait = (then: () => void): void => sink.drain(() => void (over || then()));

    // The store gives a change after `at` only once: while the watcher is behind it is not asked, and what it still gives is asked for again.
    function follow(): void {
      let behind = false;
      const given = (changes: readonly Change[]): void => {
        if (over || behind || changes[0]!.revision <= at) return;
        for (const change of changes) {
          const event = eventOf(registry, kind, selection, change);
          if (event) write(encoder.event(event.type, event));
        }
        at = changes[0]!.revision;
        if (!full()) return;
        behind = true;
        following?.();
        following = undefined;
        wait(follow);
      };
      try {
        const ended = store.watch(prefix, at, given);
        if (over || behind) ended();
        else following = ended;
      } catch (thrown) {
        if (!(thrown instanceof CompactedError)) throw thrown;
        sink.write(utf8(`${JSON.stringify({ type: "ERROR", object: expired(thrown.message).status })}\n`));
        end();
      }
    }
    function replayFrom(items: readonly Stored[], first: number): void {
      for (let i = first; i < items.length; i++) {
        if (full()) return wait(() => replayFrom(items, i));
        if (selected(registry, kind, selection, items[i]!)) write(encoder.event("ADDED", items[i]!));
      }
      if (initial === true && bookmarks) bookmark({ "k8s.io/initial-events-end": "true" });
      follow();
    }
    replayFrom(present?.items ?? [], 0);
    return stop;
  };
  return { code: 200, headers: { "content-type": form.contentType }, body: start };
}

type Version = Pick<Stored, "value" | "revision">;
type Event = Version & { readonly type: EventType };

/** An object is only read where something is asked of it. */
const selected = (registry: Registry, kind: Kind, selection: Selection, { value, revision }: Version): boolean =>
  !selection.narrow || selection.matches(registry.decode(kind, value, revision));

/** What a change means to a watcher: an object that stops matching is deleted for it, with its last content. */
function eventOf(registry: Registry, kind: Kind, selection: Selection, { value, revision, previous }: Change): Event | undefined {
  const was = previous !== undefined && selected(registry, kind, selection, previous);
  if (value !== undefined && selected(registry, kind, selection, { value, revision })) return { type: was ? "MODIFIED" : "ADDED", value, revision };
  return was ? { type: "DELETED", value: previous.value, revision } : undefined;
}
