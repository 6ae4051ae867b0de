// A look at the store's file before LMDB maps it: a damaged file would otherwise end the process by a signal (SIGBUS behind the file's end, SIGSEGV).
// Layout: the struct MDB_meta of LMDB, data version 2 (libraries/liblmdb/mdb.c, as lmdb-js builds it, 64 bits, little endian); two of them, in the
// first two pages, the newer one counts.
import { closeSync, fstatSync, ftruncateSync, openSync, readSync } from "node:fs";
import { TortieError } from "../base/errors.ts";

const META = { magic: 24, version: 28, pageSize: 48, freeRoot: 88, mainRoot: 136, lastPage: 144, transaction: 152, end: 160 } as const;
const [MAGIC, VERSION, NO_PAGE] = [0xbeefc0de, 2, 0xffffffffffffffffn];
const PAGE_SIZES = [4096, 8192, 16384, 32768, 65536];

export const damaged = (path: string, why: string, cause?: unknown): TortieError =>
  new TortieError(`Cannot read the store "${path}": it is damaged (${why})`, {
    hint: "Put back a copy of it, or start anew with another --data; the file is left as it is.",
    cause,
  });

/** Throws TortieError when the file is none of LMDB or its roots are gone. A new file (absent or empty) is in order. */
export function checkStoreFile(path: string): void {
  let fd: number;
  try {
    fd = openSync(path, "r+");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return;
    throw cause;
  }
  try {
    const { size } = fstatSync(fd);
    if (size > 0) checkMetas(fd, path, size);
  } finally {
    closeSync(fd);
  }
}

function checkMetas(fd: number, path: string, size: number): void {
  const first = metaAt(fd, 0, path);
  const pageSize = first.getUint32(META.pageSize, true);
  if (!PAGE_SIZES.includes(pageSize)) throw damaged(path, "it names no size of its pages");
  const second = metaAt(fd, pageSize, path);
  const newer = second.getBigUint64(META.transaction, true) > first.getBigUint64(META.transaction, true) ? second : first;
  const last = newer.getBigUint64(META.lastPage, true);
  for (const root of [newer.getBigUint64(META.freeRoot, true), newer.getBigUint64(META.mainRoot, true)])
    if (root !== NO_PAGE && (root > last || (root + 1n) * BigInt(pageSize) > BigInt(size))) throw damaged(path, "it ends too early");
  // Pages at the end may never have been written. To read one that is zeros is an error; to read one that is not there would be a signal.
  const whole = (last + 1n) * BigInt(pageSize);
  if (whole > BigInt(size) && whole < 1n << 34n) ftruncateSync(fd, Number(whole));
}

function metaAt(fd: number, at: number, path: string): DataView {
  const bytes = new Uint8Array(META.end);
  const meta = new DataView(bytes.buffer);
  if (readSync(fd, bytes, 0, META.end, at) < META.end) throw damaged(path, "it ends too early");
  if (meta.getUint32(META.magic, true) !== MAGIC) throw damaged(path, "it is no file of LMDB");
  if (meta.getUint32(META.version, true) !== VERSION) throw damaged(path, "its version of LMDB is not known");
  return meta;
}
