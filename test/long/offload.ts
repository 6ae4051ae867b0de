// Splitting and merging: the properties of src/offload/hostile.cases.ts, tried for long. fast-check says the seed of what fails, and makes it small.
import fc from "fast-check";
import { mergesAnything, roundTrips, splitsAnything, splitsWell } from "../../src/offload/hostile.cases.ts";
import type { Scenario } from "./main.ts";

/** Tries a property for a share of the time: how often. */
async function tries<T>(property: fc.IProperty<T>, ms: number): Promise<number> {
  let runs = 0;
  for (const end = Date.now() + ms; Date.now() < end; runs += 100) {
    fc.assert(property, { numRuns: 100 });
    await new Promise((r) => setImmediate(r));
  }
  return runs;
}

export const offload: Scenario = {
  name: "mutated packets split and merged",
  minutes: 0.2,
  async run(minutes) {
    const each = (minutes * 60_000) / 4;
    const well = await tries(splitsWell, each);
    const streams = await tries(roundTrips, each);
    const split = await tries(splitsAnything, each);
    const merged = await tries(mergesAnything, each);
    return `${well} super-packets split as the plain way does, ${streams} lots of streams merged and split again, ${split} mutated ones split, ${merged} merged`;
  },
};
