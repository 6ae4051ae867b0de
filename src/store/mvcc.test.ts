// What the store does about its disk: answers that wait for it, and a disk that fails.
import { expect, test } from "vitest";
import { fromUtf8, utf8 } from "../base/bytes.ts";
import { MvccStore, type Persistence } from "./mvcc.ts";
import { StoreError } from "./store.ts";
import { doneAt, put, remove } from "./steps.cases.ts";

const nothing: Persistence = { write: () => Promise.resolve(), compact: () => Promise.resolve(), close: () => Promise.resolve() };
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

test("a refusal, and the answer that nothing had to change, speak of what can be read: not before the other transaction is on disk", async () => {
  const disk: (() => void)[] = [];
  const store = new MvccStore(Date.now, undefined, { ...nothing, write: () => new Promise((resolve) => disk.push(resolve)) });
  const first = put(store, "/a", "1");
  const order: string[] = [];
  const second = put(store, "/a", "2", 0).then(async (c) => {
    order.push("refused");
    return [c.done, (await store.get("/a")) !== undefined];
  });
  const third = remove(store, "/b").then(() => order.push("nothing to do"));
  const fourth = store.commit({ conditions: [{ key: "/a", revision: 2 }], writes: [] }).then((c) => {
    order.push("holds");
    return [doneAt(c), store.revision];
  });
  await turn();
  // Of other keys.
  expect(order).toEqual(["nothing to do"]);
  order.push("written");
  disk.shift()!();
  await Promise.all([first, third]);
  expect(await second).toEqual([false, true]);
  expect(await fourth).toEqual([2, 2]);
  expect(order).toEqual(["nothing to do", "written", "refused", "holds"]);
});

test("writes that keep coming do not hold up an answer that waits for one of them", async () => {
  const disk: (() => void)[] = [];
  const store = new MvccStore(Date.now, undefined, { ...nothing, write: () => new Promise((resolve) => disk.push(resolve)) });
  const first = put(store, "/a", "1");
  const refused = put(store, "/a", "2", 0);
  await turn();
  const second = put(store, "/b", "1");
  disk.shift()!();
  expect([(await first).done, (await refused).done, await store.get("/b")]).toEqual([true, false, undefined]);
  await turn();
  disk.shift()!();
  expect((await second).done).toBe(true);
});

test("a disk that fails stops the writes for good: nothing is answered that is not on it, reads go on, and the reason is said", async () => {
  let fail = false;
  let closed = false;
  const store = new MvccStore(Date.now, undefined, {
    write: () => (fail ? Promise.reject(new Error("No space left on device")) : Promise.resolve()),
    compact: () => Promise.resolve(),
    close: async () => void (closed = true),
  });
  await put(store, "/a", "1");
  const seen: string[] = [];
  store.watch("/", store.revision, (changes) => seen.push(changes[0]!.key));
  fail = true;
  const results = await Promise.allSettled([put(store, "/a", "2"), put(store, "/a", "3"), put(store, "/a", "x", 0), remove(store, "/none")]);
  // The last one has nothing to do with it.
  expect(results.map((r) => r.status)).toEqual(["rejected", "rejected", "rejected", "fulfilled"]);
  fail = false;
  await expect(put(store, "/a", "4")).rejects.toThrow(
    "the store cannot be written (No space left on device): no more writes until the server is started again",
  );
  expect(fromUtf8((await store.get("/a"))!.value)).toBe("1");
  expect((await store.range("/")).items).toHaveLength(1);
  expect([store.revision, seen]).toEqual([2, []]);
  expect(store.failure?.cause).toMatchObject({ message: "No space left on device" });
  await store.close();
  expect(closed).toBe(true);
});

test("a disk that is full refuses writes for as long as it is: with what was built upon them, and no revision is lost", async () => {
  let full: StoreError | undefined;
  const asked: number[] = [];
  const written: number[] = [];
  const store = new MvccStore(Date.now, undefined, {
    ...nothing,
    refusal: (bytes) => (asked.push(bytes), full),
    write: async (entries) => void written.push(...entries.map((e) => e.revision)),
  });
  await put(store, "/a", "1");
  expect(asked.at(-1)).toBe(2 * "/a".length + 1);
  full = new StoreError("unavailable", "the disk is full");
  // The second builds upon the first, the third finds it there; neither is true.
  const results = await Promise.allSettled([put(store, "/b", "1", 0), remove(store, "/b"), put(store, "/b", "2", 0)]);
  for (const r of results) expect(r).toEqual({ status: "rejected", reason: full });
  await expect(store.compact(store.revision)).rejects.toBe(full);
  expect([store.failure, store.revision, store.compacted, await store.get("/b")]).toEqual([full, 2, 1, undefined]);
  expect(fromUtf8((await store.get("/a"))!.value)).toBe("1");
  full = undefined;
  expect(doneAt(await put(store, "/b", "1", 0))).toBe(3);
  expect([store.failure, written]).toEqual([undefined, [2, 3]]);
});

test("a transaction that writes a key twice is refused, and changes nothing", async () => {
  const store = new MvccStore(Date.now);
  const writes = ["1", "2"].map((v) => ({ key: "/a", value: utf8(v) }));
  await expect(store.commit({ conditions: [], writes })).rejects.toThrow("twice");
  expect([store.revision, await store.get("/a")]).toEqual([1, undefined]);
});
