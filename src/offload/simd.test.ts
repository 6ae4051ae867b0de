import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sum16 } from "../packet/checksum.ts";
import { loadSimd } from "./simd.ts";
import { swap } from "./sum.ts";

const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
const u8 = new Uint8Array(memory.buffer);
const simd = loadSimd(memory);
/** Sum of big-endian words by the plain loop of src/packet. */
const naive = (at: number, length: number): number => sum16(Uint8Array.from(u8.subarray(at, at + length)));

function noise(seed: number): void {
  let x = seed | 1;
  for (let i = 0; i < u8.length; i++) {
    x = Math.imul(x, 1664525) + 1013904223;
    u8[i] = x >>> 24;
  }
}

describe("sum()", () => {
  test("is the naive sum for every length from 0 to 9001", () => {
    noise(1);
    for (let length = 0; length <= 9001; length++) expect(swap(simd.sum(64, length)), `length ${length}`).toBe(naive(64, length));
  });
  test("is the naive sum at every alignment", () => {
    noise(2);
    for (let at = 0; at < 64; at++)
      for (let length = 0; length < 200; length++) expect(swap(simd.sum(at, length)), `${at}, ${length}`).toBe(naive(at, length));
  });
  test.for([0x00, 0xff, 0x80, 0x7f])("of nothing but %i, up to its longest", (value) => {
    u8.fill(value);
    for (const length of [1, 2, 15, 16, 17, 63, 64, 65, 65_535, 65_575, 131_056]) expect(swap(simd.sum(0, length))).toBe(naive(0, length));
  });
  test("to the last byte of the memory, and not one further", () => {
    noise(3);
    for (let length = 0; length < 300; length++) expect(swap(simd.sum(u8.length - length, length))).toBe(naive(u8.length - length, length));
    expect(() => simd.sum(u8.length - 100, 101)).toThrow(WebAssembly.RuntimeError);
  });
  test("of any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), fc.nat(100), (bytes, at) => {
        u8.set(bytes, at);
        expect(swap(simd.sum(at, bytes.length))).toBe(sum16(bytes));
      }),
    );
  });
});

test("copy() is a copy, also where the ranges overlap, and changes nothing else", () => {
  for (const [to, from, length] of [
    [1000, 2000, 1500],
    [1000, 1001, 1500],
    [1001, 1000, 1500],
    [5, 5, 5],
    [7, 9, 0],
  ] as const) {
    noise(4);
    const expected = Uint8Array.from(u8);
    expected.copyWithin(to, from, from + length);
    simd.copy(to, from, length);
    expect(Buffer.compare(u8, expected)).toBe(0);
  }
});

test("zero() zeroes its range only", () => {
  noise(5);
  const expected = Uint8Array.from(u8);
  expected.fill(0, 101, 101 + 77);
  simd.zero(101, 77);
  expect(Buffer.compare(u8, expected)).toBe(0);
});

test("equal16() sees a difference in each of the 128 bits", () => {
  noise(6);
  u8.copyWithin(333, 100, 116);
  expect(simd.equal16(100, 333)).toBe(1);
  for (let bit = 0; bit < 128; bit++) {
    u8[333 + (bit >> 3)]! ^= 1 << (bit & 7);
    expect(simd.equal16(100, 333), `bit ${bit}`).toBe(0);
    u8[333 + (bit >> 3)]! ^= 1 << (bit & 7);
  }
  u8[349]! ^= 1;
  u8[332]! ^= 1;
  expect(simd.equal16(100, 333)).toBe(1);
});
