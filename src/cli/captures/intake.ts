// Bytes that come in chunks, taken as many at a time as are wanted: what the readers of containers share.

/** Nothing of this belongs to the container: all of it was read, and something stands behind its end. */
export class JunkBehind extends Error {
  /** Of its first byte in the file. */
  readonly offset: number;

  constructor(container: string, offset: number) {
    super(`what stands here, behind the end of the ${container} data, belongs to no capture: left out`);
    this.offset = offset;
  }
}

export class Intake {
  /** Of the next byte. */
  offset = 0;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array();

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** What is at hand, `most` bytes at most; empty at the end only. It stays there until skip(). */
  async ahead(most: number): Promise<Uint8Array> {
    while (this.#chunk.length === 0) {
      const next = await this.#chunks.next();
      if (next.done) break;
      this.#chunk = next.value;
    }
    return this.#chunk.subarray(0, most);
  }
  /** At most what ahead() gave. */
  skip(bytes: number): void {
    this.#chunk = this.#chunk.subarray(bytes);
    this.offset += bytes;
  }

  /** The next `length` bytes, in memory of their own. Throws when there are fewer. */
  async take(length: number): Promise<Uint8Array> {
    const out = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const some = await this.ahead(length - at);
      if (some.length === 0) throw new Error("unexpected end of file");
      out.set(some, at);
      at += some.length;
      this.skip(some.length);
    }
    return out;
  }
}
