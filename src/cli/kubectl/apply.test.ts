import fc from "fast-check";
import { expect, test } from "vitest";
import type { JsonObject } from "../../api/json.ts";
import { mergePatch } from "../../api/mergepatch.ts";
import { threeWay } from "./apply.ts";

// The documentation's own rules: https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/#how-apply-calculates-differences-and-merges-changes
test.for<{ name: string; before: JsonObject; wanted: JsonObject; there: JsonObject; patch: JsonObject | undefined }>([
  { name: "nothing to do", before: { a: 1 }, wanted: { a: 1 }, there: { a: 1, b: 2 }, patch: undefined },
  { name: "a changed field", before: { a: 1 }, wanted: { a: 2 }, there: { a: 1, b: 2 }, patch: { a: 2 } },
  { name: "a field changed by another is set back", before: { a: 1 }, wanted: { a: 1 }, there: { a: 7 }, patch: { a: 1 } },
  { name: "a field no longer wanted goes", before: { a: 1, b: 1 }, wanted: { a: 1 }, there: { a: 1, b: 1 }, patch: { b: null } },
  { name: "a field of others stays", before: {}, wanted: {}, there: { b: 1 }, patch: undefined },
  { name: "what is gone already is not removed again", before: { a: 1, b: 1 }, wanted: { a: 1 }, there: { a: 1 }, patch: undefined },
  { name: "deep", before: { s: { x: 1, y: 1 } }, wanted: { s: { y: 2 } }, there: { s: { x: 1, y: 1, z: 1 } }, patch: { s: { x: null, y: 2 } } },
  { name: "lists are replaced as a whole", before: {}, wanted: { l: [1] }, there: { l: [1, 2] }, patch: { l: [1] } },
])("threeWay(): $name", ({ before, wanted, there, patch }) => {
  expect(threeWay(before, wanted, there)).toEqual(patch);
});

test("threeWay() gives all that is wanted, and applied once more it has nothing to do", () => {
  const leaf = fc.oneof(fc.integer({ min: 0, max: 2 }), fc.constant("x"));
  const object = fc.dictionary(
    fc.constantFrom("a", "b", "c"),
    fc.oneof(leaf, fc.dictionary(fc.constantFrom("a", "b"), leaf)),
  ) as fc.Arbitrary<JsonObject>;
  fc.assert(
    fc.property(object, object, object, (before, wanted, there) => {
      const after = mergePatch(there, threeWay(before, wanted, there) ?? {}) as JsonObject;
      expect(after).toMatchObject(wanted);
      expect(threeWay(wanted, wanted, after)).toBeUndefined();
    }),
  );
});
