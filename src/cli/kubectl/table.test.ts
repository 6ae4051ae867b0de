import { expect, test } from "vitest";
import { type Table, TablePrinter } from "./table.ts";
import { targetsOf } from "./resolve.ts";

const table: Table = {
  kind: "Table",
  columnDefinitions: [
    { name: "Name", type: "string", priority: 0 },
    { name: "Ready", type: "string", priority: 0 },
    { name: "IP", type: "string", priority: 1 },
  ],
  rows: [
    { cells: ["pod1", "1/1", "172.16.1.2"], object: { metadata: { name: "pod1", namespace: "default" } } },
    { cells: ["a-longer-name", null, "172.16.2.2"], object: { metadata: { name: "a-longer-name", namespace: "x" } } },
  ],
};
const plain = { wide: false, namespace: false, headers: true };

// Layouts as kubectl 1.36 prints them: minimum 6, three spaces between, nothing after the last column.
test.for([
  { name: "default", options: plain, text: "NAME            READY\npod1            1/1\na-longer-name   \n" },
  {
    name: "wide",
    options: { ...plain, wide: true },
    text: "NAME            READY   IP\npod1            1/1     172.16.1.2\na-longer-name           172.16.2.2\n",
  },
  {
    name: "namespaces, no headings",
    options: { wide: false, namespace: true, headers: false },
    text: "default   pod1            1/1\nx         a-longer-name   \n",
  },
  { name: "prefix", options: { ...plain, prefix: "pod/" }, text: "NAME                READY\npod/pod1            1/1\npod/a-longer-name   \n" },
])("TablePrinter: $name", ({ options, text }) => {
  expect(new TablePrinter(options).print(table)).toBe(text);
});

test("TablePrinter keeps the columns of a watch in line and prints the headings once", () => {
  const printer = new TablePrinter(plain);
  printer.print(table);
  expect(printer.print({ kind: "Table", columnDefinitions: null, rows: [{ cells: ["p", "0/1", ""] }] })).toBe("p               0/1\n");
});

test("TablePrinter lets no cell steer the terminal", () => {
  const rows = [{ cells: ["\u001b[2Jx", "a\nb", ""] }];
  expect(new TablePrinter({ ...plain, headers: false }).print({ ...table, rows })).toBe("?[2Jx   a\n");
});

test.for([
  { words: ["pods"], targets: ["Pod"] },
  { words: ["po", "a", "b"], targets: ["Pod a", "Pod b"] },
  { words: ["pod/a", "node/b"], targets: ["Pod a", "Node b"] },
  { words: ["pods,nodes"], targets: ["Pod", "Node"] },
  { words: ["felixconfigurations.projectcalico.org", "default"], targets: ["FelixConfiguration default"] },
  { words: ["felixconfigurations.v3.projectcalico.org"], targets: ["FelixConfiguration"] },
])("targetsOf($words)", ({ words, targets }) => {
  expect(targetsOf(words).map((t) => [t.kind.kind, t.name].filter((x) => x !== undefined).join(" "))).toEqual(targets);
});
test.for([
  { words: [], message: "error: you must specify the type of resource" },
  { words: ["things"], message: 'error: the server doesn\'t have a resource type "things"' },
  { words: ["pods.apps"], message: 'error: the server doesn\'t have a resource type "pods.apps"' },
  { words: ["pod/"], message: "error: arguments in resource/name form" },
])("targetsOf($words) throws: $message", ({ words, message }) => {
  expect(() => targetsOf(words)).toThrow(message);
});
