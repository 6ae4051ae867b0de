// The bytes of the capture that is viewed, at any place: of the file itself, or of an unlinked temporary file where there is none that could be read again.
import { closeSync, fstatSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf, TortieError } from "../../base/errors.ts";
import type { ReadBytes } from "../../capture/packetindex.ts";
import { windowed } from "../../capture/window.ts";

export class ByteStore {
  readonly #fd: number;
  /** Bytes that append() wrote. */
  #size = 0;

  private constructor(fd: number) {
    this.#fd = fd;
  }
  /** A file that is there. Throws TortieError. */
  static open(path: string): ByteStore {
    try {
      return new ByteStore(openSync(path, "r"));
    } catch (e) {
      throw new TortieError(`Cannot open the capture "${path}": ${messageOf(e)}`, { cause: e });
    }
  }
  /** An empty file without a name: it is gone when this process is, and nobody else can open it. Throws TortieError. */
  static temporary(): ByteStore {
    const path = join(tmpdir(), `tortie-${randomUUID()}`);
    try {
      const fd = openSync(path, "wx+", 0o600);
      unlinkSync(path);
      return new ByteStore(fd);
    } catch (e) {
      throw new TortieError(`Cannot keep the packets in ${tmpdir()}: ${messageOf(e)}`, { hint: "Set TMPDIR to where there is room.", cause: e });
    }
  }

  get size(): number {
    return fstatSync(this.#fd).size;
  }

  /** Bytes from `offset` on, fewer at the end of the file; good until the next call. */
  readonly read: ReadBytes = windowed((offset, length) => {
    const own = new Uint8Array(length);
    return own.subarray(0, readSync(this.#fd, own, 0, length, offset));
  });

  /** Writes behind what was written so far. Throws TortieError. */
  append(bytes: Uint8Array): void {
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(this.#fd, bytes, at, bytes.length - at, this.#size + at);
    } catch (e) {
      throw new TortieError(`Cannot keep the packets in ${tmpdir()}: ${messageOf(e)}`, { hint: "Set TMPDIR to where there is room.", cause: e });
    }
    this.#size += bytes.length;
  }
  close(): void {
    closeSync(this.#fd);
  }
}
