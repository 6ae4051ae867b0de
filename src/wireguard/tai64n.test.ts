import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toHex } from "../base/bytes.ts";
import { compareStamps, nextTai64n, Stamps, tai64n } from "./tai64n.ts";

test("the timestamp of the known handshake: 2023-11-14 22:13:20.302 and its whitening", () => {
  expect(toHex(tai64n(1_700_000_000_302))).toBe("400000006553f10a12000000");
  // 2^24 ns are 16.8 ms: within, it is the same.
  expect(toHex(tai64n(1_700_000_000_302))).toBe(toHex(tai64n(1_700_000_000_310)));
});

test("20 ms later is greater, whatever the time", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 8_000_000_000_000 }), (wall) => {
      expect(compareStamps(tai64n(wall + 20), tai64n(wall))).toBeGreaterThan(0);
      expect(compareStamps(nextTai64n(tai64n(wall)), tai64n(wall))).toBeGreaterThan(0);
      expect(compareStamps(tai64n(wall + 50), nextTai64n(tai64n(wall)))).toBeGreaterThan(0);
      expect(tai64n(wall)[11]! | tai64n(wall)[10]! | tai64n(wall)[9]!).toBe(0);
    }),
  );
});

test("the next after the last of a second carries", () => {
  expect(toHex(nextTai64n(tai64n(999.99)))).toBe("400000000000000b00000000");
  const end = new Uint8Array([0x40, 0, 0, 0, 255, 255, 255, 255, 0x3b, 0, 0, 0]);
  expect(toHex(nextTai64n(end))).toBe("400000010000000000000000");
});

describe("Stamps", () => {
  const never = new Uint8Array(12);
  test("follow the clock; one peer's are all different, those of several may be the same", () => {
    const stamps = new Stamps();
    expect(stamps.next(5000, never)).toEqual(tai64n(5000));
    expect(stamps.next(5001, never)).toEqual(tai64n(5000));
    expect(stamps.next(5001, tai64n(5000))).toEqual(nextTai64n(tai64n(5000)));
    expect(stamps.next(6000, tai64n(5000))).toEqual(tai64n(6000));
  });
  test("go on from the latest when the clock has jumped back, for every peer", () => {
    const stamps = new Stamps();
    let last: Uint8Array = stamps.next(9_000_000, never);
    for (const peer of [never, last, never, never]) {
      const next = stamps.next(1000, peer);
      expect(compareStamps(next, last)).toBeGreaterThan(0);
      last = next;
    }
    expect(stamps.next(9_001_000, never)).toEqual(tai64n(9_001_000));
  });
});
