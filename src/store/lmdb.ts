// The embedded store: LMDB in one directory. Tables: current (key → revision and value), log (revision → what its transaction replaced), meta. A
// transaction is answered when it is synced to disk, so a kill -9 or a power failure loses nothing that was answered. One process at a time.
// LMDB only writes: at the start the file is read and checked without it (pages.ts, snapshot.ts), and what is read later is in memory.
import { accessSync, chmodSync, constants, existsSync, rmSync, statfsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Database, open, type RootDatabase } from "lmdb";
import { messageOf, TortieError } from "../base/errors.ts";
import { makeDirectory, putInPlace } from "./durable.ts";
import { type Log, silent } from "../base/log.ts";
import { FIRST_REVISION, type Snapshot } from "./history.ts";
import { MvccStore, type Persistence } from "./mvcc.ts";
import { Arena, decodeCurrent, decodeState, encodeCurrent, encodeState, encodeUndo, revisionKey, revisionOf } from "./records.ts";
import { FORMAT, OWNER_HINT, readSnapshot } from "./snapshot.ts";
import { type Stored, StoreError } from "./store.ts";

/** Address space, not memory or disk. */
const MAP_SIZE: number = 64 * 2 ** 30;
/**
 * Nothing is written while the file system has less than this: a disk that is full in the middle of a transaction ends all writing, one that is nearly so
 * does not. Copies of pages and what other programs write in the meantime fit in.
 */
const RESERVE = 16 * 2 ** 20;

export const storeFile = (directory: string): string => join(directory, "store.mdb");

/** Opens or makes the store in `directory`. Throws TortieError when it was written by a program with another format or is damaged. */
export async function openLmdbStore(directory: string, wall: () => number, log: Log = silent): Promise<MvccStore> {
  makeDirectory(directory);
  chmodSync(directory, 0o700);
  const path = storeFile(directory);
  if (!existsSync(path)) putStoreInPlace(await draftStore(path, { revision: FIRST_REVISION, current: [] }), path);
  const snapshot = readSnapshot(path);
  return new MvccStore(wall, snapshot, openEngine(path, log).persistence);
}

/**
 * Writes a store that holds a state and no history, beside `path`; the result is where. It is on the disk when this resolves: a store that was made by
 * halves is never met. Throws TortieError.
 */
export async function draftStore(path: string, { revision, current }: Pick<Snapshot, "revision" | "current">): Promise<string> {
  const draft = `${path}.new`;
  for (const file of [draft, lockOf(draft)]) rmSync(file, { force: true });
  const { tables, durably, persistence } = openEngine(draft, silent);
  await durably(() => {
    for (const stored of current) void tables.current.put(Buffer.from(stored.key), encodeCurrent(stored.key, stored.revision, stored.value));
    void tables.meta.put(STATE, encodeState({ format: FORMAT, compacted: revision }));
  });
  await persistence.close();
  return draft;
}

/** Gives a draft the name of the store. */
export function putStoreInPlace(draft: string, path: string): void {
  putInPlace(draft, path);
  // What stands in the locks is of files that have these names no more.
  for (const file of [draft, path]) rmSync(lockOf(file), { force: true });
}
const lockOf = (path: string): string => `${path}-lock`;

/** What the store at `path` holds, while a server may be writing it: the state at one moment. Throws TortieError. */
export async function readLive(path: string): Promise<{ revision: number; current: Stored[] }> {
  const { root, tables } = openTables(path, { readOnly: true });
  const transaction = root.useReadTransaction();
  try {
    const state = tables.meta.get(STATE, { transaction });
    if (!state) throw new TortieError(`Cannot read the store "${path}": it is empty`);
    const current: Stored[] = [];
    for (const { key, value } of tables.current.getRange({ transaction }))
      current.push(decodeCurrent(Buffer.from(key).toString(), Buffer.from(value)));
    const [last] = tables.log.getKeys({ transaction, reverse: true, limit: 1 });
    return { revision: last ? revisionOf(Buffer.from(last)) : decodeState(state).compacted, current };
  } finally {
    transaction.done();
    await root.close();
  }
}

const STATE = Buffer.from("state");
type Table = Database<Buffer, Buffer>;
type Tables = { readonly current: Table; readonly log: Table; readonly meta: Table };
type Engine = {
  readonly tables: Tables;
  /** One transaction of LMDB; resolves when it is synced. */
  readonly durably: (work: () => void) => Promise<void>;
  readonly persistence: Persistence;
};

