// A watch that runs: what it has been sent, what it has not taken yet, and how long it may go on. What a watcher has not taken yet waits in the store's history,
// not in memory: one that falls behind goes on where it was as soon as it reads again, or is told (410, an ERROR event) when it fell behind the history. There
// are thousands of these that wait for something to happen: they keep little, and nothing of what they sent.
import { apiVersionOf, type Kind } from "../../api/kind.ts";
import type { ObjectMeta, Resource } from "../../api/meta.ts";
import { expired } from "../../api/status.ts";
import { utf8 } from "../../base/bytes.ts";
import { type Change, CompactedError, type Stored } from "../../store/store.ts";
import type { Sink } from "../wire/request.ts";
import type { Encoder, EventType } from "./lines.ts";
import type { Registry } from "./registry.ts";
import type { Selection } from "./select.ts";

/** Silence after which an empty line is written: harmless to clients, and it keeps them and what is between from giving up. */
const KEEP_ALIVE_MS = 20_000;
/** Keep-alives from one bookmark to the next: a minute. */
const BEATS_A_BOOKMARK = 3;
/** Before its end a watch gets a last bookmark. */
const LAST_BOOKMARK_MS = 2000;
/** The end comes before the next keep-alive, or its bookmark does. */
const NEAR_MS: number = KEEP_ALIVE_MS + LAST_BOOKMARK_MS;
/** Bytes that a watcher may leave untaken before it is given no more. */
const BACKLOG: number = 256 * 1024;
const NEWLINE: Uint8Array = utf8("\n");

/** What is asked. */
export type Watched = {
  readonly registry: Registry;
  readonly kind: Kind;
  /** Of the keys. */
  readonly prefix: string;
  readonly selection: Selection;
  readonly encoder: Encoder;
  readonly bookmarks: boolean;
  /** How long. */
  readonly ms: number;
};

export class Watcher {
  readonly #watched: Watched;
  readonly #sink: Sink;
  /** What was sent is up to here. */
  #at: number;
  /** Of the store; undefined while the watcher is behind. */
  #following: (() => void) | undefined;
  #over = false;
  /** Nothing was sent since the last beat. */
  #quiet = true;
  /** Until the end, as of the last beat. */
  #left: number;
  #beats = 0;
  // One timer while the end is far, of a length that all watches have: Node keeps a list for each length.
  readonly #timers: NodeJS.Timeout[];

  /** Everything up to revision `after` is known to the asker, or is among what is replayed. */
  constructor(watched: Watched, sink: Sink, after: number) {
    this.#watched = watched;
    this.#sink = sink;
    this.#at = after;
    this.#left = watched.ms;
    this.#timers = [setInterval(() => this.#beat(), KEEP_ALIVE_MS)];
    this.#nearEnd();
  }

  /** Sends what is selected of `items`, from the first on, as if it were added now, then what changes. `marked`: a bookmark tells the two apart. */
  replay(items: readonly Stored[], marked: boolean, first = 0): void {
    const { encoder } = this.#watched;
    for (let i = first; i < items.length; i++) {
      if (this.#full()) return this.#wait(() => this.replay(items, marked, i));
      if (this.#selected(items[i]!)) this.#write(encoder.event("ADDED", items[i]!));
    }
    if (marked) this.#bookmark({ "k8s.io/initial-events-end": "true" });
    this.#follow();
  }

  stop(): void {
    this.#over = true;
    this.#following?.();
    for (const timer of this.#timers) clearTimeout(timer);
  }

  // The store gives a change after `at` only once: while the watcher is behind it is not asked, and what it still gives is asked for again.
  #follow(): void {
    let behind = false;
    const given = (changes: readonly Change[]): void => {
      if (this.#over || behind || changes[0]!.revision <= this.#at) return;
      for (const change of changes) {
        const event = this.#eventOf(change);
        if (event) this.#write(this.#watched.encoder.event(event.type, event));
      }
      this.#at = changes[0]!.revision;
      if (!this.#full()) return;
      behind = true;
      this.#following?.();
      this.#following = undefined;
      this.#wait(() => this.#follow());
    };
    const { registry, prefix } = this.#watched;
    try {
      const ended = registry.store.watch(prefix, this.#at, given);
      if (this.#over || behind) ended();
      else this.#following = ended;
    } catch (thrown) {
      if (!(thrown instanceof CompactedError)) throw thrown;
      this.#sink.write(utf8(`${JSON.stringify({ type: "ERROR", object: expired(thrown.message).status })}\n`));
      this.#end();
    }
  }

  #write(line: Uint8Array): void {
    this.#quiet = false;
    this.#sink.write(line);
  }
  #full(): boolean {
    return this.#sink.waiting > BACKLOG;
  }
  #wait(then: () => void): void {
    this.#sink.drain(() => void (this.#over || then()));
  }

  #bookmark(annotations?: Record<string, string>): void {
    const { kind, encoder } = this.#watched;
    const metadata: Partial<ObjectMeta> = { resourceVersion: String(this.#at), ...(annotations ? { annotations } : {}) };
    this.#write(encoder.bookmark({ apiVersion: apiVersionOf(kind), kind: kind.kind, metadata } as Resource));
  }
  /** Only what was sent may be marked: who is behind is told nothing. */
  #mark(): void {
    if (!this.#following || this.#full()) return;
    this.#at = Math.max(this.#at, this.#watched.registry.store.revision);
    this.#bookmark();
  }

  #beat(): void {
    if (this.#quiet && this.#sink.waiting === 0) this.#sink.write(NEWLINE);
    this.#quiet = true;
    if (this.#watched.bookmarks && ++this.#beats % BEATS_A_BOOKMARK === 0) this.#mark();
    this.#left -= KEEP_ALIVE_MS;
    this.#nearEnd();
  }
  #nearEnd(): void {
    if (this.#left >= NEAR_MS || this.#timers.length > 1) return;
    this.#timers.push(setTimeout(() => this.#end(), this.#left));
    if (this.#watched.bookmarks) this.#timers.push(setTimeout(() => this.#mark(), Math.max(0, this.#left - LAST_BOOKMARK_MS)));
  }
  #end(): void {
    if (this.#over) return;
    this.stop();
    this.#sink.end();
  }

  /** An object is only read where something is asked of it. */
  #selected({ value, revision }: Version): boolean {
    const { registry, kind, selection } = this.#watched;
    return !selection.narrow || selection.matches(registry.decode(kind, value, revision));
  }
  /** What a change means to the watcher: an object that stops matching is deleted for it, with its last content. */
  #eventOf({ value, revision, previous }: Change): Event | undefined {
    const was = previous !== undefined && this.#selected(previous);
    if (value !== undefined && this.#selected({ value, revision })) return { type: was ? "MODIFIED" : "ADDED", value, revision };
    return was ? { type: "DELETED", value: previous.value, revision } : undefined;
  }
}

type Version = Pick<Stored, "value" | "revision">;
type Event = Version & { readonly type: EventType };
