// Whoever lists and then watches, as informers do, ends with what a list gives: through compaction, restarts, and watches that were away for a while.
import fc from "fast-check";
import { expect, test } from "vitest";
import { fromUtf8, utf8 } from "../base/bytes.ts";
import type { MakeStore } from "./steps.cases.ts";
import { type Change, CompactedError, type Store } from "./store.ts";

/** A client's copy of what is below a prefix. */
class Follower {
  readonly state = new Map<string, { value: string; revision: number }>();
  readonly #prefix: string;
  /** Up to where the copy goes; undefined before the first list. */
  #at: number | undefined;
  #stop: (() => void) | undefined;
  lists = 0;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  async attach(store: Store): Promise<void> {
    if (this.#stop) return;
    for (;;) {
      if (this.#at === undefined) await this.#list(store);
      try {
        this.#stop = store.watch(this.#prefix, this.#at!, (changes) => this.#apply(changes));
        return;
      } catch (thrown) {
        if (!(thrown instanceof CompactedError)) throw thrown;
        this.#at = undefined;
      }
    }
  }
  detach(): void {
    this.#stop?.();
    this.#stop = undefined;
  }

  async #list(store: Store): Promise<void> {
    this.lists++;
    const range = await store.range(this.#prefix);
    this.state.clear();
    for (const { key, value, revision } of range.items) this.state.set(key, { value: fromUtf8(value), revision });
    this.#at = range.revision;
  }

  #apply(changes: readonly Change[]): void {
    const { revision } = changes[0]!;
    expect(revision).toBeGreaterThan(this.#at!);
    for (const c of changes) {
      expect(c.revision).toBe(revision);
      const before = this.state.get(c.key);
      expect(c.previous && { value: fromUtf8(c.previous.value), revision: c.previous.revision }).toEqual(before);
      if (c.value) this.state.set(c.key, { value: fromUtf8(c.value), revision });
      else this.state.delete(c.key);
    }
    this.#at = revision;
  }
}

const PREFIXES = ["", "/a", "/a/", "/b/"];
type Step =
  | { do: "write"; transactions: { key: string; value: string | undefined }[][] }
  | { do: "compact"; back: number }
  | { do: "restart" }
  | { do: "attach" | "detach"; who: number };

const write = fc.record({
  key: fc.constantFrom("/a", "/a/1", "/a/2", "/b/1", "/b/é"),
  value: fc.option(fc.string({ maxLength: 5 }), { nil: undefined }),
});
const transaction = fc.uniqueArray(write, { minLength: 1, maxLength: 3, selector: (w) => w.key });
const who = fc.nat(PREFIXES.length - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("write" as const), transactions: fc.array(transaction, { minLength: 1, maxLength: 4 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("attach" as const, "detach" as const), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("compact" as const), back: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const) }) },
);

export function replayCases(make: MakeStore): void {
  test(
    "list and watch rebuild what a list gives in the end, through compaction, restarts and absences; a plain Map agrees",
    { timeout: 200_000 },
    async () => {
      let relists = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 60, size: "max" }), async (steps) => {
          const { store: first, reopen, done } = await make();
          let store = first;
          try {
            const twin = new Map<string, string>();
            const followers = PREFIXES.map((p) => new Follower(p));
            for (const f of followers) await f.attach(store);
            for (const s of steps) {
              if (s.do === "write") {
                const commits = s.transactions.map(async (writes) => {
                  const c = await store.commit({
                    conditions: [],
                    writes: writes.map(({ key, value }) => ({ key, value: value === undefined ? value : utf8(value) })),
                  });
                  if (!c.done) throw new Error("refused without a condition");
                  return { writes, revision: c.revision };
                });
                // Which comes first among those asked for together is the store's affair: its revisions say.
                for (const { writes } of (await Promise.all(commits)).toSorted((a, b) => a.revision - b.revision))
                  for (const { key, value } of writes) {
                    if (value === undefined) twin.delete(key);
                    else twin.set(key, value);
                  }
              } else if (s.do === "compact") await store.compact(store.revision - s.back);
              else if (s.do === "attach") await followers[s.who]!.attach(store);
              else if (s.do === "detach") followers[s.who]!.detach();
              else if (reopen) {
                for (const f of followers) f.detach();
                const { revision } = store;
                store = await reopen();
                expect(store.revision).toBe(revision);
              }
            }
            for (const f of followers) await f.attach(store);
            const end = (await store.range("")).items.map((i) => [i.key, { value: fromUtf8(i.value), revision: i.revision }] as const);
            expect(Object.fromEntries(end.map(([key, { value }]) => [key, value]))).toEqual(Object.fromEntries(twin));
            for (const [i, f] of followers.entries())
              expect(Object.fromEntries(f.state)).toEqual(Object.fromEntries(end.filter(([key]) => key.startsWith(PREFIXES[i]!))));
            relists += followers.filter((f) => f.lists > 1).length;
          } finally {
            await done();
          }
        }),
        { numRuns: 40 },
      );
      // Else compaction was never met.
      expect(relists).toBeGreaterThan(0);
    },
  );
}
