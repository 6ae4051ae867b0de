// The opener in WebAssembly beside its naive twin: the same texts, the same refusals.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, toHex } from "../base/bytes.ts";
import { oneByOne, textOf } from "../capture/opener.ts";
import { nonceOf } from "../capture/replay.ts";
import { nobleCrypto } from "./noble.ts";
import { wasmOpener } from "./wasmopener.ts";

const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31);

describe(`wasmOpener(), seed ${SEED}`, () => {
  const [mine, twin] = [wasmOpener(nobleCrypto)!, oneByOne(nobleCrypto)];
  const none = new Uint8Array(0);
  const message = fc.record({
    key: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    counter: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    text: fc.uint8Array({ maxLength: 1500, size: "max" }),
    damage: fc.option(fc.nat(0xffff)),
  });
  const sealed = (key: Uint8Array, counter: bigint, text: Uint8Array): Uint8Array<ArrayBuffer> =>
    concat(new Uint8Array([4, 0, 0, 0, 1, 2, 3, 4]), nonceOf(counter).subarray(4), nobleCrypto.seal(key, nonceOf(counter), text, none));

  test("batches of any messages: those that are damaged, and only those, are refused", () => {
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: mine.capacity }), (all) => {
        for (const { key, counter, text, damage } of all) {
          const bytes = sealed(key, counter, text);
          if (damage !== null) bytes[8 + (damage % (bytes.length - 8))]! ^= 1 << (damage & 7);
          for (const o of [mine, twin]) o.add(key, bytes, 0, bytes.length);
        }
        for (const o of [mine, twin]) o.run();
        all.forEach(({ text, damage }, i) => {
          const [a, b] = [textOf(mine, i, text.length), textOf(twin, i, text.length)];
          expect(a && toHex(a)).toBe(b && toHex(b));
          expect(a && toHex(a)).toBe(damage === null ? toHex(text) : undefined);
        });
      }),
      { seed: SEED, numRuns: 40 },
    );
  });

  test("the longest message", () => {
    const [key, text] = [new Uint8Array(32).fill(9), new Uint8Array(mine.longest - 32).map((_, i) => i * 7)];
    mine.add(key, sealed(key, 5n, text), 0, mine.longest);
    mine.run();
    expect(toHex(textOf(mine, 0, text.length)!)).toBe(toHex(text));
  });

  test("where a page forbids WebAssembly there is none, and nothing is thrown", () => {
    const { Module } = WebAssembly;
    WebAssembly.Module = class {
      constructor() {
        throw new WebAssembly.CompileError("Refused by the Content-Security-Policy");
      }
    } as typeof Module;
    try {
      expect(wasmOpener(nobleCrypto)).toBeUndefined();
    } finally {
      WebAssembly.Module = Module;
    }
  });

  test("what does not agree with the crypto at hand is not used", () => {
    expect(wasmOpener({ seal: (_key, _nonce, text) => concat(text, new Uint8Array(16)) })).toBeUndefined();
  });

  test("wipe() leaves no key and no text", () => {
    const { buffer } = ((): Uint8Array => {
      const [key, text] = [new Uint8Array(32).fill(0xa7), new Uint8Array(96).fill(0x5e)];
      mine.add(key, sealed(key, 1n, text), 0, text.length + 32);
      mine.run();
      return mine.memory(0);
    })();
    expect(new Uint8Array(buffer).some((b) => b === 0xa7)).toBe(true);
    mine.wipe();
    expect(new Uint8Array(buffer).every((b) => b === 0)).toBe(true);
  });
});
