// Key=value lines into byte chunks. Keys go in as bytes and become hex in the chunk: no string ever holds one, and the chunk can be wiped once sent.
import { utf8 } from "../base/bytes.ts";

const CHUNK = 16_384;
const nibble = (v: number): number => 87 + v + (((v - 10) >> 8) & ~38);

/** Collects lines; full() tells when to take() a chunk. */
export class LineWriter {
  #chunk: Uint8Array<ArrayBuffer> = new Uint8Array(CHUNK);
  #length = 0;

  text(line: string): void {
    const bytes = utf8(`${line}\n`);
    this.#room(bytes.length);
    this.#chunk.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** `name=HEX` */
  key(name: string, key: Uint8Array): void {
    const head = utf8(`${name}=`);
    this.#room(head.length + 2 * key.length + 1);
    this.#chunk.set(head, this.#length);
    let at = this.#length + head.length;
    for (let i = 0; i < key.length; i++) {
      this.#chunk[at++] = nibble(key[i]! >> 4);
      this.#chunk[at++] = nibble(key[i]! & 15);
    }
    this.#chunk[at++] = 10;
    this.#length = at;
  }

  /** True when a chunk's worth has gathered. */
  full(): boolean {
    return this.#length >= CHUNK - 2048;
  }

  /** What has gathered; the taker wipes it after use. */
  take(): Uint8Array<ArrayBuffer> {
    const out = this.#chunk.subarray(0, this.#length);
    this.#chunk = new Uint8Array(CHUNK);
    this.#length = 0;
    return out;
  }

  // Only a caller that never take()s gets here.
  #room(n: number): void {
    if (this.#length + n <= this.#chunk.length) return;
    const larger = new Uint8Array(2 * this.#chunk.length + n);
    larger.set(this.#chunk);
    this.#chunk.fill(0);
    this.#chunk = larger;
  }
}
