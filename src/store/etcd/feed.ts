// A watch stream of etcd, taken apart: whole transactions in the order of revisions, how far nothing else happened, and how it ended.
// https://etcd.io/docs/v3.5/learning/api/#watch-api
import { EtcdError, etcdError } from "./error.ts";
import type { Member, WatchStream } from "./member.ts";
import type { Event, WatchResponse } from "./rpc.ts";

export type FeedOptions = {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  /** The first revision to hear of. */
  readonly from: number;
  /** Whether each event brings what its key had before. */
  readonly previous: boolean;
  /** All events of one revision. */
  readonly onEvents: (revision: number, events: readonly Event[]) => void;
  /** Every event up to this revision was given. */
  readonly onProgress: (revision: number) => void;
  /** It has ended by itself; `compacted`: etcd has forgotten `from`, and knows what is after this revision. */
  readonly onEnd: (error: EtcdError, compacted?: number) => void;
};

export class Feed {
  readonly #stream: WatchStream;
  readonly #options: FeedOptions;
  /** Events of a response that came in parts so far. */
  #parts: Event[] = [];
  #over = false;
  /** Why it ended by itself. */
  ended: EtcdError | undefined;

  constructor(member: Member, options: FeedOptions) {
    this.#options = options;
    this.#stream = member.watch();
    this.#stream.on("data", (response: WatchResponse) => this.#take(response));
    this.#stream.on("error", (thrown) => this.#end(etcdError(thrown)));
    this.#stream.on("end", () => this.#end(new EtcdError("lost", "etcd ended the watch", { notDone: true })));
    const { key, rangeEnd, from, previous } = options;
    this.#stream.write({ createRequest: { key, rangeEnd, startRevision: from, progressNotify: true, prevKv: previous, fragment: true } });
  }

  #take(response: WatchResponse): void {
    if (this.#over) return;
    const { events, fragment, created, canceled, compactRevision, cancelReason, header } = response;
    if (canceled) {
      if (compactRevision > 0) return this.#end(new EtcdError("compacted", "the history is compacted", { notDone: true }), compactRevision);
      return this.#end(new EtcdError("lost", `etcd ended the watch: ${cancelReason}`, { notDone: true }));
    }
    // Its revision is the member's, not that of the watch.
    if (created) return;
    if (events.length === 0) return this.#options.onProgress(header?.revision ?? 0);
    this.#parts.push(...events);
    if (fragment) return;
    const whole = this.#parts;
    this.#parts = [];
    for (const [revision, together] of byRevision(whole, (e) => e.kv!.modRevision)) this.#options.onEvents(revision, together);
  }

  /** Asks for onProgress; a watch that is behind does not answer. */
  progress(): void {
    if (!this.#over) this.#stream.write({ progressRequest: {} });
  }

  #end(error: EtcdError, compacted?: number): void {
    if (this.#over) return;
    this.close();
    this.ended = error;
    this.#options.onEnd(error, compacted);
  }

  close(): void {
    this.#over = true;
    this.#stream.cancel();
  }
}

/** Takes apart what is in the order of revisions: each with what it has. */
export function* byRevision<T>(items: readonly T[], revisionOf: (item: T) => number): Generator<[revision: number, together: T[]]> {
  for (let from = 0; from < items.length;) {
    const revision = revisionOf(items[from]!);
    let to = from;
    while (to < items.length && revisionOf(items[to]!) === revision) to++;
    yield [revision, items.slice(from, to)];
    from = to;
  }
}
