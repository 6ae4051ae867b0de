// A backup: every key with its revision and value at one revision, as lines of JSON between a head and a foot with a checksum. It does not depend on the
// engine. History is not in it, and nobody may take it up: whoever resumes after a restore is told to start over, because the store goes on at a revision far
// beyond any that was ever given.
import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { messageOf, TortieError } from "../base/errors.ts";
import { makeDirectory, syncDirectory, writeDurably } from "./durable.ts";
import { draftStore, putStoreInPlace, storeFile } from "./lmdb.ts";
import { readSnapshot } from "./snapshot.ts";
import type { Stored } from "./store.ts";

export type Backup = { readonly revision: number; readonly current: readonly Stored[] };

const FORMAT = 1;
type Head = { tortie: "backup"; format: number; revision: number; at: string };
/** A value is text where it can be. */
type Line = { key: string; revision: number; value?: string; base64?: string };
type Foot = { keys: number; sha256: string };

/** Bytes gathered before they are written. */
const PIECE = 1 << 20;

/** Writes a backup that is wholly there, on disk, or not at all. Throws TortieError. `now` in ms since 1970. */
export function writeBackup(file: string, { revision, current }: Backup, now: number): void {
  const draft = `${file}.${process.pid}`;
  const hash = createHash("sha256");
  try {
    const fd = openSync(draft, "wx", 0o600);
    try {
      let piece = "";
      const line = (value: Head | Line | Foot): void => {
        piece += `${JSON.stringify(value)}\n`;
        if (piece.length > PIECE) flush();
      };
      const flush = (): void => {
        const bytes = Buffer.from(piece);
        hash.update(bytes);
        for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
        piece = "";
      };
      line({ tortie: "backup", format: FORMAT, revision, at: new Date(now).toISOString() });
      for (const { key, revision: of, value } of current) {
        const bytes = Buffer.from(value.buffer, value.byteOffset, value.length);
        line({ key, revision: of, ...(isUtf8(bytes) ? { value: bytes.toString() } : { base64: bytes.toString("base64") }) });
      }
      flush();
      line({ keys: current.length, sha256: hash.copy().digest("hex") });
      flush();
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    // Unlike a rename, this does not write over what is there.
    linkSync(draft, file);
    syncDirectory(dirname(file));
  } catch (cause) {
    const exists = (cause as NodeJS.ErrnoException).code === "EEXIST";
    throw new TortieError(`Cannot write the backup "${file}": ${exists ? "it exists already" : messageOf(cause)}`, {
      hint: exists ? "Choose another name: a backup is not written over." : "",
      cause,
    });
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Reads and checks a backup. Throws TortieError. */
export function readBackup(file: string): Backup {
  const refuse = (why: string, cause?: unknown): TortieError =>
    new TortieError(`Cannot read the backup "${file}": ${why}`, { hint: "Nothing was changed. Take another backup.", cause });
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    throw refuse(messageOf(cause), cause);
  }
  const foot = bytes.lastIndexOf(0x0a, bytes.length - 2) + 1;
  const parsed = <T>(from: number, to: number): Partial<T> => {
    try {
      return JSON.parse(bytes.toString("utf8", from, to)) as Partial<T>;
    } catch {
      return {};
    }
  };
  const head = parsed<Head>(0, bytes.indexOf(0x0a) + 1);
  if (head.tortie !== "backup") throw refuse("it is no backup of tortie server");
  if (head.format !== FORMAT) throw refuse(`it has format ${String(head.format)}, this program knows ${FORMAT}`);
  const { keys, sha256 } = parsed<Foot>(foot, bytes.length);
  if (sha256 === undefined) throw refuse("it is cut off");
  if (createHash("sha256").update(bytes.subarray(0, foot)).digest("hex") !== sha256) throw refuse("it is damaged: its checksum does not fit");
  const current: Stored[] = [];
  for (let at = bytes.indexOf(0x0a) + 1; at < foot;) {
    const end = bytes.indexOf(0x0a, at) + 1;
    const { key, revision, value, base64 } = parsed<Line>(at, end) as Line;
    current.push({ key, revision, value: value === undefined ? Buffer.from(base64!, "base64") : Buffer.from(value) });
    at = end;
  }
  if (current.length !== keys || !Number.isSafeInteger(head.revision)) throw refuse("it is damaged: its foot does not fit");
  return { revision: head.revision!, current };
}

/** Revisions that may have been given since a backup was taken, and are lost with what came after it. */
const LEAP = 1e9;
export type Restored = { readonly revision: number; /** Where the store that was there before is now. */ readonly replaced: string | undefined };

/**
 * Makes `backup` the store in `directory`, which no server may use. The store that was there stays, under another name. Revisions go on beyond all that the
 * backup, the store that was there and earlier restores may have given (the file `floor` remembers those, in case the store cannot be read). Throws TortieError.
 */
export async function restore(directory: string, backup: Backup): Promise<Restored> {
  const path = storeFile(directory);
  const floor = join(directory, "floor");
  const revision = Math.max(backup.revision, numberIn(floor), revisionOf(path)) + LEAP;
  makeDirectory(directory);
  const draft = await draftStore(path, { revision, current: backup.current });
  if (readSnapshot(draft)?.revision !== revision) throw new TortieError(`Cannot restore into "${directory}": what was written cannot be read again`);
  writeDurably(floor, `${revision}\n`);
  const before = `${path}.before-${revision}`;
  let replaced: string | undefined;
  try {
    linkSync(path, before);
    replaced = before;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
  }
  putStoreInPlace(draft, path);
  return { revision, replaced };
}

/** 0 when the file is not there or holds none. */
function numberIn(file: string): number {
  try {
    return Number(readFileSync(file, "latin1")) || 0;
  } catch {
    return 0;
  }
}
/** 0 when there is none that can be read: it is being replaced because it is damaged. */
function revisionOf(path: string): number {
  try {
    return readSnapshot(path)?.revision ?? 0;
  } catch {
    return 0;
  }
}
