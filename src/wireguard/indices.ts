// The 32-bit indices by which messages name a handshake or a keypair of ours. They are random, so that they tell nothing. Of those we choose one whose
// low bits are free in the shared table: then a look-up is a single probe, and removal leaves nothing behind. A quarter of the table is used at most. Beside it stands a
// coarse one that fits the cache: of a flood of made-up indices nearly all end there.
import type { Crypto } from "./crypto.ts";
import { readU32 } from "./messages.ts";
import { coarseOf, type Tables } from "./tables.ts";

export class Indices<Owner> {
  readonly #t: Tables;
  readonly #crypto: Crypto;
  readonly #owners = new Map<number, Owner>();
  /** Places in the table that are taken, by handshakes too. */
  readonly #taken: Uint8Array;
  /** Indices that ever came to be. */
  made = 0;

  constructor(tables: Tables, crypto: Crypto) {
    this.#t = tables;
    this.#crypto = crypto;
    this.#taken = new Uint8Array(tables.indexCount);
  }
  get size(): number {
    return this.#owners.size;
  }
  allocate(owner: Owner): number {
    const four = new Uint8Array(4);
    for (;;) {
      this.#crypto.random(four);
      const index = readU32(four, 0);
      if (this.#taken[this.#place(index)] !== 0) continue;
      this.#take(index, owner);
      return index;
    }
  }
  /** An index that is in use already: of a device that was taken over. False: its place is taken. */
  claim(index: number, owner: Owner): boolean {
    if (this.#taken[this.#place(index)] !== 0) return false;
    this.#take(index, owner);
    return true;
  }
  [Symbol.iterator](): Iterator<readonly [index: number, owner: Owner]> {
    return this.#owners.entries();
  }
  owner(index: number): Owner | undefined {
    return this.#owners.get(index);
  }
  /** From now on data messages with this index belong to the keypair. */
  publish(index: number, keypair: number): void {
    this.#countCoarse(index, 1);
    Atomics.store(this.#t.i32, this.#t.indices + this.#place(index), keypair + 1);
  }
  release(index: number): void {
    if (!this.#owners.delete(index)) return;
    if (Atomics.exchange(this.#t.i32, this.#t.indices + this.#place(index), 0) !== 0) this.#countCoarse(index, -1);
    this.#taken[this.#place(index)] = 0;
  }
  #take(index: number, owner: Owner): void {
    this.#taken[this.#place(index)] = 1;
    this.#owners.set(index, owner);
    this.made++;
  }
  // A count that once was full stays so: it only sends the look-up to the table.
  #countCoarse(index: number, by: 1 | -1): void {
    const at = coarseOf(this.#t, index);
    if (this.#t.u8[at]! < 255) this.#t.u8[at]! += by;
  }
  #place(index: number): number {
    return index & (this.#t.indexCount - 1);
  }
}
