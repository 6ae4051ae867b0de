// What every store must do: run on each of them.
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { fromUtf8, utf8 } from "../base/bytes.ts";
import { type Change, CompactedError, type Committed, type Store } from "./store.ts";

/** A fresh, empty store; `done` removes what it left. */
export type MakeStore = () => Promise<{ store: Store; done: () => Promise<void> }>;

export function storeCases(make: MakeStore): void {
  const open: (() => Promise<void>)[] = [];
  const fresh = async (): Promise<Store> => {
    const { store, done } = await make();
    open.push(done);
    return store;
  };
  afterEach(async () => {
    for (const done of open.splice(0)) await done();
  });

  const put = (store: Store, key: string, value: string, revision?: number): Promise<Committed> =>
    store.commit({ conditions: revision === undefined ? [] : [{ key, revision }], writes: [{ key, value: utf8(value) }] });
  const textOf = async (store: Store, key: string): Promise<string | undefined> => {
    const stored = await store.get(key);
    return stored && fromUtf8(stored.value);
  };
  const shown = (c: Change): string =>
    `${c.key}@${c.revision}=${c.value ? fromUtf8(c.value) : "-"}(${c.previous ? fromUtf8(c.previous.value) : "-"})`;

  test("commit() gives growing revisions and get() the value", async () => {
    const store = await fresh();
    const [a, b] = [await put(store, "/a", "1"), await put(store, "/a", "2")];
    expect(a.done && b.done && b.revision === a.revision + 1).toBe(true);
    expect(await store.get("/a")).toMatchObject({ key: "/a", revision: b.done ? b.revision : 0 });
    expect(await textOf(store, "/a")).toBe("2");
    expect(await store.get("/b")).toBeUndefined();
  });

  test("a condition that does not hold refuses all writes and says what is there", async () => {
    const store = await fresh();
    const a = await put(store, "/a", "1", 0);
    const again = await put(store, "/a", "2", 0);
    expect(again).toMatchObject({ done: false, key: "/a", current: { revision: a.done ? a.revision : 0 } });
    const both = await store.commit({
      conditions: [{ key: "/a", revision: 999 }],
      writes: [
        { key: "/a", value: utf8("x") },
        { key: "/b", value: utf8("x") },
      ],
    });
    expect(both.done).toBe(false);
    expect([await textOf(store, "/a"), await textOf(store, "/b")]).toEqual(["1", undefined]);
    expect(store.revision).toBe(a.done ? a.revision : 0);
  });

  test("of transactions asked for in one moment under one condition exactly one is done", async () => {
    const store = await fresh();
    const results = await Promise.all(Array.from({ length: 20 }, (_, i) => put(store, "/claim", String(i), 0)));
    expect(results.filter((r) => r.done)).toHaveLength(1);
    expect(await textOf(store, "/claim")).toBe("0");
  });

  test("several keys change in one transaction at one revision", async () => {
    const store = await fresh();
    const seen: string[][] = [];
    store.watch("/", store.revision, (changes) => seen.push(changes.map(shown)));
    await put(store, "/a", "1");
    const r = await store.commit({
      conditions: [],
      writes: [
        { key: "/a", value: undefined },
        { key: "/b", value: utf8("2") },
        { key: "/none", value: undefined },
      ],
    });
    const at = r.done ? r.revision : 0;
    expect(seen).toEqual([[`/a@${at - 1}=1(-)`], [`/a@${at}=-(1)`, `/b@${at}=2(-)`]]);
  });

  test("range() is in the order of keys, in pages, and at an older revision", async () => {
    const store = await fresh();
    for (const k of ["/x/c", "/x/a", "/y", "/x/b", "/x/d"]) await put(store, k, k);
    const at = store.revision;
    await put(store, "/x/b", "new");
    await store.commit({ conditions: [], writes: [{ key: "/x/c", value: undefined }] });
    await put(store, "/x/aa", "late");
    const keys = (r: { items: readonly { key: string }[] }): string[] => r.items.map((i) => i.key);
    expect(keys(await store.range("/x/"))).toEqual(["/x/a", "/x/aa", "/x/b", "/x/d"]);
    const first = await store.range("/x/", { limit: 2, atRevision: at });
    expect([keys(first), first.remaining, first.revision]).toEqual([["/x/a", "/x/b"], 2, at]);
    expect(fromUtf8(first.items[1]!.value)).toBe("/x/b");
    const rest = await store.range("/x/", { startAfter: "/x/b", atRevision: at });
    expect([keys(rest), rest.remaining]).toEqual([["/x/c", "/x/d"], 0]);
  });

  test("watch() replays what came after a revision, then goes on, until it is ended", async () => {
    const store = await fresh();
    await put(store, "/a", "1");
    const after = store.revision;
    await put(store, "/b", "2");
    const seen: string[] = [];
    const stop = store.watch("/", after, (changes) => seen.push(...changes.map(shown)));
    expect(seen).toEqual([`/b@${after + 1}=2(-)`]);
    await put(store, "/a", "3");
    expect(seen).toEqual([`/b@${after + 1}=2(-)`, `/a@${after + 2}=3(1)`]);
    stop();
    await put(store, "/a", "4");
    expect(seen).toHaveLength(2);
  });

  test("a change is seen by watchers before its writer is answered", async () => {
    const store = await fresh();
    const order: string[] = [];
    store.watch("/", store.revision, () => order.push("watcher"));
    await put(store, "/a", "1").then(() => order.push("writer"));
    expect(order).toEqual(["watcher", "writer"]);
  });

  test("compact() forgets history but no value; older watches and ranges are refused", async () => {
    const store = await fresh();
    for (let i = 0; i < 5; i++) await put(store, "/a", String(i));
    const at = store.revision - 2;
    await store.compact(at);
    expect(store.compacted).toBe(at);
    expect(() => store.watch("/", at - 1, () => {})).toThrow(CompactedError);
    await expect(store.range("/", { atRevision: at - 1 })).rejects.toThrow(CompactedError);
    const seen: string[] = [];
    store.watch("/", at, (c) => seen.push(...c.map(shown)));
    expect(seen).toHaveLength(2);
    expect(fromUtf8((await store.range("/", { atRevision: at })).items[0]!.value)).toBe("2");
    expect(await textOf(store, "/a")).toBe("4");
  });

  test("compactable() keeps what is young and the newest, but no more than the most", async () => {
    const store = await fresh();
    for (let i = 0; i < 10; i++) await put(store, "/a", String(i));
    const last = store.revision;
    expect(store.compactable(3_600_000, 0, 1000)).toBeUndefined();
    expect(store.compactable(-1000, 3, 1000)).toBe(last - 3);
    expect(store.compactable(3_600_000, 0, 4)).toBe(last - 4);
  });

  test("a store that is closed takes no more writes", async () => {
    const { store, done } = await make();
    const late = put(store, "/a", "1");
    await store.close();
    expect((await late).done).toBe(true);
    await expect(put(store, "/a", "2")).rejects.toThrow("closed");
    await done();
  });

  test("it agrees with a plain Map under random transactions, and a watch from the start rebuilds it", async () => {
    const key = fc.constantFrom("/a", "/a/1", "/a/2", "/b", "/b/é");
    const write = fc.record({ key, value: fc.option(fc.string({ maxLength: 5 }), { nil: undefined }) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uniqueArray(write, { minLength: 1, maxLength: 3, selector: (w) => w.key }), { maxLength: 20 }),
        async (transactions) => {
          const { store, done } = await make();
          const twin = new Map<string, string>();
          const start = store.revision;
          for (const writes of transactions) {
            await store.commit({
              conditions: [],
              writes: writes.map((w) => ({ key: w.key, value: w.value === undefined ? undefined : utf8(w.value) })),
            });
            for (const w of writes) {
              if (w.value === undefined) twin.delete(w.key);
              else twin.set(w.key, w.value);
            }
          }
          const rebuilt = new Map<string, string>();
          store.watch("", start, (changes) => {
            for (const c of changes) {
              if (c.value) rebuilt.set(c.key, fromUtf8(c.value));
              else rebuilt.delete(c.key);
            }
          });
          const sorted = (m: Map<string, string>): [string, string][] => [...m].toSorted(([a], [b]) => (a < b ? -1 : 1));
          const have = (await store.range("")).items.map((i): [string, string] => [i.key, fromUtf8(i.value)]);
          await store.close();
          await done();
          expect(have).toEqual(sorted(twin));
          expect(sorted(rebuilt)).toEqual(sorted(twin));
        },
      ),
      { numRuns: 25 },
    );
  });
}
