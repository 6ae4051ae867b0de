// Power failures, which are worse than kill -9: what the system had not yet brought to the disk is lost, in any part and order. The calls of a process that
// writes a store are recorded; from them each moment's possible disks are built (disk.ts), and each is read: what was answered is there, every transaction
// is whole, and LMDB itself, opened on it, has the same and can go on. Then the power fails again, after a start on such a disk.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { writeBackup } from "../../src/store/backup.ts";
import { seeded } from "../../src/store/linear.cases.ts";
import { openLmdbStore } from "../../src/store/lmdb.ts";
import { bootId, PageFile } from "../../src/store/pages.ts";
import { snapshotOf } from "../../src/store/snapshot.ts";
import { FIRST_REVISION, type Snapshot } from "../../src/store/history.ts";
import { describeRoot, describeWith } from "../peers.ts";
import { DIST, ownDirectory, told, words } from "./child.ts";
import { Recording, traced } from "./disk.ts";

/** A key and its text; null deletes it. */
type Writes = readonly (readonly [key: string, text: string | null])[];
/** Transactions that are asked for together, and how many stay in the history after them. */
type Step = { readonly transactions: readonly Writes[]; readonly keep?: number };

const STEPS = 10;
const FAILURES = 3;

/** Many small keys, some large ones that come and go, and a history that is forgotten: pages become free and are used again. */
function steps(random: () => number, there: Set<string>, generation: number): Step[] {
  let n = 0;
  return Array.from({ length: STEPS }, (_, step) => {
    const transactions = Array.from({ length: 1 + Math.floor(random() * 4) }, (): Writes => {
      const key = `/k/${Math.floor(random() * 60)}`;
      const large = `/large/${Math.floor(random() * 6)}`;
      const mark = `${generation}.${n++}`;
      const writes: [string, string | null][] = [[key, `${mark} ${"v".repeat(random() * 900)}`]];
      if (random() < 0.5) writes.push([large, there.has(large) && random() < 0.5 ? null : `${mark} ${"L".repeat(random() * 14_000)}`]);
      for (const [k, text] of writes)
        if (text === null) there.delete(k);
        else there.add(k);
      return writes;
    });
    return { transactions, ...(step % 3 === 2 ? { keep: Math.floor(random() * 6) } : {}) };
  });
}

/** LMDB trusts what it wrote since this machine was started, whether synced or not. Here it does not learn which start it was. */
const OTHER_BOOT = ["unshare", "-m", "sh", "-c", 'mount --bind /dev/null /proc/sys/kernel/random/boot_id && exec "$@"', "sh"];

/** Does the steps in the file `words[0]`, and appends the revision of each answer to the file `words[1]`. */
const PLAY = `
const { appendFileSync, readFileSync } = await import("node:fs");
store = await openLmdbStore(directory, Date.now);
for (const { transactions, keep } of JSON.parse(readFileSync(words[0], "utf8"))) {
  await Promise.all(transactions.map(async (writes) => {
    const done = await store.commit({ conditions: [], writes: writes.map(([key, text]) => ({ key, value: text === null ? undefined : Buffer.from(text) })) });
    appendFileSync(words[1], done.revision + "\\n");
  }));
  if (keep !== undefined) await store.compact(store.revision - keep);
}
await store.close();
`;

/** Opens the store in each directory that is named on standard input, says what it has, writes, and says what is there after another start. */
const OPEN = `
const all = async () => (await store.range("")).items.map((s) => [s.key, s.value.toString(), s.revision]);
for await (const path of createInterface({ input: process.stdin })) {
  store = await openLmdbStore(path, Date.now);
  const found = await all();
  const done = await put("/after", "1");
  await store.close();
  store = await openLmdbStore(path, Date.now);
  say({ found, revision: done.revision, again: await all() });
  await store.close();
}
`;

type Item = [key: string, text: string, revision: number];
const byKey = (a: Item, b: Item): number => (a[0] < b[0] ? -1 : Number(a[0] > b[0]));
/** What there is after the first `count` of the transactions, upon `base`. */
function replayed(base: readonly Item[], first: number, transactions: readonly Writes[], count: number): Item[] {
  const state = new Map(base.map((i) => [i[0], i]));
  for (const [i, writes] of transactions.slice(0, count).entries())
    for (const [key, text] of writes) {
      if (text === null) state.delete(key);
      else state.set(key, [key, text, first + 1 + i]);
    }
  return [...state.values()].toSorted(byKey);
}
const itemsOf = ({ current }: Snapshot): Item[] =>
  [...current].map((s): Item => [s.key, Buffer.from(s.value).toString(), s.revision]).toSorted(byKey);

