// The embedded store: as every store, and what only a file can suffer. Kills, full disks and failing ones: test/store.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { TortieError } from "../base/errors.ts";
import { readBackup, restore, writeBackup } from "./backup.ts";
import type { Snapshot } from "./history.ts";
import { seeded } from "./linear.cases.ts";
import { openLmdbStore, readLive, storeFile } from "./lmdb.ts";
import type { MvccStore } from "./mvcc.ts";
import { bootId, DamagedPages, PageFile } from "./pages.ts";
import { DamagedRecord } from "./records.ts";
import { readSnapshot, snapshotOf } from "./snapshot.ts";
import { put, remove } from "./steps.cases.ts";
import { storeCases } from "./store.cases.ts";

const made: string[] = [];
const directory = (): string => {
  made.push(mkdtempSync(join(tmpdir(), "tortie-store-")));
  return made.at(-1)!;
};
afterEach(() => {
  for (const path of made.splice(0)) rmSync(path, { recursive: true });
});

describe("lmdb store", () => {
  storeCases(async () => {
    const path = mkdtempSync(join(tmpdir(), "tortie-store-"));
    const store = await openLmdbStore(path, Date.now);
    let latest: MvccStore = store;
    return {
      store,
      reopen: async () => {
        await latest.close();
        return (latest = await openLmdbStore(path, Date.now));
      },
      done: async () => {
        if (latest.failure?.message !== "the store is closed") await latest.close();
        rmSync(path, { recursive: true });
      },
    };
  });

  test("only the owner can read the store", async () => {
    const path = directory();
    await (await openLmdbStore(path, Date.now)).close();
    expect(statSync(path).mode & 0o077).toBe(0);
  });
});

describe("a store that cannot be opened is refused with a sentence, by whichever of its files", () => {
  test.for([
    { name: "a folder in place of the store", file: "", why: /^Cannot read the store ".*": illegal operation on a directory$/ },
    { name: "a folder in place of its locks", file: "-lock", why: /^Cannot open the store ".*": ".*-lock" is no file$/ },
  ])("$name", async ({ file, why }) => {
    const path = directory();
    await (await openLmdbStore(path, Date.now)).close();
    const taken = `${storeFile(path)}${file}`;
    rmSync(taken, { force: true });
    mkdirSync(taken);
    await expect(openLmdbStore(path, Date.now)).rejects.toThrow(why);
  });
});

const shown = (s: Snapshot): string =>
  JSON.stringify([
    s.revision,
    s.compacted,
    [...s.current].map((c) => [c.key, c.revision, Buffer.from(c.value).toString("base64")]),
    s.log.map((e) => [
      e.revision,
      e.at,
      e.changes.map((c) => [c.key, c.revision, c.value && Buffer.from(c.value).toString("base64"), c.previous?.revision]),
    ]),
  ]);

/** A store with every kind of page: trees of several levels, values that fill pages of their own, free pages; and a history. */
async function filled(path: string, keys: number): Promise<void> {
  const store = await openLmdbStore(path, Date.now);
  const random = seeded(7);
  const group: Promise<unknown>[] = [];
  const soon = async (written: Promise<unknown>): Promise<void> => {
    if (group.push(written) >= 10) await Promise.all(group.splice(0));
  };
  for (let i = 0; i < keys; i++) {
    const value = Buffer.alloc(Math.floor(random() ** 3 * 9000), `${i} `);
    await soon(store.commit({ conditions: [], writes: [{ key: `/registry/things/thing-${i}`, value }] }));
  }
  await store.compact(store.revision - 60);
  for (let i = 0; i < keys; i += 9) await soon(remove(store, `/registry/things/thing-${i}`));
  for (let i = 0; i < 20; i++) await soon(put(store, `/registry/things/thing-${i}`, `again ${i}`));
  await store.close();
}

