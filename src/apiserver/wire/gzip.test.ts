import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { call, freshWorlds, send } from "../world.cases.ts";
import { takesGzip } from "./gzip.ts";

freshWorlds();

test.for<[string | undefined, boolean]>([
  [undefined, false],
  ["", false],
  ["identity", false],
  ["gzip", true],
  ["deflate, GZIP;q=0.5", true],
  ["gzip;q=0", false],
  ["gzip;q=0.000, *", false],
  ["*", true],
  ["*;q=0", false],
])("Accept-Encoding %s", ([header, takes]) => expect(takesGzip(header)).toBe(takes));

test("only large answers are packed, for who asks, and are the same within", async () => {
  const path = "/api/v1/namespaces/default/configmaps";
  const packed = { headers: { "accept-encoding": "gzip" } };
  await call("POST", path, { body: { metadata: { name: "large" }, data: { a: "0123456789abcdef".repeat(16_384) } } });
  const plain = await send("GET", path);
  const small = await send("GET", `${path}?limit=1&labelSelector=none`, packed);
  expect([plain.headers["content-encoding"], small.headers["content-encoding"]]).toEqual([undefined, undefined]);
  const large = await send("GET", path, packed);
  expect(large.headers).toMatchObject({ "content-encoding": "gzip", vary: "Accept-Encoding" });
  expect(large.body.length).toBeLessThan(plain.body.length / 10);
  expect(gunzipSync(large.body as Uint8Array).toString()).toBe(Buffer.from(plain.body as Uint8Array).toString());
});
