// What a client of the API offers, whatever carries the requests.
import type { Kind } from "../api/kind.ts";
import type { Resource, ResourceList, WatchEvent } from "../api/meta.ts";

export type ListOptions = {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  limit?: number;
  continue?: string;
  resourceVersion?: string;
  signal?: AbortSignal;
};
export type WriteOptions = {
  namespace?: string;
  dryRun?: boolean;
  fieldManager?: string;
  fieldValidation?: "Strict" | "Warn" | "Ignore";
  signal?: AbortSignal;
};
export type WatchOptions = ListOptions & {
  bookmarks?: boolean;
  sendInitialEvents?: boolean;
  timeoutSeconds?: number;
  /** Silence after which the peer is taken for dead, in ms. @default 130000 */
  idleMs?: number;
  /** Called when the server has accepted the watch. */
  onOpen?: () => void;
};
export type PatchType = "merge" | "json" | "strategic";

/** Every method throws ApiError (the server's Status) or TortieError (the server cannot be reached). */
export interface Client {
  get<T extends Resource>(kind: Kind<T>, name: string, options?: { namespace?: string; signal?: AbortSignal }): Promise<T>;
  /** All pages. */
  list<T extends Resource>(kind: Kind<T>, options?: ListOptions): Promise<ResourceList<T>>;
  create<T extends Resource>(kind: Kind<T>, object: T, options?: WriteOptions): Promise<T>;
  /** PUT: object.metadata.resourceVersion must be set; 409 when it is not the latest. */
  update<T extends Resource>(kind: Kind<T>, object: T, options?: WriteOptions): Promise<T>;
  updateStatus<T extends Resource>(kind: Kind<T>, object: T, options?: WriteOptions): Promise<T>;
  patch<T extends Resource>(
    kind: Kind<T>,
    name: string,
    patch: unknown,
    options?: WriteOptions & { type?: PatchType; subresource?: "status" },
  ): Promise<T>;
  delete<T extends Resource>(
    kind: Kind<T>,
    name: string,
    options?: { namespace?: string; uid?: string; resourceVersion?: string; gracePeriodSeconds?: number; signal?: AbortSignal },
  ): Promise<void>;
  /** Ends when the server ends it. Throws ApiError also for an ERROR event (410: list again), TortieError when the connection broke. */
  watch<T extends Resource>(kind: Kind<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>>;
  close(): Promise<void>;
}

/** Counted since start(). */
export type InformerMetrics = {
  readonly objects: number;
  /** The newest revision that was seen. */
  readonly revision: string | undefined;
  /** Whole collections taken: 1, and one more after each gap. */
  readonly lists: number;
  readonly watches: number;
  readonly events: number;
  readonly bookmarks: number;
  /** Lists and watches that failed, and of these how many because the revision was too old (410). */
  readonly failures: number;
  readonly expired: number;
};

/** A cache of one kind, kept by list and watch; never stops except by stop(). */
export interface Informer<T extends Resource> {
  /** Resolves when the first list is in. Keeps trying; `signal` gives up. */
  start(signal?: AbortSignal): Promise<void>;
  stop(): Promise<void>;
  readonly synced: boolean;
  get(name: string, namespace?: string): T | undefined;
  list(): readonly T[];
  /** Those whose label `key` is `value`. The first question for a key builds an index of it, which is kept from then on. */
  byLabel(key: string, value: string): readonly T[];
  readonly metrics: InformerMetrics;
  /** Called after each change was taken into the cache (once for a batch); the result removes the listener. */
  onChange(listener: () => void): () => void;
}
