// What every store must do: run on each of them. The facts of the lists and watches are those of Kubernetes' tables for its storage
// (k8s.io/apiserver, pkg/storage/testing: store_tests.go, watcher_tests.go), told for this interface.
import { afterEach, describe, expect, test } from "vitest";
import { fromUtf8, utf8 } from "../base/bytes.ts";
import { type Change, CompactedError, FutureRevisionError, type Range, type Store, type Write } from "./store.ts";
import { byOrder } from "./keys.ts";
import { linearCases } from "./linear.cases.ts";
import { replayCases } from "./replay.cases.ts";
import { doneAt, type MakeStore, type Opened, put, remove } from "./steps.cases.ts";

const textOf = async (store: Store, key: string): Promise<string | undefined> => {
  const stored = await store.get(key);
  return stored && fromUtf8(stored.value);
};
/** "/a=2(1)": became 2, was 1; "-" where there is nothing. */
const shown = (c: Change): string => `${c.key}=${c.value ? fromUtf8(c.value) : "-"}(${c.previous ? fromUtf8(c.previous.value) : "-"})`;
const keysOf = (r: Range): string[] => r.items.map((i) => i.key);

export function storeCases(make: MakeStore): void {
  const open: Opened[] = [];
  const made = async (): Promise<Opened> => {
    const opened = await make();
    open.push(opened);
    return opened;
  };
  const fresh = async (): Promise<Store> => (await made()).store;
  afterEach(async () => {
    for (const { done } of open.splice(0)) await done();
  });

  describe("writes", () => {
    test("give growing revisions, and get() gives the value", async () => {
      const store = await fresh();
      const [a, b] = [doneAt(await put(store, "/a", "1")), doneAt(await put(store, "/a", "2"))];
      expect(b).toBe(a + 1);
      expect(await store.get("/a")).toMatchObject({ key: "/a", revision: b });
      expect(await textOf(store, "/a")).toBe("2");
      expect(await store.get("/b")).toBeUndefined();
    });

    // What is there at first (undefined: nothing), the revision asked for (of what is there, 0 for none, or a wrong one), whether it is done.
    const CONDITIONS: readonly [name: string, first: string | undefined, asked: "right" | "none" | "older" | "wrong" | "any", done: boolean][] = [
      ["create", undefined, "none", true],
      ["create over a key that exists", "1", "none", false],
      ["compare and set", "1", "right", true],
      ["compare and set over a newer value", "1", "older", false],
      ["compare and set at a revision that never was", "1", "wrong", false],
      ["compare and set of a key that does not exist", undefined, "wrong", false],
      ["without a condition, new", undefined, "any", true],
      ["without a condition, over a value", "1", "any", true],
    ];
    for (const how of ["put", "delete"] as const)
      test.for(CONDITIONS)(`${how}: %s`, async ([, first, asked, done]) => {
        const store = await fresh();
        const older = doneAt(await put(store, "/k", "0"));
        if (first === undefined) await remove(store, "/k");
        else await put(store, "/k", first);
        const before = await store.get("/k");
        const revision = { right: before?.revision, none: 0, older, wrong: 1_000_000, any: undefined }[asked];
        const at = store.revision;
        const result = how === "put" ? await put(store, "/k", "new", revision) : await remove(store, "/k", revision);
        expect(result.done).toBe(done);
        if (!result.done) {
          expect(result).toEqual({ done: false, key: "/k", current: before });
          expect(await store.get("/k")).toEqual(before);
          expect(store.revision).toBe(at);
        } else expect(await textOf(store, "/k")).toBe(how === "put" ? "new" : undefined);
      });

    test("a condition that does not hold refuses all writes, whichever key it is about; the first such key is named", async () => {
      const store = await fresh();
      const a = doneAt(await put(store, "/a", "1", 0));
      const b = doneAt(await put(store, "/b", "1", 0));
      const writes = ["/a", "/b", "/c"].map((key): Write => ({ key, value: utf8("x") }));
      for (const [conditions, key] of [
        [[{ key: "/a", revision: 999_999 }], "/a"],
        [
          [
            { key: "/a", revision: a },
            { key: "/b", revision: a },
          ],
          "/b",
        ],
        [[{ key: "/other", revision: 7 }], "/other"],
      ] as const) {
        expect(await store.commit({ conditions, writes })).toMatchObject({ done: false, key });
        expect([await textOf(store, "/a"), await textOf(store, "/b"), await textOf(store, "/c"), store.revision]).toEqual(["1", "1", undefined, b]);
      }
      const conditions = [
        { key: "/a", revision: a },
        { key: "/b", revision: b },
        { key: "/c", revision: 0 },
      ];
      expect(doneAt(await store.commit({ conditions, writes }))).toBe(b + 1);
      expect((await store.range("/")).items.map((i) => i.revision)).toEqual([b + 1, b + 1, b + 1]);
    });

    test("several keys change in one transaction at one revision, seen as one", async () => {
      const store = await fresh();
      const seen: string[][] = [];
      store.watch("/", store.revision, (changes) => seen.push(changes.map((c) => `${c.revision - first} ${shown(c)}`)));
      const first = store.revision + 1;
      await put(store, "/a", "1");
      await store.commit({
        conditions: [],
        writes: [
          { key: "/b", value: utf8("2") },
          { key: "/a", value: undefined },
          { key: "/none", value: undefined },
        ],
      });
      expect(seen.map((s) => s.toSorted(byOrder))).toEqual([["0 /a=1(-)"], ["1 /a=-(1)", "1 /b=2(-)"]]);
    });

    test("a transaction that changes nothing takes no revision and is no event", async () => {
      const store = await fresh();
      const at = doneAt(await put(store, "/a", "1"));
      const seen: string[] = [];
      store.watch("/", at, (changes) => seen.push(...changes.map(shown)));
      expect(await remove(store, "/none")).toEqual({ done: true, revision: at });
      expect(await store.commit({ conditions: [{ key: "/a", revision: at }], writes: [] })).toEqual({ done: true, revision: at });
      expect([store.revision, seen]).toEqual([at, []]);
    });

    test("the same value again is a change: only who writes knows whether it is one", async () => {
      const store = await fresh();
      const at = doneAt(await put(store, "/a", "1"));
      expect(doneAt(await put(store, "/a", "1"))).toBe(at + 1);
    });

    test("of transactions asked for in one moment under one condition exactly one is done", async () => {
      const store = await fresh();
      const results = await Promise.all(Array.from({ length: 20 }, (_, i) => put(store, "/claim", String(i), 0)));
      const done = results.findIndex((r) => r.done);
      expect(results.filter((r) => r.done)).toHaveLength(1);
      expect(await textOf(store, "/claim")).toBe(String(done));
      const stored = await store.get("/claim");
      for (const r of results) if (!r.done) expect(r).toEqual({ done: false, key: "/claim", current: stored });
    });

    test("what is there is given back as it was written: empty, large, every byte; keys of other scripts", async () => {
      const store = await fresh();
      const values = [new Uint8Array(), new Uint8Array(1), Uint8Array.from({ length: 256 }, (_, i) => i), new Uint8Array(1_000_000).fill(7)];
      for (const [i, value] of values.entries()) await store.commit({ conditions: [], writes: [{ key: `/é/${i}`, value }] });
      for (const { value, key } of (await store.range("/é/")).items) expect(Buffer.compare(value, values[Number(key.slice(-1))]!)).toBe(0);
    });

    test("a store that is closed takes no more writes; those under way are done", async () => {
      const { store } = await made();
      const late = put(store, "/a", "1");
      await store.close();
      expect((await late).done).toBe(true);
      await expect(put(store, "/a", "2")).rejects.toThrow("closed");
    });
  });

  describe("lists", () => {
    /** /x/a to /x/e and neighbours; then b is changed, c deleted, aa new. Gives the revision before those three. */
    async function filled(store: Store): Promise<number> {
      for (const k of ["/x/c", "/x/a", "/y/a", "/x/b", "/x/e", "/x", "/x/d", "/xx/a", "/w/z"]) await put(store, k, `${k} first`);
      const at = store.revision;
      await put(store, "/x/b", "changed");
      await remove(store, "/x/c");
      await put(store, "/x/aa", "new");
      return at;
    }
    const NOW = ["/x/a", "/x/aa", "/x/b", "/x/d", "/x/e"];
    const THEN = ["/x/a", "/x/b", "/x/c", "/x/d", "/x/e"];

    // prefix, limit, start, at the older revision, keys, remaining
    const LISTS: readonly [
      name: string,
      prefix: string,
      limit: number | undefined,
      after: string | undefined,
      old: boolean,
      keys: string[],
      left: number,
    ][] = [
      ["all below a prefix, in the order of their keys; not what only starts like it", "/x/", undefined, undefined, false, NOW, 0],
      ["at an older revision", "/x/", undefined, undefined, true, THEN, 0],
      ["a page", "/x/", 2, undefined, false, NOW.slice(0, 2), 3],
      ["a page at an older revision", "/x/", 2, undefined, true, THEN.slice(0, 2), 3],
      ["the next page", "/x/", 2, "/x/aa", false, NOW.slice(2, 4), 1],
      ["the next page at an older revision, behind a key that was not there", "/x/", 2, "/x/aa", true, THEN.slice(1, 3), 2],
      ["the rest behind a key that is gone", "/x/", undefined, "/x/c", false, NOW.slice(3), 0],
      ["the rest behind a key that is gone, at an older revision", "/x/", undefined, "/x/c", true, THEN.slice(3), 0],
      ["a page that ends with the last key leaves none", "/x/", 2, "/x/b", false, NOW.slice(3), 0],
      ["a page larger than all", "/x/", 100, undefined, true, THEN, 0],
      ["behind the last key", "/x/", 5, "/x/e", false, [], 0],
      ["start before the prefix", "/x/", undefined, "/a", false, NOW, 0],
      ["start behind the prefix", "/x/", undefined, "/z", true, [], 0],
      ["an empty collection", "/none/", 5, undefined, false, [], 0],
      ["an empty collection at an older revision", "/none/", undefined, undefined, true, [], 0],
      ["a whole key as prefix", "/x/b", undefined, undefined, false, ["/x/b"], 0],
      ["everything", "", 3, "/x/e", true, ["/xx/a", "/y/a"], 0],
    ];
    test.for(LISTS)("%s", async ([, prefix, limit, startAfter, old, keys, left]) => {
      const store = await fresh();
      const at = await filled(store);
      const range = await store.range(prefix, {
        ...(limit === undefined ? {} : { limit }),
        ...(startAfter === undefined ? {} : { startAfter }),
        ...(old ? { atRevision: at } : {}),
      });
      expect([keysOf(range), range.remaining, range.revision]).toEqual([keys, left, old ? at : store.revision]);
      for (const { key, value } of range.items)
        expect(fromUtf8(value)).toBe(old ? `${key} first` : ({ "/x/b": "changed", "/x/aa": "new" }[key] ?? `${key} first`));
    });

    test("every revision that is known can be listed exactly as it was", async () => {
      const store = await fresh();
      const states: [revision: number, items: string][] = [[store.revision, ""]];
      const state = new Map<string, string>();
      for (let i = 0; i < 40; i++) {
        const key = `/k/${(i * 7) % 5}`;
        if (i % 4 === 3 && state.has(key)) {
          await remove(store, key);
          state.delete(key);
        } else {
          await put(store, key, String(i));
          state.set(key, String(i));
        }
        states.push([store.revision, [...state].map(String).toSorted(byOrder).join(" ")]);
      }
      for (const [revision, items] of states) {
        const range = await store.range("/k/", { atRevision: revision });
        expect([range.revision, range.items.map((s) => `${s.key},${fromUtf8(s.value)}`).join(" ")]).toEqual([revision, items]);
        for (const { revision: written } of range.items) expect(written).toBeLessThanOrEqual(revision);
      }
    });

    test("pages at one revision are one state, whatever is written between them", async () => {
      const store = await fresh();
      const names = Array.from({ length: 23 }, (_, i) => `/p/${String.fromCharCode(97 + i)}`);
      for (const k of names) await put(store, k, "first");
      const paged: string[] = [];
      const first = await store.range("/p/", { limit: 5 });
      for (let page = first; ; page = await store.range("/p/", { limit: 5, atRevision: first.revision, startAfter: paged.at(-1)! })) {
        expect(page.revision).toBe(first.revision);
        paged.push(...keysOf(page));
        for (const { value } of page.items) expect(fromUtf8(value)).toBe("first");
        expect(page.remaining).toBe(names.length - paged.length);
        if (page.remaining === 0) break;
        const last = paged.at(-1)!;
        await remove(store, last);
        await put(store, names[(paged.length + 2) % names.length]!, "changed");
        await put(store, `${last}+`, "new");
      }
      expect(paged).toEqual(names);
    });

    test("a page after compaction is refused, and says what is known; the list starts anew", async () => {
      const store = await fresh();
      const at = await filled(store);
      await store.compact(store.revision);
      await expect(store.range("/x/", { limit: 2, atRevision: at, startAfter: "/x/a" })).rejects.toThrow(CompactedError);
      await expect(store.range("/x/", { atRevision: at })).rejects.toMatchObject({ asked: at, compacted: store.compacted });
      expect(keysOf(await store.range("/x/", { startAfter: "/x/a" }))).toEqual(NOW.slice(1));
      expect(keysOf(await store.range("/x/", { atRevision: store.revision }))).toEqual(NOW);
    });

    test("a revision that the store has not come to is refused", async () => {
      const store = await fresh();
      await put(store, "/a", "1");
      await expect(store.range("/", { atRevision: store.revision + 1 })).rejects.toThrow(FutureRevisionError);
    });
  });

  describe("watches", () => {
    test("give what came after a revision, then go on, until they are ended", async () => {
      const store = await fresh();
      await put(store, "/a", "1");
      const after = store.revision;
      await put(store, "/b", "2");
      const seen: string[] = [];
      const stop = store.watch("/", after, (changes) => seen.push(...changes.map((c) => `${c.revision - after} ${shown(c)}`)));
      expect(seen).toEqual(["1 /b=2(-)"]);
      await put(store, "/a", "3");
      expect(seen).toEqual(["1 /b=2(-)", "2 /a=3(1)"]);
      stop();
      await put(store, "/a", "4");
      expect(seen).toHaveLength(2);
    });

    test("tell creation, change, deletion and creation again apart by what was before; the value before has its revision", async () => {
      const store = await fresh();
      const start = store.revision;
      await put(store, "/a", "1");
      await put(store, "/a", "2");
      await remove(store, "/a");
      await put(store, "/a", "3");
      for (const from of [0, 1, 2, 3]) {
        const seen: (string | number | undefined)[][] = [];
        store.watch("/", start + from, (changes) =>
          seen.push(...changes.map((c) => [shown(c), c.revision - start, c.previous && c.previous.revision - start])),
        );
        expect(seen).toEqual(
          [
            ["/a=1(-)", 1, undefined],
            ["/a=2(1)", 2, 1],
            ["/a=-(2)", 3, 2],
            ["/a=3(-)", 4, undefined],
          ].slice(from),
        );
      }
    });

    test("see only their prefix, in one order over all keys", async () => {
      const store = await fresh();
      const seen: Record<string, number[]> = { "/x/": [], "/x": [], "/y/": [], "": [] };
      for (const [prefix, revisions] of Object.entries(seen))
        store.watch(prefix, store.revision, (changes) => {
          for (const c of changes) expect(c.key.startsWith(prefix)).toBe(true);
          revisions.push(changes[0]!.revision);
        });
      const written = await Promise.all(["/x/1", "/y/1", "/xx", "/x/2", "/y/2", "/z"].map((key) => put(store, key, "v").then(doneAt)));
      expect(new Set(written).size).toBe(6);
      const of = (...is: number[]): number[] => is.map((i) => written[i]!).toSorted((a, b) => a - b);
      expect(seen).toEqual({ "/x/": of(0, 3), "/x": of(0, 2, 3), "/y/": of(1, 4), "": of(0, 1, 2, 3, 4, 5) });
    });

    test("a change is seen by watchers before its writer is answered, and the store's revision covers it", async () => {
      const store = await fresh();
      const order: string[] = [];
      store.watch("/", store.revision, (changes) => order.push(store.revision >= changes[0]!.revision ? "watcher" : "early"));
      await put(store, "/a", "1").then((c) => order.push(store.revision >= doneAt(c) ? "writer" : "late"));
      expect(order).toEqual(["watcher", "writer"]);
    });

    // What a bookmark says: everything up to this revision was given.
    test("progress: whenever the revision is read, every change up to it was given, also of other prefixes", async () => {
      const store = await fresh();
      const given: number[] = [];
      const all: number[] = [];
      store.watch("/mine/", store.revision, (changes) => given.push(changes[0]!.revision));
      let over = false;
      const writers = [0, 1, 2].map(async (w) => {
        for (let i = 0; i < 15; i++) {
          const mine = (i + w) % 3 === 0;
          const at = doneAt(await put(store, `${mine ? "/mine/" : "/other/"}${w}`, String(i)));
          if (mine) all.push(at);
        }
      });
      const reader = (async () => {
        while (!over) {
          const bookmark = store.revision;
          const had = [...given];
          await new Promise((resolve) => setImmediate(resolve));
          // Nothing that comes later is at or before the bookmark.
          for (const revision of given.slice(had.length)) expect(revision).toBeGreaterThan(bookmark);
        }
      })();
      await Promise.all(writers);
      over = true;
      await reader;
      expect(given).toEqual(all.toSorted((a, b) => a - b));
    });

    test("from a revision that the store has not come to: nothing before it is given", async () => {
      const store = await fresh();
      const seen: string[] = [];
      const at = store.revision;
      store.watch("/", at + 2, (changes) => seen.push(...changes.map(shown)));
      for (const value of ["1", "2", "3", "4"]) await put(store, "/a", value);
      expect(seen).toEqual(["/a=3(2)", "/a=4(3)"]);
    });

    test("from a revision whose successor was compacted are refused; those that run go on through compaction", async () => {
      const store = await fresh();
      const start = store.revision;
      const running: string[] = [];
      store.watch("/", start, (changes) => running.push(...changes.map(shown)));
      for (let i = 0; i < 5; i++) await put(store, "/a", String(i));
      const at = store.revision - 2;
      await store.compact(at);
      expect(store.compacted).toBe(at);
      for (const after of [0, start, at - 1]) expect(() => store.watch("/", after, () => {})).toThrow(CompactedError);
      const seen: string[] = [];
      store.watch("/", at, (c) => seen.push(...c.map(shown)));
      expect(seen).toEqual(["/a=3(2)", "/a=4(3)"]);
      await put(store, "/a", "5");
      await store.compact(store.revision);
      await put(store, "/a", "6");
      expect(seen).toEqual(["/a=3(2)", "/a=4(3)", "/a=5(4)", "/a=6(5)"]);
      expect(running).toEqual(["/a=0(-)", "/a=1(0)", "/a=2(1)", ...seen]);
    });

    test("a listener may write, start watches and end any, also its own; each sees each change once", async () => {
      const store = await fresh();
      const seen: string[] = [];
      const start = store.revision;
      const wrote: Promise<unknown>[] = [];
      const never = store.watch("/", start, () => seen.push("never"));
      // The first in line ends the next but one, starts another from the beginning, and writes.
      const first = store.watch("/", start, (changes) => {
        seen.push(...changes.map((c) => `first ${shown(c)}`));
        first();
        second();
        store.watch("/", start, (more) => seen.push(...more.map((c) => `third ${shown(c)}`)));
        wrote.push(put(store, "/b", "2"));
      });
      const second = store.watch("/", start, () => seen.push("second"));
      never();
      await put(store, "/a", "1");
      await Promise.all(wrote);
      expect(seen).toEqual(["first /a=1(-)", "third /a=1(-)", "third /b=2(-)"]);
    });

    test("a slow listener holds up nothing but the event loop: all are given everything, in order", async () => {
      const store = await fresh();
      const seen: number[][] = [[], []];
      const slow = store.watch("/", store.revision, (changes) => {
        for (const end = performance.now() + 3; performance.now() < end;);
        seen[0]!.push(changes[0]!.revision);
      });
      store.watch("/", store.revision, (changes) => seen[1]!.push(changes[0]!.revision));
      const revisions = (await Promise.all(Array.from({ length: 30 }, (_, i) => put(store, `/${i % 7}`, "v")))).map(doneAt).toSorted((a, b) => a - b);
      expect(seen).toEqual([revisions, revisions]);
      slow();
      await put(store, "/x", "v");
      expect(seen.map((s) => s.length)).toEqual([30, 31]);
    });
  });

  describe("history", () => {
    test("compaction forgets history but no value; it never goes back, nor beyond the latest", async () => {
      const store = await fresh();
      for (let i = 0; i < 5; i++) await put(store, "/a", String(i));
      const at = store.revision - 2;
      await store.compact(at);
      expect(fromUtf8((await store.range("/", { atRevision: at })).items[0]!.value)).toBe("2");
      await store.compact(at - 1);
      expect(store.compacted).toBe(at);
      await store.compact(store.revision + 100);
      expect(store.compacted).toBe(store.revision);
      expect(await textOf(store, "/a")).toBe("4");
      const after = doneAt(await put(store, "/a", "5"));
      expect(fromUtf8((await store.range("/", { atRevision: after - 1 })).items[0]!.value)).toBe("4");
    });

    test("compactable() keeps what is young and the newest, but no more than the most", async () => {
      const store = await fresh();
      for (let i = 0; i < 10; i++) await put(store, "/a", String(i));
      const last = store.revision;
      expect(store.compactable(3_600_000, 0, 1000)).toBeUndefined();
      expect(store.compactable(-1000, 3, 1000)).toBe(last - 3);
      expect(store.compactable(3_600_000, 0, 4)).toBe(last - 4);
    });

    test("a restart loses nothing: values, revisions, history and its edge; revisions go on", async ({ skip }) => {
      const { store: first, reopen } = await made();
      if (!reopen) return skip("it keeps nothing");
      for (let i = 0; i < 6; i++) await put(first, `/k/${i % 3}`, String(i));
      await remove(first, "/k/1");
      await first.compact(first.revision - 4);
      await put(first, "/k/1", "again");
      const [revision, compacted] = [first.revision, first.compacted];
      const told = (store: Store): unknown[] => {
        const seen: unknown[] = [];
        store.watch("", compacted, (changes) => seen.push(...changes.map((c) => [c.revision, shown(c), c.previous?.revision])))();
        return seen;
      };
      const history = told(first);
      expect(history).toHaveLength(5);
      const state = (await first.range("")).items;
      for (let restart = 0; restart < 2; restart++) {
        const store = await reopen();
        expect([store.revision, store.compacted]).toEqual([revision, compacted]);
        expect((await store.range("")).items.map((i) => [i.key, i.revision, fromUtf8(i.value)])).toEqual(
          state.map((i) => [i.key, i.revision, fromUtf8(i.value)]),
        );
        expect(told(store)).toEqual(history);
        expect(() => store.watch("", compacted - 1, () => {})).toThrow(CompactedError);
      }
      expect(doneAt(await put(await reopen(), "/new", "v"))).toBe(revision + 1);
    });

    test("no revision is used again when the newest is compacted and the store restarts", async ({ skip }) => {
      const { store, reopen } = await made();
      if (!reopen) return skip("it keeps nothing");
      await put(store, "/a", "1");
      await remove(store, "/a");
      const { revision } = store;
      await store.compact(revision);
      const again = await reopen();
      expect([again.revision, again.compacted, (await again.range("")).items]).toEqual([revision, revision, []]);
      expect(doneAt(await put(again, "/a", "2"))).toBe(revision + 1);
    });
  });

  replayCases(make);
  linearCases(make);
}
