import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fromUtf8, utf8 } from "../base/bytes.ts";
import { openLmdbStore } from "./lmdb.ts";
import { MvccStore } from "./mvcc.ts";
import { storeCases } from "./store.cases.ts";

const directory = (): string => mkdtempSync(join(tmpdir(), "tortie-store-"));

describe("lmdb store", () => {
  storeCases(async () => {
    const path = directory();
    const store = await openLmdbStore(path, Date.now);
    return {
      store,
      done: async () => {
        if (store.failure?.message !== "the store is closed") await store.close();
        rmSync(path, { recursive: true });
      },
    };
  });

  test("values, revisions and history are there after a restart, and no revision is used again", async () => {
    const path = directory();
    const first = await openLmdbStore(path, Date.now);
    const put = (store: MvccStore, key: string, value: string | undefined): Promise<unknown> =>
      store.commit({ conditions: [], writes: [{ key, value: value === undefined ? undefined : utf8(value) }] });
    await put(first, "/a", "1");
    const after = first.revision;
    await put(first, "/a", "2");
    await put(first, "/b", "3");
    await put(first, "/b", undefined);
    const { revision } = first;
    await first.close();
    const second = await openLmdbStore(path, Date.now);
    expect(second.revision).toBe(revision);
    expect((await second.range("")).items.map((i) => [i.key, fromUtf8(i.value), i.revision])).toEqual([["/a", "2", after + 1]]);
    const seen: unknown[] = [];
    second.watch("", after, (changes) =>
      seen.push(...changes.map((c) => [c.revision, c.key, c.value && fromUtf8(c.value), c.previous && fromUtf8(c.previous.value)])),
    );
    expect(seen).toEqual([
      [after + 1, "/a", "2", "1"],
      [after + 2, "/b", "3", undefined],
      [after + 3, "/b", undefined, "3"],
    ]);
    await put(second, "/c", "4");
    expect(second.revision).toBe(revision + 1);
    await second.compact(second.revision);
    await second.close();
    const third = await openLmdbStore(path, Date.now);
    expect([third.revision, third.compacted]).toEqual([revision + 1, revision + 1]);
    await third.close();
    rmSync(path, { recursive: true });
  });

  describe("a damaged file is said, and ends nothing", () => {
    const CASES: { name: string; damage: (file: Buffer) => Buffer; why: RegExp }[] = [
      { name: "something else", damage: (file) => Buffer.alloc(file.length, "no store "), why: /it is damaged \(it is no file of LMDB\)/ },
      { name: "cut in the first page", damage: (file) => file.subarray(0, 100), why: /it ends too early/ },
      { name: "cut after the first pages", damage: (file) => file.subarray(0, 9000), why: /it ends too early/ },
      { name: "pages that are zeros", damage: (file) => Buffer.concat([file.subarray(0, 8192), Buffer.alloc(file.length - 8192)]), why: /damaged/ },
      { name: "another version", damage: (file) => (file.writeUInt32LE(9, 28), file), why: /version of LMDB is not known/ },
    ];
    test.for(CASES)("$name", async ({ damage, why }) => {
      const path = directory();
      const store = await openLmdbStore(path, Date.now);
      for (let i = 0; i < 20; i++) await store.commit({ conditions: [], writes: [{ key: `/${i}`, value: new Uint8Array(3000) }] });
      await store.close();
      const file = join(path, "store.mdb");
      writeFileSync(file, damage(readFileSync(file)));
      await expect(openLmdbStore(path, Date.now)).rejects.toThrow(why);
      rmSync(path, { recursive: true });
    });
  });

  test("only the owner can read the store", async () => {
    const path = directory();
    const store = await openLmdbStore(path, Date.now);
    await store.close();
    expect(statSync(path).mode & 0o077).toBe(0);
    rmSync(path, { recursive: true });
  });

  // What was answered survives; what was not may or may not be there, but whole.
  test("kill -9 during writes loses nothing that was answered", { timeout: 60_000 }, async () => {
    const path = directory();
    const acknowledged = new Map<string, number>();
    for (let round = 0; round < 5; round++) {
      const child = spawn(process.execPath, ["--import", "tsx", new URL("lmdb.writer.cases.ts", import.meta.url).pathname, path, String(round)], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      let text = "";
      await new Promise<void>((resolve) => {
        child.stdout.on("data", (d: Buffer) => {
          text += d.toString();
          if (text.split("\n").length > 200 + 150 * round) child.kill("SIGKILL");
        });
        child.on("close", () => resolve());
      });
      const lines = text.split("\n").slice(0, -1);
      expect(lines.length).toBeGreaterThanOrEqual(200);
      for (const line of lines) {
        const [key, revision] = line.split(" ");
        acknowledged.set(key!, Number(revision));
      }
      const store = await openLmdbStore(path, Date.now);
      for (const [key, revision] of acknowledged) {
        const [a, b] = [await store.get(`/a/${key}`), await store.get(`/b/${key}`)];
        expect([a?.revision, b?.revision]).toEqual([revision, revision]);
        expect(fromUtf8(a!.value)).toBe(key);
      }
      // A transaction is there whole or not at all.
      const keys = (await store.range("/a/")).items.map((i) => i.key.slice(3));
      expect((await store.range("/b/")).items.map((i) => i.key.slice(3))).toEqual(keys);
      expect(store.revision).toBeGreaterThanOrEqual(Math.max(...acknowledged.values()));
      await store.close();
    }
    rmSync(path, { recursive: true });
  });

  test("a refusal speaks of what can be read: not before the other transaction is on disk", async () => {
    let written = (): void => {};
    const store = new MvccStore(Date.now, undefined, {
      write: () => new Promise((resolve) => (written = resolve)),
      compact: () => Promise.resolve(),
      close: () => Promise.resolve(),
    });
    const first = store.commit({ conditions: [], writes: [{ key: "/a", value: utf8("1") }] });
    const order: string[] = [];
    const second = store.commit({ conditions: [{ key: "/a", revision: 0 }], writes: [] }).then(async (c) => {
      order.push("refused");
      return [c.done, (await store.get("/a")) !== undefined];
    });
    await new Promise((resolve) => setTimeout(resolve, 10));
    order.push("written");
    written();
    await first;
    expect([await second, order]).toEqual([
      [false, true],
      ["written", "refused"],
    ]);
  });

  test("a disk that fails stops the writes for good, and nothing is answered that is not on it", async () => {
    let fail = false;
    const store = new MvccStore(Date.now, undefined, {
      write: () => (fail ? Promise.reject(new Error("ENOSPC")) : Promise.resolve()),
      compact: () => Promise.resolve(),
      close: () => Promise.resolve(),
    });
    const put = (value: string): Promise<unknown> => store.commit({ conditions: [], writes: [{ key: "/a", value: utf8(value) }] });
    await put("1");
    fail = true;
    await expect(Promise.all([put("2"), put("3")])).rejects.toThrow("cannot be written");
    fail = false;
    await expect(put("4")).rejects.toThrow("cannot be written");
    expect(fromUtf8((await store.get("/a"))!.value)).toBe("1");
    expect(store.failure?.cause).toMatchObject({ message: "ENOSPC" });
  });
});
