// What the data half asks of the control half for a peer, and how it makes itself heard.
import { note } from "./noted.ts";
import { Ask, Head, Row, since, stamp, type Tables } from "./tables.ts";

/** Asks for a handshake of one peer that are closer together than this (ms) wake the control half once. */
const ASK_INTERVAL = 20;

/** Sets a bit of Ask.* for the peer with this row; the control half is woken when it is news. */
export function ask(t: Tables, row: number, bit: number, now: number): void {
  const asked = Atomics.or(t.i32, row + Row.ASKS, bit);
  note(t, (row - t.peers) / Row.WORDS);
  if (bit === Ask.HANDSHAKE && (asked & bit) === 0) {
    const last = t.i32[row + Row.ASKED]!;
    if (last !== 0 && since(last, now) < ASK_INTERVAL) return;
    t.i32[row + Row.ASKED] = stamp(now);
  } else if ((asked & bit) !== 0) return;
  Atomics.add(t.i32, t.head + Head.SIGNAL, 1);
}
