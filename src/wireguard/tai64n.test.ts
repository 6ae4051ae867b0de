import fc from "fast-check";
import { expect, test } from "vitest";
import { toHex } from "../base/bytes.ts";
import { compareStamps, nextTai64n, tai64n } from "./tai64n.ts";

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
