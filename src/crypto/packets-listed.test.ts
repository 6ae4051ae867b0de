// The calls in lists beside noble's, message by message: random batches at random places, aligned or not, back to back as they arrive.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toHex } from "../base/bytes.ts";
import { share } from "../sys/memory.ts";
import { Slab } from "../sys/slab.ts";
import { noblePackets } from "./noble.ts";
import { listedPackets } from "./packets-listed.ts";

const memory = share(4 << 20);
const slab = new Slab(memory);
const listed = listedPackets(slab);
const { u8 } = slab;
const key = slab.take(64);
const area = slab.take(1 << 20, 64);
const opened = slab.take(1 << 20, 64);
const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31);

/** Ciphertext and tag by noble. */
function right(counter: bigint, text: Uint8Array): string {
  const other = new Uint8Array(256 + 2 * text.length + 256);
  other.set(u8.subarray(key, key + 32));
  other.set(text, 128);
  noblePackets(other.buffer).seal(0, Number(counter & 0xffff_ffffn), Number(counter >> 32n), 128, 128 + text.length + 128, text.length);
  return toHex(other.subarray(256 + text.length, 256 + 2 * text.length + 16));
}

describe.skipIf(listed === undefined)(`packets in lists, seed ${SEED}`, () => {
  const { sealer, opener } = listed!;
  for (let i = 0; i < 32; i++) u8[key + i] = i * 7;
  const texts = fc.array(fc.uint8Array({ maxLength: 1500, size: "max" }), { minLength: 1, maxLength: sealer.capacity });
  const counter = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

  test("batches are sealed as noble does, each message where it lies, and opened again; those that are damaged, and only those, are refused", () => {
    fc.assert(
      fc.property(texts, counter, fc.nat(63), fc.nat(0xffff), (all, first, offset, damage) => {
        const at = all.map((_, i) => area + 64 + offset + i * 1728);
        const counters = all.map((_, i) => (first + BigInt(i)) & (2n ** 64n - 1n));
        all.forEach((text, i) => u8.set(text, at[i]));
        all.forEach((text, i) => sealer.seal(key, Number(counters[i]! & 0xffff_ffffn), Number(counters[i]! >> 32n), at[i]!, text.length));
        sealer.run();
        const sealed = all.map((text, i) => u8.slice(at[i], at[i]! + text.length + 16));
        expect(sealed.map(toHex)).toEqual(all.map((text, i) => right(counters[i]!, text)));

        // Back to back: header, ciphertext and tag, as UDP_GRO delivers them. The first has room before it, the others the one before.
        const bad = (i: number): boolean => ((damage >> i) & 1) === 1;
        let end = area + 128 + offset;
        const starts = sealed.map((message, i) => {
          const start = end + 16;
          new DataView(slab.buffer).setBigUint64(start - 8, counters[i]!, true);
          u8.set(message, start);
          if (bad(i)) u8[start + (damage % message.length)]! ^= 1 << (damage % 8);
          end = start + message.length;
          return start;
        });
        const behind = u8.slice(end, end + 64);
        all.forEach((text, i) => opener.open(key, starts[i]! - 8, starts[i]!, opened + 64 + i * 1728, text.length));
        opener.run();
        all.forEach((text, i) => {
          const plain = u8.slice(opened + 64 + i * 1728, opened + 64 + i * 1728 + text.length);
          expect(opener.opened(i)).toBe(!bad(i));
          expect(plain).toEqual(bad(i) ? new Uint8Array(text.length) : text);
        });
        expect(u8.slice(end, end + 64)).toEqual(behind);
      }),
      { seed: SEED, numRuns: 150 },
    );
  });
  test("nothing outside the rooms changes", () => {
    for (const length of [0, 1, 12, 15, 16, 100, 1420]) {
      const at = area + 4096;
      u8.fill(0xa5, area, area + 16_384);
      sealer.seal(key, 1, 0, at, length);
      sealer.run();
      expect(u8.subarray(area, at - 64).every((b) => b === 0xa5)).toBe(true);
      expect(u8.subarray(at + length + 32, area + 16_384).every((b) => b === 0xa5)).toBe(true);
      const before = u8.slice(at - 16, area + 16_384);
      u8.fill(0x5a, opened, opened + 16_384);
      new DataView(slab.buffer).setBigUint64(key + 32, 1n, true);
      opener.open(key, key + 32, at, opened + 4096, length);
      opener.run();
      expect(opener.opened(0)).toBe(true);
      expect(u8.slice(at - 16, area + 16_384), "header, ciphertext, tag and what follows").toEqual(before);
      expect(u8.subarray(opened, opened + 4096 - 64).every((b) => b === 0x5a)).toBe(true);
      expect(u8.subarray(opened + 4096 + length, opened + 16_384).every((b) => b === 0x5a)).toBe(true);
    }
  });
  test("an empty batch is no call", () => {
    sealer.run();
    opener.run();
  });
});
