import { expect, test } from "vitest";
import { forAWhile, fuzz } from "../base/random.cases.ts";
import { datagrams, handshakes, innerPackets, sizes } from "./fuzz.cases.ts";

// `npm run test:long` gives them minutes.
test.for([datagrams, sizes, handshakes, innerPackets])("fuzz: $name", async (fuzzer) => {
  const seed = Date.now() & 0xffffff;
  expect(await fuzz(fuzzer, seed, forAWhile(700)), `seed ${seed}`).toBeGreaterThan(0);
});
