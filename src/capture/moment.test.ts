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
