import { expect, test } from "vitest";
import { firstHandshake, handshakesWaiting, pushHandshake, releaseHandshake } from "./rings.ts";
import { Cell, createTables, Head, initTables, tablesSize } from "./tables.ts";

const CELLS = 8;
const LIMITS = { peers: 1, trieNodes: 0, stagedSlots: 1, stagedBytes: 64, handshakeCells: CELLS };

// Both counters count up for ever: a flood takes hours to bring them to the end of their word.
test.each([0, 2 ** 31 - 4, 2 ** 32 - 4])("the ring of handshake messages holds so many and no more, from %d messages on", (start) => {
  const t = createTables(new ArrayBuffer(tablesSize(LIMITS)), 0, LIMITS);
  initTables(t);
  t.i32[t.head + Head.HANDSHAKE_HEAD] = start;
  t.i32[t.head + Head.HANDSHAKE_TAIL] = start;
  const push = (): boolean => pushHandshake(t, 0, 4, t.staged);
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < CELLS; i++) expect(push()).toBe(true);
    expect(push(), "full").toBe(false);
    expect(handshakesWaiting(t)).toBe(CELLS);
    for (let i = 0; i < CELLS; i++) {
      expect(t.i32[firstHandshake(t) + Cell.LENGTH]).toBe(4);
      releaseHandshake(t);
    }
    expect(handshakesWaiting(t)).toBe(0);
  }
});
