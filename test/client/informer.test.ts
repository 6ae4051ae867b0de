// The informer against a small server that breaks in every way; only a unix socket, no root.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { delay, RECONNECT } from "../../src/base/backoff.ts";
import { type ChangeType, informer, type InformerOptions } from "../../src/client/informer.ts";
import { connectToSocket } from "../../src/client/node.ts";
import type { RestClient } from "../../src/client/rest.ts";
import type { Informer } from "../../src/client/types.ts";
import { FakeServer, type Thing, THING } from "./fake.ts";

let server: FakeServer;
let client: RestClient;
let running: Informer<Thing>[];
beforeEach(() => {
  server = new FakeServer();
  client = connectToSocket(server.socket);
  running = [];
});
afterEach(async () => {
  await Promise.all(running.map((i) => i.stop()));
  await client.close();
  await server.dispose();
});

type Seen = `${ChangeType} ${string}=${number}`;
function watcher(options: InformerOptions<Thing> = {}): { things: Informer<Thing>; seen: Seen[] } {
  const seen: Seen[] = [];
  // The usual back-off would make the tests wait.
  const quick = { backoff: { firstMs: 20, maxMs: 200, factor: 2, jitter: 1 }, healthyMs: 500 };
  const things = informer(client, THING, { ...quick, ...options, onEvent: (type, o) => seen.push(`${type} ${o.metadata.name}=${o.spec?.n ?? 0}`) });
  running.push(things);
  return { things, seen };
}
const values = (i: Informer<Thing>): Record<string, number> => Object.fromEntries(i.list().map((o) => [o.metadata.name, o.spec!.n]));
const until = (f: () => void): Promise<void> => vi.waitFor(f, { timeout: 60_000, interval: 5 });

