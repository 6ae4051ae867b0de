import fc from "fast-check";
import { expect, test } from "vitest";
import type { Resource } from "../../api/meta.ts";
import { TortieError } from "../../base/errors.ts";
import type { Backend } from "./backend.ts";
import { PATCH_TYPES, patchResource, type PatchType } from "./patch.ts";
import { typeOf } from "./types.ts";

const stored = (): Resource =>
  ({
    apiVersion: "projectcalico.org/v3",
    kind: "FelixConfiguration",
    metadata: { name: "default", uid: "u", resourceVersion: "1", labels: { a: "b" } },
    spec: { wireguardEnabled: false, wireguardListeningPort: 51820, routeTableRanges: [{ min: 1, max: 250 }] },
  }) as Resource;

async function patched(text: string, type: PatchType): Promise<Resource> {
  let object = stored();
  const backend = {
    modify: async (_type: unknown, _name: string, _namespace: unknown, change: (current: Resource) => Resource) => (object = change(object)),
  } as unknown as Backend;
  await patchResource(backend, typeOf("felixconfig"), "default", text, { type, namespace: undefined });
  return object;
}

test.for<{ type: PatchType; text: string; spec: Record<string, unknown> }>([
  {
    type: "merge",
    text: '{"spec":{"wireguardEnabled":true}}',
    spec: { wireguardEnabled: true, wireguardListeningPort: 51820, routeTableRanges: [{ min: 1, max: 250 }] },
  },
  {
    type: "strategic",
    text: '{"spec":{"routeTableRanges":[{"min":7,"max":9}]}}',
    spec: { wireguardEnabled: false, wireguardListeningPort: 51820, routeTableRanges: [{ min: 7, max: 9 }] },
  },
  { type: "merge", text: '{"spec":{"wireguardListeningPort":null,"routeTableRanges":null}}', spec: { wireguardEnabled: false } },
  { type: "json", text: '[{"op":"replace","path":"/spec","value":{}}]', spec: {} },
])("patchResource(): $type $text", async ({ type, text, spec }) => {
  expect(((await patched(text, type)) as { spec?: unknown }).spec).toEqual(spec);
});

test.for(PATCH_TYPES)("patchResource() of any text (%s) either gives a resource of the same identity or throws calicoctl's words", async (type) => {
  const key = fc.constantFrom(
    "spec",
    "metadata",
    "name",
    "labels",
    "wireguardEnabled",
    "wireguardListeningPort",
    "routeTableRanges",
    "$patch",
    "__proto__",
    "constructor",
    "x",
  );
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(null, true, 1, 70000, "text"),
      fc.array(tie("any"), { maxLength: 3 }),
      fc.dictionary(key, tie("any"), { maxKeys: 4 }),
    ),
  })).any;
  const operation = fc.record(
    {
      op: fc.constantFrom("add", "remove", "replace", "move", "copy", "test", "?"),
      path: fc.constantFrom("", "/spec", "/spec/wireguardEnabled", "/metadata/name", "/x/0", "x"),
      from: fc.constantFrom("/spec", "/x"),
      value,
    },
    { requiredKeys: [] },
  );
  const text = fc.oneof(
    value.map((v) => JSON.stringify(v)),
    fc.array(operation).map((o) => JSON.stringify(o)),
    fc.string(),
  );
  await fc.assert(
    fc.asyncProperty(text, async (t) => {
      try {
        const result = await patched(t, type);
        expect([result.kind, result.metadata.name, result.metadata.uid]).toEqual(["FelixConfiguration", "default", "u"]);
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(TortieError);
        expect((thrown as TortieError).message).toMatch(/^hit error: /);
      }
    }),
    { numRuns: 500 },
  );
});
