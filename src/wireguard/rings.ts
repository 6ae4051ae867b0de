// The two rings between the halves, each with one writer and one reader: handshake messages to the control half, peers with wants to the data half.
import { ENDPOINT_WORDS } from "./endpoint.ts";
import { Cell, Head, Row, rowOf, type Tables } from "./tables.ts";

/** Data half: the next message would find no room. */
export const handshakesFull = (t: Tables): boolean => handshakesWaiting(t) >= t.limits.handshakeCells;

/** Data half, under HANDSHAKE_LOCK when there are several data threads. False: full. `from`: word index of the endpoint record. */
export function pushHandshake(t: Tables, at: number, length: number, from: number): boolean {
  const tail = Atomics.load(t.i32, t.head + Head.HANDSHAKE_TAIL);
  if (handshakesWaiting(t) >= t.limits.handshakeCells) return false;
  const cell = t.cells + ((tail >>> 0) % t.limits.handshakeCells) * Cell.WORDS;
  for (let i = 0; i < ENDPOINT_WORDS; i++) t.i32[cell + Cell.ENDPOINT + i] = t.i32[from + i]!;
  t.i32[cell + Cell.LENGTH] = length;
  t.u8.copyWithin(4 * (cell + Cell.MESSAGE), at, at + length);
  Atomics.store(t.i32, t.head + Head.HANDSHAKE_TAIL, tail + 1);
  return true;
}

/** How many wait. */
export const handshakesWaiting = (t: Tables): number =>
  (Atomics.load(t.i32, t.head + Head.HANDSHAKE_TAIL) - Atomics.load(t.i32, t.head + Head.HANDSHAKE_HEAD)) | 0;

/** Control half: word index of the first cell; only while some wait. */
export const firstHandshake = (t: Tables): number =>
  t.cells + ((Atomics.load(t.i32, t.head + Head.HANDSHAKE_HEAD) >>> 0) % t.limits.handshakeCells) * Cell.WORDS;

export function releaseHandshake(t: Tables): void {
  Atomics.add(t.i32, t.head + Head.HANDSHAKE_HEAD, 1);
}

/** Control half: sets wants of a peer; the ring cannot overflow, as a peer is in it only while it has wants. */
export function pushWant(t: Tables, peer: number, bits: number): void {
  if (Atomics.or(t.i32, rowOf(t, peer) + Row.WANTS, bits) !== 0) return;
  const tail = Atomics.load(t.i32, t.head + Head.DIRTY_TAIL);
  t.i32[t.dirty + (tail & (t.dirtyCount - 1))] = peer;
  Atomics.store(t.i32, t.head + Head.DIRTY_TAIL, (tail + 1) | 0);
}

/** Data half: the next peer with wants, or -1. */
export function nextWanting(t: Tables): number {
  const head = Atomics.load(t.i32, t.head + Head.DIRTY_HEAD);
  if (head === Atomics.load(t.i32, t.head + Head.DIRTY_TAIL)) return -1;
  const peer = t.i32[t.dirty + (head & (t.dirtyCount - 1))]!;
  Atomics.store(t.i32, t.head + Head.DIRTY_HEAD, (head + 1) | 0);
  return peer;
}