describe("informer", () => {
  test("lists, then follows; managedFields are not kept", async () => {
    await server.start();
    server.put("a", 1);
    const { things, seen } = watcher();
    await things.start();
    expect(values(things)).toEqual({ a: 1 });
    expect(things.get("a")?.metadata.managedFields).toBeUndefined();
    await until(() => expect(server.requests.some((r) => r.includes("watch=true"))).toBe(true));
    server.put("b", 2);
    server.put("a", 3);
    server.remove("b");
    await until(() => expect(seen).toEqual(["ADDED a=1", "ADDED b=2", "MODIFIED a=3", "DELETED b=2"]));
    expect(values(things)).toEqual({ a: 3 });
  });

  test("a batch of changes is told once, and a removed listener hears nothing", async () => {
    await server.start();
    const { things } = watcher();
    await things.start();
    let told = 0;
    const off = things.onChange(() => told++);
    await until(() => expect(server.requests.length).toBe(2));
    for (let i = 0; i < 50; i++) server.put(`x${i}`, i);
    await until(() => expect(things.list().length).toBe(50));
    await until(() => expect(told).toBeGreaterThan(0));
    expect(told).toBeLessThan(50);
    off();
    const before = told;
    server.put("y", 1);
    await until(() => expect(things.get("y")).toBeDefined());
    await new Promise((r) => setTimeout(r, 20));
    expect(told).toBe(before);
  });

  test("a killed server: nothing is lost, and events are not repeated", async () => {
    await server.start();
    const { things, seen } = watcher();
    await things.start();
    const expected: Seen[] = [];
    for (let round = 0; round < 5; round++) {
      await server.kill();
      server.put(`while-down-${round}`, round); // written by whom else the store serves
      expected.push(`ADDED while-down-${round}=${round}`);
      await server.start();
      server.put(`after-${round}`, round);
      expected.push(`ADDED after-${round}=${round}`);
      await until(() => expect(seen).toEqual(expected));
    }
    expect(server.requests.filter((r) => !r.includes("watch=true")).length, "one list only: it resumed from its revision").toBe(1);
  });

  test("the back-off is client-go's: 0.8 to 30 s, and up to as much again by chance", () => {
    const waits = [0, 1, 2, 3, 20].map((n) => [delay(RECONNECT, n, 0), delay(RECONNECT, n, 0.999)]);
    expect(waits.map(([least]) => least)).toEqual([800, 1600, 3200, 6400, 30_000]);
    for (const [least, most] of waits) expect(most! / least!).toBeCloseTo(2, 1);
  });

  test("a server that asks to wait is waited for", async () => {
    await server.start();
    const asked: number[] = [];
    server.intercept = (req, res) => {
      if (!req.url!.includes("watch=true") || asked.push(performance.now()) > 1) return false;
      res.writeHead(429, { "retry-after": "6" }).end(JSON.stringify({ kind: "Status", status: "Failure", reason: "TooManyRequests", code: 429 }));
      return true;
    };
    const { things } = watcher({ backoff: { firstMs: 1, maxMs: 1, factor: 1, jitter: 0 } });
    await things.start();
    await until(() => expect(asked).toHaveLength(2));
    expect(asked[1]! - asked[0]!).toBeGreaterThan(5_900);
  });

  test("the collection comes as the first events of a watch, in one request", async () => {
    server.streamsLists = true;
    await server.start();
    server.put("a", 1);
    server.put("b", 2);
    const { things, seen } = watcher();
    await things.start();
    expect(values(things)).toEqual({ a: 1, b: 2 });
    server.put("a", 3);
    await until(() => expect(seen).toEqual(["ADDED a=1", "ADDED b=2", "MODIFIED a=3"]));
    expect(server.requests).toHaveLength(1);
    // After a gap it comes that way again, with what went as deletions.
    await server.kill();
    server.remove("b");
    server.compacted = server.revision;
    server.events = [];
    await server.start();
    await until(() => expect(seen.at(-1)).toBe("DELETED b=2"));
    expect(server.requests.every((r) => r.includes("watch=true"))).toBe(true);
    expect(things.metrics).toMatchObject({ objects: 1, lists: 2, expired: 1, revision: String(server.revision) });
  });

  test("a server that never says where the first events end is asked for a list", async () => {
    server.streamsLists = true;
    server.endsFirstEvents = false;
    await server.start();
    server.put("a", 1);
    const { things, seen } = watcher({ idleMs: 300 });
    await things.start();
    expect(values(things)).toEqual({ a: 1 });
    expect(server.requests.some((r) => !r.includes("watch=true"))).toBe(true);
    server.put("b", 2);
    await until(() => expect(seen).toEqual(["ADDED a=1", "ADDED b=2"]));
  });

  test("objects by label, also as labels change, and after a gap", async () => {
    await server.start();
    const put = (name: string, side?: string): void => {
      server.put(name, 1);
      if (side !== undefined) server.objects.get(name)!.metadata.labels = { side };
    };
    put("a", "left");
    put("b", "right");
    put("c");
    const { things } = watcher();
    await things.start();
    const names = (side: string): string[] => things.byLabel("side", side).map((o) => o.metadata.name).sort(); // prettier-ignore
    expect([names("left"), names("right"), names("up")]).toEqual([["a"], ["b"], []]);
    await until(() => expect(server.requests).toHaveLength(2));
    const events = (...of: [string, string, string?][]): void => {
      for (const [type, name, side] of of) {
        const metadata = { name, resourceVersion: String(++server.revision), ...(side === undefined ? {} : { labels: { side } }) };
        server.write(`${JSON.stringify({ type, object: { metadata, spec: { n: 2 } } })}\n`);
      }
    };
    events(["MODIFIED", "a", "right"], ["MODIFIED", "c", "left"], ["DELETED", "b", "right"], ["ADDED", "d", "left"]);
    await until(() => expect([names("left"), names("right")]).toEqual([["c", "d"], ["a"]]));
    events(["MODIFIED", "c"]);
    await until(() => expect(names("left")).toEqual(["d"]));
  });

  test("410: lists again, and what went meanwhile comes as deletions", async () => {
    await server.start();
    server.put("goes", 1);
    server.put("stays", 2);
    server.put("changes", 3);
    const { things, seen } = watcher();
    await things.start();
    await server.kill();
    server.remove("goes");
    server.put("changes", 4);
    server.put("new", 5);
    server.compacted = server.revision - 1;
    server.events = server.events.filter((e) => e.revision > server.compacted);
    seen.length = 0;
    await server.start();
    await until(() => expect(seen).toEqual(["DELETED goes=1", "MODIFIED changes=4", "ADDED new=5"]));
    expect(values(things)).toEqual({ stays: 2, changes: 4, new: 5 });
    server.put("stays", 6);
    await until(() => expect(values(things).stays).toBe(6));
  });

  test("a slow start: start() waits for the server, then resolves", async () => {
    const { things } = watcher();
    const started = things.start();
    await new Promise((r) => setTimeout(r, 300));
    expect(things.synced).toBe(false);
    server.put("a", 1);
    await server.start();
    await started;
    expect(values(things)).toEqual({ a: 1 });
  });

  test("start() may be called again: both wait for the first list", async () => {
    await server.start();
    const { things } = watcher();
    await Promise.all([things.start(), things.start()]);
    await things.start();
    expect(server.requests.filter((r) => !r.includes("watch=true")).length).toBe(1);
  });

  test("start() gives up when told to", async () => {
    const { things } = watcher();
    await expect(things.start(AbortSignal.timeout(50))).rejects.toThrow();
    expect(things.synced).toBe(false);
  });

  test("a silent peer is taken for dead; a keep-alive line is a sign of life", async () => {
    await server.start();
    const { things } = watcher({ idleMs: 2_000 });
    await things.start();
    const watches = (): number => server.requests.filter((r) => r.includes("watch=true")).length;
    await until(() => expect(watches()).toBe(1));
    const alive = setInterval(() => server.write("\n"), 100);
    await new Promise((r) => setTimeout(r, 5_000));
    expect(watches()).toBe(1);
    clearInterval(alive);
    await until(() => expect(watches()).toBeGreaterThan(1));
    expect(server.requests.filter((r) => !r.includes("watch=true")).length).toBe(1);
  });

  test("a bookmark moves the revision to resume from", async () => {
    await server.start();
    const { things } = watcher();
    await things.start();
    await until(() => expect(server.requests.length).toBe(2));
    server.write(`${JSON.stringify({ type: "BOOKMARK", object: { kind: "Thing", metadata: { resourceVersion: "777" } } })}\n`);
    server.endWatches();
    await until(() => expect(server.requests.at(-1)).toContain("resourceVersion=777"));
    expect(things.list()).toEqual([]);
  });

  test.for([
    { name: "not JSON", text: "{ no json\n" },
    { name: "no object", text: '{"type":"ADDED"}\n' },
    { name: "half a line, then the end", text: '{"type":"ADDED","object":{"metadata":{"name":"half"' },
  ])("damaged events ($name) stop nothing", async ({ text }) => {
    await server.start();
    const { things } = watcher();
    await things.start();
    await until(() => expect(server.requests.length).toBe(2));
    server.write(text);
    server.endWatches();
    await until(() => expect(server.requests.length).toBeGreaterThan(2));
    server.put("a", 1);
    await until(() => expect(values(things)).toEqual({ a: 1 }));
  });

  test("a refused watch (403) is tried again, not given up", async () => {
    await server.start();
    let refusals = 0;
    server.intercept = (req, res) => {
      if (!req.url!.includes("watch=true") || ++refusals > 3) return false;
      res.writeHead(403).end(JSON.stringify({ kind: "Status", status: "Failure", reason: "Forbidden", code: 403, message: "no" }));
      return true;
    };
    const { things } = watcher();
    await things.start();
    server.put("a", 1);
    await until(() => expect(values(things)).toEqual({ a: 1 }));
    expect(refusals).toBe(4);
  });

  test("stop() ends at once, also while the server is away", async () => {
    const { things } = watcher();
    const started = things.start();
    await new Promise((r) => setTimeout(r, 50));
    await things.stop();
    await started;
    expect(server.requests).toEqual([]);
  });
});
