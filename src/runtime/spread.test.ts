import { describe, expect, test } from "vitest";
import { ownClock, threadTime } from "../sys/threadclock.ts";
import { spreads } from "./spread.ts";

describe("whether all data workers are given packets", () => {
  test.for([
    ["the first has time to spare", false, [0.6, 0], false],
    ["two directions on two busy processors", false, [0.89, 0], false],
    ["the first has a processor, and that is not enough", false, [0.9, 0], true],
    ["all work", true, [0.9, 0.9], true],
    ["one could not do it", true, [0.3, 0.3], true],
    ["the first has nothing, another has", true, [0, 0.7], true],
    ["packets flow, and what is in a queue would be lost", true, [0.03, 0.02], true],
    ["hardly a packet", true, [0.01, 0.005], false],
    ["nothing to do", true, [0, 0], false],
    ["a thread without a clock", false, [NaN, NaN], false],
    ["threads without clocks that all work", true, [NaN, NaN], false],
  ] as const)("%s", ([, now, shares, all]) => {
    expect(spreads(now, shares)).toBe(all);
  });
});

describe("a thread's processor time", () => {
  test("grows with its own work, and nobody else's", () => {
    const clock = ownClock();
    const spin = (ms: number): void => {
      for (const end = threadTime(clock) + ms; threadTime(clock) < end;);
    };
    const before = threadTime(clock);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    const waited = threadTime(clock);
    expect(waited - before).toBeLessThan(100);
    spin(30);
    expect(threadTime(clock) - waited).toBeGreaterThanOrEqual(30);
  });
  test("of no clock is not a number", () => {
    expect(threadTime(0)).toBeNaN();
  });
});
