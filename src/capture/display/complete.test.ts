import { expect, test } from "vitest";
import { fieldNames } from "../fields/registry.ts";
import { complete } from "./complete.ts";
import { displayFilter } from "./index.ts";

/** `|` is the caret. */
const at = (text: string): [string, number] => [text.replace("|", ""), text.indexOf("|")];
const texts = (text: string): string[] => complete(...at(text)).choices.map((c) => c.text);
/** The filter once the n-th choice was taken. */
function taken(text: string, choice: string): string {
  const [filter, caret] = at(text);
  const { from, to, choices } = complete(filter, caret);
  expect(choices.map((c) => c.text)).toContain(choice);
  return filter.slice(0, from) + choice + filter.slice(to);
}

test.each([
  ["wg.ty|", "wg.type", "wg.type"],
  ["tcp && wg.ty|", "wg.type", "tcp && wg.type"],
  ["wg.ty|xyz == 1", "wg.type", "wg.type == 1"],
  ["!(WG.co|)", "wg.counter", "!(wg.counter)"],
  ["count|", "wg.counter", "wg.counter"],
  ["wg.type == |", '"Handshake Response"', 'wg.type == "Handshake Response"'],
  ["wg.type == Hand|", '"Handshake Response"', 'wg.type == "Handshake Response"'],
  ['wg.type == "hand|', '"Handshake Response"', 'wg.type == "Handshake Response"'],
  ['wg.type in {"Cookie Reply", 2|}', '"Handshake Response"', 'wg.type in {"Cookie Reply", "Handshake Response"}'],
  ["tcp.flags.syn == |", "True", "tcp.flags.syn == True"],
  ['frame.comment contains "a == b" && wg.keep|', "wg.keepalive", 'frame.comment contains "a == b" && wg.keepalive'],
])("%s: %s", (text, choice, filter) => {
  expect(taken(text, choice)).toBe(filter);
  displayFilter(filter);
});

test("what was begun as written comes first", () => {
  expect(texts("wg|").slice(0, 2)).toEqual(["wg", "wg.mac1"]);
  expect(complete("wg.counter").choices[0]).toEqual({ text: "wg.counter", label: "Counter", type: "uint" });
});

test("nothing where nothing is known", () => {
  for (const text of ["|", "tcp && |", "ip.addr == |", 'frame.comment contains "wg|', 'frame.comment == "a\\"wg|', "zzz|"])
    expect([text, texts(text)]).toEqual([text, []]);
});

test("every name is offered for itself, and as a filter compiles", () => {
  for (const name of fieldNames()) {
    expect(complete(name).choices.map((c) => c.text)).toContain(name);
    displayFilter(name);
  }
});
