// What clients do that mean harm: the answer is a clear one or a closed connection, memory is bounded, and others are served.
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  ambiguous,
  change,
  closed,
  codeOn,
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
import { type Answered, ask, follow, ServerHome, type ServerProcess, until } from "./process.ts";

let home: ServerHome;
let server: ServerProcess;
beforeAll(async () => {
  home = new ServerHome();
  server = await home.start();
});
afterAll(() => home.remove());

const pid = (): number => server.child.pid!;
const NODES = "/api/v1/nodes";
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

test("a connection whose other half is closed is answered, and so is a watch on one", async () => {
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

/** Others' requests that must be answered while the attack goes on. */
const OTHERS = 25;

/** All that others asked meanwhile was answered as ever, and memory grew by less than `mb`. */
const unaffected = (suffered: Suffered, mb: number): void => {
  process.stdout.write(`${describeSuffered(suffered)}\n`);
  expect(suffered.refused).toEqual([]);
  expect(suffered.latencies.length).toBeGreaterThanOrEqual(OTHERS);
  expect(suffered.grown).toBeLessThan(mb);
};
const endAll = async (sockets: readonly Socket[]): Promise<void> => {
  for (const socket of sockets) socket.destroy();
  await Promise.all(sockets.map(closed));
};

test("1,000 connections that close their half in the middle of a request: the server closes the other", async () => {
  const begun = ["GET /healthz HTTP/1.1\r\nHost:", 'POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"metadata":', ""];
  const suffered = await suffer(home, pid(), async (others) => {
    const sockets = Array.from({ length: 1000 }, () => raw(home));
    for (const [i, socket] of sockets.entries()) {
      socket.resume();
      socket.end(begun[i % begun.length]!);
    }
    await others(OTHERS);
    await Promise.all(sockets.map(closed));
  });
  unaffected(suffered, 150);
});

test("200 clients that send a byte at a time", async () => {
  let gone: number | undefined;
  const suffered = await suffer(home, pid(), async (others) => {
    gone = await trickle(home, 200, others(2 * OTHERS));
  });
  unaffected(suffered, 100);
  // They have a minute for each request.
  expect(gone).toBe(0);
});

test("lists that nobody reads are bounded in all: beyond that large ones are refused, small ones are not", async () => {
  await manyNodes(home, 200, 16_384);
  const whole = await ask(home.socket, NODES);
  expect(whole.code).toBe(200);
  const fits = Math.floor((256 * 1024 * 1024) / Buffer.byteLength(whole.body));
  // Some 3.3 MB each: 660 MB.
  let codes: number[] = [];
  let meanwhile: Answered | undefined;
  const suffered = await suffer(home, pid(), async (others) => {
    const sockets = await deaf(home, 200, NODES);
    codes = sockets.map(codeOn);
    meanwhile = await ask(home.socket, NODES);
    await others(OTHERS);
    await endAll(sockets);
  });
  unaffected(suffered, 450);
  const taken = codes.filter((c) => c === 200).length;
  // The probe's answers, and the list that was just read, may count still.
  expect([fits - 2, fits - 1, fits]).toContain(taken);
  expect(codes.filter((c) => c === 429)).toHaveLength(200 - taken);
  expect([meanwhile!.code, (JSON.parse(meanwhile!.body) as { reason: string }).reason]).toEqual([429, "TooManyRequests"]);
  await until(async () => (await ask(home.socket, NODES)).code === 200);
});

test("a hundred watchers that never read: the store's history is their queue, and who reads gets everything", async () => {
  await manyNodes(home, 1, 16_384);
  const reading = follow(home.socket, `${NODES}?watch=true&fieldSelector=metadata.name%3Dn0`);
  await until(() => reading.events.length === 1);
  const sockets = await deaf(home, 100, `${NODES}?watch=true&fieldSelector=metadata.name%3Dn0`);
  expect(new Set(sockets.map(codeOn))).toEqual(new Set([200]));
  // Some 8 MB for each: 800 MB in all.
  const suffered = await suffer(home, pid(), async (others) => {
    await change(home, "n0", 500, 16_384);
    await others(OTHERS);
  });
  unaffected(suffered, 200);
  await until(() => reading.events.length === 501, 60_000);
  const versions = reading.events.map((e) => Number(e.object.metadata.resourceVersion));
  expect(versions).toEqual([...new Set(versions)].toSorted((a, b) => a - b));
  // One of them begins to read, and misses nothing.
  const [late] = sockets as [Socket];
  let text = "";
  late.setEncoding("latin1").on("data", (d: string) => (text += d));
  late.resume();
  const lines = (): number => text.split('{"type":').length - 1;
  await until(() => lines() >= 501, 60_000);
  expect(lines()).toBe(501);
  await endAll(sockets);
});

test("10,000 connections that say nothing: the oldest make room, and newcomers are served", async () => {
  const before = residentMb(pid());
  let open = 0;
  const suffered = await suffer(home, pid(), async (others) => {
    const sockets = await silentConnections(home, 10_000);
    await until(() => (open = sockets.filter((s) => !s.destroyed).length) <= 8192, 60_000);
    await others(OTHERS);
    await endAll(sockets);
  });
  unaffected(suffered, 300);
  expect(open).toBeGreaterThan(8000);
  await until(async () => (await ask(home.socket, "/healthz")).body === "ok");
  expect(residentMb(pid()) - before).toBeLessThan(300);
});

test("the same at the TLS door, where nobody shakes hands", async () => {
  const { port } = new URL(server.url);
  const suffered = await suffer(home, pid(), async (others) => {
    const sockets = Array.from({ length: 1000 }, () => connect(Number(port), "127.0.0.1"));
    for (const socket of sockets) socket.on("error", () => {});
    await Promise.all(sockets.map((s) => new Promise((resolve) => s.once("connect", resolve))));
    await others(OTHERS);
    await endAll(sockets);
  });
  unaffected(suffered, 300);
});
