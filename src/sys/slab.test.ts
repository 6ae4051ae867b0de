import { describe, expect, test } from "vitest";
import { release, share } from "./memory.ts";
import { Slab } from "./slab.ts";

describe("Slab", () => {
  test("take() aligns, and refuses what does not fit", () => {
    const slab = new Slab(share(1 << 16), 100, 1000);
    expect(slab.take(10)).toBe(112);
    expect(slab.take(1, 64)).toBe(128);
    expect(() => slab.take(1000)).toThrow(RangeError);
  });

  test.for([0, 0x1_0000_0000, 0x7fff_ffff_f000])("point() stores a native address in two words, the memory being at %i", (base) => {
    const memory = share(1 << 16);
    const slab = new Slab(base === 0 ? memory : { ...memory, base });
    for (const to of [0, 4321, 0xffff]) {
      slab.point(8, to);
      expect(new DataView(slab.buffer).getBigUint64(8, true)).toBe(BigInt(slab.base) + BigInt(to));
    }
    release(memory);
  });
});
