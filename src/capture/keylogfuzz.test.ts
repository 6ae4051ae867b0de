import { expect, test } from "vitest";
import { fuzz } from "../base/random.cases.ts";
import { list, textOf } from "./fixtures.cases.ts";
import { keyLogs, noisyKeyLogs } from "./keylogfuzz.cases.ts";

const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31);

test(`garbage in key logs is reported by its line, and never repeated, seed ${SEED}`, async () => {
  expect(await fuzz(keyLogs, SEED, (runs) => runs >= 150)).toBe(150);
});

test(`noise in key logs, seed ${SEED}`, async () => {
  const corpus = list(".").filter((f) => f.endsWith(".keys"));
  expect(corpus.length).toBeGreaterThan(0);
  expect(await fuzz(noisyKeyLogs(corpus.map(textOf)), SEED, (runs) => runs >= 1000)).toBe(1000);
});
