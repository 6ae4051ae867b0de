// What a store of the API offers: keys, revisions, transactions, and every change in order. The shape is etcd's, so that an etcd can stand behind it.
// Only a store assigns revisions: whole numbers that grow by one a transaction that changes something, over all keys, and are never used twice, also after
// a restart or when a backup was put back.

export type Stored = {
  readonly key: string;
  readonly value: Uint8Array;
  /** Revision of the transaction that wrote it. */
  readonly revision: number;
};
/** One key's change. `value` is undefined when the key was deleted; `previous` is what it had before. */
export type Change = {
  readonly key: string;
  readonly revision: number;
  readonly value: Uint8Array | undefined;
  readonly previous: Stored | undefined;
};

/** Holds when `key` was last written at `revision`; 0: when it does not exist. */
export type Condition = { readonly key: string; readonly revision: number };
/** undefined deletes. */
export type Write = { readonly key: string; readonly value: Uint8Array | undefined };
export type Transaction = { readonly conditions: readonly Condition[]; readonly writes: readonly Write[] };
/**
 * Done at a revision (that of the state found, when nothing had to change), or refused because of the first condition that does not hold, with what is
 * there instead.
 */
export type Committed =
  | { readonly done: true; readonly revision: number }
  | { readonly done: false; readonly key: string; readonly current: Stored | undefined };

export type RangeOptions = {
  /** At most so many items. @default all */
  limit?: number;
  /** Only keys after this one. */
  startAfter?: string;
  /** The state at this revision. Throws CompactedError when it is no longer known, FutureRevisionError when it is not yet. @default the latest */
  atRevision?: number;
};
export type Range = {
  readonly items: readonly Stored[];
  /** Keys in the range beyond these items. */
  readonly remaining: number;
  /** The revision that the answer is about. */
  readonly revision: number;
};

/** The history before `compacted` is gone. */
export class CompactedError extends Error {
  readonly asked: number;
  readonly compacted: number;
  constructor(asked: number, compacted: number) {
    super(`too old resource version: ${asked} (${compacted})`);
    this.name = "CompactedError";
    this.asked = asked;
    this.compacted = compacted;
  }
}

/** The store has not come to this revision. */
export class FutureRevisionError extends Error {
  constructor(asked: number, latest: number) {
    super(`resource version ${asked} does not exist yet (the latest is ${latest})`);
    this.name = "FutureRevisionError";
  }
}

/** The store cannot do it, in words for a person: `too large` for a transaction that it will never take, `unavailable` for now, `halted` until a new start. */
export class StoreError extends Error {
  readonly reason: "too large" | "unavailable" | "halted";
  constructor(reason: StoreError["reason"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "StoreError";
    this.reason = reason;
  }
}

/** The changes of one transaction under the watched prefix, in the order of its writes. Must not throw; may write, watch, and end watches. */
export type Listener = (changes: readonly Change[]) => void;

export interface Store {
  /** Every change up to here is readable and was given to the watchers. */
  readonly revision: number;
  /** Changes after this revision are still known. */
  readonly compacted: number;
  /** Why the store takes no writes now, or undefined; a StoreError `halted` when only a new start helps. */
  readonly failure: Error | undefined;
  /** Resolves when `revision` covers every transaction that was answered before the call, also those of other servers on the same store. */
  sync(): Promise<void>;
  /** The newest value, whoever wrote it. Reads and writes reject with StoreError when the store cannot be reached. */
  get(key: string): Promise<Stored | undefined>;
  /** Items whose key starts with `prefix`, in the order of their keys; without `atRevision` the newest, whoever wrote them. */
  range(prefix: string, options?: RangeOptions): Promise<Range>;
  /**
   * Resolves when the transaction is on disk (or was refused). Rejects when that is not known: a disk that failed takes nothing more until the next start,
   * a store that was cut off may or may not have done it.
   */
  commit(transaction: Transaction): Promise<Committed>;
  /**
   * Calls `listener` with each change after revision `after` (which may be one that the store has not come to), first, before this returns, those that are
   * known; the result ends it. Throws CompactedError. Compaction does not touch watches that were started.
   */
  watch(prefix: string, after: number, listener: Listener): () => void;
  /** The newest revision whose history may go: older than `ageMs`, with `keep` transactions after it; younger where there are more than `most`. */
  compactable(ageMs: number, keep: number, most: number): number | undefined;
  /** Forgets the history up to and including `revision`. */
  compact(revision: number): Promise<void>;
  /** Waits for writes under way. */
  close(): Promise<void>;
}
