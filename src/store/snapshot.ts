// The embedded store as its file has it: every page, every record's checksum, and that history and values fit together are checked before anything is served.
import { messageOf, TortieError } from "../base/errors.ts";
import type { Entry, Snapshot } from "./history.ts";
import { DamagedPages, readTables, type Tables } from "./pages.ts";
import { DamagedRecord, decodeCurrent, decodeState, decodeUndo, revisionOf } from "./records.ts";
import type { Change, Stored } from "./store.ts";

/** Of the records (records.ts) and tables. */
export const FORMAT = 1;
export const OWNER_HINT =
  "The files of the store belong to another user, perhaps to one who restored a backup: give them to who runs the server (chown).";

/** What the file at `path` holds; undefined: there is none. Throws TortieError: it is damaged, or of another format. */
export function readSnapshot(path: string): Snapshot | undefined {
  try {
    const tables = readTables(path);
    return tables && snapshotOf(path, tables);
  } catch (thrown) {
    if (thrown instanceof TortieError) throw thrown;
    if (!(thrown instanceof DamagedPages || thrown instanceof DamagedRecord))
      throw new TortieError(`Cannot read the store "${path}": ${messageOf(thrown)}`, {
        hint: (thrown as NodeJS.ErrnoException).code === "EACCES" ? OWNER_HINT : "",
        cause: thrown,
      });
    throw new TortieError(`Cannot read the store "${path}": it is damaged (${messageOf(thrown)})`, {
      hint: "Put back a backup with: tortie server restore --data DIR FILE. Without one, start anew with another --data. The file is left as it is.",
      cause: thrown,
    });
  }
}

/** Throws DamagedRecord and, for another format, TortieError. */
export function snapshotOf(path: string, tables: Tables): Snapshot {
  const [current = [], log = [], meta = []] = ["current", "log", "meta"].map((name) => tables.get(name));
  const state = meta.find((m) => m.key.toString() === "state");
  if (!state) throw new DamagedRecord("the record about the whole is gone");
  const { format, compacted } = decodeState(state.value);
  if (format !== FORMAT)
    throw new TortieError(`Cannot open the store "${path}": it has format ${format}, this program knows ${FORMAT}`, {
      hint: "Use the program that wrote it, or start anew with another --data.",
    });
  const values = current.map(({ key, value }) => decodeCurrent(key.toString(), value));
  const entries = history(
    compacted,
    log.map(({ key, value }) => ({ revision: revisionOf(key), record: value })),
    values,
  );
  return { revision: entries.at(-1)?.revision ?? compacted, compacted, current: values, log: entries };
}

/** Goes back from what is there now: what a change made is what the next change of its key replaced. Throws DamagedRecord. */
function history(compacted: number, log: readonly { revision: number; record: Buffer }[], values: readonly Stored[]): Entry[] {
  const state = new Map<string, Stored | undefined>(values.map((v) => [v.key, v]));
  const entries: Entry[] = [];
  for (let i = log.length - 1; i >= 0; i--) {
    const { revision, record } = log[i]!;
    if (revision !== compacted + 1 + i) throw new DamagedRecord(`the history lacks revision ${compacted + 1 + i}`);
    const { at, replaced } = decodeUndo(revision, record);
    const changes = replaced.map(({ key, previous }): Change => {
      const made = state.get(key);
      if (made ? made.revision !== revision : !previous) throw new DamagedRecord(`what revision ${revision} made of ${JSON.stringify(key)} is gone`);
      state.set(key, previous);
      return { key, revision, value: made?.value, previous };
    });
    entries.push({ revision, at, changes });
  }
  for (const stored of state.values())
    if (stored && stored.revision > compacted)
      throw new DamagedRecord(`the history does not tell of ${JSON.stringify(stored.key)} at ${stored.revision}`);
  return entries.toReversed();
}
