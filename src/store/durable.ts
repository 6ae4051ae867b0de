// Names that are still there after a power failure: a file that was synced can be found again only when its directory was synced too.
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

export function syncDirectory(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Makes the directory, its owner's alone, and those above it that are missing. */
export function makeDirectory(path: string): void {
  const top = dirname(mkdirSync(path, { recursive: true, mode: 0o700 }) ?? resolve(path));
  // One that was there may have been made by a process that was ended before it synced.
  for (let parent = dirname(resolve(path)); ; parent = dirname(parent)) {
    syncDirectory(parent);
    if (parent === top) return;
  }
}

/** Gives a file that is on the disk its name, in place of one that may have it. */
export function putInPlace(draft: string, path: string): void {
  renameSync(draft, path);
  syncDirectory(dirname(path));
}

/** Writes a small file, its owner's alone: after a power failure it is the old one or the new one. */
export function writeDurably(path: string, text: string): void {
  const draft = `${path}.new`;
  const fd = openSync(draft, "w", 0o600);
  try {
    writeFileSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  putInPlace(draft, path);
}
