import fc from "fast-check";
import { expect, test } from "vitest";
import { byOrder, countWhile, SortedKeys } from "./keys.ts";

// A few short words, so that keys meet; and thousands, so that lists are cut and vanish.
const key = fc.oneof(fc.stringMatching(/^[ab/]{0,4}$/), fc.integer({ min: 0, max: 5000 }).map(String));

test("it agrees with a set that is sorted anew", () => {
  fc.assert(
    fc.property(fc.array(key), fc.array(fc.tuple(fc.boolean(), key), { maxLength: 3000, size: "max" }), key, (first, steps, probe) => {
      const twin = new Set(first);
      const keys = new SortedKeys(twin);
      for (const [adds, k] of steps) {
        if (adds === twin.has(k)) continue;
        if (adds) {
          twin.add(k);
          keys.add(k);
        } else {
          twin.delete(k);
          keys.delete(k);
        }
      }
      const sorted = [...twin].toSorted(byOrder);
      expect([...keys.from(() => false)]).toEqual(sorted);
      expect([...keys.from((k) => k < probe)]).toEqual(sorted.filter((k) => k >= probe));
      expect(keys.count((k) => k < probe)).toBe(sorted.filter((k) => k < probe).length);
      expect(keys.count((k) => k < probe || k.startsWith(probe))).toBe(sorted.filter((k) => k < probe || k.startsWith(probe)).length);
    }),
    { numRuns: 40 },
  );
});

test("lists are cut and vanish: 5,000 keys in, in any order, and out again", () => {
  const keys = new SortedKeys([]);
  const all = Array.from({ length: 5000 }, (_, i) => String((i * 2741) % 5000).padStart(4, "0"));
  for (const k of all) keys.add(k);
  expect([...keys.from(() => false)]).toEqual(all.toSorted(byOrder));
  expect(keys.count((k) => k < "2500")).toBe(2500);
  for (const k of all.slice(1)) keys.delete(k);
  expect([...keys.from(() => false)]).toEqual(["0000"]);
  keys.delete("0000");
  expect([...keys.from(() => false)]).toEqual([]);
  expect(keys.count(() => true)).toBe(0);
});

test("countWhile() finds the edge", () => {
  for (let n = 0; n < 9; n++) for (let edge = 0; edge <= n; edge++) expect(countWhile([...Array(n).keys()], (i) => i < edge)).toBe(edge);
});
