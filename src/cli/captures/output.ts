// A capture file being written: only its owner may read it, packets are gathered and written in large pieces, "-" is standard output.
import { closeSync, constants, fchmodSync, fstatSync, ftruncateSync, openSync, renameSync, writeSync } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { messageOf, TortieError } from "../../base/errors.ts";

const GATHER = 256 << 10;
const PIPE_FULL_MS = 2;

/** A file that is read cannot be written at the same time: it would be emptied first. Throws TortieError. */
export async function refuseSame(from: string, to: string): Promise<void> {
  const [a, b] = await Promise.all([from, to].map((path) => stat(path).catch(() => undefined)));
  if (a?.isFile() && b && a.dev === b.dev && a.ino === b.ino)
    throw new TortieError(`Cannot write "${to}": it is the file that is read`, { hint: "Give another name; mv puts it in its place afterwards." });
}

/** What can be known before hours of reading: the directory is there, and the name is not one's. Throws TortieError. */
export async function refuseUnwritable(to: string): Promise<void> {
  if (to === "-") return;
  const parent = dirname(to);
  const [found, holder] = await Promise.all([to, parent].map((path) => stat(path).catch(() => undefined)));
  if (found?.isDirectory()) throw new TortieError(`Cannot write "${to}": it is a directory`, { hint: "Give the name of a file." });
  if (!holder?.isDirectory())
    throw new TortieError(`Cannot write "${to}": there is no directory "${parent}"`, { hint: "Make it first, or give another name." });
}

/** Makes or empties a file that nobody else may read; a device such as /dev/null is left as it is. */
function ownFile(path: string): number {
  const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT, 0o600);
  const found = fstatSync(fd);
  if (found.isFile()) {
    if (found.uid !== process.geteuid!()) {
      closeSync(fd);
      throw new Error("the file belongs to another user, who could read what is in it; remove it, or give another name");
    }
    fchmodSync(fd, 0o600);
    ftruncateSync(fd);
  }
  return fd;
}

const codeOf = (e: unknown): string | undefined => (e as NodeJS.ErrnoException).code;

export class OutputFile {
  readonly #path: string;
  readonly #written: string;
  readonly #fd: number;
  #parts: Uint8Array[] = [];
  #held = 0;
  /** Bytes that were handed to write(). */
  size = 0;
  /** Whoever read standard output is gone: nothing more is written, which is no error. */
  unread = false;

  /** Makes or empties the file. `atomic`: it has its name once it is whole; until then ".part" stands behind it. Throws TortieError. */
  constructor(path: string, options: { atomic?: boolean } = {}) {
    this.#path = path;
    this.#written = options.atomic ? `${path}.part` : path;
    try {
      this.#fd = path === "-" ? 1 : ownFile(this.#written);
    } catch (e) {
      throw new TortieError(`Cannot write "${path}": ${messageOf(e)}`, { cause: e });
    }
  }

  /** The sink of a writer. */
  readonly write = (bytes: Uint8Array): void => {
    this.#parts.push(bytes);
    this.#held += bytes.length;
    this.size += bytes.length;
    if (this.#held >= GATHER) this.flush();
  };

  /** What was gathered goes to the file. */
  flush(): void {
    const all = Buffer.concat(this.#parts);
    this.#parts = [];
    this.#held = 0;
    try {
      for (let at = 0; at < all.length && !this.unread;) at += this.#once(all, at);
    } catch (e) {
      throw new TortieError(`Cannot write "${this.#path}": ${messageOf(e)}`, { cause: e });
    }
  }
  #once(all: Buffer, at: number): number {
    try {
      return writeSync(this.#fd, all, at);
    } catch (e) {
      if (this.#path === "-" && codeOf(e) === "EPIPE") this.unread = true;
      else if (codeOf(e) !== "EAGAIN") throw e;
      // A pipe whose reader is slow.
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PIPE_FULL_MS);
      return 0;
    }
  }

  close(): void {
    this.flush();
    if (this.#path === "-") return;
    closeSync(this.#fd);
    if (this.#written === this.#path) return;
    try {
      renameSync(this.#written, this.#path);
    } catch (e) {
      throw new TortieError(`Cannot name the capture "${this.#path}": ${messageOf(e)}; it is in "${this.#written}"`, { cause: e });
    }
  }
}
