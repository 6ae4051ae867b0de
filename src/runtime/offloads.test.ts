import { describe, expect, test } from "vitest";
import { ALL_OFFLOADS, corruptOffloads, offloadNames, OFFLOADS, offloadsWithout } from "./offloads.ts";

describe("offloads that are switched off", () => {
  test.for([
    ["", ALL_OFFLOADS],
    ["all", 0],
    ["tun-gro", ALL_OFFLOADS & ~OFFLOADS["tun-gro"]],
    ["tun-tso, udp-gro", ALL_OFFLOADS & ~OFFLOADS["tun-tso"] & ~OFFLOADS["udp-gro"]],
    [",udp-gso,", ALL_OFFLOADS & ~OFFLOADS["udp-gso"]],
  ] as const)('"%s"', ([words, bits]) => {
    expect(offloadsWithout(words)).toBe(bits);
  });
  test("an unknown word is refused, with what there is", () => {
    expect(() => offloadsWithout("tun-gro,toString")).toThrow(
      'Cannot switch off "toString": there is tun-tso, tun-gro, udp-gso, udp-gro, tun-uso, call-lists, parking, and all',
    );
  });
  test.for([
    ["6.18.44-fc-v657", false],
    ["7.0.0", true],
    ["7.0", true],
    ["7.0.12-1-amd64", true],
    ["7.1.4", true],
    ["7.1.5", false],
    ["7.2.0", false],
    ["17.0.1", false],
    ["", false],
  ] as const)("on Linux %s", ([release, corrupt]) => {
    expect(corruptOffloads(release)).toBe(corrupt ? OFFLOADS["udp-gso"] : 0);
  });
  test("their names", () => {
    expect(offloadNames(ALL_OFFLOADS)).toEqual(Object.keys(OFFLOADS));
    expect(offloadNames(0)).toEqual([]);
  });
});
