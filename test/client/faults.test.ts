// Informers of the real server through a network that breaks in every way: what they hold, and what their events add up to, is in the end what a list gives.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { CONFIG_MAP, type ConfigMap } from "../../src/api/configmap.ts";
import { openAuthority } from "../../src/apiserver/identity/authority.ts";
import { type RunningServer, startServer } from "../../src/apiserver/server.ts";
import { silent } from "../../src/base/log.ts";
import { type ChangeType, informer, type InformerOptions } from "../../src/client/informer.ts";
import { connectTo, connectToSocket } from "../../src/client/node.ts";
import type { RestClient } from "../../src/client/rest.ts";
import type { Informer } from "../../src/client/types.ts";
import { memoryStore } from "../../src/store/memory.ts";
import type { Store } from "../../src/store/store.ts";
import { FaultProxy } from "./faults.ts";
import { RealServer } from "./server.ts";

const map = (name: string, n: number, side: string): ConfigMap => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace: "default", labels: { side } },
  data: { n: String(n), filler: "x".repeat(n % 3 === 0 ? 5000 : 10) },
});

/** Two informers, one of them selective, and for each a twin that knows only the events. */
class Watched {
  readonly informers: Informer<ConfigMap>[] = [];
  readonly twins: Map<string, ConfigMap>[] = [];
  readonly wrong: string[] = [];
  constructor(client: RestClient) {
    const options: InformerOptions<ConfigMap> = {
      namespace: "default",
      idleMs: 700,
      backoff: { firstMs: 10, maxMs: 200, factor: 2, jitter: 1 },
      healthyMs: 300,
    };
    for (const more of [{}, { labelSelector: "side=left" }]) {
      const twin = new Map<string, ConfigMap>();
      this.twins.push(twin);
      this.informers.push(informer(client, CONFIG_MAP, { ...options, ...more, onEvent: (type, o) => this.#apply(twin, type, o) }));
    }
  }
  #apply(twin: Map<string, ConfigMap>, type: ChangeType, object: ConfigMap): void {
    const { name, resourceVersion } = object.metadata;
    const old = twin.get(name);
    if ((type === "ADDED") === (old !== undefined)) this.wrong.push(`${type} ${name}, which was ${old ? "there" : "not there"}`);
    if (old && type !== "DELETED" && Number(resourceVersion) <= Number(old.metadata.resourceVersion)) this.wrong.push(`${name} goes back in time`);
    if (type === "DELETED") twin.delete(name);
    else twin.set(name, object);
  }
  /** Waits until both are what `direct` lists. */
  async settled(direct: RestClient): Promise<void> {
    const versions = (objects: Iterable<ConfigMap>): string[] => [...objects].map((o) => `${o.metadata.name}@${o.metadata.resourceVersion}`).sort(); // prettier-ignore
    for (const [i, selector] of [{}, { labelSelector: "side=left" }].entries()) {
      const listed = versions((await direct.list(CONFIG_MAP, { namespace: "default", ...selector })).items);
      await vi.waitFor(() => expect(versions(this.informers[i]!.list())).toEqual(listed), { timeout: 60_000, interval: 20 });
      expect(versions(this.twins[i]!.values())).toEqual(listed);
    }
    expect(this.wrong).toEqual([]);
  }
  async stop(): Promise<void> {
    await Promise.all(this.informers.map((i) => i.stop()));
  }
}

/** Whole numbers below their argument, the same ones for the same seed. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => ((state = (state * 1_103_515_245 + 12_345) % 2 ** 31), Math.floor((state / 2 ** 31) * below));
}
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** One write of some object; tried until the server takes it. */
async function write(direct: RestClient, known: Set<string>, random: (below: number) => number, n: number): Promise<void> {
  const name = `m${random(12)}`;
  const side = random(2) === 0 ? "left" : "right";
  if (!known.has(name)) {
    known.add(name);
    await direct.create(CONFIG_MAP, map(name, n, side));
  } else if (random(3) === 0) {
    known.delete(name);
    await direct.delete(CONFIG_MAP, name, { namespace: "default" });
  } else {
    const { data, metadata } = map(name, n, side);
    await direct.patch(CONFIG_MAP, name, { data, metadata: { labels: metadata.labels } }, { namespace: "default" });
  }
}
async function disturb(proxy: FaultProxy, random: (below: number) => number): Promise<void> {
  const what = random(12);
  if (what < 3) proxy.cut();
  else if (what < 5) proxy.cutAfter(random(3000));
  else if (what < 6) proxy.slow(1 + random(200));
  else if (what < 7) {
    proxy.stall();
    await sleep(random(1200));
    proxy.heal();
  } else if (what < 9) proxy.heal();
}

describe("a server whose history is short", () => {
  let directory: string;
  let server: RunningServer;
  let store: Store;
  let proxy: FaultProxy;
  let [direct, client]: RestClient[] = [];
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "tortie-faults-"));
    store = memoryStore(Date.now);
    const authority = openAuthority(directory, Date.now, { create: true });
    const socket = join(directory, "api.sock");
    server = await startServer({
      store,
      shared: false,
      authority,
      listen: { host: "127.0.0.1", port: 0 },
      socket,
      version: "0.0.0",
      log: silent,
      now: Date.now,
    });
    proxy = new FaultProxy(socket);
    direct = connectToSocket(socket);
    client = connectTo({ url: await proxy.listen() });
  });
  afterEach(async () => {
    await client!.close();
    await direct!.close();
    await proxy.close();
    await server.stop(0);
    rmSync(directory, { recursive: true, force: true });
  });

  test.for([1, 2, 3, 4])("nothing is missed or doubled through cuts, stalls, slowness and compactions (seed %i)", async (seed) => {
    const random = dice(seed);
    const watched = new Watched(client!);
    const known = new Set<string>();
    await Promise.all(watched.informers.map((i) => i.start()));
    for (let n = 0; n < 150; n++) {
      await write(direct!, known, random, n);
      if (random(3) === 0) await disturb(proxy, random);
      // Whoever is away now comes back to a history that has gone.
      if (random(8) === 0) {
        proxy.cut();
        for (let i = random(5); i > 0; i--) await write(direct!, known, random, n);
        await store.compact(store.revision);
      }
      await sleep(random(15));
    }
    proxy.heal();
    await watched.settled(direct!);
    const { expired, lists, failures } = watched.informers[0]!.metrics;
    expect(failures).toBeGreaterThan(0);
    expect(lists).toBeGreaterThan(1);
    expect(expired).toBeGreaterThan(0);
    await watched.stop();
    await expect.poll(() => proxy.connections).toBeLessThan(10);
  });

  test("fifty gaps leave no memory behind", async () => {
    for (let n = 0; n < 300; n++) await direct!.create(CONFIG_MAP, map(`c${n}`, 1, "left"));
    const watched = new Watched(client!);
    await Promise.all(watched.informers.map((i) => i.start()));
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const gaps = async (count: number): Promise<number> => {
      for (let i = 0; i < count; i++) {
        const before = watched.informers[0]!.metrics.lists;
        await direct!.patch(CONFIG_MAP, "c0", { data: { n: String(i), filler: String(Math.random()) } }, { namespace: "default" });
        await store.compact(store.revision);
        // Nobody comes back before what was missed is forgotten.
        proxy.stall();
        proxy.cut();
        await direct!.patch(CONFIG_MAP, "c1", { data: { n: String(i), filler: String(Math.random()) } }, { namespace: "default" });
        await store.compact(store.revision);
        proxy.heal();
        await vi.waitFor(() => expect(watched.informers[0]!.metrics.lists).toBeGreaterThan(before), { timeout: 60_000, interval: 5 });
      }
      collect();
      return process.memoryUsage().heapUsed;
    };
    const early = await gaps(10);
    const late = await gaps(40);
    // 40 lists of 300 objects are more than 12 MB: what is kept of them is none.
    expect(late - early).toBeLessThan(4 << 20);
    await watched.settled(direct!);
    await watched.stop();
  });
});

test("nothing is missed or doubled when the server is killed again and again behind a bad network", async () => {
  const server = new RealServer();
  const proxy = new FaultProxy(server.socket);
  const client = connectTo({ url: await proxy.listen() });
  const random = dice(7);
  const watched = new Watched(client);
  const known = new Set<string>();
  try {
    await server.start();
    await Promise.all(watched.informers.map((i) => i.start()));
    for (let n = 0; n < 80; n++) {
      await write(server.client, known, random, n);
      if (random(3) === 0) await disturb(proxy, random);
      if (n % 16 === 15) {
        await server.kill();
        await server.start();
      }
    }
    proxy.heal();
    await watched.settled(server.client);
    expect(watched.informers[0]!.metrics.failures).toBeGreaterThan(0);
  } finally {
    await watched.stop();
    await client.close();
    await proxy.close();
    await server.dispose();
  }
});
