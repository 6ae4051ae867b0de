import { expect, test } from "vitest";
import { FILTERS } from "./display.cases.ts";
import { displayFilter } from "./display.ts";
import { follow, open } from "./fixtures.cases.ts";
import { lookupOf } from "./names.ts";

const file = open("leak-nodeA-rich.pcapng");
const { packets, secrets } = follow(file);
const matching = (filter: string): number[] => {
  const f = displayFilter(filter);
  return packets.filter((t) => f(lookupOf(t, secrets))).map((t) => t.packet.number);
};

test.for(FILTERS)("%s", ([filter, frames]) => expect(matching(filter).length).toBe(frames));

test.for(["wg.type ==", "wg.type == 1 &&", "(wg", "wg wg", "== 1", "wg.type in 1", "wg.type == )", "\u0000"])("%j is refused", (text) =>
  expect(() => displayFilter(text)).toThrow(/Cannot use the display filter/),
);
test("an endless nest of parentheses is refused", () => expect(() => displayFilter("(".repeat(100_000))).toThrow(/too many|too early/));