describe("a file is read and checked without LMDB", () => {
  let original: Buffer;
  beforeAll(async () => {
    const path = mkdtempSync(join(tmpdir(), "tortie-store-"));
    await filled(path, 110);
    original = readFileSync(storeFile(path));
    rmSync(path, { recursive: true });
  });
  /** What a file of these bytes holds, as of now. */
  const held = (bytes: Buffer): string => {
    const file = new PageFile((buffer, at) => bytes.copy(buffer, 0, at, Math.min(at + buffer.length, bytes.length)), bytes.length, bootId());
    return shown(snapshotOf("", file.tables()));
  };

  test("what is read is what LMDB reads, and what the store held", async () => {
    const path = directory();
    await filled(path, 400);
    const snapshot = readSnapshot(storeFile(path))!;
    const live = await readLive(storeFile(path));
    expect(live.revision).toBe(snapshot.revision);
    expect(live.current.map((c) => [c.key, c.revision, Buffer.from(c.value).toString("hex")])).toEqual(
      [...snapshot.current].map((c) => [c.key, c.revision, Buffer.from(c.value).toString("hex")]),
    );
    expect(snapshot.log.length).toBeGreaterThan(60);
  });

  // Random work, close together: keys written again in one transaction of LMDB (longer, shorter, gone), pages given back and taken again, history forgotten.
  test("no file that LMDB leaves is taken for a damaged one", { timeout: 200_000 }, async () => {
    const path = directory();
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = seeded(seed);
    const below = (n: number): number => Math.floor(random() * n);
    const twin = new Map<string, number>();
    for (let round = 0; round < 6; round++) {
      const store = await openLmdbStore(path, Date.now);
      for (let turn = 0; turn < 8; turn++) {
        const group = Array.from({ length: 1 + below(120) }, () => {
          const key = `/k/${below(40 * (1 + below(20)))}`;
          const size = random() < 0.3 ? undefined : Math.floor(random() ** 4 * 60_000);
          if (size === undefined) twin.delete(key);
          else twin.set(key, size);
          return store.commit({ conditions: [], writes: [{ key, value: size === undefined ? undefined : Buffer.alloc(size, key) }] });
        });
        await Promise.all(group);
        if (random() < 0.3) await store.compact(store.revision - below(200));
      }
      const { revision } = store;
      await store.close();
      const snapshot = readSnapshot(storeFile(path));
      expect(snapshot?.revision, `seed ${seed}`).toBe(revision);
      expect(Object.fromEntries([...snapshot!.current].map((c) => [c.key, c.value.length])), `seed ${seed}`).toEqual(Object.fromEntries(twin));
    }
  });

  test("nothing there is no store yet", async () => {
    const path = directory();
    expect(readSnapshot(storeFile(path))).toBeUndefined();
    // What a process that was ended left of one that it was making.
    writeFileSync(`${storeFile(path)}.new`, "half");
    writeFileSync(`${storeFile(path)}.new-lock`, "half");
    const store = await openLmdbStore(path, Date.now);
    expect(store.revision).toBe(1);
    await store.close();
  });

  test("no flipped bit is served: it is found, or it is where nothing stands", { timeout: 300_000 }, () => {
    const bytes = Buffer.from(original);
    const whole = held(bytes);
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = seeded(seed);
    const pages = bytes.length / 4096;
    // A third of the bits of the three first pages' numbers; of the other pages some of their heads and of what they hold.
    const bits: number[] = [];
    for (const meta of [0, 2048, 4096]) for (let bit = 8 * (meta + 16) + Math.floor(random() * 3); bit < 8 * (meta + 168); bit += 3) bits.push(bit);
    for (let page = 2; page < pages; page++) {
      for (let i = 0; i < 2; i++) bits.push(8 * 4096 * page + Math.floor(random() * 8 * 24));
      for (let i = 0; i < 4; i++) bits.push(8 * 4096 * page + Math.floor(random() * 8 * 4096));
    }
    let found = 0;
    for (const bit of bits) {
      const at = Math.floor(bit / 8);
      bytes[at]! ^= 1 << (bit % 8);
      let outcome: string;
      try {
        outcome = held(bytes);
      } catch (thrown) {
        if (!(thrown instanceof DamagedPages || thrown instanceof DamagedRecord || thrown instanceof TortieError))
          throw new Error(`seed ${seed}, bit ${bit % 8} of byte ${at}`, { cause: thrown });
        outcome = "found";
        found++;
      }
      bytes[at]! ^= 1 << (bit % 8);
      if (outcome !== "found" && outcome !== whole)
        throw new Error(`seed ${seed}: bit ${bit % 8} of byte ${at} (page ${Math.floor(at / 4096)}) was served`);
    }
    expect(held(bytes)).toBe(whole);
    expect(found).toBeGreaterThan(bits.length / 10);
  });

  const CASES: { name: string; damage: (file: Buffer) => Buffer; why: RegExp }[] = [
    { name: "something else", damage: (file) => Buffer.alloc(file.length, "no store "), why: /it is no file of LMDB/ },
    { name: "empty", damage: () => Buffer.alloc(0), why: /it is empty/ },
    { name: "cut in the first page", damage: (file) => file.subarray(0, 100), why: /it ends too early/ },
    { name: "cut after the first pages", damage: (file) => file.subarray(0, 8192), why: /it ends too early/ },
    { name: "cut in the middle of a page", damage: (file) => file.subarray(0, file.length / 2 + 1000), why: /it ends too early/ },
    { name: "cut by half", damage: (file) => file.subarray(0, 4096 * Math.floor(file.length / 8192)), why: /it ends too early/ },
    { name: "all pages but the first zeros", damage: (file) => (file.fill(0, 8192), file), why: /is not what was written/ },
    { name: "the first page zeros", damage: (file) => (file.fill(0, 0, 4096), file), why: /it is no file of LMDB/ },
    { name: "the second page zeros", damage: (file) => (file.fill(0, 4096, 8192), file), why: /it is no file of LMDB/ },
    { name: "another version", damage: (file) => (file.writeUInt32LE(9, 28), file), why: /version of LMDB is not known/ },
    { name: "a page in the place of another", damage: (file) => (file.copy(file, 5 * 4096, 6 * 4096, 7 * 4096), file), why: /not what was written/ },
    { name: "a second half of an older time", damage: (file) => (file.fill(0xa5, file.length / 2), file), why: /not what was written/ },
  ];
  test.for(CASES)("$name: the store is not opened, the file stays as it is, and a way out is named", async ({ damage, why }) => {
    const path = directory();
    const file = storeFile(path);
    const bytes = Buffer.from(damage(Buffer.from(original)));
    writeFileSync(file, bytes);
    const thrown = await openLmdbStore(path, Date.now).catch((e: unknown) => e as TortieError);
    expect(thrown).toBeInstanceOf(TortieError);
    expect((thrown as TortieError).message).toMatch(why);
    expect((thrown as TortieError).hint).toMatch(/tortie server restore --data DIR FILE/);
    expect(readFileSync(file).equals(bytes)).toBe(true);
  });

  test("each page that is in use, zeroed or of random bytes, is missed", { timeout: 200_000 }, () => {
    const bytes = Buffer.from(original);
    const whole = held(bytes);
    let [missed, free] = [0, 0];
    for (let at = 8192; at < bytes.length; at += 4096) {
      const kept = Buffer.from(bytes.subarray(at, at + 4096));
      for (const fill of [0, 0xff]) {
        bytes.fill(fill, at, at + 4096);
        try {
          expect(held(bytes)).toBe(whole);
          free++;
        } catch (thrown) {
          if (!(thrown instanceof DamagedPages || thrown instanceof DamagedRecord)) throw thrown;
          missed++;
        }
      }
      kept.copy(bytes, at);
    }
    expect(missed).toBeGreaterThan(40);
    expect(free).toBeGreaterThan(0);
  });
});

