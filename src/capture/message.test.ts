// Super-datagrams: cut where a naive search of every place would cut, for all sizes that segmentation makes; and single messages left whole.
import fc from "fast-check";
import { expect, test } from "vitest";
import { concat, equal } from "../base/bytes.ts";
import { segmentSize, splitSegments } from "./message.ts";

/** A data message of this size; its content is no matter. */
function message(receiver: number, counter: number, size: number): Uint8Array {
  const m = new Uint8Array(size).map((_, i) => (i * 7 + counter) | 1);
  m.set([4, 0, 0, 0]);
  const v = new DataView(m.buffer);
  v.setUint32(4, receiver, true);
  v.setBigUint64(8, BigInt(counter), true);
  return m;
}
/** The first place after which everything is messages of one size with counters that go on. */
function naive(b: Uint8Array): number {
  const head = b.subarray(0, 8);
  const counter = (at: number): bigint => new DataView(b.buffer, b.byteOffset + at + 8, 8).getBigUint64(0, true);
  for (let size = 32; size + 32 <= b.length; size++) {
    let at = 0;
    while (at + size + 32 <= b.length && equal(b.subarray(at + size, at + size + 8), head) && counter(at + size) - counter(at) < 2n) at += size;
    if (at > 0 && b.length - at <= size) return size;
  }
  return 0;
}

// Padded to 16 bytes, or cut off at the MTU of a tunnel.
const padded = fc.integer({ min: 2, max: 93 }).map((n) => 16 * n);
const full = fc.integer({ min: 1280 + 32, max: 1500 });
test("of any segments", () => {
  fc.assert(
    fc.property(
      fc.nat(0xffff_ffff),
      fc.oneof(padded, full),
      fc.integer({ min: 1, max: 12 }),
      fc.nat(1000),
      fc.boolean(),
      (receiver, size, count, from, same) => {
        const last = same ? size : 32 + 16 * Math.floor((size - 32) / 32);
        const parts = Array.from({ length: count }, (_, i) => message(receiver, from + i, i === count - 1 && count > 1 ? last : size));
        const all = concat(...parts);
        expect(segmentSize(all, 0, all.length)).toBe(naive(all));
        expect(splitSegments(all).map((p) => p.length)).toEqual(parts.map((p) => p.length));
        // Anywhere in a frame.
        const frame = concat(new Uint8Array(3), all, new Uint8Array(5));
        expect(segmentSize(frame, 3, 3 + all.length)).toBe(segmentSize(all, 0, all.length));
      },
    ),
  );
});

test("of any bytes: none is cut that has not the same header again", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 3000, size: "max" }), (b) => {
      b.set([4, 0, 0, 0]);
      expect(segmentSize(b, 0, b.length)).toBe(naive(b));
    }),
  );
});
