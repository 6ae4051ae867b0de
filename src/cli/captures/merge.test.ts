import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Merge } from "./merge.ts";

type Item = { time: number; source: number };
const merge = (sources: number, patience = 100, bytes = 100): Merge<Item> => new Merge(sources, patience, (i) => ({ time: BigInt(i.time), bytes }));
const times = (items: readonly Item[]): number[] => items.map((i) => i.time);
const at = (source: number, ...all: number[]): Item[] => all.map((time) => ({ time, source }));

describe("Merge", () => {
  test("gives on only what no other source can come before", () => {
    const m = merge(2);
    m.add(0, at(0, 1, 5), 0);
    expect(times(m.take(0))).toEqual([]);
    m.add(1, at(1, 3), 0);
    expect(times(m.take(0))).toEqual([1, 3]);
    m.end(1);
    expect(times(m.take(0))).toEqual([5]);
  });
  test("a source that has nothing to give holds the others up for the patience, not longer", () => {
    const m = merge(2, 100);
    m.add(0, at(0, 1), 1000);
    expect(times(m.take(1099))).toEqual([]);
    expect(times(m.take(1100))).toEqual([1]);
    m.add(1, at(1, 0, 2), 1101);
    m.end(0);
    expect(times(m.take(1101))).toEqual([0, 2]);
    expect(m.late).toBe(1);
  });
  test("no more waits than fits", () => {
    const m = merge(2, 1e9, 1 << 20);
    m.add(0, at(0, ...Array.from({ length: 100 }, (_, i) => i)), 0);
    expect(times(m.take(0))).toEqual(Array.from({ length: 36 }, (_, i) => i));
  });
  test("whatever comes when: each item once; in order, when sources are in order and nothing comes later than the patience", () => {
    fc.assert(
      fc.property(fc.array(fc.record({ source: fc.nat(3), gap: fc.nat(30), delay: fc.nat(49) }), { maxLength: 60 }), (events) => {
        const m = merge(4, 50);
        let time = 0;
        const last = [0, 0, 0, 0];
        const arriving = events.map(({ source, gap, delay }) => {
          time += gap;
          const when = (last[source] = Math.max(last[source]!, time + delay));
          return { item: { source, time }, when };
        });
        arriving.sort((a, b) => a.when - b.when);
        const out: Item[] = [];
        for (const { item, when } of arriving) {
          out.push(...m.take(when - 1));
          m.add(item.source, [item], when);
        }
        for (let s = 0; s < 4; s++) m.end(s);
        out.push(...m.take(1e9));
        expect(times(out)).toEqual(arriving.map((a) => a.item.time).sort((a, b) => a - b));
        expect(m.late).toBe(0);
      }),
      { numRuns: 500 },
    );
  });
});
