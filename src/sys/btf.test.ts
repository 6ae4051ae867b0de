import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { TortieError } from "../base/errors.ts";
import { Btf } from "./btf.ts";

/** BTF by hand: types as words, strings in order. */
function blob(types: readonly number[], strings: readonly string[]): { bytes: Uint8Array; at(name: string): number } {
  const text = new TextEncoder().encode(`\0${strings.map((s) => `${s}\0`).join("")}`);
  const bytes = new Uint8Array(24 + 4 * types.length + text.length);
  const v = new DataView(bytes.buffer);
  v.setUint16(0, 0xeb9f, true);
  bytes[2] = 1;
  for (const [i, word] of [24, 0, 4 * types.length, 4 * types.length, text.length].entries()) v.setUint32(4 + 4 * i, word, true);
  for (const [i, word] of types.entries()) v.setUint32(24 + 4 * i, word, true);
  bytes.set(text, 24 + 4 * types.length);
  return { bytes, at: (name) => 1 + strings.slice(0, strings.indexOf(name)).reduce((n, s) => n + s.length + 1, 0) };
}
const STRUCT = (members: number, bitfields = false): number => ((4 << 24) | members | (bitfields ? 1 << 31 : 0)) >>> 0;
const INT = 1 << 24;
const CONST = 10 << 24;

describe("Btf", () => {
  const names = ["int", "inner", "a", "b", "outer", "x", "in"];
  const name = (n: string): number => blob([], names).at(n);
  const base = blob(
    [
      [name("int"), INT, 4, 32], // 1
      [name("inner"), STRUCT(2), 8, name("a"), 1, 0, name("b"), 1, 32], // 2
      [0, CONST, 2], // 3: const struct inner
      [name("outer"), STRUCT(3, true), 24, name("x"), 1, 0, name("in"), 3, 64, 0, 2, 128], // 4: inner once by name, once without
    ].flat(),
    names,
  );
  const kernel = new Btf(base.bytes);

  test.for<[string, string, number | undefined]>([
    ["inner", "b", 4],
    ["outer", "x", 0],
    ["outer", "in.b", 12],
    ["outer", "b", 20],
    ["outer", "in.x", undefined],
    ["outer", "x.y", undefined],
    ["in", "x", undefined],
    ["none", "x", undefined],
  ])("offset(%s, %s) is %s", ([struct, path, want]) => expect(kernel.offset(struct, path)).toBe(want));

  test("a module's types go on where the kernel's end", () => {
    const own = ["mod", "m"];
    const shift = 1 + names.reduce((n, s) => n + s.length + 1, 0);
    const at = (n: string): number => shift + blob([], own).at(n);
    const module = new Btf(blob([at("mod"), STRUCT(2), 32, at("m"), 1, 0, name("in"), 4, 64], own).bytes, kernel);
    expect([module.offset("mod", "m"), module.offset("mod", "in.in.b"), module.offset("outer", "b"), kernel.offset("mod", "m")]).toEqual([
      0,
      20,
      20,
      undefined,
    ]);
  });

  test("damage ends in words, never in a circle or another error", () => {
    expect(() => new Btf(new Uint8Array(10))).toThrow(TortieError);
    const { bytes } = base;
    for (let at = 0; at < bytes.length; at++)
      for (const flip of [0xff, 0x80, 1]) {
        const damaged = bytes.slice();
        damaged[at]! ^= flip;
        try {
          const types = new Btf(damaged);
          for (const path of ["in.b", "x", "b"]) types.offset("outer", path);
        } catch (e) {
          expect(e).toBeInstanceOf(TortieError);
        }
      }
  });

  const GCC = ["/usr/bin/gcc"].find((p) => existsSync(p));
  test.skipIf(GCC === undefined)("agrees with the compiler that wrote it [needs gcc and objcopy]", () => {
    const directory = mkdtempSync(join(tmpdir(), "tortie-btf-"));
    try {
      const source = `struct b { char q; int r : 3; int s; };
        struct a { int x; struct { long y; union { char z; short w; }; }; struct b const n[2]; volatile struct b m; };
        struct a value; int offsets[] = { __builtin_offsetof(struct a, y), __builtin_offsetof(struct a, w), __builtin_offsetof(struct a, m.s) };`;
      writeFileSync(join(directory, "x.c"), source);
      execFileSync(GCC!, ["-gbtf", "-c", "x.c", "-o", "x.o"], { cwd: directory });
      execFileSync("objcopy", ["--dump-section", ".BTF=x.btf", "--dump-section", ".data=x.data", "x.o"], { cwd: directory });
      const types = new Btf(new Uint8Array(readFileSync(join(directory, "x.btf"))));
      const data = readFileSync(join(directory, "x.data"));
      const want = [0, 4, 8].map((at) => data.readInt32LE(at));
      expect(["y", "w", "m.s"].map((path) => types.offset("a", path))).toEqual(want);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test.skipIf(!existsSync("/sys/kernel/btf/vmlinux"))("reads the running kernel's", () => {
    const types = new Btf(new Uint8Array(readFileSync("/sys/kernel/btf/vmlinux")));
    expect(types.offset("list_head", "prev")).toBe(8);
    expect(types.offset("net_device", "name")).toBeGreaterThanOrEqual(0);
  });
});