/** Asked before LMDB is, which ends the process by a signal where it cannot use the file of its locks. Throws what the system says. */
function checkFiles(path: string, wanted: number): void {
  for (const [file, mode] of [
    [path, wanted],
    [lockOf(path), constants.R_OK | constants.W_OK],
  ] as const) {
    const there = statSync(file, { throwIfNoEntry: false });
    if (there && !there.isFile()) throw new Error(`"${file}" is no file`);
    if (there) accessSync(file, mode);
  }
}

/** Throws TortieError. */
function openTables(path: string, more: { readOnly?: boolean } = {}): { root: RootDatabase; tables: Tables } {
  try {
    checkFiles(path, more.readOnly ? constants.R_OK : constants.R_OK | constants.W_OK);
    const root = open({ path, maxDbs: 3, mapSize: MAP_SIZE, noSubdir: true, eventTurnBatching: false, ...more });
    const table = (name: string): Table => root.openDB<Buffer, Buffer>({ name, encoding: "binary", keyEncoding: "binary" });
    return { root, tables: { current: table("current"), log: table("log"), meta: table("meta") } };
  } catch (thrown) {
    const denied = (thrown as NodeJS.ErrnoException).code === "EACCES";
    throw new TortieError(`Cannot open the store "${path}": ${messageOf(thrown)}`, { hint: denied ? OWNER_HINT : "", cause: thrown });
  }
}

function openEngine(path: string, logger: Log): Engine {
  const { root, tables } = openTables(path);
  const { current, log, meta } = tables;
  const arena = new Arena();
  let failed: Error | undefined;
  let last = Promise.resolve();
  const transact = async (work: () => void): Promise<void> => {
    if (failed !== undefined) throw failed;
    try {
      await root.batch(work);
      await root.flushed;
    } catch (thrown) {
      failed = await reason(thrown);
      logger.error("the store cannot be written: no more writes until the server is started again", { path, error: failed.message });
      throw failed;
    }
  };
  // One after the other: LMDB does not say of a sync that failed which of several it was.
  const durably = (work: () => void): Promise<void> => {
    const done = last.then(() => transact(work));
    last = done.catch(() => {});
    return done;
  };
  return {
    tables,
    durably,
    persistence: {
      refusal: fullness(path, logger),
      write: (entries) =>
        durably(() => {
          // The group before is on disk.
          arena.clear();
          for (const { revision, at, changes } of entries) {
            void log.put(revisionKey(revision), encodeUndo(revision, at, changes, arena.take));
            for (const { key, value } of changes)
              void (value ? current.put(Buffer.from(key), encodeCurrent(key, revision, value, arena.take)) : current.remove(Buffer.from(key)));
          }
        }),
      compact: (after, revision) =>
        durably(() => {
          for (let r = after + 1; r <= revision; r++) void log.remove(revisionKey(r));
          void meta.put(STATE, encodeState({ format: FORMAT, compacted: revision }));
        }),
      // After a failure LMDB waits for a sync that never comes; there is nothing to save any more.
      close: async () => {
        await last;
        if (failed === undefined) await root.close();
      },
    },
  };
}

/** LMDB's own reason comes a moment later, in a promise of its own: it must be taken, or it ends the process. */
async function reason(thrown: unknown): Promise<Error> {
  const { commitError } = thrown as { commitError?: Promise<never> };
  const why = commitError ? await commitError.catch((cause: unknown) => cause) : thrown;
  return why instanceof Error ? why : new Error(String(why));
}

/** Of the file system that `path` is on; told in the log when it begins and when it is over. */
function fullness(path: string, log: Log): (bytes: number) => StoreError | undefined {
  let told = false;
  return (bytes) => {
    const { blocks, bavail, bsize } = statfsSync(dirname(path));
    // Some file systems do not say.
    if (blocks === 0) return undefined;
    // Once it was full there must be half as much again, so that it does not come and go with each write.
    const [left, needed] = [bavail * bsize, (told ? 1.5 : 1) * RESERVE + 4 * bytes];
    const full = left < needed;
    const message = `the disk of "${path}" is full: ${megabytes(left)} are left, ${megabytes(needed)} are needed; nothing is written until there is more space`;
    if (full && !told) log.error(message);
    if (!full && told) log.info("the store's disk has space again", { path, left: megabytes(left) });
    told = full;
    return full ? new StoreError("unavailable", message) : undefined;
  };
}
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
