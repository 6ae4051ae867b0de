import { randomInt } from "node:crypto";
import { describe, expect, test } from "vitest";
import { runProgram } from "../capture/filter/interpret.ts";
import type { Program } from "../capture/filter/types.ts";
import { MessageType, writeU32 } from "../wireguard/messages.ts";
import { indexFilter } from "./indexfilter.ts";

const LONGEST = 4096;
/** Where the interpreter, which has no network header, reads the source address instead: within the message's counter. */
const ADDRESS = 16;

/** As the kernel takes it, but for the address of the source, which is read at ADDRESS. */
const here = (program: Program): Program => program.map((i) => (i.code === 0x20 && i.k >= 0xfff0_0000 ? { ...i, k: ADDRESS } : i));
function datagram(type: number, index: number, address: number, length = 40): Uint8Array {
  const bytes = new Uint8Array(48);
  writeU32(bytes, 8, type);
  writeU32(bytes, 12, index);
  new DataView(bytes.buffer).setUint32(ADDRESS, address);
  return bytes.subarray(0, length);
}
const draw = (n: number): Set<number> => {
  const values = new Set<number>();
  while (values.size < n) values.add(randomInt(2 ** 32));
  return values;
};
const near = (values: Set<number>): number[] => [...values].flatMap((v) => [v, (v + 1) >>> 0, (v - 1) >>> 0]);

describe("the filter against junk", () => {
  test.each([0, 1, 2, 4, 5, 9, 64, 65, 300, 700])("of %i indices and as many addresses passes what a set has, and nothing else", (n) => {
    const [indices, addresses] = [draw(n), draw(n)];
    const program = here(indexFilter(4, indices, addresses)!);
    const stranger = [...draw(n + 1)].find((a) => !addresses.has(a))!;
    const passes = (bytes: Uint8Array): boolean => runProgram(program, bytes) !== 0;
    for (const index of [...near(indices), 0, 2 ** 32 - 1, ...draw(100)]) {
      expect(passes(datagram(MessageType.DATA, index, stranger)), `index ${index} of ${[...indices].join()}`).toBe(indices.has(index));
      // What is no message at all is no better.
      expect(passes(datagram(5, index, stranger))).toBe(indices.has(index));
    }
    const unknown = [...draw(n + 1)].find((i) => !indices.has(i))!;
    for (const address of [...near(addresses), 0, ...draw(100)])
      expect(passes(datagram(MessageType.DATA, unknown, address)), `address ${address} of ${[...addresses].join()}`).toBe(addresses.has(address));
    for (const type of [MessageType.INITIATION, MessageType.RESPONSE, MessageType.COOKIE]) {
      expect(passes(datagram(type, unknown, stranger))).toBe(true);
      // The three bytes after the type are zero in every message.
      expect(passes(datagram(type | 0x100, unknown, stranger))).toBe(false);
    }
    // An empty one, and one that ends before its index.
    expect([8, 11, 15].map((length) => passes(datagram(MessageType.DATA, unknown, stranger, length)))).toEqual([false, false, false]);
  });

  test("is the kernel's to take: every jump lands within, forwards, and it is no longer than it may be", () => {
    for (const n of [0, 3, 100, 700]) {
      const program = indexFilter(6, draw(n), draw(n))!;
      program.forEach(({ code, jt, jf, k }, at) => {
        if (code === 0x05) expect(at + 1 + k).toBeLessThan(program.length);
        else if ((code & 7) === 5) expect(Math.max(jt, jf)).toBeLessThan(Math.min(256, program.length - at - 1));
      });
      expect(program.length).toBeLessThanOrEqual(LONGEST);
    }
    expect(indexFilter(6, draw(1000), draw(700))).toBeUndefined();
  });
});
