import { expect, test } from "vitest";
import { innerLength, paddingOf } from "./inner.ts";
import { packet } from "./rig.cases.ts";

test.for([
  [0, 1420, 0],
  [1, 1420, 15],
  [16, 1420, 0],
  [84, 1420, 12],
  [1419, 1420, 1],
  [1420, 1420, 0],
  [1421, 1420, 15],
  [2840, 1420, 0],
  [1415, 1420, 5],
  [21, 0, 11],
  [1420, 0, 4],
])("paddingOf(%i, mtu %i) is %i", ([length, mtu, want]) => expect(paddingOf(length!, mtu!)).toBe(want));

test("innerLength() believes a header only within what is there", () => {
  const v4 = packet("10.0.0.1", "10.0.0.2", 30);
  const v6 = packet("fd00::1", "fd00::2", 30);
  expect([innerLength(v4, 0, 50), innerLength(v4, 0, 64), innerLength(v4, 0, 49), innerLength(v4, 0, 19)]).toEqual([50, 50, 0, 0]);
  expect([innerLength(v6, 0, 70), innerLength(v6, 0, 80), innerLength(v6, 0, 69), innerLength(v6, 0, 39)]).toEqual([70, 70, 0, 0]);
  for (const version of [0, 1, 2, 3, 5, 7, 8, 15]) expect(innerLength(new Uint8Array(100).fill(version << 4), 0, 100)).toBe(0);
  v4[2] = 0;
  v4[3] = 19;
  expect(innerLength(v4, 0, 50), "shorter than a header").toBe(0);
});
