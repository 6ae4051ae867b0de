import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Pace, Ticker } from "./ticker.ts";

const fail = (error: unknown): void => {
  throw error;
};

describe("Ticker", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function make(paces: Pace[]): { ticker: Ticker; turns: () => number } {
    let turns = 0;
    return { ticker: new Ticker(() => paces[turns++] ?? "none", fail), turns: () => turns };
  }

  test("takes a turn at once, and none later when the device is down", () => {
    const { ticker, turns } = make([]);
    ticker.now();
    vi.advanceTimersByTime(10_000);
    expect(turns()).toBe(1);
  });

  test("is quicker while packets flow", () => {
    const { ticker, turns } = make(["busy", "busy", "quiet", "quiet"]);
    ticker.now();
    vi.advanceTimersByTime(25);
    expect(turns()).toBe(2);
    vi.advanceTimersByTime(25);
    expect(turns()).toBe(3);
    vi.advanceTimersByTime(99);
    expect(turns()).toBe(3);
    vi.advanceTimersByTime(1);
    expect(turns()).toBe(4);
  });

  test("in a flood rests between turns, whoever asks; then goes on as before", () => {
    const { ticker, turns } = make(["loaded", "loaded", "quiet", "quiet"]);
    ticker.now();
    for (let ms = 0; ms < 3; ms++) {
      ticker.now();
      ticker.soon();
      vi.advanceTimersByTime(1);
    }
    expect(turns()).toBe(1);
    vi.advanceTimersByTime(1);
    expect(turns()).toBe(2);
    vi.advanceTimersByTime(4);
    expect(turns()).toBe(3);
    ticker.now();
    expect(turns()).toBe(4);
  });

  test("soon() shortens a quiet wait and never puts a turn off", () => {
    const { ticker, turns } = make(["quiet"]);
    ticker.now();
    for (let i = 0; i < 5; i++) {
      ticker.soon();
      vi.advanceTimersByTime(10);
    }
    expect(turns()).toBe(2);
  });

  test("now() within a turn asks for another one, after other events", () => {
    let turns = 0;
    const ticker: Ticker = new Ticker(() => {
      if (++turns === 1) ticker.now();
      return "none";
    }, fail);
    ticker.now();
    expect(turns).toBe(1);
    vi.runAllTimers();
    expect(turns).toBe(2);
  });

  test("what a turn throws ends it, and is handed on once", () => {
    const errors: unknown[] = [];
    const ticker = new Ticker(
      () => {
        throw new Error("no");
      },
      (error) => errors.push(error),
    );
    ticker.now();
    ticker.now();
    vi.runAllTimers();
    expect(errors).toEqual([new Error("no")]);
  });

  test("stop() is the end", () => {
    const { ticker, turns } = make(["busy", "busy"]);
    ticker.now();
    ticker.stop();
    ticker.soon();
    ticker.now();
    vi.advanceTimersByTime(1000);
    expect(turns()).toBe(1);
  });
});
