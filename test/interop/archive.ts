// A cpio archive (newc) of files of this machine, as the kernel unpacks it into an initramfs: for programs that a guest needs beside what scripts/guest put there.
// The format: Documentation/driver-api/early-userspace/buffer-format.rst.
import { closeSync, openSync, readdirSync, readFileSync, statSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";

/** Files and folders by their path in the guest; the value is where they are here. Folders are taken whole, as far as `wanted` says. Links are followed. */
export type Contents = ReadonlyMap<string, string>;

const padded = (n: number): number => (n + 3) & ~3;

/** Writes the archive to `path`, behind what is there when `flags` is "a". */
export function writeArchive(path: string, contents: Contents, wanted: (file: string) => boolean, flags: "w" | "a"): void {
  const fd = openSync(path, flags, 0o600);
  const made = new Set<string>(["."]);
  let inode = 0;
  const entry = (name: string, mode: number, data: Uint8Array): void => {
    const fields = [++inode, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length + 1, 0].map((n) => n.toString(16).padStart(8, "0"));
    const head = `070701${fields.join("")}${name}\0`;
    writeSync(fd, head.padEnd(padded(head.length), "\0"));
    for (let at = 0; at < data.length;) at += writeSync(fd, data, at);
    writeSync(fd, new Uint8Array(padded(data.length) - data.length));
  };
  const folder = (name: string): void => {
    if (made.has(name)) return;
    made.add(name);
    folder(dirname(name));
    entry(name, 0o040755, new Uint8Array());
  };
  const add = (name: string, from: string): void => {
    const status = statSync(from);
    if (status.isDirectory()) for (const child of readdirSync(from)) add(join(name, child), join(from, child));
    else if (status.isFile() && wanted(from)) {
      folder(dirname(name));
      entry(name, 0o100000 | (status.mode & 0o777), readFileSync(from));
    }
  };
  try {
    for (const [to, from] of contents) add(to.replace(/^\//, ""), from);
    entry("TRAILER!!!", 0, new Uint8Array());
  } finally {
    closeSync(fd);
  }
}
