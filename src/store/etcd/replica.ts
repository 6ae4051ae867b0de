// The copy of etcd's state that this process keeps, fed by a watch on one member. A member that is lost is replaced by the next one, and the watch goes on
// after the last revision that it brought: no change is missed or comes twice. When etcd has forgotten that revision, everything is read again and the
// differences come as changes.
import { setTimeout as sleep } from "node:timers/promises";
import { type Backoff, delay } from "../../base/backoff.ts";
import { TortieError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { type Entry, History } from "../history.ts";
import { type Change, StoreError } from "../store.ts";
import type { Endpoint } from "./endpoints.ts";
import { EtcdError, etcdError } from "./error.ts";
import { byRevision, Feed } from "./feed.ts";
import type { Keyspace } from "./keyspace.ts";
import { type Login, Member, type TlsFiles } from "./member.ts";
import { DELETE, type Event } from "./rpc.ts";

export type ReplicaOptions = {
  readonly endpoints: readonly Endpoint[];
  /** Read at each connection, so that renewed certificates are used. */
  readonly tls: () => TlsFiles;
  readonly login: Login | undefined;
  readonly keys: Keyspace;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly wall: () => number;
};

/** How long anything waits for a member, or for the watch. */
const PATIENCE_MS = 5000;
/** Transactions read back at the start, so that watchers of a server that was restarted go on. */
const READ_BACK = 5000;
/** Transactions kept at most. */
const MOST = 20_000;
/** While somebody waits and the watch says nothing, it is asked this often how far it is. */
const ASK_MS = 10;
const BACKOFF: Backoff = { firstMs: 100, maxMs: 2000, factor: 2, jitter: 0.5 };

type Waiting = { readonly revision: number; readonly since: number; readonly done: (reached: boolean) => void };

export class Replica {
  readonly #options: ReplicaOptions;
  #history = new History();
  #member: Member | undefined;
  #feed: Feed | undefined;
  #cluster = 0;
  /** Of the endpoints, the one in use. */
  #at = 0;
  /** Why there is no member. */
  #lost: Error = new Error("not connected yet");
  /** Why there will be none. */
  #over: StoreError | undefined;
  readonly #stop = new AbortController();
  /** etcd has forgotten what came after our last revision. */
  #behind = false;
  #waiting: Waiting[] = [];
  #asking: NodeJS.Timeout | undefined;
  readonly #callers = new Set<() => void>();

  private constructor(options: ReplicaOptions) {
    this.#options = options;
  }

  /** Connects to the first member that answers, and reads everything. Throws TortieError. */
  static async open(options: ReplicaOptions): Promise<Replica> {
    const replica = new Replica(options);
    const refusals: string[] = [];
    for (const [at, { url }] of options.endpoints.entries()) {
      replica.#at = at;
      try {
        await replica.#use((member) => replica.#start(member));
        return replica;
      } catch (thrown) {
        if (thrown instanceof TortieError) throw thrown;
        refusals.push(`${url}: ${etcdError(thrown).message}`);
      }
    }
    throw new TortieError(`Cannot use the etcd: ${refusals.join("; ")}`, {
      hint: "Its addresses, and --etcd-ca, --etcd-cert, --etcd-key and --etcd-user, must be those that `etcdctl endpoint health` works with.",
    });
  }

  get history(): History {
    return this.#history;
  }
  /** Why nothing can be asked now. */
  get failure(): Error | undefined {
    return this.#over ?? (this.#member ? undefined : new Error(`etcd cannot be reached: ${this.#lost.message}`));
  }

  /** Waits a moment for one while there is none. Throws StoreError. */
  async member(): Promise<Member> {
    if (!this.#member && !this.#over)
      await new Promise<void>((resolve) => {
        const done = (): void => {
          clearTimeout(timer);
          this.#callers.delete(done);
          resolve();
        };
        const timer = setTimeout(done, PATIENCE_MS);
        this.#callers.add(done);
      });
    if (this.#member) return this.#member;
    throw this.#over ?? new StoreError("unavailable", `etcd cannot be reached: ${this.#lost.message}`);
  }

  /** Whether everything up to `revision` came into the history in time. */
  reached(revision: number): Promise<boolean> {
    if (this.#history.revision >= revision) return Promise.resolve(true);
    if (this.#over) return Promise.resolve(false);
    return new Promise((done) => {
      this.#waiting.push({ revision, since: performance.now(), done });
      if (this.#asking) return;
      let last = this.#history.revision;
      this.#asking = setInterval(() => {
        // A transaction on other keys of this etcd brings no event.
        if (last === this.#history.revision) this.#feed?.progress();
        last = this.#history.revision;
        this.#answerWaiting();
      }, ASK_MS);
    });
  }

  #answerWaiting(): void {
    if (this.#waiting.length === 0) return;
    const { revision } = this.#history;
    const patient = performance.now() - PATIENCE_MS;
    this.#waiting = this.#waiting.filter((w) => {
      if (w.revision > revision && w.since > patient) return true;
      w.done(w.revision <= revision);
      return false;
    });
    if (this.#waiting.length > 0) return;
    clearInterval(this.#asking);
    this.#asking = undefined;
  }

  /** `member` did not answer: the next one takes its place. */
  lose(member: Member, error: EtcdError): void {
    if (this.#member !== member) return;
    this.#options.log.warn("etcd is lost, trying the next member", { member: member.url, error: error.message });
    this.#member = undefined;
    this.#lost = error;
    this.#feed?.close();
    member.close();
    void this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    const { endpoints, log } = this.#options;
    for (let attempt = 0; !this.#over; attempt++) {
      this.#at = (this.#at + 1) % endpoints.length;
      try {
        await this.#use((member) => this.#resume(member));
        return;
      } catch (thrown) {
        this.#lost = thrown as Error;
        log.debug("etcd does not answer", { member: endpoints[this.#at]!.url, error: this.#lost.message });
      }
      const rounds = attempt + 1 - endpoints.length;
      if (rounds >= 0) await sleep(delay(BACKOFF, Math.min(rounds, 10), Math.random()), undefined, { signal: this.#stop.signal }).catch(() => {});
    }
  }

  /** Connects to the member whose turn it is. */
  async #use(prepare: (member: Member) => Promise<void>): Promise<void> {
    const { endpoints, tls, login, log } = this.#options;
    const member = await Member.connect(endpoints[this.#at]!, tls(), login);
    try {
      await prepare(member);
      // It may have ended in the moment after.
      const error = this.#over ?? this.#feed?.ended;
      if (error) throw error;
    } catch (thrown) {
      this.#feed?.close();
      member.close();
      throw thrown;
    }
    this.#member = member;
    log.info("etcd is connected", { member: member.url });
    for (const done of this.#callers) done();
  }

  async #start(member: Member): Promise<void> {
    this.#cluster = (await this.#options.keys.newest(member)).clusterId;
    const { items, revision } = await this.#options.keys.load(member);
    const { log, compacted } = await this.#readBack(member, Math.max(1, revision - READ_BACK), revision);
    this.#history = new History({ revision, compacted, current: items, log });
    await this.#follow(member, revision);
  }

  /** The transactions after `compacted` up to `revision`, or as far back as etcd knows them. */
  #readBack(member: Member, compacted: number, revision: number): Promise<{ log: Entry[]; compacted: number }> {
    if (compacted >= revision) return Promise.resolve({ log: [], compacted: revision });
    const { keys } = this.#options;
    const log: Entry[] = [];
    return new Promise((resolve, reject) => {
      const whole = (upTo: number): void => {
        if (upTo < revision) return;
        end();
        resolve({ log, compacted });
      };
      const feed = new Feed(member, {
        key: keys.key,
        rangeEnd: keys.rangeEnd,
        from: compacted + 1,
        previous: true,
        onEvents: (at, events) => {
          if (at <= revision) log.push(this.#entry(at, events, (e) => e.prevKv ?? undefined));
          whole(at);
        },
        onProgress: whole,
        onEnd: (error, oldest) => {
          end();
          if (oldest === undefined) reject(error);
          else resolve(this.#readBack(member, oldest, revision));
        },
      });
      const asking = setInterval(() => feed.progress(), ASK_MS);
      const late = setTimeout(() => {
        end();
        reject(new EtcdError("lost", "its history does not come", { notDone: true }));
      }, 4 * PATIENCE_MS);
      const end = (): void => {
        clearInterval(asking);
        clearTimeout(late);
        feed.close();
      };
    });
  }

  async #resume(member: Member): Promise<void> {
    const { clusterId, revision } = await this.#options.keys.newest(member);
    // Its revisions are not ours: another etcd is named beside the right one, or a backup became a new cluster.
    if (clusterId !== this.#cluster)
      throw new EtcdError("lost", `${member.url} is of another cluster than this server began with; if that is right, start the server anew`, {
        notDone: true,
      });
    if (revision < this.#history.revision) {
      this.#end(
        new StoreError(
          "halted",
          `etcd has gone back from revision ${this.#history.revision} to ${revision}, as after a restored backup: this server must be started anew`,
        ),
      );
      this.#options.log.error(this.#over!.message);
      throw this.#over!;
    }
    if (this.#behind) await this.#readAgain(member);
    await this.#follow(member, revision);
  }

  /** Watches from the last revision on; resolves when the history has come to `revision`. */
  async #follow(member: Member, revision: number): Promise<void> {
    const { keys } = this.#options;
    const ended = new Promise<never>((_resolve, reject) => {
      this.#feed = new Feed(member, {
        key: keys.key,
        rangeEnd: keys.rangeEnd,
        from: this.#history.revision + 1,
        // The history knows what each key had.
        previous: false,
        onEvents: (at, events) => this.#apply(at, events),
        onProgress: (at) => {
          this.#history.advance(at);
          this.#answerWaiting();
        },
        onEnd: (error, compacted) => {
          if (compacted !== undefined) this.#behind = true;
          reject(error);
          this.lose(member, error);
        },
      });
    });
    if (!(await Promise.race([this.reached(revision), ended]))) throw new EtcdError("lost", "its watch does not come", { notDone: true });
  }

  #apply(revision: number, events: readonly Event[]): void {
    if (revision <= this.#history.revision) return;
    this.#history.apply(this.#entry(revision, events, () => undefined));
    // Each server bounds its own memory, whichever of them compacts etcd.
    if (this.#history.length > 1.1 * MOST) this.#history.forget(this.#history.compactable(-Infinity, 0, MOST)!);
    this.#answerWaiting();
  }

  #entry(revision: number, events: readonly Event[], before: (event: Event) => Event["prevKv"] | undefined): Entry {
    const { keys, wall } = this.#options;
    const changes = events.map((event): Change => {
      const stored = keys.stored(event.kv!);
      const previous = before(event);
      return {
        key: stored.key,
        revision,
        value: event.type === DELETE ? undefined : stored.value,
        previous: previous ? keys.stored(previous) : this.#history.get(stored.key),
      };
    });
    return { revision, at: wall(), changes };
  }

  /** Reads everything and tells the differences as changes; what was between them is not known any more. */
  async #readAgain(member: Member): Promise<void> {
    const { keys, wall, log } = this.#options;
    const { items, revision } = await keys.load(member);
    const changes: Change[] = [];
    const there = new Set<string>();
    for (const { key, value, revision: written } of items) {
      there.add(key);
      const previous = this.#history.get(key);
      if (previous?.revision !== written) changes.push({ key, revision: written, value, previous });
    }
    // When a key went is not known: at the latest now.
    for (const previous of this.#history.values())
      if (!there.has(previous.key)) changes.push({ key: previous.key, revision, value: undefined, previous });
    changes.sort((a, b) => a.revision - b.revision);
    for (const [at, together] of byRevision(changes, (c) => c.revision)) this.#history.apply({ revision: at, at: wall(), changes: together });
    this.#history.advance(revision);
    this.#history.forget(revision);
    this.#behind = false;
    log.warn("etcd had forgotten what happened meanwhile: everything was read again", { revision, changes: changes.length });
  }

  #end(why: StoreError): void {
    this.#over ??= why;
    this.#stop.abort();
    for (const done of this.#callers) done();
  }

  close(): void {
    this.#end(new StoreError("unavailable", "the store is closed"));
    this.#feed?.close();
    this.#member?.close();
    this.#member = undefined;
    clearInterval(this.#asking);
    for (const w of this.#waiting) w.done(false);
    this.#waiting = [];
    this.#history.close();
  }
}
