// Packets of several sources in order of time. Each source is in order by itself, nearly; how far it has come is known only from what it gave, so that a
// packet waits for the others, but not for ever: a source may have nothing to give.

type Waiting<T> = { readonly item: T; readonly time: bigint; readonly since: number; readonly bytes: number };

/** More than this does not wait, however late the others are. */
const MAX_BYTES = 64 << 20;

export class Merge<T> {
  readonly #patience: number;
  readonly #measure: (item: T) => { time: bigint; bytes: number };
  readonly #queues: { waiting: Waiting<T>[]; ended: boolean }[];
  #bytes = 0;
  #latest = -1n;
  /** Items that came too late for their place. */
  late = 0;

  /** `patience`: ms that an item waits for the other sources at most; `measure` gives its time in ns and its size. */
  constructor(sources: number, patience: number, measure: (item: T) => { time: bigint; bytes: number }) {
    this.#patience = patience;
    this.#measure = measure;
    this.#queues = Array.from({ length: sources }, () => ({ waiting: [], ended: false }));
  }

  /** `now` in ms, of any clock that does not go back. */
  add(source: number, items: readonly T[], now: number): void {
    const { waiting } = this.#queues[source]!;
    for (const item of items) {
      const entry = { item, ...this.#measure(item), since: now };
      // Two processors may hand over to one ring in the wrong order.
      let at = waiting.length;
      while (at > 0 && waiting[at - 1]!.time > entry.time) at--;
      waiting.splice(at, 0, entry);
      this.#bytes += entry.bytes;
    }
  }

  /** Nothing more comes from this source. */
  end(source: number): void {
    this.#queues[source]!.ended = true;
  }

  /** What may go on, in order. */
  take(now: number): T[] {
    const out: T[] = [];
    const heads = this.#queues.map(() => 0);
    for (;;) {
      let first = -1;
      let all = true;
      for (const [i, q] of this.#queues.entries()) {
        const entry = q.waiting[heads[i]!];
        if (!entry) all &&= q.ended;
        else if (first < 0 || entry.time < this.#queues[first]!.waiting[heads[first]!]!.time) first = i;
      }
      if (first < 0) break;
      const entry = this.#queues[first]!.waiting[heads[first]!]!;
      if (!all && now - entry.since < this.#patience && this.#bytes <= MAX_BYTES) break;
      heads[first]!++;
      this.#bytes -= entry.bytes;
      if (entry.time < this.#latest) this.late++;
      else this.#latest = entry.time;
      out.push(entry.item);
    }
    for (const [i, q] of this.#queues.entries()) q.waiting.splice(0, heads[i]);
    return out;
  }
}
