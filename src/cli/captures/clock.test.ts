import fc from "fast-check";
import { expect, test } from "vitest";
import { ClockComparison, isNotable, offsetText } from "./clock.ts";

const MS = 1_000_000n;

test("a clock's offset is told within its error, whatever the ways there and back take", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -100_000, max: 100_000 }),
      fc.array(fc.tuple(fc.nat(500), fc.nat(500)), { minLength: 1, maxLength: 10 }),
      (offset, ways) => {
        const c = new ClockComparison();
        let now = 1_700_000_000_000n;
        for (const [there, back] of ways) {
          c.ask(now * MS);
          now += BigInt(there);
          const time = (now + BigInt(offset)) * MS;
          now += BigInt(back);
          c.answer(time, now * MS);
        }
        const { offset: found, error } = c.best!;
        const off = found - BigInt(offset) * MS;
        expect(off < 0n ? -off : off).toBeLessThanOrEqual(error);
        expect(error).toBe((BigInt(Math.min(...ways.map(([a, b]) => a + b))) * MS) / 2n + MS);
      },
    ),
  );
});
test("an answer that nobody asked for says nothing", () => {
  const c = new ClockComparison();
  c.answer(1n, 1n);
  expect([c.best, c.answers]).toEqual([undefined, 0]);
});
test("what is worth to be put right, and the words", () => {
  expect(
    [
      { offset: 5n * MS, error: MS },
      { offset: -11n * MS, error: MS },
      { offset: 100n * MS, error: 60n * MS },
    ].map(isNotable),
  ).toEqual([false, true, false]);
  expect(offsetText({ offset: -2500n * MS, error: 1_500_000n })).toBe("2500.0 ms behind this machine's, ± 1.5 ms");
});
