import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { assemble, carrier, MODULES } from "./wat.ts";

test.for(MODULES)("$target is what tools/wat.ts makes of its source", ({ source, target }) =>
  expect(readFileSync(target, "utf8"), "run npx tsx tools/wat.ts").toBe(carrier(source)),
);

/** Runs `body` as a function of two numbers. */
const run = (body: string, a: number, b: number): number => {
  const text = `(module (func $f (export "f") (param $a i32) (param $b i32) (result i32) (local $x v128) (local $y i64) ${body}))`;
  return new WebAssembly.Instance<{ f: (a: number, b: number) => number }>(new WebAssembly.Module(assemble(text))).exports.f(a, b);
};

test.for([
  { body: "(i32.sub (local.get $a) (local.get $b))", a: 7, b: 9, result: -2 },
  { body: "(i32.add (local.get $a) (i32.const -129))", a: 1, b: 0, result: -128 },
  { body: "(i32.const 0xffff_ffff)", a: 0, b: 0, result: -1 },
  { body: "(i32.const 64)", a: 0, b: 0, result: 64 },
  { body: "(i32.wrap_i64 (i64.shr_u (i64.const 0x8000000000000000) (i64.const 63)))", a: 0, b: 0, result: 1 },
  { body: "(if (result i32) (local.get $a) (then (i32.const 1)) (else (i32.const 2)))", a: 0, b: 0, result: 2 },
  {
    body: "(block $out (loop $l (br_if $out (i32.eqz (local.get $a))) (local.set $b (i32.add (local.get $b) (local.get $a))) (local.set $a (i32.sub (local.get $a) (i32.const 1))) (br $l))) (local.get $b)",
    a: 4,
    b: 100,
    result: 110,
  },
  { body: "(i32x4.extract_lane 2 (i32x4.add (v128.const i32x4 1 2 3 4) (i32x4.splat (local.get $a))))", a: 10, b: 0, result: 13 },
  {
    body: "(i32x4.extract_lane 1 (i8x16.shuffle 0 1 2 3 16 17 18 19 0 0 0 0 0 0 0 0 (i32x4.splat (i32.const 1)) (i32x4.splat (local.get $a))))",
    a: 9,
    b: 0,
    result: 9,
  },
  { body: ";; a comment\n (i32x4.extract_lane 1 (v128.const i16x8 0 0 0xffff 1 0 0 0 0))", a: 0, b: 0, result: 0x1ffff },
])("assemble() $body", ({ body, a, b, result }) => expect(run(body, a, b)).toBe(result));

test.for([
  { text: "(module (func $f (nope)))", why: "nope" },
  { text: "(module (func $f (local.get $x)))", why: "$x" },
  { text: "(module", why: "not closed" },
  { text: "(module))", why: "too many" },
  { text: "(module (func $f (i32.const 1.5)))", why: "whole number" },
  { text: "(module (func $f (v128.const i32x4 1 2)))", why: "2 lanes" },
  { text: "(module (func $f (i8x16.shuffle 1 2 3)))", why: "3 lanes" },
])("assemble() refuses $text", ({ text, why }) => expect(() => assemble(text)).toThrow(why));
