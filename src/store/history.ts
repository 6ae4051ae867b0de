// What a store keeps in memory: the current value of every key, the changes since the last compaction, and who watches them.
import { byOrder, countWhile, SortedKeys } from "./keys.ts";
import { type Change, CompactedError, FutureRevisionError, type Listener, type Range, type RangeOptions, type Stored } from "./store.ts";

/** One transaction's changes; `at` is the wall clock in ms. */
export type Entry = { readonly revision: number; readonly at: number; readonly changes: readonly Change[] };
export type Snapshot = {
  readonly revision: number;
  readonly compacted: number;
  readonly current: Iterable<Stored>;
  /** What happened after `compacted`, up to `revision`. */
  readonly log: readonly Entry[];
};
/** Of a store that nothing was written to. */
export const FIRST_REVISION = 1;

type Watcher = { readonly listener: Listener; /** It was given all up to here. */ after: number };

export class History {
  readonly #current = new Map<string, Stored>();
  /** Keys of #current. */
  readonly #keys: SortedKeys;
  #log: Entry[];
  #revision: number;
  #compacted: number;
  /** By prefix: what a change means is found once for all that watch the same. */
  readonly #watchers = new Map<string, Set<Watcher>>();

  constructor(snapshot?: Snapshot) {
    for (const stored of snapshot?.current ?? []) this.#current.set(stored.key, stored);
    this.#keys = new SortedKeys(this.#current.keys());
    this.#log = [...(snapshot?.log ?? [])];
    this.#revision = snapshot?.revision ?? FIRST_REVISION;
    this.#compacted = snapshot?.compacted ?? FIRST_REVISION;
  }

  get revision(): number {
    return this.#revision;
  }
  get compacted(): number {
    return this.#compacted;
  }
  /** Transactions that are known one by one. */
  get length(): number {
    return this.#log.length;
  }

  values(): IterableIterator<Stored> {
    return this.#current.values();
  }
  get(key: string): Stored | undefined {
    return this.#current.get(key);
  }

  /** As Store.range. */
  range(prefix: string, options: RangeOptions = {}): Range {
    const { limit = Infinity, startAfter, atRevision = this.#revision } = options;
    if (atRevision > this.#revision) throw new FutureRevisionError(atRevision, this.#revision);
    const past = atRevision < this.#revision ? this.#undo(prefix, atRevision) : new Map<string, Stored | undefined>();
    const behind = (key: string): boolean => startAfter === undefined || key > startAfter;
    const items: Stored[] = [];
    for (const key of this.#keysOf(prefix, behind, past)) {
      if (items.length >= limit) break;
      const stored = past.has(key) ? past.get(key) : this.#current.get(key);
      if (stored) items.push(stored);
    }
    let total = this.#keys.count((k) => k < prefix || k.startsWith(prefix) || !behind(k)) - this.#keys.count((k) => k < prefix || !behind(k));
    for (const [key, stored] of past) if (behind(key)) total += Number(stored !== undefined) - Number(this.#current.has(key));
    return { items, remaining: total - items.length, revision: atRevision };
  }

  /** The present keys below `prefix` for which `behind` holds, and those of `past` that are no more, in order. */
  *#keysOf(prefix: string, behind: (key: string) => boolean, past: ReadonlyMap<string, unknown>): Generator<string> {
    const gone = [...past.keys()].filter((k) => behind(k) && !this.#current.has(k)).toSorted(byOrder);
    let g = 0;
    for (const key of this.#keys.from((k) => k < prefix || !behind(k))) {
      if (!key.startsWith(prefix)) break;
      while (g < gone.length && gone[g]! < key) yield gone[g++]!;
      yield key;
    }
    yield* gone.slice(g);
  }
  /** What the keys changed since `revision` had then. */
  #undo(prefix: string, revision: number): Map<string, Stored | undefined> {
    if (revision < this.#compacted) throw new CompactedError(revision, this.#compacted);
    const past = new Map<string, Stored | undefined>();
    for (let i = this.#log.length - 1; i >= 0 && this.#log[i]!.revision > revision; i--)
      for (const c of this.#log[i]!.changes.toReversed()) if (c.key.startsWith(prefix)) past.set(c.key, c.previous);
    return past;
  }

  /** The next transaction: its changes become current, then the watchers get them. */
  apply(entry: Entry): void {
    for (const { key, value, revision } of entry.changes) {
      const known = this.#current.has(key);
      if (value) this.#current.set(key, { key, value, revision });
      else this.#current.delete(key);
      if (value && !known) this.#keys.add(key);
      else if (!value && known) this.#keys.delete(key);
    }
    this.#revision = entry.revision;
    this.#log.push(entry);
    for (const [prefix, watchers] of this.#watchers) {
      const changes = under(prefix, entry.changes);
      if (changes.length > 0) for (const watcher of watchers) give(watcher, changes);
    }
  }

  /** Nothing of this store changed up to `revision`. */
  advance(revision: number): void {
    this.#revision = Math.max(this.#revision, revision);
  }

  /** As Store.watch. */
  watch(prefix: string, after: number, listener: Listener): () => void {
    if (after < this.#compacted) throw new CompactedError(after, this.#compacted);
    const watcher: Watcher = { listener, after };
    for (let i = countWhile(this.#log, (e) => e.revision <= after); i < this.#log.length; i++) {
      const changes = under(prefix, this.#log[i]!.changes);
      if (changes.length > 0) give(watcher, changes);
    }
    this.#watchers.set(prefix, (this.#watchers.get(prefix) ?? new Set()).add(watcher));
    return () => {
      const watchers = this.#watchers.get(prefix);
      if (watchers?.delete(watcher) && watchers.size === 0) this.#watchers.delete(prefix);
    };
  }

  /** As Store.compactable, for what is from `before` (wall clock in ms) or older. */
  compactable(before: number, keep: number, most: number): number | undefined {
    let last = -1;
    while (last + 1 < this.#log.length - keep && (this.#log[last + 1]!.at <= before || this.#log.length - (last + 1) > most)) last++;
    return last < 0 ? undefined : this.#log[last]!.revision;
  }

  /** The changes up to and including `revision` are no longer known one by one. */
  forget(revision: number): void {
    if (revision <= this.#compacted) return;
    this.#compacted = revision;
    this.#log = this.#log.slice(countWhile(this.#log, (e) => e.revision <= revision));
  }

  /** Nobody watches any more. */
  close(): void {
    this.#watchers.clear();
  }
}

function under(prefix: string, changes: readonly Change[]): readonly Change[] {
  return changes.every((c) => c.key.startsWith(prefix)) ? changes : changes.filter((c) => c.key.startsWith(prefix));
}

/** A watcher that was started by another one's listener may have been given these already. */
function give(watcher: Watcher, changes: readonly Change[]): void {
  const { revision } = changes[0]!;
  if (revision <= watcher.after) return;
  watcher.after = revision;
  watcher.listener(changes);
}
