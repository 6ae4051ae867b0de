import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type JsonObject, type JsonValue, sameJson } from "./json.ts";
import { jsonPatch, JsonPatchError } from "./jsonpatch.ts";
import { mergePatch } from "./mergepatch.ts";
import { NODE } from "./node.ts";
import { POD } from "./pod.ts";
import { strategicPatch, StrategicPatchError } from "./strategicpatch.ts";

// RFC 7386, appendix A: original, patch, result.
const MERGE: [JsonValue, JsonValue, JsonValue][] = [
  [{ a: "b" }, { a: "c" }, { a: "c" }],
  [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
  [{ a: "b" }, { a: null }, {}],
  [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
  [{ a: ["b"] }, { a: "c" }, { a: "c" }],
  [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
  [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
  [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
  [
    ["a", "b"],
    ["c", "d"],
    ["c", "d"],
  ],
  [{ a: "b" }, ["c"], ["c"]],
  [{ a: "foo" }, null, null],
  [{ a: "foo" }, "bar", "bar"],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: "b", c: null }, { a: "b" }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
];
test.for(MERGE)("mergePatch(%j, %j) is %j", ([original, patch, result]) => {
  const before = structuredClone(original);
  expect(mergePatch(original, patch)).toEqual(result);
  expect(original).toEqual(before);
});

describe("jsonPatch()", () => {
  // RFC 6902, appendix A, by its numbers.
  const CASES: { name: string; doc: JsonValue; patch: JsonValue; /** "malformed" and "misfit": why it is refused. */ want: JsonValue }[] = [
    { name: "A.1", doc: { foo: "bar" }, patch: [{ op: "add", path: "/baz", value: "qux" }], want: { baz: "qux", foo: "bar" } },
    { name: "A.2", doc: { foo: ["bar", "baz"] }, patch: [{ op: "add", path: "/foo/1", value: "qux" }], want: { foo: ["bar", "qux", "baz"] } },
    { name: "A.3", doc: { baz: "qux", foo: "bar" }, patch: [{ op: "remove", path: "/baz" }], want: { foo: "bar" } },
    { name: "A.4", doc: { foo: ["bar", "qux", "baz"] }, patch: [{ op: "remove", path: "/foo/1" }], want: { foo: ["bar", "baz"] } },
    { name: "A.5", doc: { baz: "qux", foo: "bar" }, patch: [{ op: "replace", path: "/baz", value: "boo" }], want: { baz: "boo", foo: "bar" } },
    {
      name: "A.6",
      doc: { foo: { bar: "baz", waldo: "fred" }, qux: { corge: "grault" } },
      patch: [{ op: "move", from: "/foo/waldo", path: "/qux/thud" }],
      want: { foo: { bar: "baz" }, qux: { corge: "grault", thud: "fred" } },
    },
    {
      name: "A.7",
      doc: { foo: ["all", "grass", "cows", "eat"] },
      patch: [{ op: "move", from: "/foo/1", path: "/foo/3" }],
      want: { foo: ["all", "cows", "eat", "grass"] },
    },
    {
      name: "A.8",
      doc: { baz: "qux", foo: ["a", 2, "c"] },
      patch: [
        { op: "test", path: "/baz", value: "qux" },
        { op: "test", path: "/foo/1", value: 2 },
      ],
      want: { baz: "qux", foo: ["a", 2, "c"] },
    },
    { name: "A.9", doc: { baz: "qux" }, patch: [{ op: "test", path: "/baz", value: "bar" }], want: "misfit" },
    {
      name: "A.10",
      doc: { foo: "bar" },
      patch: [{ op: "add", path: "/child", value: { grandchild: {} } }],
      want: { foo: "bar", child: { grandchild: {} } },
    },
    { name: "A.11", doc: { foo: "bar" }, patch: [{ op: "add", path: "/baz", value: "qux", xyz: 123 }], want: { foo: "bar", baz: "qux" } },
    { name: "A.12", doc: { foo: "bar" }, patch: [{ op: "add", path: "/baz/bat", value: "qux" }], want: "misfit" },
    { name: "A.14", doc: { "/": 9, "~1": 10 }, patch: [{ op: "test", path: "/~01", value: 10 }], want: { "/": 9, "~1": 10 } },
    { name: "A.15", doc: { "/": 9, "~1": 10 }, patch: [{ op: "test", path: "/~01", value: "10" }], want: "misfit" },
    { name: "A.16", doc: { foo: ["bar"] }, patch: [{ op: "add", path: "/foo/-", value: ["abc", "def"] }], want: { foo: ["bar", ["abc", "def"]] } },
    { name: "replace the whole", doc: { a: 1 }, patch: [{ op: "replace", path: "", value: { b: 2 } }], want: { b: 2 } },
    { name: "replace what is not there", doc: {}, patch: [{ op: "replace", path: "/a", value: 1 }], want: "misfit" },
    { name: "remove what is not there", doc: {}, patch: [{ op: "remove", path: "/a" }], want: "misfit" },
    { name: "index with a leading zero", doc: [1, 2], patch: [{ op: "remove", path: "/01" }], want: "misfit" },
    { name: "index past the end", doc: [1], patch: [{ op: "add", path: "/2", value: 1 }], want: "misfit" },
    { name: "into a text", doc: { a: "x" }, patch: [{ op: "add", path: "/a/b", value: 1 }], want: "misfit" },
    { name: "move into itself", doc: { a: { b: 1 } }, patch: [{ op: "move", from: "/a", path: "/a/b/c" }], want: "misfit" },
    { name: "move onto itself", doc: { a: 1 }, patch: [{ op: "move", from: "/a", path: "/a" }], want: { a: 1 } },
    { name: "a name of Object.prototype", doc: {}, patch: [{ op: "test", path: "/toString", value: 1 }], want: "misfit" },
    { name: "__proto__", doc: {}, patch: [{ op: "add", path: "/__proto__/x", value: 1 }], want: "malformed" },
    { name: "no value", doc: {}, patch: [{ op: "add", path: "/a" }], want: "malformed" },
    { name: "unknown op", doc: {}, patch: [{ op: "spam", path: "/a" }], want: "malformed" },
    { name: "no pointer", doc: {}, patch: [{ op: "remove", path: "a" }], want: "malformed" },
    { name: "bad escape", doc: {}, patch: [{ op: "remove", path: "/~2" }], want: "malformed" },
    { name: "not a list", doc: {}, patch: { op: "remove" }, want: "malformed" },
    { name: "too many operations", doc: {}, patch: Array<JsonValue>(10_001).fill({ op: "test", path: "", value: {} }), want: "malformed" },
  ];
  test.for(CASES)("$name", ({ doc, patch, want }) => {
    const before = structuredClone(doc);
    if (want === "malformed" || want === "misfit") {
      expect.assertions(3);
      try {
        jsonPatch(doc, patch);
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(JsonPatchError);
        expect((thrown as JsonPatchError).malformed).toBe(want === "malformed");
      }
    } else expect(jsonPatch(doc, patch)).toEqual(want);
    expect(doc).toEqual(before);
  });
  test("copies that double each time are stopped", () => {
    const patch = [
      { op: "add", path: "/a", value: ["x".repeat(1000)] },
      ...Array.from({ length: 40 }, () => ({ op: "copy", from: "/a", path: "/a/-" })),
    ];
    expect(() => jsonPatch({}, patch)).toThrow("too large");
  });
  test("agrees with mergePatch where both can say it", () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.stringMatching(/^[a-z~/]{1,3}$/), fc.integer()),
        fc.dictionary(fc.stringMatching(/^[a-z~/]{1,3}$/), fc.option(fc.integer())),
        (doc, merge) => {
          const escape = (k: string): string => k.replaceAll("~", "~0").replaceAll("/", "~1");
          const patch = Object.entries(merge).flatMap(([k, v]): JsonValue[] =>
            v !== null ? [{ op: "add", path: `/${escape(k)}`, value: v }] : Object.hasOwn(doc, k) ? [{ op: "remove", path: `/${escape(k)}` }] : [],
          );
          expect(sameJson(jsonPatch(doc, patch), mergePatch(doc, merge))).toBe(true);
        },
      ),
    );
  });
});

