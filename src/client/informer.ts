// A cache of one kind kept by list and watch: resumes from the last revision, lists again after 410, and never stops except by stop().
// https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
import type { Kind } from "../api/kind.ts";
import type { Resource } from "../api/meta.ts";
import { type Backoff, delay, RECONNECT } from "../base/backoff.ts";
import { messageOf, TortieError } from "../base/errors.ts";
import { type Log, silent } from "../base/log.ts";
import { ApiError } from "./error.ts";
import { LabelIndex } from "./labelindex.ts";
import { pause } from "./pause.ts";
import type { Client, Informer, InformerMetrics, WatchOptions } from "./types.ts";

/** client-go's: a watch that lived so long was healthy, and the back-off begins anew. */
const HEALTHY_MS = 120_000;
/** A watch that the server ended in order is opened again at once, unless it ends them as soon as they begin. */
const SHORT_MS = 1_000;
/** A server that says nothing for so long in the middle of the first events does not know that they end: it is asked for a list instead. */
const FIRST_EVENTS_IDLE_MS = 10_000;
const FIRST_EVENTS_END = "k8s.io/initial-events-end";
/** The server ends a watch after 5 to 10 min, so that connections spread again after a failover (client-go's values). */
const TIMEOUT_SECONDS = { min: 300, spread: 300 };

export type ChangeType = "ADDED" | "MODIFIED" | "DELETED";
export type InformerOptions<T extends Resource> = Pick<WatchOptions, "namespace" | "labelSelector" | "fieldSelector" | "idleMs"> & {
  log?: Log;
  /** Each change in revision order, after it is in the cache. After a gap (410) the differences come as changes, deletions too. */
  onEvent?: (type: ChangeType, object: T) => void;
  /** @default RECONNECT: 0.8 to 30 s, and as much jitter */
  backoff?: Backoff;
  /** A watch that lived so long begins the back-off anew, in ms. @default 120000 */
  healthyMs?: number;
  /** Uniform in [0, 1). @default Math.random */
  random?: () => number;
};

/** The server did not say where the first events end. */
class NoFirstEvents extends TortieError {
  constructor() {
    super("Cannot take the collection from the watch: its first events do not end");
  }
}

const keyOf = (name: string, namespace: string | undefined): string => `${namespace ?? ""}/${name}`;

class CachingInformer<T extends Resource> implements Informer<T> {
  readonly #client: Client;
  readonly #kind: Kind<T>;
  readonly #options: InformerOptions<T>;
  readonly #log: Log;
  readonly #abort = new AbortController();
  readonly #listeners = new Set<() => void>();
  #cache = new Map<string, T>();
  readonly #index = new LabelIndex<T>();
  readonly #counts = { lists: 0, watches: 0, events: 0, bookmarks: 0, failures: 0, expired: 0 };
  /** False once the server refused to stream a collection's objects as the first events of a watch. */
  #streams = true;
  #snapshot: readonly T[] | undefined;
  #revision: string | undefined;
  #synced = false;
  #notifying = false;
  #running: Promise<void> | undefined;
  #ready: Promise<void> | undefined;

  constructor(client: Client, kind: Kind<T>, options: InformerOptions<T>) {
    this.#client = client;
    this.#kind = kind;
    this.#options = options;
    this.#log = options.log ?? silent;
  }

