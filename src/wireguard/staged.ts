// Packets that wait for a session: a list per peer of slots from one pool, so that no sender can take all memory. The data half alone touches it.
import { MAX_STAGED } from "./constants.ts";
import { Drop } from "./drop.ts";
import { Head, Row, rowOf, Staged, type Tables } from "./tables.ts";

const slotOf = (t: Tables, link: number): number => t.staged + (link - 1) * t.stagedWords;

/** Takes the oldest packet off the peer's list; its slot's word index, or -1. The slot must be freed with freeSlot(). */
export function takeStaged(t: Tables, peer: number): number {
  const row = rowOf(t, peer);
  const link = t.i32[row + Row.STAGED_FIRST]!;
  if (link === 0) return -1;
  const slot = slotOf(t, link);
  const next = t.i32[slot + Staged.NEXT]!;
  t.i32[row + Row.STAGED_FIRST] = next;
  if (next === 0) t.i32[row + Row.STAGED_LAST] = 0;
  Atomics.sub(t.i32, row + Row.STAGED_COUNT, 1);
  return slot;
}

// A free slot as link, or 0. Slots that were used come first: the others' memory was never touched.
function freeLink(t: Tables): number {
  const link = t.i32[t.head + Head.STAGED_FREE]!;
  if (link !== 0) t.i32[t.head + Head.STAGED_FREE] = t.i32[slotOf(t, link) + Staged.NEXT]!;
  else if (t.i32[t.head + Head.STAGED_USED]! < t.limits.stagedSlots) return ++t.i32[t.head + Head.STAGED_USED]!;
  return link;
}

export function freeSlot(t: Tables, slot: number): void {
  t.i32[slot + Staged.NEXT] = t.i32[t.head + Head.STAGED_FREE]!;
  t.i32[t.head + Head.STAGED_FREE] = (slot - t.staged) / t.stagedWords + 1;
}

/**
 * Copies a packet (length 0: a keepalive) to the end of the peer's list. 0, or the reason that a packet was dropped for: an older one, or this. With
 * STAGED_OVERFLOW it was the oldest and this one is staged.
 */
export function stage(t: Tables, peer: number, at: number, length: number): number {
  const row = rowOf(t, peer);
  if (length > t.limits.stagedBytes) return Drop.TOO_LONG;
  let dropped = 0;
  if (t.i32[row + Row.STAGED_COUNT]! >= MAX_STAGED) {
    freeSlot(t, takeStaged(t, peer));
    dropped = Drop.STAGED_OVERFLOW;
  }
  let link = freeLink(t);
  if (link === 0) {
    // The pool is used up: the peer pays with its own oldest.
    const oldest = takeStaged(t, peer);
    if (oldest < 0) return Drop.STAGED_FULL;
    freeSlot(t, oldest);
    link = freeLink(t);
    dropped = Drop.STAGED_OVERFLOW;
  }
  const slot = slotOf(t, link);
  t.i32[slot + Staged.NEXT] = 0;
  t.i32[slot + Staged.LENGTH] = length;
  t.u8.copyWithin(4 * slot + Staged.PACKET_BYTES, at, at + length);
  const last = t.i32[row + Row.STAGED_LAST]!;
  if (last === 0) t.i32[row + Row.STAGED_FIRST] = link;
  else t.i32[slotOf(t, last) + Staged.NEXT] = link;
  t.i32[row + Row.STAGED_LAST] = link;
  Atomics.add(t.i32, row + Row.STAGED_COUNT, 1);
  return dropped;
}
