// The store on an etcd, for several servers at once. Writes are etcd's transactions; they are answered when the copy here has them too, so that watchers
// hear of a change before its writer does. Reads come from the copy, once etcd has said how new it must be.
// https://etcd.io/docs/v3.5/learning/api/
import type { Committed, Listener, Range, RangeOptions, Store, Stored, Transaction } from "../store.ts";
import { CompactedError, StoreError } from "../store.ts";
import { EtcdError, etcdError, storeError } from "./error.ts";
import { Keyspace } from "./keyspace.ts";
import { Replica, type ReplicaOptions } from "./replica.ts";
import { COMPACT, type Compare, endOf, EQUAL, type Method, MOD, RANGE, TXN } from "./rpc.ts";

export type EtcdOptions = Omit<ReplicaOptions, "keys"> & {
  /** What all keys begin with in etcd. @default "/tortie" */
  readonly prefix?: string;
};

/** Within this a call that was lost may be made again: a member that is there and does not answer is given up only after seven seconds. */
const TRYING_MS = 12_000;

export class EtcdStore implements Store {
  readonly #replica: Replica;
  readonly #keys: Keyspace;
  readonly #wall: () => number;
  readonly #writing = new Set<Promise<unknown>>();
  /** A look at how new the copy must be, and the one after it, which those who ask meanwhile share. */
  #look: Promise<void> | undefined;
  #nextLook: Promise<void> | undefined;

  private constructor(replica: Replica, keys: Keyspace, wall: () => number) {
    this.#replica = replica;
    this.#keys = keys;
    this.#wall = wall;
  }

  /** Throws TortieError when no member can be used. */
  static async open({ prefix = "/tortie", ...options }: EtcdOptions): Promise<EtcdStore> {
    const keys = new Keyspace(prefix);
    return new EtcdStore(await Replica.open({ ...options, keys }), keys, options.wall);
  }

  get revision(): number {
    return this.#replica.history.revision;
  }
  get compacted(): number {
    return this.#replica.history.compacted;
  }
  get failure(): Error | undefined {
    return this.#replica.failure;
  }

  sync(): Promise<void> {
    // A look that has begun may have missed what was answered since.
    this.#nextLook ??= (this.#look ?? Promise.resolve())
      .catch(() => {})
      .then(() => {
        this.#look = this.#nextLook;
        this.#nextLook = undefined;
        return this.#lookNow();
      });
    return this.#nextLook;
  }
  async #lookNow(): Promise<void> {
    const { header } = await this.#send(RANGE, { key: this.#keys.key, countOnly: true }, "again");
    if (!(await this.#replica.reached(header!.revision))) throw new StoreError("unavailable", "etcd's changes do not come in time");
  }

  async get(key: string): Promise<Stored | undefined> {
    await this.sync();
    return this.#replica.history.get(key);
  }

  async range(prefix: string, options: RangeOptions = {}): Promise<Range> {
    const { atRevision } = options;
    if (atRevision === undefined || atRevision > this.revision) await this.sync();
    // Before the part of the history that is here, etcd may know more.
    if (atRevision !== undefined && atRevision < this.compacted) return this.#rangeOfEtcd(prefix, atRevision, options);
    return this.#replica.history.range(prefix, options);
  }

  async #rangeOfEtcd(prefix: string, revision: number, { limit, startAfter }: RangeOptions): Promise<Range> {
    const after = startAfter !== undefined && startAfter >= prefix ? `${startAfter}\0` : prefix;
    const rangeEnd = prefix === "" ? this.#keys.rangeEnd : endOf(this.#keys.bytes(prefix));
    try {
      const { kvs, count } = await this.#send(
        RANGE,
        { key: this.#keys.bytes(after), rangeEnd, revision, ...(limit === undefined ? {} : { limit }) },
        "again",
      );
      return { items: kvs.map((kv) => this.#keys.stored(kv)), remaining: count - kvs.length, revision };
    } catch (thrown) {
      const compacted = thrown instanceof StoreError && thrown.cause instanceof EtcdError && thrown.cause.reason === "compacted";
      throw compacted ? new CompactedError(revision, this.compacted) : thrown;
    }
  }

  commit(transaction: Transaction): Promise<Committed> {
    const writing = this.#commit(transaction);
    this.#writing.add(writing);
    const settled = (): void => void this.#writing.delete(writing);
    writing.then(settled, settled);
    return writing;
  }

  async #commit({ conditions, writes }: Transaction): Promise<Committed> {
    const keys = new Map([...conditions, ...writes].map(({ key }) => [key, this.#keys.bytes(key)]));
    const { header, succeeded, responses } = await this.#send(
      TXN,
      {
        compare: conditions.map(({ key, revision }): Compare => ({ result: EQUAL, target: MOD, key: keys.get(key)!, modRevision: revision })),
        success: writes.map(({ key, value }) =>
          value ? { requestPut: { key: keys.get(key)!, value } } : { requestDeleteRange: { key: keys.get(key)! } },
        ),
        failure: conditions.map(({ key }) => ({ requestRange: { key: keys.get(key)! } })),
      },
      "once",
    );
    if (succeeded) {
      // When the watch does not bring it in time it is done all the same.
      await this.#replica.reached(header!.revision);
      return { done: true, revision: header!.revision };
    }
    for (const [i, { key, revision }] of conditions.entries()) {
      const [kv] = responses[i]?.responseRange?.kvs ?? [];
      if ((kv?.modRevision ?? 0) !== revision) return { done: false, key, current: kv && this.#keys.stored(kv) };
    }
    throw new StoreError("unavailable", "etcd refuses a transaction whose conditions hold");
  }

  /** A call that was lost is made again at another member: always, or only when it was surely not carried out. Throws StoreError. */
  async #send<Request, Response>(method: Method<Request, Response>, request: Request, repeat: "again" | "once"): Promise<Response> {
    for (const until = performance.now() + TRYING_MS; ;) {
      const member = await this.#replica.member();
      try {
        return await member.call(method, request);
      } catch (thrown) {
        const error = etcdError(thrown);
        if (error.reason !== "lost") throw storeError(error);
        this.#replica.lose(member, error);
        if (repeat === "once" && !error.notDone)
          throw new StoreError("unavailable", `${error.message}; the change may or may not have been made`, { cause: error });
        if (performance.now() > until) throw storeError(error);
      }
    }
  }

  watch(prefix: string, after: number, listener: Listener): () => void {
    return this.#replica.history.watch(prefix, after, listener);
  }

  compactable(ageMs: number, keep: number, most: number): number | undefined {
    return this.#replica.history.compactable(this.#wall() - ageMs, keep, most);
  }

  async compact(revision: number): Promise<void> {
    const to = Math.min(revision, this.revision);
    if (to <= this.compacted) return;
    try {
      await this.#send(COMPACT, { revision: to }, "again");
    } catch (thrown) {
      // Another server has done it.
      const already = thrown instanceof StoreError && thrown.cause instanceof EtcdError && thrown.cause.reason === "compacted";
      if (!already) throw thrown;
    }
    this.#replica.history.forget(to);
  }

  async close(): Promise<void> {
    // What waits for a member that does not come need not wait longer.
    if (this.failure) this.#replica.close();
    await Promise.allSettled(this.#writing);
    this.#replica.close();
  }
}
