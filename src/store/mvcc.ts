// The state that both stores keep in memory: the current value of every key, and the changes since the last compaction. A transaction is checked at
// once against the newest state, also that of transactions still being written; it becomes visible, and is answered, when it is on disk. Transactions
// that come while the disk is busy are written together (group commit).
import {
  type Change,
  type Committed,
  CompactedError,
  type Listener,
  type Range,
  type RangeOptions,
  type Store,
  type Stored,
  type Transaction,
} from "./store.ts";

/** One transaction's changes; `at` is the wall clock in ms. */
export type Entry = { readonly revision: number; readonly at: number; readonly changes: readonly Change[] };
export type Snapshot = {
  readonly revision: number;
  readonly compacted: number;
  readonly current: Iterable<Stored>;
  readonly log: readonly Entry[];
};
export interface Persistence {
  /** Resolves when the entries are on disk: all or none of them. */
  write(entries: readonly Entry[]): Promise<void>;
  compact(revision: number): Promise<void>;
  close(): Promise<void>;
}

type Waiting = { entry: Entry; resolve: (c: Committed) => void; reject: (e: Error) => void };
type Watcher = { prefix: string; listener: Listener };

export class MvccStore implements Store {
  readonly #current = new Map<string, Stored>();
  /** Keys of #current in order. */
  #keys: string[];
  #log: Entry[];
  #revision: number;
  #compacted: number;
  /** Revision given to the newest transaction, written or not. */
  #assigned: number;
  /** Newest state of keys whose transaction is not on disk yet. */
  readonly #unwritten = new Map<string, { revision: number; stored: Stored | undefined }>();
  #queue: Waiting[] = [];
  #flushing: Promise<void> | undefined;
  #failure: Error | undefined;
  readonly #watchers = new Set<Watcher>();
  readonly #persistence: Persistence | undefined;
  readonly #wall: () => number;

  constructor(wall: () => number, snapshot?: Snapshot, persistence?: Persistence) {
    this.#wall = wall;
    for (const stored of snapshot?.current ?? []) this.#current.set(stored.key, stored);
    this.#keys = [...this.#current.keys()].toSorted(byOrder);
    this.#log = [...(snapshot?.log ?? [])];
    this.#revision = this.#assigned = snapshot?.revision ?? 1;
    this.#compacted = snapshot?.compacted ?? 1;
    this.#persistence = persistence;
  }

  get revision(): number {
    return this.#revision;
  }
  get compacted(): number {
    return this.#compacted;
  }
  get failure(): Error | undefined {
    return this.#failure;
  }

