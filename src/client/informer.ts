// A cache of one kind kept by list and watch: resumes from the last revision, lists again after 410, and never stops except by stop().
// https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
import type { Kind } from "../api/kind.ts";
import type { Resource } from "../api/meta.ts";
import { type Backoff, delay } from "../base/backoff.ts";
import { messageOf } from "../base/errors.ts";
import { type Log, silent } from "../base/log.ts";
import { ApiError } from "./error.ts";
import { pause } from "./pause.ts";
import type { Client, Informer, WatchOptions } from "./types.ts";

/** A restarted server must not delay its agents: the first tries come quickly; the jitter keeps a thousand of them apart. */
export const INFORMER_BACKOFF: Backoff = { firstMs: 80, maxMs: 5_000, factor: 2, jitter: 1 };
/** A watch that lived this long was healthy: the back-off begins anew. client-go waits 2 min; a second is enough to tell a crash loop. */
const HEALTHY_MS = 1_000;
/** The server ends a watch after 5 to 10 min, so that connections spread again after a failover (client-go's values). */
const TIMEOUT_SECONDS = { min: 300, spread: 300 };

export type ChangeType = "ADDED" | "MODIFIED" | "DELETED";
export type InformerOptions<T extends Resource> = Pick<WatchOptions, "namespace" | "labelSelector" | "fieldSelector" | "idleMs"> & {
  log?: Log;
  /** Each change in revision order, after it is in the cache. After a gap (410) the differences come as changes, deletions too. */
  onEvent?: (type: ChangeType, object: T) => void;
  /** @default INFORMER_BACKOFF */
  backoff?: Backoff;
  /** Uniform in [0, 1). @default Math.random */
  random?: () => number;
};

const keyOf = (name: string, namespace: string | undefined): string => `${namespace ?? ""}/${name}`;

class CachingInformer<T extends Resource> implements Informer<T> {
  readonly #client: Client;
  readonly #kind: Kind<T>;
  readonly #options: InformerOptions<T>;
  readonly #log: Log;
  readonly #abort = new AbortController();
  readonly #listeners = new Set<() => void>();
  #cache = new Map<string, T>();
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
    const { backoff = INFORMER_BACKOFF, random = Math.random } = this.#options;
    for (let failures = 0; !signal.aborted;) {
      const began = performance.now();
      try {
        if (this.#revision === undefined) {
          await this.#list(signal);
          synced();
        }
        await this.#watch(signal, random);
        if (performance.now() - began > HEALTHY_MS) {
          failures = 0;
          continue; // the server ended it at its time: nothing to wait for
        }
      } catch (thrown) {
        if (signal.aborted) return;
        if (performance.now() - began > HEALTHY_MS) failures = 0;
        this.#complain(thrown, failures);
      }
      if (!signal.aborted) await pause(delay(backoff, Math.min(failures++, 30), random()), signal);
    }
  }

  #complain(thrown: unknown, failures: number): void {
    const fields = { kind: this.#kind.kind, error: messageOf(thrown) };
    if (thrown instanceof ApiError) {
      // 410: the revision is out of the window; 504 and 400: it is not of this store (restored from a backup, made anew).
      if ([410, 504, 400].includes(thrown.code)) this.#revision = undefined;
      if (thrown.code === 410) return this.#log.info("watch is too far behind, listing again", fields);
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
    const next = new Map(items.map((o) => [keyOf(o.metadata.name, o.metadata.namespace), strip(o)]));
    const previous = this.#cache;
    this.#cache = next;
    this.#revision = metadata.resourceVersion ?? "";
    const first = !this.#synced;
    this.#synced = true;
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

  async #watch(signal: AbortSignal, random: () => number): Promise<void> {
    const events = this.#client.watch(this.#kind, {
      ...this.#selection(),
      ...(this.#options.idleMs === undefined ? {} : { idleMs: this.#options.idleMs }),
      resourceVersion: this.#revision!,
      bookmarks: true,
      timeoutSeconds: TIMEOUT_SECONDS.min + Math.floor(random() * TIMEOUT_SECONDS.spread),
      signal,
    });
    for await (const { type, object } of events) {
      if (signal.aborted) return;
      if (object?.metadata === undefined) continue;
      if (type !== "BOOKMARK") this.#take(type, strip(object));
      if (object.metadata.resourceVersion !== undefined) this.#revision = object.metadata.resourceVersion;
    }
  }

  #take(type: "ADDED" | "MODIFIED" | "DELETED", object: T): void {
    const key = keyOf(object.metadata.name, object.metadata.namespace);
    const known = this.#cache.has(key);
    if (type === "DELETED") {
      if (!this.#cache.delete(key)) return;
    } else this.#cache.set(key, object);
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
