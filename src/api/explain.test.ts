import { describe, expect, test } from "vitest";
import { explain, fieldAt, splitField, typeName } from "./explain.ts";
import { findKind, KINDS } from "./kinds.ts";
import { OBJECT_META, type Schema } from "./schema.ts";

const POOL = findKind("ippools")!;

describe("explain", () => {
  test("a field: its words and limits", () =>
    expect(explain(POOL, ["spec", "blockSize"])).toBe(`GROUP:      projectcalico.org
KIND:       IPPool
VERSION:    v3

FIELD: blockSize <integer>

DESCRIPTION:
    Prefix length of the blocks that the pool is cut into. [Default: 26, or 122
    for IPv6] (from 20 to 128)
`));
  test("a choice", () => expect(explain(POOL, ["spec", "vxlanMode"])).toContain("\nENUM:\n    Never\n    Always\n    CrossSubnet\n"));
  test("an object lists its fields, those that must be there marked", () => {
    const text = explain(POOL, ["spec"]);
    expect(text).toContain("FIELD: spec <Object>\n");
    expect(text).toContain("\n  cidr\t<string> -required-\n    The range, its host bits zero. Cannot be changed.\n");
    expect(text).toContain("\n  ipipMode\t<string>\n  enum: Never, Always, CrossSubnet\n");
  });
  test("recursive: names and types of everything, indented", () => {
    const text = explain(POOL, [], { recursive: true });
    expect(text).toContain("\n  metadata\t<ObjectMeta>\n    annotations\t<map[string]string>\n");
    expect(text).toContain("\n    ownerReferences\t<[]Object>\n      apiVersion\t<string> -required-\n");
    expect(text).not.toContain("The range");
  });
  test.for<[Schema, string]>([
    [OBJECT_META, "ObjectMeta"],
    [{ "x-kubernetes-int-or-string": true }, "IntOrString"],
    [{ type: "array", items: { type: "array", items: { type: "boolean" } } }, "[][]boolean"],
    [{ type: "object", additionalProperties: { type: "object" } }, "map[string]Object"],
    [{}, "Object"],
  ])("%j is %s", ([schema, name]) => expect(typeName(schema)).toBe(name));
  test.for<[string, string | undefined, string[]]>([
    ["ippools.spec.cidr", "IPPool", ["spec", "cidr"]],
    ["ippools.projectcalico.org.spec", "IPPool", ["spec"]],
    ["no", "Node", []],
    ["nosuch.spec", undefined, []],
  ])("%s is about %s", ([text, kind, path]) => {
    const found = splitField(text, findKind);
    expect([found?.kind.kind, found?.path ?? []]).toEqual([kind, path]);
  });
  test.for<[string[], number]>([
    [["spec", "nope"], 1],
    [["constructor"], 0],
    [["metadata", "labels", "x"], 2],
  ])("%j ends after %d", ([path, at]) => expect(fieldAt(POOL.schema, path)).toBe(at));
  test("every field of every kind is described", () => {
    const bare: string[] = [];
    const walk = (schema: Schema, path: string): void => {
      for (const [name, field] of Object.entries(schema.properties ?? {})) {
        if (field.description === undefined && !field["x-kubernetes-int-or-string"]) bare.push(`${path}.${name}`);
        walk(field, `${path}.${name}`);
      }
      if (schema.items) walk(schema.items, `${path}[]`);
      if (schema.additionalProperties) walk(schema.additionalProperties, `${path}{}`);
    };
    for (const kind of KINDS) walk(kind.schema, kind.kind);
    expect(bare).toEqual([]);
  });
});