  get(key: string): Promise<Stored | undefined> {
    return Promise.resolve(this.#current.get(key));
  }

  async range(prefix: string, options: RangeOptions = {}): Promise<Range> {
    const { limit = Infinity, startAfter, atRevision = this.#revision } = options;
    const past = atRevision < this.#revision ? this.#undo(prefix, atRevision) : undefined;
    const items: Stored[] = [];
    let remaining = 0;
    for (const key of past ? this.#keysWith(prefix, past) : this.#keysUnder(prefix)) {
      if (startAfter !== undefined && key <= startAfter) continue;
      const stored = past?.has(key) ? past.get(key) : this.#current.get(key);
      if (!stored) continue;
      if (items.length < limit) items.push(stored);
      else remaining++;
    }
    return { items, remaining, revision: atRevision };
  }

  *#keysUnder(prefix: string): Generator<string> {
    for (let i = lowerBound(this.#keys, prefix); i < this.#keys.length && this.#keys[i]!.startsWith(prefix); i++) yield this.#keys[i]!;
  }
  #keysWith(prefix: string, past: ReadonlyMap<string, Stored | undefined>): string[] {
    return [...new Set([...this.#keysUnder(prefix), ...past.keys()])].toSorted(byOrder);
  }
  /** What the keys changed since `revision` had then. */
  #undo(prefix: string, revision: number): Map<string, Stored | undefined> {
    if (revision < this.#compacted) throw new CompactedError(revision, this.#compacted);
    const past = new Map<string, Stored | undefined>();
    for (let i = this.#log.length - 1; i >= 0 && this.#log[i]!.revision > revision; i--)
      for (const c of this.#log[i]!.changes.toReversed()) if (c.key.startsWith(prefix)) past.set(c.key, c.previous);
    return past;
  }

  async commit(transaction: Transaction): Promise<Committed> {
    if (this.#failure) throw this.#failure;
    for (const { key, revision } of transaction.conditions) {
      const newest = this.#newest(key);
      if ((newest?.revision ?? 0) === revision) continue;
      // Answer with a state that can be read: not before the other transaction is on disk.
      if (this.#unwritten.has(key)) await this.#flushing;
      return { done: false, key, current: newest };
    }
    const revision = ++this.#assigned;
    const changes = transaction.writes
      .map(({ key, value }): Change => ({ key, revision, value, previous: this.#newest(key) }))
      .filter((c) => c.value !== undefined || c.previous !== undefined);
    for (const { key, value } of changes) this.#unwritten.set(key, { revision, stored: value && { key, value, revision } });
    return new Promise((resolve, reject) => {
      this.#queue.push({ entry: { revision, at: this.#wall(), changes }, resolve, reject });
      this.#flushing ??= this.#flush();
    });
  }

  #newest(key: string): Stored | undefined {
    const unwritten = this.#unwritten.get(key);
    return unwritten ? unwritten.stored : this.#current.get(key);
  }

  async #flush(): Promise<void> {
    // One turn of the event loop, so that what is asked for together is written together.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const group = this.#queue;
      this.#queue = [];
      try {
        await this.#persistence?.write(group.map((w) => w.entry));
      } catch (thrown) {
        // Nobody knows what the disk holds now: no more writes, and no answer that promises one.
        this.#failure = new Error("the store cannot be written", { cause: thrown });
        for (const w of [...group, ...this.#queue]) w.reject(this.#failure);
        this.#queue = [];
        this.#unwritten.clear();
        break;
      }
      for (const { entry, resolve } of group) {
        this.#apply(entry);
        resolve({ done: true, revision: entry.revision });
      }
    }
    this.#flushing = undefined;
  }

  #apply(entry: Entry): void {
    for (const { key, value, revision } of entry.changes) {
      if (this.#unwritten.get(key)?.revision === revision) this.#unwritten.delete(key);
      const known = this.#current.has(key);
      if (value === undefined) this.#current.delete(key);
      else this.#current.set(key, { key, value, revision });
      if (known !== (value !== undefined)) this.#keys.splice(lowerBound(this.#keys, key), known ? 1 : 0, ...(known ? [] : [key]));
    }
    this.#revision = entry.revision;
    this.#log.push(entry);
    for (const watcher of this.#watchers) give(watcher, entry);
  }

  watch(prefix: string, after: number, listener: Listener): () => void {
    if (after < this.#compacted) throw new CompactedError(after, this.#compacted);
    const watcher: Watcher = { prefix, listener };
    for (const entry of this.#log.slice(firstAfter(this.#log, after))) give(watcher, entry);
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  compactable(ageMs: number, keep: number, most: number): number | undefined {
    const before = this.#wall() - ageMs;
    let last = -1;
    while (last + 1 < this.#log.length - keep && (this.#log[last + 1]!.at <= before || this.#log.length - (last + 1) > most)) last++;
    return last < 0 ? undefined : this.#log[last]!.revision;
  }

  async compact(revision: number): Promise<void> {
    const to = Math.min(revision, this.#revision);
    if (to <= this.#compacted) return;
    await this.#persistence?.compact(to);
    this.#compacted = to;
    this.#log = this.#log.slice(firstAfter(this.#log, to));
  }

  async close(): Promise<void> {
    while (this.#flushing) await this.#flushing;
    this.#failure ??= new Error("the store is closed");
    this.#watchers.clear();
    await this.#persistence?.close();
  }
}

function give(watcher: Watcher, entry: Entry): void {
  const changes = entry.changes.filter((c) => c.key.startsWith(watcher.prefix));
  if (changes.length > 0) watcher.listener(changes);
}

// Keys are compared by their UTF-16 units, which for the characters of names is the order of their bytes.
const byOrder = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function lowerBound(sorted: readonly string[], key: string): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function firstAfter(log: readonly Entry[], revision: number): number {
  let [low, high] = [0, log.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (log[middle]!.revision <= revision) low = middle + 1;
    else high = middle;
  }
  return low;
}
