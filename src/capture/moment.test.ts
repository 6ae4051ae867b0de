import { expect, test } from "vitest";
import { formatClock, formatDate, formatTime } from "./moment.ts";

test.for([
  [0n, "1970-01-01T00:00:00.000000000Z"],
  [1_795_441_564_822_083_584n, "2026-11-23T13:46:04.822083584Z"],
  [8_640_000_000_000_000_000_000n, "+275760-09-13T00:00:00.000000000Z"],
  [8_640_000_000_001_000_000_000n, "8640000000001.000000000 s after 1970"],
  [2n ** 127n, `${formatTime(2n ** 127n)} s after 1970`],
  [-1n, "-0.000000001 s after 1970"],
] as [bigint, string][])("formatDate(%s)", ([ns, text]) => expect(formatDate(ns)).toBe(text));

test("formatClock() gives the time of day, to the millisecond", () => expect(formatClock(1_795_441_564_822_083_584n)).toBe("13:46:04.822"));

test("formatTime() is the same of numbers and of bigints", () => {
  const twin = (ns: bigint, digits: number): string =>
    `${ns / 1_000_000_000n}.${String(ns % 1_000_000_000n)
      .padStart(9, "0")
      .slice(0, digits)}`;
  const edges = [0n, 1n, 999_999_999n, 1_000_000_000n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, 1_795_441_564_822_083_584n];
  const some = Array.from({ length: 1000 }, (_, i) => (2n ** 64n * BigInt(i * i)) / 1_000_003n / 2n ** BigInt(i % 40));
  for (const ns of [...edges, ...some]) for (const digits of [6, 9]) expect(formatTime(ns, digits)).toBe(twin(ns, digits));
});
