// What clients do that mean harm: the answer is a clear one or a closed connection, memory is bounded, and others are served.
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  ambiguous,
  change,
  closed,
  deaf,
  describeSuffered,
  exchange,
  manyNodes,
  raw,
  residentMb,
  silentConnections,
  suffer,
  type Suffered,
  trickle,
} from "./hostile.ts";
import { ask, follow, ServerHome, type ServerProcess, until } from "./process.ts";

let home: ServerHome;
let server: ServerProcess;
beforeAll(async () => {
  home = new ServerHome();
  server = await home.start();
});
afterAll(() => home.remove());

const pid = (): number => server.child.pid!;
const VICTIM = "/api/v1/namespaces/victim";
const SMUGGLED = `DELETE ${VICTIM} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`;

describe("requests whose end is in two places", () => {
  beforeAll(async () => {
    await ask(home.socket, "/api/v1/namespaces", { method: "POST", body: JSON.stringify({ metadata: { name: "victim" } }) });
  });
  test.for(Object.entries(ambiguous(SMUGGLED)))("%s: at most one answer, a refusal, and the connection is closed", async ([, bytes]) => {
    const { text, closed: over } = await exchange(home, bytes);
    const answers = text.match(/HTTP\/1\.1 [0-9]{3}/g) ?? [];
    expect(answers.length).toBeLessThanOrEqual(1);
    for (const answer of answers) expect(Number(answer.slice(-3))).toBeGreaterThanOrEqual(400);
    expect(over).toBe(true);
    expect((await ask(home.socket, VICTIM)).code).toBe(200);
  });
  test("two requests one behind the other are two", async () => {
    const get = `GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n`;
    const { text } = await exchange(home, get + get.replace("Host", "Connection: close\r\nHost"));
    expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(2);
  });
});

test("a connection whose other half is closed is answered, and a watch on one ends with it", async () => {
  const socket = raw(home);
  let text = "";
  socket.on("data", (d: Buffer) => (text += d.toString()));
  socket.end("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  await until(() => text.endsWith("ok"));
  socket.destroy();
  const watch = raw(home);
  let seen = "";
  watch.on("data", (d: Buffer) => (seen += d.toString()));
  watch.end("GET /api/v1/namespaces?watch=true HTTP/1.1\r\nHost: x\r\n\r\n");
  await until(() => seen.includes('"default"'));
  watch.destroy();
  await closed(watch);
});

const unaffected = (suffered: Suffered): void => {
  process.stdout.write(`${describeSuffered(suffered)}\n`);
  expect(suffered.refused).toEqual([]);
  expect(suffered.latencies.length).toBeGreaterThan(0);
};

test("200 clients that send a byte at a time", async () => {
  const suffered = await suffer(home, pid(), () => trickle(home, 200, 2000));
  unaffected(suffered);
  expect(suffered.grown).toBeLessThan(100);
});

test("lists that nobody reads are bounded in all", async () => {
  await manyNodes(home, 200, 16_384);
  // Some 3.3 MB each: 660 MB.
  const suffered = await suffer(home, pid(), async () => {
    const sockets = await deaf(home, 200, "/api/v1/nodes");
    await new Promise((resolve) => setTimeout(resolve, 2000));
    for (const socket of sockets) socket.destroy();
    await Promise.all(sockets.map(closed));
  });
  unaffected(suffered);
  expect(suffered.grown).toBeLessThan(450);
  await until(async () => (await ask(home.socket, "/api/v1/nodes")).code === 200);
});

test("a hundred watchers that never read: the store's history is their queue, and who reads gets everything", async () => {
  await manyNodes(home, 1, 16_384);
  const reading = follow(home.socket, "/api/v1/nodes?watch=true&fieldSelector=metadata.name%3Dn0");
  await until(() => reading.events.length === 1);
  const sockets = await deaf(home, 100, "/api/v1/nodes?watch=true&fieldSelector=metadata.name%3Dn0");
  // Some 8 MB for each: 800 MB in all.
  const suffered = await suffer(home, pid(), () => change(home, "n0", 500, 16_384));
  unaffected(suffered);
  expect(suffered.grown).toBeLessThan(200);
  await until(() => reading.events.length === 501);
  const versions = reading.events.map((e) => Number(e.object.metadata.resourceVersion));
  expect(versions).toEqual([...new Set(versions)].toSorted((a, b) => a - b));
  // One of them begins to read, and misses nothing.
  const [late] = sockets as [(typeof sockets)[0]];
  let lines = 0;
  late.on("data", (d: Buffer) => (lines += d.toString("latin1").split('{"type":').length - 1));
  late.resume();
  await until(() => lines >= 501);
  expect(lines).toBe(501);
  for (const socket of sockets) socket.destroy();
  await Promise.all(sockets.map(closed));
});

test("10,000 connections that say nothing: the oldest make room, and newcomers are served", async () => {
  const before = residentMb(pid());
  let open = 0;
  const suffered = await suffer(home, pid(), async () => {
    const sockets = await silentConnections(home, 10_000);
    await until(() => (open = sockets.filter((s) => !s.destroyed).length) <= 8192);
    for (const socket of sockets) socket.destroy();
    await Promise.all(sockets.map(closed));
  });
  unaffected(suffered);
  expect(open).toBeGreaterThan(8000);
  expect(suffered.grown).toBeLessThan(300);
  await until(async () => (await ask(home.socket, "/healthz")).body === "ok");
  expect(residentMb(pid()) - before).toBeLessThan(300);
});

test("the same at the TLS door, where nobody shakes hands", async () => {
  const { port } = new URL(server.url);
  const suffered = await suffer(home, pid(), async () => {
    const sockets = Array.from({ length: 1000 }, () => connect(Number(port), "127.0.0.1"));
    for (const socket of sockets) socket.on("error", () => {});
    await Promise.all(sockets.map((s) => new Promise((resolve) => s.once("connect", resolve))));
    for (const socket of sockets) socket.destroy();
    await Promise.all(sockets.map(closed));
  });
  unaffected(suffered);
});
