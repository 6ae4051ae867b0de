// A spin lock per peer around its three keypair words: taken a few times a session, held for some stores.
import { Row, type Tables } from "./tables.ts";

export function lockKeypairs(t: Tables, row: number): void {
  while (Atomics.compareExchange(t.i32, row + Row.LOCK, 0, 1) !== 0);
}
export function unlockKeypairs(t: Tables, row: number): void {
  Atomics.store(t.i32, row + Row.LOCK, 0);
}