  get synced(): boolean {
    return this.#synced;
  }
  get(name: string, namespace?: string): T | undefined {
    return this.#cache.get(keyOf(name, this.#kind.namespaced ? (namespace ?? "default") : undefined));
  }
  list(): readonly T[] {
    return (this.#snapshot ??= [...this.#cache.values()]);
  }
  byLabel(key: string, value: string): readonly T[] {
    return this.#index.get(key, value, this.#cache);
  }
  get metrics(): InformerMetrics {
    return { ...this.#counts, objects: this.#cache.size, revision: this.#revision };
  }
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async start(signal?: AbortSignal): Promise<void> {
    const giveUp = (): void => this.#abort.abort();
    if (signal?.aborted) giveUp();
    signal?.addEventListener("abort", giveUp, { once: true });
    try {
      this.#ready ??= new Promise<void>((resolve) => {
        this.#running = this.#run(resolve).finally(resolve);
      });
      await this.#ready;
    } finally {
      signal?.removeEventListener("abort", giveUp);
    }
    signal?.throwIfAborted();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  async #run(synced: () => void): Promise<void> {
    const { signal } = this.#abort;
    const { backoff = RECONNECT, healthyMs = HEALTHY_MS, random = Math.random } = this.#options;
    for (let failures = 0; !signal.aborted;) {
      const began = performance.now();
      let atLeastMs = 0;
      try {
        if (this.#revision === undefined && !this.#streams) {
          await this.#list(signal);
          synced();
        }
        await this.#watch(signal, random, synced);
        if (performance.now() - began > SHORT_MS) continue; // the server ended it at its time: nothing to wait for
      } catch (thrown) {
        if (signal.aborted) return;
        if (this.#declined(thrown)) continue;
        if (performance.now() - began > healthyMs) failures = 0;
        this.#complain(thrown, failures);
        if (thrown instanceof ApiError) atLeastMs = (thrown.status.details?.retryAfterSeconds ?? 0) * 1000;
      }
      if (!signal.aborted) await pause(Math.max(atLeastMs, delay(backoff, Math.min(failures++, 30), random())), signal);
    }
  }

  /** True when the server cannot stream a collection: from now on it is listed. */
  #declined(thrown: unknown): boolean {
    if (this.#revision !== undefined || !this.#streams) return false;
    const unknown = thrown instanceof NoFirstEvents || (thrown instanceof ApiError && (thrown.code === 400 || thrown.code === 422));
    if (unknown) this.#streams = false;
    return unknown;
  }

  #complain(thrown: unknown, failures: number): void {
    const fields = { kind: this.#kind.kind, error: messageOf(thrown) };
    this.#counts.failures++;
    if (thrown instanceof ApiError) {
      // 410: the revision is out of the window; 504 and 400: it is not of this store (restored from a backup, made anew).
      if ([410, 504, 400].includes(thrown.code)) this.#revision = undefined;
      if (thrown.code === 410) {
        this.#counts.expired++;
        return this.#log.info("watch is too far behind, listing again", fields);
      }
    }
    const what = thrown instanceof ApiError ? "the API server refuses to be watched" : "lost the API server, trying again";
    // Said once an outage, not at each try.
    if (failures === 0) this.#log.warn(what, fields);
    else this.#log.debug(what, fields);
  }

  #selection(): Pick<WatchOptions, "namespace" | "labelSelector" | "fieldSelector"> {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    return {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    };
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { items, metadata } = await this.#client.list(this.#kind, { ...this.#selection(), signal });
    this.#replace(new Map(items.map((o) => [keyOf(o.metadata.name, o.metadata.namespace), strip(o)])), metadata.resourceVersion ?? "");
  }

