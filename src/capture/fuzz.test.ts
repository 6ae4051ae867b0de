import { expect, test } from "vitest";
import { fuzz } from "../base/random.cases.ts";
import { captureFiles, ownCaptures } from "./fuzz.cases.ts";

test("mutated captures break nothing, in whatever pieces they come", async () => {
  const seed = Date.now() & 0xffffff;
  const small = ownCaptures().filter((b) => b.length < 40_000);
  expect(await fuzz(captureFiles(small), seed, (runs) => runs >= 400)).toBe(400);
});
