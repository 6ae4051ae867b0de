import { expect, test } from "vitest";
import { fuzz } from "../base/random.cases.ts";
import { analyses } from "./analysisfuzz.cases.ts";
import { list, textOf } from "./fixtures.cases.ts";
import { ownCaptures } from "./fuzz.cases.ts";

const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31);

test(`mutated captures are followed, opened, dissected and explained without a throw, and memory does not grow, seed ${SEED}`, async () => {
  const small = ownCaptures().filter((b) => b.length < 40_000);
  const keys = list(".").filter((f) => f.endsWith(".keys"));
  const fuzzer = analyses(small, keys.map(textOf).join("\n"));
  await fuzz(fuzzer, SEED, (runs) => runs >= 20);
  const before = process.memoryUsage().rss;
  expect(await fuzz(fuzzer, SEED + 1, (runs) => runs >= 150)).toBe(150);
  expect((process.memoryUsage().rss - before) / 2 ** 20).toBeLessThan(256);
});
