import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TortieError } from "../../base/errors.ts";
import { Dissector } from "../dissect.ts";
import { field, fieldNames } from "../fields/registry.ts";
import { follow, open } from "../fixtures.cases.ts";
import { FILTERS, MORE, REFUSED } from "./filters.cases.ts";
import { displayFilter } from "./index.ts";
import { pattern } from "./regex.ts";

const { packets, secrets } = follow(open("leak-nodeA-rich.pcapng"));
const dissector = new Dissector({ secrets, flows: true, pcapng: true });
const dissected = packets.map((t) => dissector.add(t));
const shown = (filter: string): number[] => {
  const { test: fits } = displayFilter(filter);
  return dissected.filter(fits).map((d) => d.tracked.packet.number);
};

test.for([...FILTERS, ...MORE])("%s", ([filter, frames]) => expect(shown(filter).length).toBe(frames));

describe("is refused, with the place", () => {
  test.for(REFUSED)("%j", ([filter, why, marked]) => {
    let thrown: unknown;
    try {
      displayFilter(filter);
    } catch (e) {
      thrown = e;
    }
    expect(thrown).toBeInstanceOf(TortieError);
    const { message, hint } = thrown as TortieError;
    expect(message).toMatch(why);
    const [line, marks] = hint.split("\n") as [string, string];
    const at = marks.indexOf("^");
    expect(`${line} `.slice(at, at + marks.length - at)).toBe(marked);
  });
  test("an endless nest of parentheses", () => {
    expect(() => displayFilter("(".repeat(60_000))).toThrow(/too many/);
    expect(() => displayFilter("!".repeat(60_000))).toThrow(/too many/);
    expect(() => displayFilter("a".repeat(100_000))).toThrow(/longer than/);
  });
});

test("any text is a filter or a TortieError, and any filter tests any packet", () => {
  const words = fc.constantFrom(
    ...fieldNames().slice(0, 40),
    "==",
    "!=",
    "&&",
    "||",
    "!",
    "(",
    ")",
    "{",
    "}",
    "in",
    "contains",
    "matches",
    "1",
    '"a"',
    "10.0.0.0/8",
    "[0:2]",
    "len",
    "#",
    "-",
    "+",
    "..",
    "any",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(words, { maxLength: 10 }).map((w) => w.join(" ")),
        fc.string(),
      ),
      (filter) => {
        try {
          const { test: fits } = displayFilter(filter);
          for (const d of dissected.slice(0, 40)) fits(d);
        } catch (e) {
          if (!(e instanceof TortieError)) throw e;
        }
      },
    ),
    { numRuns: 500 },
  );
});

test("what a filter needs of the packets before is known beforehand", () => {
  expect(displayFilter("tcp.stream == 1 or wg").flows).toBe(true);
  expect(displayFilter("tcp.port == 80").flows).toBe(false);
});

test("expressions that would backtrack for ever are refused, plain ones are not", () => {
  for (const bad of ["(a+)+", "(a*)*b", "((ab)*c)+", "(a|b)*", "([ab]+)*", "(x{2,})+"]) expect([bad, typeof pattern(bad)]).toEqual([bad, "string"]);
  for (const good of ["a+b", "(ab)+", "(a|b)", "a{2,3}", "[a-z]+\\.[a-z]+", "(?:GET|POST) /", "\\(a+\\)+"])
    expect([good, pattern(good)]).toEqual([good, expect.any(RegExp)]);
});

test("every field has one type wherever it stands", () => {
  for (const name of fieldNames()) {
    const f = field(name)!;
    for (const ways of f.ways.values()) {
      const check = (w: (typeof ways)[number]): void => {
        if (w.isIt) expect([name, w.row.type]).toEqual([name, f.type]);
        w.ways.forEach(check);
      };
      ways.forEach(check);
    }
  }
});
