import { describe, expect, test } from "vitest";
import { CallList, functionAddress } from "./calllist.ts";
import { share } from "./memory.ts";
import { Slab } from "./slab.ts";

const memory = share(65_536);
const slab = new Slab(memory, 4096);
const list = CallList.create(slab, 8);

describe.skipIf(list === undefined)(`calls in a list [${process.arch}]`, () => {
  test("are made in order, each with its arguments", () => {
    const [set, move] = ["memset", "memmove"].map(functionAddress);
    for (const i of [0, 1, 2]) {
      list!.callee(i, i === 1 ? move! : set!);
      list!.isPointer(i, 0);
      if (i === 1) list!.isPointer(i, 1);
    }
    // memset(0, 'a', 10); memmove(5, 0, 10); memset(0, 'b', 3)
    list!.pointer(0, 0, 0);
    list!.number(0, 1, 97);
    list!.number(0, 2, 10);
    list!.pointer(1, 0, 5);
    list!.pointer(1, 1, 0);
    list!.number(1, 2, 10);
    list!.pointer(2, 0, 0);
    list!.number(2, 1, 98);
    list!.number(2, 2, 3);
    list!.run(3);
    expect(Buffer.from(slab.u8.slice(0, 16)).toString("latin1")).toBe("bbbaaaaaaaaaaaa\0");
    slab.u8.fill(0, 0, 16);
    list!.run(1);
    expect(Buffer.from(slab.u8.slice(0, 12)).toString("latin1")).toBe("aaaaaaaaaa\0\0");
  });
  test("four arguments arrive; the fifth is the cipher's counter, which its own tests prove", () => {
    list!.callee(0, functionAddress("memccpy"));
    for (const k of [0, 1]) list!.isPointer(0, k);
    slab.u8.set([1, 2, 3, 4, 5], 100);
    slab.u8.fill(0, 200, 210);
    // memccpy(to, from, c, n): up to the first c.
    list!.pointer(0, 0, 200);
    list!.pointer(0, 1, 100);
    list!.number(0, 2, 3);
    list!.number(0, 3, 5);
    list!.run(1);
    expect(slab.u8.slice(200, 206)).toEqual(Uint8Array.of(1, 2, 3, 0, 0, 0));
  });
  test("its code may not be written to", async () => {
    const { readFileSync } = await import("node:fs");
    const both = readFileSync("/proc/self/maps", "utf8")
      .split("\n")
      .filter((line) => / rwx[ps] /.test(line) && !/\[|\//.test(line));
    // V8's own code pages may be both; ours is one page by itself.
    const pages = both.map((line) =>
      line
        .split(" ")[0]!
        .split("-")
        .map((x) => Number.parseInt(x, 16)),
    );
    expect(pages.filter(([from, to]) => to! - from! === 4096)).toEqual([]);
  });
});

test("a function that there is not", () => {
  expect(functionAddress("tortie_has_no_such_function")).toBe(0);
});
