// The records of the embedded store as bytes. Every one begins with the CRC-32 of the key it stands under and of the rest, because the pages below have
// no checksums: a bit that flips on the disk is noticed before it is served. Numbers are little endian; revisions and times are float64, as JavaScript has.
import { crc32 } from "node:zlib";
import type { Change, Stored } from "./store.ts";

const CRC = 4;
const NUMBER = 8;

/** A record whose checksum does not fit; the message says where. */
export class DamagedRecord extends Error {}

/** Puts the checksum into the first four bytes. */
function sealed(key: string, record: Buffer): Buffer {
  record.writeUInt32LE(crc32(record.subarray(CRC), crc32(key)), 0);
  return record;
}
function opened(key: string, record: Buffer, what: string): Buffer {
  if (record.length < CRC || record.readUInt32LE(0) !== crc32(record.subarray(CRC), crc32(key)))
    throw new DamagedRecord(`${what} is not what was written`);
  return record;
}

/** The key of a revision in the log: uint64, big endian, so that the order of bytes is that of revisions. */
export function revisionKey(revision: number): Buffer {
  const key = Buffer.allocUnsafe(8);
  key.writeBigUInt64BE(BigInt(revision));
  return key;
}
export const revisionOf = (key: Buffer): number => (key.length === 8 ? Number(key.readBigUInt64BE()) : NaN);

/** Gives room of a size. */
export type Room = (size: number) => Buffer;

/** Room that is used again: what was given before `clear` is overwritten after it. */
export class Arena {
  #buffer = Buffer.allocUnsafeSlow(1 << 18);
  #used = 0;
  clear(): void {
    this.#used = 0;
  }
  readonly take: Room = (size) => {
    // What was given of the old one stays as it is.
    if (this.#used + size > this.#buffer.length) {
      this.#buffer = Buffer.allocUnsafeSlow(Math.max(2 * this.#buffer.length, size));
      this.#used = 0;
    }
    return this.#buffer.subarray(this.#used, (this.#used += size));
  };
}

/** What is stored under a key now: crc, revision, value. */
export function encodeCurrent(key: string, revision: number, value: Uint8Array, room: Room = (n) => Buffer.allocUnsafe(n)): Buffer {
  const record = room(CRC + NUMBER + value.length);
  record.writeDoubleLE(revision, CRC);
  record.set(value, CRC + NUMBER);
  return sealed(key, record);
}
/** Throws DamagedRecord. */
export function decodeCurrent(key: string, record: Buffer): Stored {
  opened(key, record, `the value of ${JSON.stringify(key)}`);
  return { key, revision: record.readDoubleLE(CRC), value: record.subarray(CRC + NUMBER) };
}

/** What a transaction replaced. The new values are not in it: they are where the next change of the key keeps what *it* replaced, or current. */
export type Undo = { readonly at: number; readonly replaced: readonly { readonly key: string; readonly previous: Stored | undefined }[] };

/** crc, time; for each key: its length and the length of the value before (uint32 each), that value's revision (0: there was none), key, value. */
export function encodeUndo(
  revision: number,
  at: number,
  changes: readonly Pick<Change, "key" | "previous">[],
  room: Room = (n) => Buffer.allocUnsafe(n),
): Buffer {
  const keys = changes.map((c) => Buffer.from(c.key));
  const size = changes.reduce((n, c, i) => n + 4 + 4 + NUMBER + keys[i]!.length + (c.previous?.value.length ?? 0), CRC + NUMBER);
  const record = room(size);
  let offset = record.writeDoubleLE(at, CRC);
  for (const [i, { previous }] of changes.entries()) {
    offset = record.writeUInt32LE(keys[i]!.length, offset);
    offset = record.writeUInt32LE(previous?.value.length ?? 0, offset);
    offset = record.writeDoubleLE(previous?.revision ?? 0, offset);
    record.set(keys[i]!, offset);
    offset += keys[i]!.length;
    if (previous) record.set(previous.value, offset);
    offset += previous?.value.length ?? 0;
  }
  return sealed(String(revision), record);
}
/** Throws DamagedRecord. */
export function decodeUndo(revision: number, record: Buffer): Undo {
  opened(String(revision), record, `the history at revision ${revision}`);
  const replaced: Undo["replaced"][number][] = [];
  for (let offset = CRC + NUMBER; offset < record.length;) {
    const [keyLength, valueLength, previousRevision] = [
      record.readUInt32LE(offset),
      record.readUInt32LE(offset + 4),
      record.readDoubleLE(offset + 8),
    ];
    offset += 8 + NUMBER;
    const key = record.toString("utf8", offset, (offset += keyLength));
    const value = record.subarray(offset, (offset += valueLength));
    replaced.push({ key, previous: previousRevision === 0 ? undefined : { key, revision: previousRevision, value } });
  }
  return { at: record.readDoubleLE(CRC), replaced };
}

/** About the whole: the format of the records, and up to where the history is forgotten. */
export type State = { readonly format: number; readonly compacted: number };
export function encodeState({ format, compacted }: State): Buffer {
  const record = Buffer.allocUnsafe(CRC + 2 * NUMBER);
  record.writeDoubleLE(compacted, record.writeDoubleLE(format, CRC));
  return sealed("", record);
}
/** Throws DamagedRecord. */
export function decodeState(record: Buffer): State {
  opened("", record, "the record about the whole");
  return { format: record.readDoubleLE(CRC), compacted: record.readDoubleLE(CRC + NUMBER) };
}
