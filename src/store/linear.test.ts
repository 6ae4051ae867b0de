// The judge of histories judges: histories that are in order, and some that are not.
import { expect, test } from "vitest";
import { type Event, type Operation, unexplained } from "./linear.cases.ts";

const START = 10;
const HISTORY: Event[] = [
  { key: "/a", revision: 11, value: "one" },
  { key: "/a", revision: 12, value: "two" },
  { key: "/a", revision: 13, value: undefined },
];
const write = (value: string | undefined, condition: number | undefined, asked: number, answered: number, done?: number): Operation => ({
  key: "/a",
  asked,
  answered,
  write: { value, condition },
  ...(done === undefined ? {} : { done }),
});
const read = (asked: number, answered: number, value?: string, revision = 0): Operation => ({
  key: "/a",
  asked,
  answered,
  seen: { stored: value === undefined ? undefined : { value, revision } },
});
const WRITES = [write("one", 0, 1, 2, 11), write("two", 11, 3, 4, 12), write(undefined, 12, 5, 6, 13)];

const CASES: [name: string, operations: Operation[], history: Event[], why: RegExp | undefined][] = [
  ["one after the other", WRITES, HISTORY, undefined],
  ["reads in their place", [...WRITES, read(0, 0.5), read(2.1, 2.9, "one", 11), read(4.1, 4.9, "two", 12), read(7, 8)], HISTORY, undefined],
  ["reads beside a write see before or after", [...WRITES, read(3, 4, "one", 11), read(3, 4, "two", 12)], HISTORY, undefined],
  ["an unanswered write that happened", [WRITES[0]!, write("two", 11, 3, Infinity), WRITES[2]!], HISTORY, undefined],
  ["an unanswered write that did not", [WRITES[0]!, write("x", 0, 3, Infinity)], HISTORY.slice(0, 1), undefined],
  ["an unanswered deletion that happened", [...WRITES.slice(0, 2), write(undefined, 12, 5, Infinity)], HISTORY, undefined],
  ["a refusal", [...WRITES, { ...write("x", 0, 3.5, 3.6), seen: { stored: { value: "one", revision: 11 } } }], HISTORY, undefined],
  ["an answered write is lost", WRITES, HISTORY.slice(0, 2), /did not delete what was there/],
  ["an answered value is lost", WRITES.slice(0, 2), HISTORY.slice(0, 1), /is not in the history/],
  ["a stale read", [...WRITES, read(4.1, 4.9, "one", 11)], HISTORY, /did not hold between 12 and/],
  ["a read of nothing before the deletion", [...WRITES, read(2.1, 2.9)], HISTORY, /did not hold/],
  ["a read from the future", [...WRITES, read(0.1, 0.5, "one", 11)], HISTORY, /did not hold/],
  ["a read of what never was", [...WRITES, read(3, 4, "three", 12)], HISTORY, /saw what never was/],
  ["a condition that did not hold", [write("one", 0, 1, 2, 11), write("two", 0, 3, 4, 12), WRITES[2]!], HISTORY, /where revision 11 was there/],
  ["two creates", [write("one", 0, 1, 4, 11), write("two", 0, 1, 4, 12)], HISTORY.slice(0, 2), /where revision 11 was there/],
  ["done twice", WRITES.slice(0, 1), [HISTORY[0]!, { ...HISTORY[0]!, revision: 12 }], /was written twice/],
  ["nobody's write", WRITES.slice(0, 1), HISTORY.slice(0, 2), /nobody wrote this/],
  [
    "refused although it could be done",
    [...WRITES, { ...write("x", 11, 3, 4), seen: { stored: { value: "one", revision: 11 } } }],
    HISTORY,
    /its condition held/,
  ],
  [
    "an older revision is given after a newer one was told",
    [write("two", undefined, 1, 2, 12), write("one", undefined, 3, 4, 11)],
    HISTORY.slice(0, 2),
    /after 12 had been told/,
  ],
];
test.for(CASES)("%s", ([, operations, history, why]) => {
  const wrong = unexplained(operations, history, START);
  if (why) expect(wrong.join("\n")).toMatch(why);
  else expect(wrong).toEqual([]);
});
