// The stock client of the Kubernetes project for Node on our server: lists, watches, and its informer through what it survives.
// scripts/peers brings it; it is no dependency of ours.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openAuthority } from "../../src/apiserver/identity/authority.ts";
import { startServer } from "../../src/apiserver/server.ts";
import { silent } from "../../src/base/log.ts";
import { connectToSocket } from "../../src/client/node.ts";
import { memoryStore } from "../../src/store/memory.ts";
import { FaultProxy } from "../client/faults.ts";
import { peersDirectory } from "../peers.ts";
import { ask, ServerHome, type ServerProcess, until } from "./process.ts";

const PACKAGE = join(dirname(peersDirectory), "npm/node_modules/@kubernetes/client-node");

type Pool = { metadata: { name: string; resourceVersion: string }; spec: { cidr: string; natOutgoing?: boolean } };
type Informer = {
  on(event: "add" | "update" | "delete", listener: (object: Pool) => void): void;
  on(event: "error", listener: (error: { message: string }) => void): void;
  start(): Promise<void>;
  stop(): Promise<void>;
  list(): Pool[];
};
type Config = {
  loadFromFile(path: string): void;
  loadFromClusterAndUser(cluster: object, user: object): void;
  makeApiClient<T>(type: new () => T): T;
};
type CustomObjects = {
  listClusterCustomObject(of: object): Promise<{ items: Pool[]; metadata: { resourceVersion: string } }>;
  createClusterCustomObject(of: object): Promise<Pool>;
  deleteClusterCustomObject(of: object): Promise<{ status: string }>;
};
type Core = {
  listNode(): Promise<{ items: { metadata: { name: string; creationTimestamp: Date } }[] }>;
  createNode(of: object): Promise<unknown>;
  readNode(of: object): Promise<unknown>;
};
type ClientNode = {
  KubeConfig: new () => Config;
  CustomObjectsApi: new () => CustomObjects;
  CoreV1Api: new () => Core;
  makeInformer(config: Config, path: string, list: () => Promise<unknown>): Informer;
};

const POOLS = "/apis/projectcalico.org/v3/ippools";
const KIND = { group: "projectcalico.org", version: "v3", plural: "ippools" };
const pool = (name: string, third: number): object => ({
  apiVersion: "projectcalico.org/v3",
  kind: "IPPool",
  metadata: { name },
  spec: { cidr: `10.${third}.0.0/16` },
});

const here = existsSync(PACKAGE);
const describeClient = here ? describe : describe.skip;

