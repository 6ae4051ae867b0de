// The embedded store: LMDB in one directory. Tables: current (key → revision and value), log (revision → the transaction), meta. A transaction is
// answered when it is synced to disk, so a kill -9 or a power failure loses nothing that was answered. One process at a time.
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Database, open, type RootDatabase } from "lmdb";
import { messageOf, TortieError } from "../base/errors.ts";
import { checkStoreFile, damaged } from "./file.ts";
import type { Entry } from "./history.ts";
import { MvccStore, type Persistence } from "./mvcc.ts";
import type { Stored } from "./store.ts";

const FORMAT = 1;
/** Address space, not memory or disk. */
const MAP_SIZE: number = 16 * 2 ** 30;

type LogChange = { key: string; value?: Uint8Array; previousRevision?: number; previousValue?: Uint8Array };
type LogEntry = { at: number; changes: LogChange[] };
type CurrentEntry = { revision: number; value: Uint8Array };

/** Opens or makes the store in `directory`. Throws TortieError when it was written by a newer program or is damaged. */
export async function openLmdbStore(directory: string, wall: () => number): Promise<MvccStore> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
  const path = join(directory, "store.mdb");
  checkStoreFile(path);
  try {
    return await load(path, wall);
  } catch (thrown) {
    throw thrown instanceof TortieError ? thrown : damaged(path, messageOf(thrown), thrown);
  }
}

async function load(path: string, wall: () => number): Promise<MvccStore> {
  const root = open({ path, maxDbs: 3, mapSize: MAP_SIZE, noSubdir: true });
  const current = root.openDB<CurrentEntry, string>({ name: "current", encoding: "msgpack" });
  const log = root.openDB<LogEntry, number>({ name: "log", encoding: "msgpack" });
  const meta = root.openDB<number, string>({ name: "meta", encoding: "msgpack" });
  const format = meta.get("format") ?? FORMAT;
  if (format !== FORMAT) {
    await root.close();
    throw new TortieError(`Cannot open the store "${path}": it has format ${format}, this program knows ${FORMAT}`);
  }
  const snapshot = {
    revision: meta.get("revision") ?? 1,
    compacted: meta.get("compacted") ?? 1,
    current: readCurrent(current),
    log: [...log.getRange()].map(({ key, value }) => entryOf(key, value)),
  };
  return new MvccStore(wall, snapshot, persistence(root, { current, log, meta }));
}

function* readCurrent(current: Database<CurrentEntry, string>): Generator<Stored> {
  for (const { key, value } of current.getRange()) yield { key, value: value.value, revision: value.revision };
}

function entryOf(revision: number, { at, changes }: LogEntry): Entry {
  return {
    revision,
    at,
    changes: changes.map((c) => ({
      key: c.key,
      revision,
      value: c.value,
      previous:
        c.previousRevision === undefined || c.previousValue === undefined
          ? undefined
          : { key: c.key, revision: c.previousRevision, value: c.previousValue },
    })),
  };
}

function logged({ at, changes }: Entry): LogEntry {
  return {
    at,
    changes: changes.map(({ key, value, previous }) => ({
      key,
      ...(value ? { value } : {}),
      ...(previous ? { previousRevision: previous.revision, previousValue: previous.value } : {}),
    })),
  };
}

type Tables = { current: Database<CurrentEntry, string>; log: Database<LogEntry, number>; meta: Database<number, string> };

function persistence(root: RootDatabase, { current, log, meta }: Tables): Persistence {
  return {
    async write(entries) {
      await root.transaction(() => {
        for (const entry of entries) {
          void log.put(entry.revision, logged(entry));
          for (const { key, value, revision } of entry.changes) void (value ? current.put(key, { revision, value }) : current.remove(key));
        }
        void meta.put("format", FORMAT);
        void meta.put("revision", entries.at(-1)!.revision);
      });
      await root.flushed;
    },
    async compact(revision) {
      await root.transaction(() => {
        for (const key of log.getKeys({ end: revision + 1 })) void log.remove(key);
        void meta.put("compacted", revision);
      });
    },
    close: () => root.close(),
  };
}
