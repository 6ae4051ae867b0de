import { once } from "node:events";
import { PassThrough } from "node:stream";
import { afterEach, expect, test } from "vitest";
import { BODY_LIMIT } from "./body.ts";
import { readBody } from "./readbody.ts";

let open: PassThrough[] = [];
/** An answer that is closed at the end of the test: what was held for it is free again. */
function answer(): PassThrough {
  open.push(new PassThrough());
  return open.at(-1)!;
}
async function closeAll(): Promise<void> {
  const closed = open.map((stream) => once(stream, "close"));
  for (const stream of open) stream.destroy();
  await Promise.all(closed);
  open = [];
}
afterEach(closeAll);

test("the parts come together, however they are cut", async () => {
  const message = new PassThrough();
  const read = readBody(message, undefined, answer());
  const bytes = Uint8Array.from({ length: 20_000 }, (_, i) => (i * 7) & 255);
  for (let at = 0, size = 1; at < bytes.length; at += size, size = (size % 4097) + 13) message.write(bytes.slice(at, at + size));
  message.end();
  expect(await read).toEqual(bytes);
});

test("no part is kept: a body that comes a byte at a time would cost a hundred times its length", async () => {
  const message = new PassThrough();
  const read = readBody(message, undefined, answer());
  const part = new Uint8Array(1);
  for (let i = 0; i < 1000; i++) {
    part[0] = i & 255;
    message.emit("data", part);
  }
  message.end();
  expect(await read).toEqual(Uint8Array.from({ length: 1000 }, (_, i) => i & 255));
});

test("a body that comes in one part is not copied", async () => {
  const message = new PassThrough();
  const part = Buffer.from("whole");
  const read = readBody(message, part.length, answer());
  message.end(part);
  expect((await read).buffer).toBe(part.buffer);
  expect(Buffer.from(await read).toString()).toBe("whole");
});

test.for([
  { name: "announced", announced: BODY_LIMIT + 1, parts: 0 },
  { name: "found while reading", announced: undefined, parts: BODY_LIMIT / 65_536 + 1 },
])("too large, $name", async ({ announced, parts }) => {
  const message = new PassThrough();
  const read = expect(readBody(message, announced, answer())).rejects.toThrow("Request entity too large: limit is 3145728");
  for (let i = 0; i < parts; i++) message.emit("data", Buffer.alloc(65_536));
  await read;
});

test("what all bodies hold is bounded, and given back", async () => {
  const bodies = Array.from({ length: 43 }, () => new PassThrough());
  const read = bodies.map((body) => readBody(body, undefined, answer()).then(() => "read", String));
  for (const body of bodies) body.end(Buffer.alloc(BODY_LIMIT));
  const outcomes = await Promise.all(read);
  expect(outcomes.filter((o) => o === "read").length).toBe(42);
  expect(outcomes.at(-1)).toMatch(/too many requests/i);
  await closeAll();
  const next = new PassThrough();
  const after = readBody(next, undefined, answer());
  next.end("x");
  expect((await after).length).toBe(1);
});
