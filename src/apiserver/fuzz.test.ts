import { expect, test } from "vitest";
import { forAWhile, fuzz } from "../base/random.cases.ts";
import { type FuzzSend, objects, patches, requests } from "./fuzz.cases.ts";
import { freshWorlds, send } from "./world.cases.ts";

freshWorlds();

const inProcess: FuzzSend = async (method, target, headers, body) => {
  const answer = await send(method, target, { headers, body: typeof body === "string" ? Buffer.from(body) : body });
  if (typeof answer.body !== "function") return { ...answer, body: Buffer.from(answer.body).toString() };
  // A watch: opened and ended.
  answer.body({ write: () => {}, waiting: 0, drain: () => {}, end: () => {} })();
  return { ...answer, body: "" };
};

test("objects of all kinds from OpenAPI, each with one fault, under each fieldValidation", async () => {
  const seed = Date.now() & 0xffffff;
  const tried = new Map<string, number>();
  await fuzz(objects(inProcess, tried), seed, forAWhile(2000));
  // Of a few kinds there is no object without knowing more than the schema.
  expect(tried.size, `seed ${seed}: ${[...tried.keys()].join()}`).toBeGreaterThan(12);
});
test.for([patches(inProcess), requests(inProcess)])("fuzz: $name", async (fuzzer) => {
  const seed = Date.now() & 0xffffff;
  expect(await fuzz(fuzzer, seed, forAWhile(2000)), `seed ${seed}`).toBeGreaterThan(0);
});
