// Pseudo terminals. pty(7): the master is ours, the slave becomes a program's terminal.
import { closeSync, constants, openSync } from "node:fs";
import { bind, check } from "./ffi.ts";

const posixOpenpt = bind("int posix_openpt(int)");
const grantpt = bind("int grantpt(int)");
const unlockpt = bind("int unlockpt(int)");
const ptsname = bind("int ptsname_r(int, void *, size_t)");
const ioctl = bind("int ioctl(int, unsigned long, void *)");

const TIOCSWINSZ = 0x5414;

export type Pty = {
  /** Both descriptors are the caller's to close. */
  readonly master: number;
  readonly slave: number;
};

/** Opens a pair. Throws SysError. */
export function openPty(): Pty {
  const flags = constants.O_RDWR | constants.O_NOCTTY;
  // O_CLOEXEC: children get the slave only, or the terminal would never end.
  const master = check(posixOpenpt(flags | 0x80000), "open a pseudo terminal");
  try {
    check(grantpt(master), "own a pseudo terminal");
    check(unlockpt(master), "unlock a pseudo terminal");
    const name = new Uint8Array(64);
    if (ptsname(master, name, name.length) !== 0) throw new Error("Cannot name a pseudo terminal");
    const path = Buffer.from(name.subarray(0, name.indexOf(0))).toString("latin1");
    return { master, slave: openSync(path, flags) };
  } catch (thrown) {
    closeSync(master);
    throw thrown;
  }
}

/** Tells the terminal its size in characters; programs on it get SIGWINCH. */
export function resizePty(master: number, columns: number, rows: number): void {
  const size = new Uint16Array([rows, columns, 0, 0]);
  check(ioctl(master, TIOCSWINSZ, size), "resize a pseudo terminal");
}
