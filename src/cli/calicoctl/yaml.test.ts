import fc from "fast-check";
import { parse } from "yaml";
import { expect, test } from "vitest";
import { jsonOf, yamlOf } from "./yaml.ts";

const felix = {
  kind: "FelixConfiguration",
  apiVersion: "projectcalico.org/v3",
  spec: { wireguardEnabled: true, logSeverityScreen: "Info" },
  metadata: { uid: "u", name: "default", resourceVersion: "12", creationTimestamp: "2026-11-23T12:00:00Z" },
};

test("yamlOf() prints calicoctl's order and quotes what YAML 1.1 would not take for text", () => {
  expect(yamlOf(felix)).toBe(`apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata:
  creationTimestamp: "2026-11-23T12:00:00Z"
  name: default
  resourceVersion: "12"
  uid: u
spec:
  logSeverityScreen: Info
  wireguardEnabled: true
`);
});

test("yamlOf() does not indent the items of a list: the fields of a listed node's status have four spaces", () => {
  const key = "jlkVyQYooZYzI2wFfNhSZez5eWh44yfq1wKVjLvSXgY=";
  const list = { kind: "NodeList", apiVersion: "projectcalico.org/v3", metadata: {}, items: [{ kind: "Node", status: { wireguardPublicKey: key } }] };
  expect(yamlOf(list)).toBe(
    `apiVersion: projectcalico.org/v3\nitems:\n- kind: Node\n  status:\n    wireguardPublicKey: ${key}\nkind: NodeList\nmetadata: {}\n`,
  );
});

test.for([
  "yes",
  "no",
  "on",
  "off",
  "y",
  "n",
  "true",
  "null",
  "~",
  "1",
  "1e3",
  "0x10",
  "010",
  "1:30",
  "2026-11-23",
  "",
  " a",
  "a: b",
  "# a",
  "<none>",
  "a\nb",
  "=",
  "<<",
])("yamlOf() keeps the text %j a text, for readers of YAML 1.1 and 1.2", (text) => {
  for (const version of ["1.1", "1.2"] as const) expect(parse(yamlOf({ a: text }), { version })).toEqual({ a: text });
});

test("yamlOf() is read back as what it was", () => {
  const value = fc.jsonValue({ noUnicodeString: false });
  fc.assert(
    fc.property(
      fc.dictionary(
        fc.string().filter((k) => k !== "__proto__"),
        value,
      ),
      (o) => {
        const plain = JSON.parse(JSON.stringify(o)) as unknown;
        expect(parse(yamlOf(plain), { version: "1.1" })).toEqual(plain);
      },
    ),
  );
});

test("jsonOf() begins with kind and apiVersion, indents by two and ends without a newline", () => {
  expect(jsonOf({ a: 1, metadata: { name: "x" }, apiVersion: "v", kind: "K" })).toBe(
    '{\n  "kind": "K",\n  "apiVersion": "v",\n  "metadata": {\n    "name": "x"\n  },\n  "a": 1\n}',
  );
});
