// The embedded store beside the bare engine: acknowledged writes a second, each synced to disk, at 1 and at 64 writers, over the same rows of the same size:
// `npx tsx bench/store.ts [--rounds 7]`. Rounds alternate. Then what a start takes and needs, and pages of a large collection.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { open } from "lmdb";
import { draftStore, openLmdbStore, putStoreInPlace, storeFile } from "../src/store/lmdb.ts";
import { memoryStore } from "../src/store/memory.ts";
import { spread } from "./statistics.ts";

const VALUE = Buffer.alloc(1500, "v");
const KEYS = 1000;
const WRITERS = [1, 64];
const ROUND_MS = 1000;
const OBJECTS = 20_000;

type Subject = {
  readonly name: string;
  readonly open: (directory: string) => Promise<{ put: (i: number) => Promise<void>; close: () => Promise<void> }>;
};
const keyOf = (i: number): string => `/registry/core/nodes/node-${String(i % KEYS).padStart(6, "0")}`;

const SUBJECTS: readonly Subject[] = [
  {
    name: "store",
    open: async (directory) => {
      const store = await openLmdbStore(directory, Date.now);
      return {
        put: async (i) => {
          const done = await store.commit({ conditions: [], writes: [{ key: keyOf(i), value: VALUE }] });
          if (!done.done) throw new Error("refused");
        },
        close: () => store.close(),
      };
    },
  },
  {
    // A row in a log and one in a table, as the store writes, in one transaction; LMDB gathers those asked for together.
    name: "bare",
    open: async (directory) => {
      const root = open({ path: join(directory, "bare.mdb"), maxDbs: 2, mapSize: 2 ** 36, noSubdir: true });
      const table = (name: string) => root.openDB<Buffer, Buffer>({ name, encoding: "binary", keyEncoding: "binary" });
      const [log, current] = [table("log"), table("current")];
      let revision = 0;
      return {
        put: async () => {
          const at = revision++;
          const key = Buffer.alloc(8);
          key.writeBigUInt64BE(BigInt(at));
          await root.batch(() => {
            void log.put(key, VALUE);
            void current.put(Buffer.from(keyOf(at)), VALUE);
          });
          await root.flushed;
        },
        close: () => root.close(),
      };
    },
  },
];

/** Writes a second. */
async function round(subject: Subject, writers: number): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), "tortie-bench-"));
  try {
    const { put, close } = await subject.open(directory);
    let next = 0;
    // The first value of each key is not counted: it replaces nothing.
    await Promise.all(Array.from({ length: KEYS }, () => put(next++)));
    const began = performance.now();
    const until = began + ROUND_MS;
    let done = 0;
    await Promise.all(
      Array.from({ length: writers }, async () => {
        while (performance.now() < until) {
          await put(next++);
          done++;
        }
      }),
    );
    const rate = (1000 * done) / (performance.now() - began);
    await close();
    return rate;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Milliseconds to open a store with many objects, and what the process then holds, in MB; in a process of its own. */
function start(directory: string): { ms: number; mb: number } {
  const program = `
    const { openLmdbStore } = await import(${JSON.stringify(new URL("../src/store/lmdb.ts", import.meta.url).href)});
    globalThis.gc();
    const before = process.memoryUsage().rss;
    const began = performance.now();
    const store = await openLmdbStore(${JSON.stringify(directory)}, Date.now);
    const ms = performance.now() - began;
    globalThis.gc();
    console.log(JSON.stringify({ ms, mb: (process.memoryUsage().rss - before) / 2 ** 20 }));
    await store.close();`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--expose-gc", "--import", "tsx", "--input-type=module", "-e", program], {
    encoding: "utf8",
  });
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout) as { ms: number; mb: number };
}

export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: { rounds: { type: "string", default: "7" } } });
  const rounds = Number(values.rounds);
  for (const writers of WRITERS) {
    const rates = SUBJECTS.map((): number[] => []);
    for (let r = 0; r < rounds; r++) for (const [i, subject] of SUBJECTS.entries()) rates[i]!.push(await round(subject, writers));
    const ratios = rates[0]!.map((rate, i) => rate / rates[1]![i]!);
    process.stdout.write(
      `${String(writers).padStart(3)} writers: ${SUBJECTS.map((s, i) => `${s.name} ${spread(rates[i]!, 0)}/s`).join(", ")}; ratio ${spread(ratios, 2)}\n`,
    );
  }
  const directory = mkdtempSync(join(tmpdir(), "tortie-bench-"));
  try {
    const current = Array.from({ length: OBJECTS }, (_, i) => ({
      key: `/registry/core/nodes/node-${String(i).padStart(6, "0")}`,
      revision: i + 2,
      value: VALUE,
    }));
    putStoreInPlace(await draftStore(storeFile(directory), { revision: OBJECTS + 2, current }), storeFile(directory));
    const starts = Array.from({ length: rounds }, () => start(directory));
    process.stdout.write(
      `start with ${OBJECTS} objects of ${VALUE.length} bytes: ${spread(
        starts.map((s) => s.ms),
        0,
      )} ms, ${spread(
        starts.map((s) => s.mb),
        0,
      )} MB\n`,
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
  await large(100_000);
}

/** A large collection in memory: keys made in no order, and pages of it at a revision while it changes. */
async function large(keys: number): Promise<void> {
  const store = memoryStore(Date.now);
  let began = performance.now();
  for (let i = 0; i < keys; i++) await store.commit({ conditions: [], writes: [{ key: `/k/${(i * 7919) % keys}`, value: VALUE }] });
  const made = performance.now() - began;
  const { revision } = store;
  began = performance.now();
  let [pages, startAfter] = [0, ""];
  for (;;) {
    const page = await store.range("/k/", { limit: 500, atRevision: revision, startAfter });
    pages++;
    if (page.remaining === 0) break;
    startAfter = page.items.at(-1)!.key;
    await store.commit({ conditions: [], writes: [{ key: `/k/new-${pages}`, value: VALUE }] });
  }
  process.stdout.write(
    `${keys} keys in memory: ${((1000 * made) / keys).toFixed(1)} us a write, ${((performance.now() - began) / pages).toFixed(2)} ms a page of 500 at an older revision\n`,
  );
}

if (process.argv[1] === import.meta.filename) await main(process.argv.slice(2));