  /** The whole collection as of `revision`: what differs comes as changes. */
  #replace(next: Map<string, T>, revision: string): void {
    const previous = this.#cache;
    this.#cache = next;
    this.#index.clear();
    this.#revision = revision;
    const first = !this.#synced;
    this.#synced = true;
    this.#counts.lists++;
    this.#snapshot = undefined;
    let changed = first;
    const tell = (type: ChangeType, object: T): void => {
      changed = true;
      this.#options.onEvent?.(type, object);
    };
    for (const [key, old] of previous) if (!next.has(key)) tell("DELETED", old);
    for (const [key, object] of next) {
      const old = previous.get(key);
      if (!old) tell("ADDED", object);
      else if (old.metadata.uid !== object.metadata.uid) {
        tell("DELETED", old);
        tell("ADDED", object);
      } else if (old.metadata.resourceVersion !== object.metadata.resourceVersion) tell("MODIFIED", object);
    }
    if (changed) this.#notify();
  }

  /** Follows from the last revision; without one the collection's objects come first, up to a bookmark that says so. */
  async #watch(signal: AbortSignal, random: () => number, synced: () => void): Promise<void> {
    let first = this.#revision === undefined ? new Map<string, T>() : undefined;
    const { idleMs } = this.#options;
    // Left when the first events do not end.
    const giveUp = new AbortController();
    const abort = (): void => giveUp.abort();
    signal.addEventListener("abort", abort, { once: true });
    let patience: ReturnType<typeof setTimeout> | undefined;
    const wait = (): void => {
      clearTimeout(patience);
      if (first) patience = setTimeout(abort, Math.min(FIRST_EVENTS_IDLE_MS, idleMs ?? FIRST_EVENTS_IDLE_MS));
    };
    this.#counts.watches++;
    const events = this.#client.watch(this.#kind, {
      ...this.#selection(),
      ...(idleMs === undefined ? {} : { idleMs }),
      ...(first ? { sendInitialEvents: true } : { resourceVersion: this.#revision! }),
      bookmarks: true,
      timeoutSeconds: TIMEOUT_SECONDS.min + Math.floor(random() * TIMEOUT_SECONDS.spread),
      signal: giveUp.signal,
      onOpen: wait,
    });
    try {
      for await (const { type, object } of events) {
        if (signal.aborted) return;
        if (object?.metadata === undefined) continue;
        const { resourceVersion, annotations } = object.metadata;
        wait();
        if (type === "BOOKMARK") this.#counts.bookmarks++;
        if (!first) {
          if (type !== "BOOKMARK") this.#take(type, strip(object));
          if (resourceVersion !== undefined) this.#revision = resourceVersion;
        } else if (type !== "BOOKMARK") {
          if (type === "DELETED") first.delete(keyOf(object.metadata.name, object.metadata.namespace));
          else first.set(keyOf(object.metadata.name, object.metadata.namespace), strip(object));
        } else if (annotations?.[FIRST_EVENTS_END] === "true") {
          this.#replace(first, resourceVersion ?? "");
          first = undefined;
          clearTimeout(patience);
          synced();
        }
      }
    } catch (thrown) {
      if (first && giveUp.signal.aborted && !signal.aborted) throw new NoFirstEvents();
      throw thrown;
    } finally {
      clearTimeout(patience);
      signal.removeEventListener("abort", abort);
    }
  }

  #take(type: "ADDED" | "MODIFIED" | "DELETED", object: T): void {
    const key = keyOf(object.metadata.name, object.metadata.namespace);
    const known = this.#cache.get(key);
    this.#counts.events++;
    if (type === "DELETED") {
      if (!this.#cache.delete(key)) return;
    } else this.#cache.set(key, object);
    this.#index.change(key, known, type === "DELETED" ? undefined : object);
    this.#snapshot = undefined;
    this.#options.onEvent?.(type === "DELETED" ? "DELETED" : known ? "MODIFIED" : "ADDED", object);
    this.#notify();
  }

  /** What arrived together is told once. */
  #notify(): void {
    if (this.#notifying) return;
    this.#notifying = true;
    setTimeout(() => {
      this.#notifying = false;
      if (this.#abort.signal.aborted) return;
      for (const listener of this.#listeners) listener();
    }, 0);
  }
}

/** managedFields are half of an object's size and of no use to a reader. */
function strip<T extends Resource>(object: T): T {
  if (object.metadata.managedFields === undefined) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/** An informer of one kind; does nothing until start(). The cached objects belong to the informer: read, never write. */
export const informer = <T extends Resource>(client: Client, kind: Kind<T>, options: InformerOptions<T> = {}): Informer<T> =>
  new CachingInformer(client, kind, options);
