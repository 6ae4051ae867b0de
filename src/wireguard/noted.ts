// Which peers a tick must look at: a bit for each, set by whoever starts one of its timers or asks for something, and taken by the control half. So a tick costs
// as much as there is to do, and an idle peer costs nothing.
import type { Tables } from "./tables.ts";

/** After the stamp or the ask was stored. Either half. */
export function note(t: Tables, peer: number): void {
  const word = t.noted + (peer >>> 5);
  const bit = 1 << (peer & 31);
  // Of a busy peer it is set already, nearly always.
  if ((t.i32[word]! & bit) === 0) Atomics.or(t.i32, word, bit);
}

/** Control half: calls `take` for each noted peer; they are no longer noted. */
export function takeNoted(t: Tables, take: (peer: number) => void): void {
  for (let i = 0; 32 * i < t.limits.peers; i++) {
    if (t.i32[t.noted + i] === 0) continue;
    for (let bits = Atomics.exchange(t.i32, t.noted + i, 0); bits !== 0; bits &= bits - 1) take(32 * i + 31 - Math.clz32(bits & -bits));
  }
}