function read(file: Buffer): Snapshot | undefined {
  if (file.length === 0) return undefined;
  const pages = new PageFile((buffer, at) => file.copy(buffer, 0, at, at + buffer.length), file.length, bootId());
  return snapshotOf("the disk", pages.tables());
}

type Disk = { readonly file: Buffer; readonly moment: number; readonly how: string };
/** Of the disks that are possible at a moment, the plain ones and some at random. */
function disks(recording: Recording, path: string, moment: number, random: () => number): Disk[] {
  const pending = recording.pending(path, moment);
  const sometimes = (): boolean => random() < 0.5;
  const junk = (bytes: Buffer): void => void bytes.fill(Math.floor(random() * 256));
  const made: Disk[] = [];
  const put = (how: string, came: Parameters<Recording["file"]>[2], fill?: (bytes: Buffer) => void): void =>
    void made.push({ how, moment, file: recording.file(path, moment, came, fill) });
  put("nothing since the sync", () => false);
  if (pending.length === 0) return made;
  put("all of it", () => true);
  for (const [i, one] of pending.entries()) {
    put(`write ${i} alone`, (w) => w === one);
    put(`write ${i} alone, before it what was on the disk earlier`, (w) => w === one, junk);
    put(`all but write ${i}`, (w) => w !== one);
    put(`the writes before ${i}`, (w) => pending.indexOf(w) < i);
    put(`the writes after ${i}`, (w) => pending.indexOf(w) > i);
    // As a page of memory is written, and as a sector of the disk is.
    for (const size of [1, 8]) {
      const torn = new Map<number, boolean>();
      const part = (sector: number): boolean => {
        const at = Math.floor(sector / size);
        if (!torn.has(at)) torn.set(at, sometimes());
        return torn.get(at)!;
      };
      put(`write ${i} torn at ${512 * size}`, (w, sector) => w !== one || part(sector));
      put(`parts of ${512 * size} of everything`, (_w, sector) => part(sector));
    }
  }
  return made;
}

