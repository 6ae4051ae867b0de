import { expect, test } from "vitest";
import { verdict } from "./figures.ts";
import { median, quantile, spread } from "./statistics.ts";

test("the median of an odd number of values is one of them, of an even number between two, of none no number", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([])).toBeNaN();
});

test("a quantile is a value that was measured", () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i);
  expect(quantile(values, 0.99)).toBe(100);
  expect(quantile(values, 0)).toBe(1);
});

test("a spread has the median and both ends; one value stands for itself", () => {
  expect(spread([3, 1, 2], 1)).toBe("2.0 (1.0 .. 3.0)");
  expect(spread([0.5], 2)).toBe("0.50");
});

test("a promise is held against the ratio in the direction that is better", () => {
  const cases = [
    ["tcp1.gbit", 2, "want met"],
    ["tcp1.gbit", 1.99, "must met, want missed"],
    ["tcp1.gbit", 1.49, "must missed"],
    ["tcp1.cpu", 0.5, "want met"],
    ["tcp1.cpu", 0.67, "must met, want missed"],
    ["tcp1.cpu", 0.68, "must missed"],
    ["ping.median", 1.01, "must missed"],
    ["memory.peak", NaN, undefined],
    ["handshakes.rate", 5, undefined],
  ] as const;
  for (const [name, ratio, is] of cases) expect([name, ratio, verdict(name, ratio)]).toEqual([name, ratio, is]);
});
