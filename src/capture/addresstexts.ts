// Texts of addresses: a capture holds few, many times. The latest address of each slot is remembered.
import { formatIp } from "../base/ip.ts";

const SLOTS = 1024;

class AddressTexts {
  readonly #length: 4 | 16;
  /** Words of the address in each slot. */
  readonly #words: Int32Array;
  readonly #texts: (string | undefined)[] = Array.from({ length: SLOTS }, () => undefined);

  constructor(length: 4 | 16) {
    this.#length = length;
    this.#words = new Int32Array((SLOTS * length) / 4);
  }
  text(b: Uint8Array, at: number): string {
    const length = this.#length;
    let mixed = 0;
    for (let i = at; i < at + length; i += 4) mixed = Math.imul(mixed, 31) ^ word(b, i);
    const slot = (mixed ^ (mixed >>> 10) ^ (mixed >>> 20)) & (SLOTS - 1);
    const known = this.#texts[slot];
    let w = (slot * length) / 4;
    let isIt = known !== undefined;
    for (let i = 0; i < length; i += 4, w++) {
      const n = word(b, at + i);
      if (this.#words[w] !== n) isIt = false;
      this.#words[w] = n;
    }
    if (isIt) return known!;
    return (this.#texts[slot] = formatIp(b.subarray(at, at + length)));
  }
}
const word = (b: Uint8Array, at: number): number => (b[at]! << 24) | (b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!;

const v4 = new AddressTexts(4);
const v6 = new AddressTexts(16);

/** formatIp() of the address at `at`, of 4 or 16 bytes. */
export const ipTextAt = (b: Uint8Array, at: number, length: number): string => (length === 4 ? v4 : v6).text(b, at);
