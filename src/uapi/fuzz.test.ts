import { expect, test } from "vitest";
import { forAWhile, fuzz } from "../base/random.cases.ts";
import { replyLines, setLines } from "./fuzz.cases.ts";

test.for([setLines, replyLines])("fuzz: $name", async (fuzzer) => {
  const seed = Date.now() & 0xffffff;
  expect(await fuzz(fuzzer, seed, forAWhile(500)), `seed ${seed}`).toBeGreaterThan(0);
});
