// Cases after those of Calico's own parser tests (libcalico-go/lib/selector/parser/parser_test.go), told anew.
import { expect, test } from "vitest";
import { SelectorError } from "./labelselector.ts";
import { parseSelector, selectorErrors, selects } from "./selector.ts";

type Labels = Record<string, string>;
test.for<[string, Labels[], Labels[]]>([
  ["", [{}, { a: "b" }], []],
  [" \t", [{}], []],
  [" all( ) ", [{}, { a: "b" }], []],
  ["global()", [{}], []],
  ["has(a)", [{ a: "" }], [{}, { b: "a" }]],
  ["has( a.b/c-d_e )", [{ "a.b/c-d_e": "" }], [{ a: "b" }]],
  ["! has(a)", [{}], [{ a: "b" }]],
  ["!! ! has(a)", [{}], [{ a: "b" }]],
  ['a == "b"', [{ a: "b", c: "d" }], [{}, { a: "c" }, { c: "b" }]],
  ["a=='b'", [{ a: "b" }], [{ a: "" }]],
  ["a == ''", [{ a: "" }], [{}, { a: "b" }]],
  ["a != 'b'", [{}, { a: "c" }], [{ a: "b" }]],
  [`a in {"'", '"', "c"}`, [{ a: "c" }, { a: '"' }, { a: "'" }], [{}, { a: "e" }]],
  [`a not in {"'", '"', "c"}`, [{}, { a: "e" }], [{ a: "c" }, { a: '"' }, { a: "'" }]],
  ["a notin {'b',}", [{}], [{ a: "b" }]],
  ["a in {}", [], [{}, { a: "" }]],
  ["a contains 'a'", [{ a: "a" }, { a: "bab" }], [{}, { a: "b" }, { b: "a" }]],
  ["a starts with 'a'", [{ a: "a" }, { a: "abb" }], [{}, { a: "ba" }, { b: "a" }]],
  ["a startswith'a'", [{ a: "ab" }], [{ a: "ba" }]],
  ["a ends  with 'a'", [{ a: "a" }, { a: "bba" }], [{}, { a: "ab" }, { b: "a" }]],
  ["a == 'b' && c == 'd'", [{ a: "b", c: "d" }], [{}, { a: "b" }, { c: "d" }, { a: "b", c: "e" }]],
  ["a == 'b' || c == 'd'", [{ a: "b" }, { c: "d" }, { a: "b", c: "d" }], [{}, { a: "e", c: "e" }]],
  // && binds closer than ||, ! closer than both.
  ["has(a) || has(b) && has(c)", [{ a: "" }, { b: "", c: "" }], [{ b: "" }, { c: "" }]],
  ["(has(a) || has(b)) && has(c)", [{ a: "", c: "" }], [{ a: "" }, { b: "" }]],
  ["!has(a) && has(b)", [{ b: "" }], [{}, { a: "", b: "" }]],
  ["!(!has(a) || has(b))", [{ a: "" }], [{}, { b: "" }, { a: "", b: "" }]],
  ["!a in {'a'}", [{}, { a: "b" }], [{ a: "a" }]],
  // Names that JavaScript's objects have anyway are no labels.
  ["has(constructor) || has(__proto__)", [], [{}]],
  ["all == 'x' && in in {'y'}", [{ all: "x", in: "y" }], [{ all: "x" }]],
])("%j", ([text, matching, others]) => {
  const selector = parseSelector(text);
  for (const labels of matching) expect(selector(labels), JSON.stringify(labels)).toBe(true);
  for (const labels of others) expect(selector(labels), JSON.stringify(labels)).toBe(false);
});

test.for([
  "b == b",
  "b contains b",
  "b starts with b",
  "b ends with b",
  "b starts 'b'",
  "b not 'b'",
  "'b1' == b",
  "b",
  "a b",
  "a = 'b'",
  "!",
  "foo == 'bar' &",
  "foo == 'bar' |",
  "foo != ||",
  'foo in {"", ||',
  "foo in ''",
  "foo in {'a' 'b'}",
  "foo in {,}",
  '"FOO',
  "a == 'FOO\"",
  "(",
  "(a == 'foo'",
  ")",
  "()",
  "%",
  "a == 'b' && %",
  "has(foo) &&",
  "has (foo)",
  "has()",
  "all() all()",
  "all()\n",
])("%j is refused", (text) => {
  expect(() => parseSelector(text)).toThrow(SelectorError);
  expect(selects(text, { a: "b", b: "b", foo: "bar" })).toBe(false);
});

test("says where it stopped", () => {
  expect(() => parseSelector("zone == b")).toThrow('invalid selector: expected a text in quotes at "b"');
  expect(() => parseSelector("zone ==")).toThrow("invalid selector: expected a text in quotes at its end");
  expect(selectorErrors("spec.nodeSelector", "zone")).toEqual([
    {
      field: "spec.nodeSelector",
      reason: "FieldValueInvalid",
      message: 'Invalid value: "zone": invalid selector: expected an operator, such as == or in, at its end',
    },
  ]);
  expect(selectorErrors("spec.nodeSelector", undefined)).toEqual([]);
});

test("long ones take their time, not the stack", () => {
  expect(parseSelector(`${"!".repeat(100_000)}has(a)`)({})).toBe(false);
  expect(parseSelector(Array.from({ length: 20_000 }, () => "has(a)").join(" || "))({ a: "" })).toBe(true);
  expect(() => parseSelector(`${"(".repeat(100_000)}all()`)).toThrow("parentheses deeper than 100");
});
