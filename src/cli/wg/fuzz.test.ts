import { expect, test } from "vitest";
import { forAWhile, fuzz } from "../../base/random.cases.ts";
import { configurationFiles } from "./fuzz.cases.ts";

test(`fuzz: ${configurationFiles.name}`, async () => {
  const seed = Date.now() & 0xffffff;
  expect(await fuzz(configurationFiles, seed, forAWhile(500)), `seed ${seed}`).toBeGreaterThan(0);
});