describeClient(`@kubernetes/client-node${here ? "" : " [skipped: not here; scripts/peers brings it]"}`, () => {
  const home = new ServerHome();
  let server: ServerProcess;
  let k8s: ClientNode;
  let config: Config;
  let pools: CustomObjects;
  beforeAll(async () => {
    server = await home.start();
    const entry = join(PACKAGE, "dist/index.js");
    k8s = (await import(/* @vite-ignore */ pathToFileURL(entry).href)) as ClientNode;
    config = new k8s.KubeConfig();
    config.loadFromFile(home.kubeconfig);
    pools = config.makeApiClient(k8s.CustomObjectsApi);
  });
  afterAll(() => home.remove());

  const create = (name: string, third: number): Promise<Pool> => pools.createClusterCustomObject({ ...KIND, body: pool(name, third) });
  const remove = (name: string): Promise<{ status: string }> => pools.deleteClusterCustomObject({ ...KIND, name });
  const patch = (name: string, spec: object): Promise<unknown> =>
    ask(home.socket, `${POOLS}/${name}`, { method: "PATCH", type: "application/merge-patch+json", body: JSON.stringify({ spec }) });

  test("typed and custom objects: create, read, list, delete, and errors as it throws them", async () => {
    const core = config.makeApiClient(k8s.CoreV1Api);
    await core.createNode({ body: { apiVersion: "v1", kind: "Node", metadata: { name: "n1" } } });
    const { items } = await core.listNode();
    expect(items.map((n) => n.metadata.name)).toEqual(["n1"]);
    expect(items[0]!.metadata.creationTimestamp).toBeInstanceOf(Date);
    await expect(core.readNode({ name: "n2" })).rejects.toMatchObject({
      code: 404,
      body: expect.stringContaining('nodes \\"n2\\" not found') as string,
    });
    expect((await create("p0", 9)).spec.cidr).toBe("10.9.0.0/16");
    expect((await remove("p0")).status).toBe("Success");
  });

  test("its informer sees each change in order, and goes on where the server was started again", async () => {
    await create("p1", 1);
    const informer = k8s.makeInformer(config, POOLS, () => pools.listClusterCustomObject(KIND));
    const seen: string[] = [];
    let errors = 0;
    for (const event of ["add", "update", "delete"] as const) informer.on(event, (o) => seen.push(`${event} ${o.metadata.name}`));
    // It stops for good when the connection breaks: whoever uses it starts it again.
    let stopping = false;
    informer.on("error", () => {
      errors++;
      if (!stopping) setTimeout(() => void informer.start().catch(() => {}), 200);
    });
    await informer.start();
    await create("p2", 2);
    await patch("p2", { natOutgoing: true });
    await remove("p1");
    await create("p3", 3);
    await until(() => seen.length >= 5);
    expect(seen).toEqual(["add p1", "add p2", "update p2", "delete p1", "add p3"]);
    expect(informer.list().map((p) => [p.metadata.name, p.spec.natOutgoing])).toEqual([
      ["p2", true],
      ["p3", undefined],
    ]);

    const { port } = new URL(server.url);
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      const before = errors;
      server.child.kill(signal);
      await server.ended;
      await until(() => errors > before);
      server = await home.start(Number(port));
      // What happens while it does not watch.
      await patch("p2", { natOutgoing: signal === "SIGKILL" });
      await create(`after-${signal.toLowerCase()}`, signal === "SIGKILL" ? 5 : 4);
      const want = await pools.listClusterCustomObject(KIND);
      const state = (of: Pool[]): string =>
        of
          .map((p) => `${p.metadata.name} ${p.metadata.resourceVersion}`)
          .toSorted()
          .join();
      await until(() => state(informer.list()) === state(want.items));
    }
    stopping = true;
    await informer.stop();
  });

  test("after a 410 its informer lists again, says what went meanwhile, and goes on", async () => {
    const directory = mkdtempSync(join(tmpdir(), "tortie-gap-"));
    const store = memoryStore(Date.now);
    const socket = join(directory, "api.sock");
    const short = await startServer({
      store,
      shared: false,
      authority: openAuthority(directory, Date.now, { create: true }),
      listen: { host: "127.0.0.1", port: 0 },
      socket,
      version: "0.0.0",
      log: silent,
      now: Date.now,
    });
    const proxy = new FaultProxy(socket);
    const client = connectToSocket(socket);
    try {
      const behind = new k8s.KubeConfig();
      behind.loadFromClusterAndUser({ name: "c", server: await proxy.listen(), skipTLSVerify: true }, { name: "u" });
      const listed = behind.makeApiClient(k8s.CustomObjectsApi);
      let lists = 0;
      const informer = k8s.makeInformer(behind, POOLS, () => {
        lists++;
        return listed.listClusterCustomObject(KIND);
      });
      const seen: string[] = [];
      for (const event of ["add", "update", "delete"] as const) informer.on(event, (o) => seen.push(`${event} ${o.metadata.name}`));
      let errors = 0;
      informer.on("error", () => errors++);
      const make = (name: string, third: number): Promise<unknown> => client.raw("POST", POOLS, { body: pool(name, third) });
      await make("goes", 1);
      await make("stays", 2);
      await informer.start();
      await make("comes", 3);
      await until(() => seen.length === 3, 60_000);
      expect([seen, lists]).toEqual([["add goes", "add stays", "add comes"], 1]);

      // It stops when the connection breaks, and keeps its revision; the history that goes on from there goes.
      proxy.cut();
      await until(() => errors > 0, 60_000);
      await client.raw("DELETE", `${POOLS}/goes`);
      await make("while-away", 4);
      await store.compact(store.revision);
      await informer.start();
      await until(() => seen.includes("add while-away"), 60_000);
      expect(seen.slice(3)).toEqual(["delete goes", "add while-away"]);
      expect(lists).toBe(2);
      await make("afterwards", 5);
      await until(() => seen.includes("add afterwards"), 60_000);
      expect(
        informer
          .list()
          .map((p) => p.metadata.name)
          .toSorted(),
      ).toEqual(["afterwards", "comes", "stays", "while-away"]);
      await informer.stop();
    } finally {
      await client.close();
      await proxy.close();
      await short.stop(0);
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
