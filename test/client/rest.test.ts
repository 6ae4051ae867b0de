// The REST client against a small server: pages, errors, stale connections, bounds.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { TortieError } from "../../src/base/errors.ts";
import { ApiError } from "../../src/client/error.ts";
import { linesOf } from "../../src/client/lines.ts";
import { connectTo, connectToSocket } from "../../src/client/node.ts";
import type { RestClient } from "../../src/client/rest.ts";
import { FakeServer, THING } from "./fake.ts";

let server: FakeServer;
let client: RestClient;
beforeEach(async () => {
  server = new FakeServer();
  await server.start();
  client = connectToSocket(server.socket);
});
afterEach(async () => {
  await client.close();
  await server.dispose();
});

describe("rest client", () => {
  test("list gives all pages, and every item says what it is", async () => {
    for (let i = 0; i < 1234; i++) server.put(`t${i}`, i);
    const { items } = await client.list(THING);
    expect(items.map((o) => o.spec!.n)).toEqual(Array.from({ length: 1234 }, (_, i) => i));
    expect(server.requests.length).toBe(3);
    expect(new Set(items.map((o) => `${o.apiVersion} ${o.kind}`))).toEqual(new Set(["test.io/v1 Thing"]));
  });

  test("list begins anew without pages when its revision expired between two pages", async () => {
    for (let i = 0; i < 700; i++) server.put(`t${i}`, i);
    server.intercept = (req, res) => {
      if (!req.url!.includes("continue=")) return false;
      res.writeHead(410).end(JSON.stringify({ kind: "Status", status: "Failure", reason: "Expired", code: 410, message: "too old" }));
      return true;
    };
    expect((await client.list(THING)).items.length).toBe(700);
  });

  test("a Status is thrown in the server's words", async () => {
    const thrown = await client.get(THING, "zzz").catch((e: unknown) => e);
    expect(thrown).toBeInstanceOf(ApiError);
    expect(thrown).toMatchObject({ message: 'things.test.io "zzz" not found', code: 404, reason: "NotFound" });
  });

  test("an answer that is no Status is said as what it is", async () => {
    server.intercept = (_, res) => (res.writeHead(502).end("<html>\n bad gateway </html>"), true);
    await expect(client.get(THING, "a")).rejects.toThrow("the server answered 502: <html> bad gateway </html>");
  });

  test("no server: one sentence with the place and a hint", async () => {
    await server.kill();
    const thrown = (await client.get(THING, "a").catch((e: unknown) => e)) as TortieError;
    expect(thrown).toBeInstanceOf(TortieError);
    expect(thrown.message).toMatch(/^Cannot reach the API server at unix:.*api\.sock: (there is no such socket|nothing listens there)$/);
    expect(thrown.hint).toContain("tortie server");
  });

  test("a kept connection that the server closed does not fail the next request", async () => {
    server.put("a", 1);
    for (let i = 0; i < 5; i++) {
      await client.get(THING, "a");
      await server.kill();
      await server.start();
    }
    expect((await client.get(THING, "a")).spec!.n).toBe(1);
  });

  test("429 with Retry-After is asked again, twice at most", async () => {
    let n = 0;
    server.intercept = (_, res) => {
      n++;
      res.writeHead(429, { "retry-after": "0" }).end(JSON.stringify({ kind: "Status", reason: "TooManyRequests", code: 429, message: "later" }));
      return true;
    };
    await expect(client.get(THING, "a")).rejects.toThrow("later");
    expect(n).toBe(3);
  });

  test("over a network it asks no more often than its rate", async () => {
    let last = 0;
    let asked = 0;
    const web = createServer((_, res) => {
      asked++;
      last = performance.now();
      res.end("{}");
    }).listen(0, "127.0.0.1");
    await once(web, "listening");
    const limited = connectTo({ url: `http://127.0.0.1:${(web.address() as AddressInfo).port}` }, { rate: { perSecond: 20, burst: 3 } });
    const began = performance.now();
    await Promise.all(Array.from({ length: 9 }, () => limited.raw("GET", "/version")));
    // Three at once, then one each 50 ms: the last is sent after 300 ms.
    expect(asked).toBe(9);
    expect(last - began).toBeGreaterThan(290);
    await limited.close();
    web.close();
  });

  test("a watch's generator closes its connection when it is left", async () => {
    server.put("a", 1);
    let closed = false;
    server.intercept = (_, res) => (res.on("close", () => (closed = true)), false);
    for await (const event of client.watch(THING, { resourceVersion: "0" })) {
      expect(event.object.metadata.name).toBe("a");
      break;
    }
    await expect.poll(() => closed).toBe(true);
  });

  test("names and selectors are escaped", async () => {
    await client.get(THING, "a/../b?x").catch(() => {});
    await client.list(THING, { labelSelector: "a in (b,c)" });
    expect(server.requests).toEqual([
      "GET /apis/test.io/v1/things/a%2F..%2Fb%3Fx",
      "GET /apis/test.io/v1/things?labelSelector=a%20in%20(b%2Cc)&limit=500",
    ]);
  });
});

describe("linesOf()", () => {
  const chunked = async function* (bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < bytes.length; i += size) yield bytes.subarray(i, i + size);
  };
  test.for([1, 2, 3, 5, 1000])("is the same in chunks of %i bytes, also within a character", async (size) => {
    const lines: string[] = [];
    for await (const line of linesOf(chunked(Buffer.from('{"a":"ä€🐈"}\n\nsecond\nhalf'), size))) lines.push(line);
    expect(lines).toEqual(['{"a":"ä€🐈"}', "", "second"]);
  });
  test("an endless line ends with an error, not with the memory", async () => {
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      for (;;) yield new Uint8Array(1 << 16).fill(65);
    };
    await expect(async () => {
      for await (const _ of linesOf(endless(), 1 << 20));
    }).rejects.toThrow("exceeds 1048576 bytes");
  });
});