describe("strategicPatch()", () => {
  const node = {
    status: {
      conditions: [
        { type: "Ready", status: "True", reason: "a" },
        { type: "Disk", status: "False" },
      ],
    },
    spec: { taints: [{ key: "a", effect: "x" }] },
  };
  const CASES: { name: string; kind: "node" | "pod"; doc: JsonObject; patch: JsonObject; want: JsonValue }[] = [
    {
      name: "a list with a merge key merges by it",
      kind: "node",
      doc: node,
      patch: {
        status: {
          conditions: [
            { type: "Ready", status: "False" },
            { type: "New", status: "True" },
          ],
        },
      },
      want: {
        ...node,
        status: {
          conditions: [
            { type: "Ready", status: "False", reason: "a" },
            { type: "Disk", status: "False" },
            { type: "New", status: "True" },
          ],
        },
      },
    },
    {
      name: "a list without one is replaced",
      kind: "node",
      doc: node,
      patch: { spec: { taints: [{ key: "b", effect: "y" }] } },
      want: { ...node, spec: { taints: [{ key: "b", effect: "y" }] } },
    },
    {
      name: "$patch: delete removes an item",
      kind: "node",
      doc: node,
      patch: { status: { conditions: [{ type: "Disk", $patch: "delete" }] } },
      want: { ...node, status: { conditions: [{ type: "Ready", status: "True", reason: "a" }] } },
    },
    {
      name: "$patch: replace replaces an object",
      kind: "node",
      doc: { metadata: { labels: { a: "1", b: "2" } } },
      patch: { metadata: { labels: { $patch: "replace", c: "3" } } },
      want: { metadata: { labels: { c: "3" } } },
    },
    {
      name: "null deletes",
      kind: "node",
      doc: { metadata: { labels: { a: "1", b: "2" } } },
      patch: { metadata: { labels: { a: null } } },
      want: { metadata: { labels: { b: "2" } } },
    },
    {
      name: "primitive lists with strategy merge are unions; $deleteFromPrimitiveList",
      kind: "node",
      doc: { metadata: { finalizers: ["a/b", "c/d"] } },
      patch: { metadata: { finalizers: ["e/f", "a/b"], "$deleteFromPrimitiveList/finalizers": ["c/d"] } },
      want: { metadata: { finalizers: ["a/b", "e/f"] } },
    },
    {
      name: "$setElementOrder orders",
      kind: "pod",
      doc: { spec: { containers: [{ name: "a" }, { name: "b" }, { name: "c" }] } },
      patch: { spec: { "$setElementOrder/containers": [{ name: "c" }, { name: "a" }], containers: [{ name: "a", image: "i" }] } },
      want: { spec: { containers: [{ name: "c" }, { name: "b" }, { name: "a", image: "i" }] } },
    },
    {
      name: "$retainKeys drops the others",
      kind: "pod",
      doc: { spec: { volumes: [{ name: "v", emptyDir: {} }] } },
      patch: { spec: { volumes: [{ name: "v", hostPath: { path: "/" }, $retainKeys: ["name", "hostPath"] }] } },
      want: { spec: { volumes: [{ name: "v", hostPath: { path: "/" } }] } },
    },
  ];
  test.for(CASES)("$name", ({ kind, doc, patch, want }) => {
    const before = structuredClone(doc);
    expect(strategicPatch(doc, patch, (kind === "node" ? NODE : POD).schema)).toEqual(want);
    expect(doc).toEqual(before);
  });
  test("an item without its merge key, and an unknown directive, are refused", () => {
    expect(() => strategicPatch(node, { status: { conditions: [{ status: "True" }] } }, NODE.schema)).toThrow(StrategicPatchError);
    expect(() => strategicPatch(node, { $patch: "explode" }, NODE.schema)).toThrow(StrategicPatchError);
  });
});
