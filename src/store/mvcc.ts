// The store that is its own only writer, in memory and, with a Persistence, on disk. A transaction is checked at once against the newest state, also that
// of transactions still being written; it becomes visible, and is answered, when it is on disk. Transactions that come while the disk is busy are written
// together (group commit).
import { messageOf } from "../base/errors.ts";
import { type Entry, History, type Snapshot } from "./history.ts";
import {
  type Change,
  type Committed,
  type Listener,
  type Range,
  type RangeOptions,
  type Store,
  StoreError,
  type Stored,
  type Transaction,
} from "./store.ts";

export interface Persistence {
  /** Why these bytes more cannot be written now, though they may be later: nothing is begun. @default they can */
  refusal?(bytes: number): StoreError | undefined;
  /** Resolves when the entries are on disk: all or none of them. Rejects when that is not known. */
  write(entries: readonly Entry[]): Promise<void>;
  /** Forgets the entries after revision `after` up to `to`. */
  compact(after: number, to: number): Promise<void>;
  close(): Promise<void>;
}

type Waiting = { entry: Entry; resolve: (c: Committed) => void; reject: (e: Error) => void };
/** The newest state of a key whose transaction is not on disk yet; `written` settles with that transaction. */
type Unwritten = { revision: number; stored: Stored | undefined; written: Promise<Committed> };

export class MvccStore implements Store {
  readonly #history: History;
  /** Revision given to the newest transaction, written or not. */
  #assigned: number;
  readonly #unwritten = new Map<string, Unwritten>();
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
    return this.#failure ?? this.#persistence?.refusal?.(0);
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
    if (new Set(transaction.writes.map((w) => w.key)).size < transaction.writes.length) throw new Error("a transaction writes a key twice");
    for (const { key, revision } of transaction.conditions) {
      const newest = this.#newest(key);
      if ((newest?.revision ?? 0) === revision) continue;
      // Answer with a state that can be read: not before the other transaction is on disk.
      await this.#unwritten.get(key)?.written;
      return { done: false, key, current: newest };
    }
    const revision = this.#assigned + 1;
    const changes = transaction.writes
      .map(({ key, value }): Change => ({ key, revision, value, previous: this.#newest(key) }))
      .filter((c) => c.value !== undefined || c.previous !== undefined);
    if (changes.length === 0) {
      // The same holds for what was found in order.
      const touched = [...transaction.conditions, ...transaction.writes].flatMap(({ key }) => this.#unwritten.get(key) ?? []);
      const at = Math.max(this.revision, ...touched.map((u) => u.revision));
      await Promise.all(touched.map((u) => u.written));
      return { done: true, revision: at };
    }
    this.#assigned = revision;
    const written = new Promise<Committed>((resolve, reject) =>
      this.#queue.push({ entry: { revision, at: this.#wall(), changes }, resolve, reject }),
    );
    for (const { key, value } of changes) this.#unwritten.set(key, { revision, stored: value && { key, value, revision }, written });
    this.#flushing ??= this.#flush();
    return written;
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
      const refusal = this.#persistence?.refusal?.(group.reduce((n, w) => n + sizeOf(w.entry), 0));
      if (refusal) {
        this.#refuse(group, refusal);
        continue;
      }
      try {
        await this.#persistence?.write(group.map((w) => w.entry));
      } catch (thrown) {
        this.#refuse(group, this.#halt(thrown));
        break;
      }
      for (const { entry, resolve } of group) {
        this.#apply(entry);
        resolve({ done: true, revision: entry.revision });
      }
    }
    this.#flushing = undefined;
  }

  /** Nobody knows what the disk holds now: no more writes, and no answer that promises one. */
  #halt(thrown: unknown): Error {
    return (this.#failure ??= new StoreError(
      "halted",
      `the store cannot be written (${messageOf(thrown)}): no more writes until the server is started again`,
      { cause: thrown },
    ));
  }

  /** What waits may build upon the group: it goes with it. */
  #refuse(group: readonly Waiting[], why: Error): void {
    for (const w of [...group, ...this.#queue]) w.reject(why);
    this.#queue = [];
    this.#unwritten.clear();
    this.#assigned = this.revision;
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
    const refusal = this.#persistence?.refusal?.(0);
    if (refusal) throw refusal;
    try {
      await this.#persistence?.compact(this.compacted, to);
    } catch (thrown) {
      throw this.#halt(thrown);
    }
    this.#history.forget(to);
  }

  async close(): Promise<void> {
    while (this.#flushing) await this.#flushing;
    this.#failure ??= new Error("the store is closed");
    this.#history.close();
    await this.#persistence?.close();
  }
}

const sizeOf = ({ changes }: Entry): number =>
  changes.reduce((n, { key, value, previous }) => n + 2 * key.length + (value?.length ?? 0) + (previous?.value.length ?? 0), 0);
