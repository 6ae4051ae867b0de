// A capture file being written: only its owner may read it, packets are gathered and written in large pieces, "-" is standard output.
import { closeSync, fchmodSync, fstatSync, openSync, writeSync } from "node:fs";
import { messageOf, TortieError } from "../../base/errors.ts";

const GATHER = 256 << 10;

export class OutputFile {
  readonly #path: string;
  readonly #fd: number;
  #parts: Uint8Array[] = [];
  #held = 0;

  /** Makes or empties the file. Throws TortieError. */
  constructor(path: string) {
    this.#path = path;
    try {
      this.#fd = path === "-" ? 1 : openSync(path, "w", 0o600);
      // An older file may be readable by others; a device such as /dev/null is left as it is.
      if (path !== "-" && fstatSync(this.#fd).isFile()) fchmodSync(this.#fd, 0o600);
    } catch (e) {
      throw new TortieError(`Cannot write "${path}": ${messageOf(e)}`, { cause: e });
    }
  }

  /** The sink of a writer. */
  readonly write = (bytes: Uint8Array): void => {
    this.#parts.push(bytes);
    this.#held += bytes.length;
    if (this.#held >= GATHER) this.flush();
  };

  /** What was gathered goes to the file. */
  flush(): void {
    const all = Buffer.concat(this.#parts);
    this.#parts = [];
    this.#held = 0;
    try {
      for (let at = 0; at < all.length;) at += this.#once(all, at);
    } catch (e) {
      throw new TortieError(`Cannot write "${this.#path}": ${messageOf(e)}`, { cause: e });
    }
  }
  #once(all: Buffer, at: number): number {
    try {
      return writeSync(this.#fd, all, at);
    } catch (e) {
      // A pipe whose reader is slow.
      if ((e as NodeJS.ErrnoException).code === "EAGAIN") return 0;
      throw e;
    }
  }

  close(): void {
    this.flush();
    if (this.#path !== "-") closeSync(this.#fd);
  }
}
