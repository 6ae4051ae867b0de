// Briefly; test/long/offload.ts goes on. fast-check prints the seed of what fails.
import fc from "fast-check";
import { test } from "vitest";
import { mergesAnything, roundTrips, splitsAnything, splitsWell } from "./hostile.cases.ts";

const LONG = 300_000;

test("split: any super-packet is split as the plain way splits it", { timeout: LONG }, () => fc.assert(splitsWell, { numRuns: 100 }));
test("split(coalesce(x)) is x, and no flow is reordered", { timeout: LONG }, () => fc.assert(roundTrips, { numRuns: 50 }));
test("split: mutated headers and packets", { timeout: LONG }, () => fc.assert(splitsAnything, { numRuns: 500 }));
test("coalesce: mutated packets and noise", { timeout: LONG }, () => fc.assert(mergesAnything, { numRuns: 100 }));
