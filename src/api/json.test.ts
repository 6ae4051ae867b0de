import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { copyJson, InexactNumber, MAX_DEPTH, parseJson, sameJson } from "./json.ts";

describe("parseJson()", () => {
  test.for([
    { text: '{"a":1,"a":2}', duplicates: ["a"] },
    { text: '{"spec":{"b":[{"c":1},{"c":1,"c":2}]},"spec":{}}', duplicates: ["spec.b[1].c", "spec"] },
    { text: '{"\\u0061":1,"a":2}', duplicates: ["a"] },
    { text: '{"a":"a","b":["a","a"],"c":{"a":1}}', duplicates: [] },
    { text: '{"a\\"":1 , "a\\"" : 2}', duplicates: ['a"'] },
    { text: '["a","a",{"x":1}]', duplicates: [] },
    { text: '[[1,2],[3,[4]],{"k":[0,{"z":1,"z":1}]}]', duplicates: ["[2].k[1].z"] },
  ])("$text repeats $duplicates", ({ text, duplicates }) => expect(parseJson(text).duplicates).toEqual(duplicates));
  test.for([
    "",
    "{",
    "[1,]",
    "nul",
    '{"a"}',
    '{"__proto__":1}',
    '{"\\u005f_proto__":{}}',
    "[".repeat(MAX_DEPTH + 1) + "]".repeat(MAX_DEPTH + 1),
    "[".repeat(1_000_000),
  ])("%.30s is refused", (text) => expect(() => parseJson(text)).toThrow(SyntaxError));
  test.for([
    { text: '{"a":9007199254740992}', field: "a" },
    { text: '{"a":[1,{"b":-9007199254740993}]}', field: "a[1].b" },
    { text: "[12345678901234567890]", field: "[0]" },
    { text: "1e999", field: "" },
    { text: '{"a":-1e400}', field: "a" },
  ])("$text would come back as another number", ({ text, field }) => {
    expect(() => parseJson(text)).toThrow(InexactNumber);
    expect(() => parseJson(text)).toThrow(expect.objectContaining({ field }));
  });
  test("gives what JSON.parse gives, and finds no repetition in what JSON.stringify wrote", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8 }), fc.constantFrom(undefined, 1), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        fc.pre(!text.includes("__proto__") && !/[0-9]{16}/.test(text));
        expect(parseJson(text)).toEqual({ value: JSON.parse(text), duplicates: [] });
      }),
    );
  });
});

test("sameJson() does not mind the order of keys, and copyJson() shares nothing", () => {
  expect(sameJson({ a: 1, b: [{ c: null }] }, { b: [{ c: null }], a: 1 })).toBe(true);
  for (const [a, b] of [
    [{ a: 1 }, { a: 1, b: undefined }],
    [{ a: 1 }, { b: 1 }],
    [[1], { 0: 1 }],
    [
      [1, 2],
      [2, 1],
    ],
    [{ toString: 1 }, { other: 1 }],
    [null, {}],
  ])
    expect(sameJson(a, b)).toBe(false);
  const original = { a: [{ b: 1 }] };
  const copy = copyJson(original);
  copy.a[0]!.b = 2;
  expect(original.a[0]!.b).toBe(1);
});
