// Spin locks in the tables: held for some stores, between threads that work at the same time.
import { Row, type Tables } from "./tables.ts";

/** Tries before the thread gives its processor to whoever holds the lock and may wait for one. */
const SPINS = 200;
const NAP_MS = 0.05;

export function lock(i32: Int32Array, word: number): void {
  for (let spins = 0; Atomics.compareExchange(i32, word, 0, 1) !== 0; spins++) if (spins > SPINS) Atomics.wait(i32, word, 1, NAP_MS);
}
export function unlock(i32: Int32Array, word: number): void {
  Atomics.store(i32, word, 0);
}

/** Around a peer's three keypair words: taken a few times a session. */
export const lockKeypairs = (t: Tables, row: number): void => lock(t.i32, row + Row.LOCK);
export const unlockKeypairs = (t: Tables, row: number): void => unlock(t.i32, row + Row.LOCK);
