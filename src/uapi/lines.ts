// Byte chunks to lines, without building one string: a set operation of 130,560 allowed IPs passes through a fixed buffer. Lines may hold keys, so
// what was handed out is wiped.
import { wipe } from "../base/bytes.ts";

/** No line of the protocol is longer than a key's (80) or an endpoint with a zone. */
export const MAX_LINE = 1024;

/** A line was longer than MAX_LINE: the stream cannot be followed any further. */
export class LineTooLong extends Error {}

/** Splits a stream of chunks at "\n". */
export class Lines {
  readonly #held: Uint8Array = new Uint8Array(MAX_LINE);
  #length = 0;

  /** The lines that `chunk` completes, without their "\n". A line is valid until the next is asked for; chunk and line are wiped. Throws LineTooLong. */
  *push(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    try {
      let at = 0;
      for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, at)) {
        let line = chunk.subarray(at, end);
        if (this.#length > 0) {
          this.#hold(line);
          line = this.#held.subarray(0, this.#length);
        } else if (line.length > MAX_LINE) throw new LineTooLong();
        at = end + 1;
        this.#length = 0;
        yield line;
        wipe(line);
      }
      this.#hold(chunk.subarray(at));
    } finally {
      wipe(chunk);
    }
  }

  #hold(part: Uint8Array): void {
    if (this.#length + part.length > MAX_LINE) throw new LineTooLong();
    this.#held.set(part, this.#length);
    this.#length += part.length;
  }

  /** True when no partial line is held. */
  get empty(): boolean {
    return this.#length === 0;
  }

  wipe(): void {
    wipe(this.#held);
    this.#length = 0;
  }
}
