import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { REJECT_AFTER_MESSAGES_HI, REJECT_AFTER_MESSAGES_LO, REPLAY_WINDOW } from "./constants.ts";
import { acceptCounter } from "./replay.ts";
import { Keypair } from "./tables.ts";

function window(): (n: bigint | number) => boolean {
  const u32 = new Uint32Array(Keypair.WORDS);
  return (n) => acceptCounter(u32, 0, Number(BigInt(n) & 0xffff_ffffn), Number(BigInt(n) >> 32n));
}
const L = 8129n;
const R = (BigInt(REJECT_AFTER_MESSAGES_HI) << 32n) + BigInt(REJECT_AFTER_MESSAGES_LO);

test("the limit is 2^64 - 8130", () => expect(R).toBe(2n ** 64n - 8130n));

// The kernel's selftest/counter.c, in its order.
test("one window, step by step", () => {
  const accept = window();
  const steps: [bigint, boolean][] = [
    [0n, true],
    [1n, true],
    [1n, false],
    [9n, true],
    [8n, true],
    [7n, true],
    [7n, false],
    [L, true],
    [L - 1n, true],
    [L - 1n, false],
    [L - 2n, true],
    [2n, true],
    [2n, false],
    [L + 16n, true],
    [3n, false],
    [L + 16n, false],
    [4n * L, true],
    [4n * L - (L - 1n), true],
    [10n, false],
    [4n * L - L, false],
    [4n * L - (L + 1n), false],
    [4n * L - (L - 2n), true],
    [4n * L + 1n - L, false],
    [0n, false],
    [R, false],
    [R - 1n, true],
    [R, false],
    [R - 1n, false],
    [R - 2n, true],
    [R + 1n, false],
    [R + 2n, false],
    [R - 2n, false],
    [R - 3n, true],
    [0n, false],
  ];
  for (const [i, [n, want]] of steps.entries()) expect(accept(n), `step ${i + 1}: ${n}`).toBe(want);
});

const range = (from: number, to: number): number[] => Array.from({ length: Math.abs(to - from) + 1 }, (_, i) => (to > from ? from + i : from - i));

describe("fresh windows", () => {
  test.for([
    {
      name: "1..8128, then 0 once",
      fill: range(1, 8128),
      after: [
        [0, true],
        [0, false],
      ],
    },
    {
      name: "2..8129, then 1, not 0",
      fill: range(2, 8129),
      after: [
        [1, true],
        [0, false],
      ],
    },
    { name: "8128 down to 0", fill: range(8128, 0), after: [] },
    { name: "8129 down to 1, not 0", fill: range(8129, 1), after: [[0, false]] },
    {
      name: "8128 down to 1, 8129, not 0",
      fill: range(8128, 1),
      after: [
        [8129, true],
        [0, false],
      ],
    },
    {
      name: "8128 down to 1, 0, 8129",
      fill: range(8128, 1),
      after: [
        [0, true],
        [8129, true],
      ],
    },
  ] as { name: string; fill: number[]; after: [number, boolean][] }[])("$name", ({ fill, after }) => {
    const accept = window();
    for (const n of fill) expect(accept(n)).toBe(true);
    for (const [n, want] of after) expect(accept(n)).toBe(want);
  });
});

test("agrees with a set of what was seen, around every size of step and every half of the counter", () => {
  const start = fc.constantFrom(0n, 2n ** 32n - 9000n, 2n ** 53n - 5n, 2n ** 60n, R - 20_000n);
  const step = fc.oneof(
    fc.integer({ min: -9000, max: 9000 }),
    fc.constantFrom(0, 1, -1, 63, 64, 65, 8127, 8128, 8129, 8191, 8192, 8193, -8128, -8129, 100_000),
  );
  fc.assert(
    fc.property(start, fc.array(step, { maxLength: 300 }), (from, steps) => {
      const accept = window();
      const seen = new Set<bigint>();
      let greatest = -1n;
      let at = from;
      for (const s of steps) {
        at += BigInt(s);
        if (at < 0n) at = 0n;
        if (at >= 2n ** 64n) at = 2n ** 64n - 1n;
        // RFC 6479: within the window of the greatest, and not seen.
        const want = at < R && !seen.has(at) && at + BigInt(REPLAY_WINDOW) >= greatest;
        expect(accept(at)).toBe(want);
        if (want) seen.add(at);
        if (want && at > greatest) greatest = at;
      }
    }),
    { numRuns: 150 },
  );
});
