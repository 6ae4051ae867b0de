// The store that is its own only writer, in memory and, with a Persistence, on disk. A transaction is checked at once against the newest state, also that
// of transactions still being written; it becomes visible, and is answered, when it is on disk. Transactions that come while the disk is busy are written
// together (group commit).
import { type Entry, History, type Snapshot } from "./history.ts";
import type { Change, Committed, Listener, Range, RangeOptions, Store, Stored, Transaction } from "./store.ts";

export interface Persistence {
  /** Resolves when the entries are on disk: all or none of them. */
  write(entries: readonly Entry[]): Promise<void>;
  compact(revision: number): Promise<void>;
  close(): Promise<void>;
}

type Waiting = { entry: Entry; resolve: (c: Committed) => void; reject: (e: Error) => void };

export class MvccStore implements Store {
  readonly #history: History;
  /** Revision given to the newest transaction, written or not. */
  #assigned: number;
  /** Newest state of keys whose transaction is not on disk yet. */
  readonly #unwritten = new Map<string, { revision: number; stored: Stored | undefined }>();
  #queue: Waiting[] = [];
  #flushing: Promise<void> | undefined;
  #failure: Error | undefined;
  readonly #persistence: Persistence | undefined;
  readonly #wall: () => number;

  constructor(wall: () => number, snapshot?: Snapshot, persistence?: Persistence) {
    this.#wall = wall;
    this.#history = new History(snapshot);
    this.#assigned = this.#history.revision;
    this.#persistence = persistence;
  }

  get revision(): number {
    return this.#history.revision;
  }
  get compacted(): number {
    return this.#history.compacted;
  }
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** There is no other writer. */
  sync(): Promise<void> {
    return Promise.resolve();
  }
  get(key: string): Promise<Stored | undefined> {
    return Promise.resolve(this.#history.get(key));
  }
  async range(prefix: string, options?: RangeOptions): Promise<Range> {
    return this.#history.range(prefix, options);
  }
  watch(prefix: string, after: number, listener: Listener): () => void {
    return this.#history.watch(prefix, after, listener);
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
    return unwritten ? unwritten.stored : this.#history.get(key);
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
    for (const { key, revision } of entry.changes) if (this.#unwritten.get(key)?.revision === revision) this.#unwritten.delete(key);
    this.#history.apply(entry);
  }

  compactable(ageMs: number, keep: number, most: number): number | undefined {
    return this.#history.compactable(this.#wall() - ageMs, keep, most);
  }

  async compact(revision: number): Promise<void> {
    const to = Math.min(revision, this.revision);
    if (to <= this.compacted) return;
    await this.#persistence?.compact(to);
    this.#history.forget(to);
  }

  async close(): Promise<void> {
    while (this.#flushing) await this.#flushing;
    this.#failure ??= new Error("the store is closed");
    this.#history.close();
    await this.#persistence?.close();
  }
}