describeWith(["strace"], "with strace", () =>
  describeRoot("a power failure", () => {
    test("at any moment loses nothing that was answered, leaves no transaction by halves, and can come again", { timeout: 600_000 }, async () => {
      const seed = Math.floor(Math.random() * 2 ** 31);
      const random = seeded(seed);
      const home = ownDirectory();
      const there = new Set<string>();
      let base: { file: Buffer; items: Item[]; revision: number } = { file: Buffer.alloc(0), items: [], revision: FIRST_REVISION };
      let [tried, unlike] = [0, 0];
      for (let generation = 0; generation < FAILURES; generation++) {
        const root = join(home, String(generation));
        const [directory, plan, says] = [join(root, "store"), join(root, "plan"), join(root, "says")];
        const path = join(directory, "store.mdb");
        mkdirSync(generation === 0 ? root : directory, { recursive: true });
        if (generation > 0) writeFileSync(path, base.file);
        const todo = steps(random, there, generation);
        const transactions = todo.flatMap((s) => s.transactions);
        writeFileSync(plan, JSON.stringify(todo));
        const record = join(root, "record");
        await told([...OTHER_BOOT, ...traced(record, [root, directory, path, `${path}.new`, says]), ...words(PLAY, directory, plan, says)]);
        const recording = new Recording(record, { says, ...(generation > 0 ? { base: { path, bytes: base.file } } : {}) });
        // Everything that a later look asks about was recorded.
        expect(recording.said.map((s) => Number(s.text)).toSorted((a, b) => a - b)).toEqual(transactions.map((_t, i) => base.revision + 1 + i));

        const different = new Map<string, Disk & { snapshot: Snapshot }>();
        for (const moment of recording.moments(path)) {
          const answered = Math.max(base.revision, ...recording.said.filter((s) => s.from < moment).map((s) => Number(s.text)));
          if (!recording.named(path, moment)) expect(answered, "an answer before the file's name was on the disk").toBe(FIRST_REVISION);
          for (const disk of disks(recording, path, moment, random)) {
            tried++;
            const where = `seed ${seed}, failure ${generation}, moment ${moment}, ${disk.how}`;
            let snapshot: Snapshot | undefined;
            try {
              snapshot = read(disk.file);
            } catch (thrown) {
              throw new Error(`${where}: it is refused`, { cause: thrown });
            }
            if (!snapshot) {
              expect(answered, where).toBe(FIRST_REVISION);
              continue;
            }
            const { revision, compacted, log } = snapshot;
            expect(revision, where).toBeGreaterThanOrEqual(answered);
            const count = revision - base.revision;
            expect(itemsOf(snapshot), where).toEqual(replayed(base.items, base.revision, transactions, count));
            for (const { revision: at, changes } of log.filter((e) => e.revision > base.revision))
              expect(
                changes.map((c) => [c.key, c.value ? Buffer.from(c.value).toString() : null]),
                where,
              ).toEqual(transactions[at - base.revision - 1]);
            expect(compacted, where).toBeLessThanOrEqual(revision);
            different.set(disk.file.toString("latin1"), { ...disk, snapshot });
          }
        }
        unlike += different.size;

        // LMDB, opened on some of them, agrees.
        const all = [...different.values()];
        const some = all.filter(() => random() < 60 / all.length);
        const directories = some.map(({ file }, i) => {
          const at = join(root, `disk-${i}`);
          mkdirSync(at);
          writeFileSync(join(at, "store.mdb"), file);
          // Locks are for those who run; what a power failure left of them says nothing.
          if (i % 3 > 0) writeFileSync(join(at, "store.mdb-lock"), Buffer.alloc(8192, i % 3 === 1 ? 0 : 0xa5));
          return at;
        });
        const opened = (await told(words(OPEN, root), `${directories.join("\n")}\n`)) as { found: Item[]; revision: number; again: Item[] }[];
        expect(opened).toHaveLength(some.length);
        for (const [i, { moment, how, snapshot }] of some.entries()) {
          const where = `seed ${seed}, failure ${generation}, moment ${moment}, ${how}, by LMDB`;
          const { found, revision, again } = opened[i]!;
          expect(found.toSorted(byKey), where).toEqual(itemsOf(snapshot));
          expect(revision, where).toBe(snapshot.revision + 1);
          const after: Item = ["/after", "1", revision];
          expect(again.toSorted(byKey), where).toEqual([...itemsOf(snapshot), after].toSorted(byKey));
        }
        for (const path of directories) rmSync(path, { recursive: true });

        const next = all[Math.floor((0.5 + random() / 2) * all.length)]!;
        base = { file: next.file, items: itemsOf(next.snapshot), revision: next.snapshot.revision };
        there.clear();
        for (const [key] of base.items) there.add(key);
      }
      expect(tried).toBeGreaterThan(1000);
      expect(unlike).toBeGreaterThan(300);
    });

    test("during a restore leaves the store that was there or the one that was restored, and no revision is given twice", async () => {
      const random = seeded(1);
      const home = ownDirectory();
      const [directory, backup, says, record] = [join(home, "store"), join(home, "backup"), join(home, "says"), join(home, "record")];
      const [path, floor] = [join(directory, "store.mdb"), join(directory, "floor")];
      const store = await openLmdbStore(directory, Date.now);
      for (let i = 0; i < 5; i++) await store.commit({ conditions: [], writes: [{ key: `/k/${i}`, value: Buffer.from("v".repeat(3000 * i)) }] });
      const { items: current, revision } = await store.range("");
      await store.close();
      writeBackup(backup, { revision, current }, Date.now());
      const program = `
        const { appendFileSync } = await import("node:fs");
        const { readBackup, restore } = await import("${DIST}/store/backup.js");
        appendFileSync(words[1], String((await restore(directory, readBackup(words[0]))).revision));`;
      const paths = [path, floor].flatMap((name) => [name, `${name}.new`]);
      await told([...OTHER_BOOT, ...traced(record, [home, directory, says, ...paths]), ...words(program, directory, backup, says)]);
      // It fails when anything was written to the store that was there.
      const recording = new Recording(record, { says });
      const [{ from: done, text: restored } = { from: 0, text: "" }] = recording.said;
      expect(Number(restored)).toBeGreaterThan(revision + 1e8);
      let seen = 0;
      for (const moment of recording.moments(path))
        for (const disk of disks(recording, path, moment, random)) {
          const snapshot = read(disk.file);
          if (!snapshot) {
            expect(moment).toBeLessThan(done);
            continue;
          }
          seen++;
          expect(itemsOf(snapshot)).toEqual(current.map((c): Item => [c.key, Buffer.from(c.value).toString(), c.revision]));
          expect(snapshot.revision).toBe(Number(restored));
          // Should this store be damaged later, the next restore goes beyond it all the same.
          expect([recording.named(floor, moment), recording.pending(floor, moment)]).toEqual([true, []]);
          expect(recording.file(floor, moment, () => false).toString()).toBe(`${restored}\n`);
        }
      expect(seen).toBeGreaterThan(0);
      expect([recording.named(path, done), recording.pending(path, done)]).toEqual([true, []]);
    });
  }),
);