describe("backup and restore", () => {
  test("a backup of a store that is being written is one moment of it, whole", async () => {
    const path = directory();
    const store = await openLmdbStore(path, Date.now);
    let over = false;
    const writer = (async () => {
      // Both keys change together, always.
      for (let i = 0; !over; i++) {
        const value = Buffer.from(String(i));
        await store.commit({
          conditions: [],
          writes: ["/a", "/b"].map((key) => ({ key, value })).concat([{ key: `/c/${i % 500}`, value: Buffer.alloc(3000, "x") }]),
        });
      }
    })();
    await expect.poll(() => store.get("/a")).toBeDefined();
    for (let i = 0; i < 8; i++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      const file = join(path, `backup-${i}`);
      writeBackup(file, await readLive(storeFile(path)), Date.now());
      const { revision, current } = readBackup(file);
      const [a, b] = ["/a", "/b"].map((key) => current.find((c) => c.key === key));
      expect([a!.revision, Buffer.from(a!.value).toString()]).toEqual([revision, Buffer.from(b!.value).toString()]);
      expect(Math.max(...current.map((c) => c.revision))).toBe(revision);
      expect(statSync(file).mode & 0o777).toBe(0o600);
    }
    over = true;
    await writer;
    await store.close();
  });

  test("it comes back as it was, bytes that are no text too; revisions are never given twice, whatever was restored before", async () => {
    const path = directory();
    const file = join(path, "backup");
    let store = await openLmdbStore(join(path, "store"), Date.now);
    await put(store, "/a", "1");
    await store.commit({ conditions: [], writes: [{ key: "/é", value: Buffer.from([0xff, 0, 0xfe]) }] });
    const taken = await readLive(storeFile(join(path, "store")));
    writeBackup(file, taken, 0);
    await put(store, "/a", "lost");
    await put(store, "/new", "lost");
    let highest = store.revision;
    await store.close();
    for (const damage of ["none", "cut", "gone", "none"]) {
      const target = storeFile(join(path, "store"));
      if (damage === "cut") writeFileSync(target, readFileSync(target).subarray(0, 9000));
      if (damage === "gone") rmSync(target);
      const { revision, replaced } = await restore(join(path, "store"), readBackup(file));
      expect(revision).toBeGreaterThan(highest + 1e8);
      expect(replaced !== undefined && existsSync(replaced)).toBe(damage !== "gone");
      store = await openLmdbStore(join(path, "store"), Date.now);
      expect((await store.range("")).items.map((i) => [i.key, i.revision, [...i.value]])).toEqual(
        taken.current.map((i) => [i.key, i.revision, [...i.value]]),
      );
      expect([store.revision, store.compacted]).toEqual([revision, revision]);
      // Whoever resumes from before is told to start over.
      expect(() => store.watch("", highest, () => {})).toThrow(/too old/);
      for (let i = 0; i < 20; i++) await put(store, "/b", "after");
      highest = store.revision;
      await store.close();
    }
  });

  test.for([
    { name: "cut off", damage: (b: Buffer) => b.subarray(0, b.length - 30), why: /cut off/ },
    { name: "cut after a line", damage: (b: Buffer) => b.subarray(0, b.lastIndexOf(0x0a, b.length - 2) + 1), why: /cut off/ },
    { name: "a letter changed", damage: (b: Buffer) => Buffer.from(b.toString().replace("one", "One")), why: /checksum/ },
    { name: "a line taken out", damage: (b: Buffer) => Buffer.from(b.toString().replace(/.*"\/a".*\n/, "")), why: /checksum/ },
    { name: "of another format", damage: (b: Buffer) => Buffer.from(b.toString().replace('"format":1', '"format":2')), why: /format 2/ },
    { name: "something else", damage: () => Buffer.from("{}\n"), why: /no backup/ },
    { name: "empty", damage: () => Buffer.alloc(0), why: /no backup/ },
  ])("a backup that is $name is refused", ({ damage, why }) => {
    const file = join(directory(), "backup");
    const current = ["/a", "/b"].map((key) => ({ key, revision: 2, value: Buffer.from("one") }));
    writeBackup(file, { revision: 3, current }, 0);
    expect(readBackup(file)).toEqual({ revision: 3, current });
    writeFileSync(file, damage(readFileSync(file)));
    expect(() => readBackup(file)).toThrow(why);
  });

  test("a backup is not written over", () => {
    const file = join(directory(), "backup");
    writeBackup(file, { revision: 3, current: [] }, 0);
    expect(() => writeBackup(file, { revision: 4, current: [] }, 0)).toThrow(/it exists already/);
    expect(readBackup(file).revision).toBe(3);
    expect(() => writeBackup(join(directory(), "none", "backup"), { revision: 4, current: [] }, 0)).toThrow(/Cannot write the backup/);
  });
});
