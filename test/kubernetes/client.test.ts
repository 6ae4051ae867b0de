// The client and its informer against a genuine Kubernetes API server: what our own server is built to be like.
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { FELIX_CONFIGURATION, type FelixConfiguration } from "../../src/api/felixconfiguration.ts";
import { IP_POOL, type IPPool } from "../../src/api/ippool.ts";
import { CONFIG_MAP } from "../../src/api/configmap.ts";
import { NODE } from "../../src/api/node.ts";
import { POD } from "../../src/api/pod.ts";
import { ApiError, isAlreadyExists, isConflict, isExpired, isNotFound } from "../../src/client/error.ts";
import { informer } from "../../src/client/informer.ts";
import type { RestClient } from "../../src/client/rest.ts";
import type { WatchEvent } from "../../src/api/meta.ts";
import { Etcd } from "../etcd/etcd.ts";
import { describeWith } from "../peers.ts";
import { ApiServer, V3_DEFINITIONS } from "./server.ts";

const felix = (name: string, spec: FelixConfiguration["spec"] = {}): FelixConfiguration => ({
  apiVersion: "projectcalico.org/v3",
  kind: "FelixConfiguration",
  metadata: { name },
  spec,
});
const pool = (name: string, labels: Record<string, string> = {}): IPPool => ({
  apiVersion: "projectcalico.org/v3",
  kind: "IPPool",
  metadata: { name, labels },
  spec: { cidr: "10.0.0.0/16" },
});
const code = (thrown: unknown): number | undefined => (thrown instanceof ApiError ? thrown.code : undefined);

/** The usual back-off would make the tests wait. */
const QUICK = { backoff: { firstMs: 80, maxMs: 1000, factor: 2, jitter: 1 }, healthyMs: 500 } as const;
const PATIENCE = { timeout: 60_000, interval: 20 };

describeWith(["kubernetes-apiserver", "etcd", "etcdctl"], "a genuine Kubernetes", () => {
  let etcd: Etcd;
  let server: ApiServer;
  let client: RestClient;
  let defined: Awaited<ReturnType<ApiServer["define"]>>;
  beforeAll(async () => {
    etcd = await Etcd.start();
    server = await ApiServer.start(etcd);
    client = server.client();
    defined = await server.define(V3_DEFINITIONS);
  });
  afterAll(async () => {
    await server.dispose();
    await etcd.remove();
  });

  test("takes our definitions of every kind: names accepted, schemas structural", () => {
    type Status = { conditions: { type: string; status: string; message: string }[] };
    for (const { metadata, status } of defined) {
      const conditions = (status as Status).conditions.map((c) => `${c.type}=${c.status}`).sort();
      expect([metadata.name, conditions]).toEqual([metadata.name, ["Established=True", "NamesAccepted=True"]]);
    }
    expect(defined.length).toBeGreaterThan(8);
  });

  test("create, get, update, patch, delete, and what each refuses", async () => {
    const made = await client.create(FELIX_CONFIGURATION, felix("node.a", { wireguardListeningPort: 51820 }));
    expect(made.metadata.uid).toBeTruthy();
    expect(await client.create(FELIX_CONFIGURATION, felix("node.a")).catch(isAlreadyExists)).toBe(true);
    const updated = await client.update(FELIX_CONFIGURATION, { ...made, spec: { wireguardListeningPort: 1 } });
    expect([updated.metadata.uid, updated.metadata.generation]).toEqual([made.metadata.uid, 2]);
    expect(await client.update(FELIX_CONFIGURATION, made).catch(isConflict)).toBe(true);
    const merged = await client.patch(FELIX_CONFIGURATION, "node.a", { spec: { wireguardEnabled: true } });
    expect(merged.spec).toEqual({ wireguardListeningPort: 1, wireguardEnabled: true });
    const operations = [
      { op: "test", path: "/spec/wireguardEnabled", value: true },
      { op: "remove", path: "/spec/wireguardListeningPort" },
    ];
    expect((await client.patch(FELIX_CONFIGURATION, "node.a", operations, { type: "json" })).spec).toEqual({ wireguardEnabled: true });
    expect(await client.patch(FELIX_CONFIGURATION, "node.a", operations, { type: "json" }).catch(code)).toBe(422);
    expect(await client.patch(FELIX_CONFIGURATION, "node.a", {}, { type: "strategic" }).catch(code)).toBe(415);
    const stale = { metadata: { resourceVersion: made.metadata.resourceVersion } };
    expect(await client.patch(FELIX_CONFIGURATION, "node.a", stale).catch(isConflict)).toBe(true);
    expect(await client.delete(FELIX_CONFIGURATION, "node.a", { resourceVersion: made.metadata.resourceVersion! }).catch(isConflict)).toBe(true);
    expect(await client.delete(FELIX_CONFIGURATION, "node.a", { uid: "00000000-0000-4000-8000-000000000000" }).catch(isConflict)).toBe(true);
    await client.delete(FELIX_CONFIGURATION, "node.a", { uid: made.metadata.uid! });
    expect(await client.get(FELIX_CONFIGURATION, "node.a").catch(isNotFound)).toBe(true);
    expect(await client.delete(FELIX_CONFIGURATION, "node.a").catch(isNotFound)).toBe(true);
  });

  test("a dry run changes nothing", async () => {
    await client.create(FELIX_CONFIGURATION, felix("node.dry"), { dryRun: true });
    expect(await client.get(FELIX_CONFIGURATION, "node.dry").catch(isNotFound)).toBe(true);
    const made = await client.create(FELIX_CONFIGURATION, felix("node.dry"));
    const changed = { ...made, spec: { wireguardMTU: 1300 } };
    expect((await client.update(FELIX_CONFIGURATION, changed, { dryRun: true })).spec).toEqual({ wireguardMTU: 1300 });
    expect((await client.patch(FELIX_CONFIGURATION, "node.dry", { spec: { wireguardMTU: 1 } }, { dryRun: true })).spec).toEqual({ wireguardMTU: 1 });
    expect(await client.get(FELIX_CONFIGURATION, "node.dry")).toEqual(made);
  });

  test("our schemas hold there: wrong types, values and fields are refused with the field's name", async () => {
    const refused = async (spec: object): Promise<[number, string[]]> => {
      const thrown = await client
        .create(FELIX_CONFIGURATION, felix("node.bad", spec as FelixConfiguration["spec"]), { fieldValidation: "Strict" })
        .catch((t: unknown) => t as ApiError);
      return [(thrown as ApiError).code, ((thrown as ApiError).status.details?.causes ?? []).map((c) => c.field ?? "")];
    };
    expect(await refused({ wireguardListeningPort: 70000 })).toEqual([422, ["spec.wireguardListeningPort"]]);
    expect(await refused({ wireguardEnabled: "yes" })).toEqual([422, ["spec.wireguardEnabled"]]);
    expect((await refused({ noSuchField: 1 }))[0]).toBe(400);
  });

  test("a Node's annotations are kept through its status; strategic patches are for such kinds", async () => {
    const made = await client.create(NODE, { apiVersion: "v1", kind: "Node", metadata: { name: "n1", labels: { zone: "a" } } });
    const annotations = { "projectcalico.org/WireguardPublicKey": "jlkVyQYooZYzI2wFfNhSZez5eWh44yfq1wKVjLvSXgY=" };
    await client.updateStatus(NODE, { ...made, metadata: { ...made.metadata, annotations } });
    await client.patch(NODE, "n1", { status: { phase: "Running" } }, { subresource: "status" });
    await client.patch(NODE, "n1", { spec: { unschedulable: true }, status: { phase: "Pending" } }, { type: "strategic" });
    const node = await client.get(NODE, "n1");
    expect([node.metadata.annotations, node.metadata.labels, node.spec, node.status?.phase]).toEqual([
      annotations,
      { zone: "a" },
      { unschedulable: true },
      "Running",
    ]);
  });

  test("lists in pages, of one namespace and of all, by labels and fields", async () => {
    const map = (namespace: string, name: string): object => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace }, data: {} });
    for (const namespace of ["one", "two"])
      for (let i = 0; i < 5; i++) await client.create(CONFIG_MAP, map(namespace, `m${i}`) as never, { namespace });
    const names = async (options: object): Promise<string[]> =>
      (await client.list(CONFIG_MAP, options)).items.map((o) => `${o.metadata.namespace}/${o.metadata.name}`);
    const all = ["one", "two"].flatMap((n) => [0, 1, 2, 3, 4].map((i) => `${n}/m${i}`));
    expect(await names({ limit: 3 })).toEqual(all);
    expect(await names({ namespace: "two", limit: 2 })).toEqual(all.slice(5));
    expect(await names({ fieldSelector: "metadata.name=m1" })).toEqual(["one/m1", "two/m1"]);
    for (const [name, team] of [["p1", "red"], ["p2", "blue"], ["p3", "green"]] as const) await client.create(IP_POOL, pool(name, { team })); // prettier-ignore
    const pools = await client.list(IP_POOL, { labelSelector: "team in (red,green)", limit: 1 });
    expect(pools.items.map((p) => [p.metadata.name, p.kind, p.apiVersion])).toEqual([
      ["p1", "IPPool", "projectcalico.org/v3"],
      ["p3", "IPPool", "projectcalico.org/v3"],
    ]);
  });

  test("first events, a bookmark that ends them, then changes", async () => {
    const abort = new AbortController();
    const seen: string[] = [];
    const tell = ({ type, object }: WatchEvent<IPPool>): string =>
      type === "BOOKMARK" ? `BOOKMARK ${object.metadata.annotations?.["k8s.io/initial-events-end"]}` : `${type} ${object.metadata.name}`;
    for await (const event of client.watch(IP_POOL, { sendInitialEvents: true, bookmarks: true, labelSelector: "team", signal: abort.signal })) {
      seen.push(tell(event));
      if (seen.length === 4) void client.patch(IP_POOL, "p2", { metadata: { labels: { team: null } } });
      if (seen.length === 5) break;
    }
    abort.abort();
    expect(seen.slice(0, 3).sort()).toEqual(["ADDED p1", "ADDED p2", "ADDED p3"]);
    expect(seen.slice(3)).toEqual(["BOOKMARK true", "DELETED p2"]);
  });

  test("who shows another token is refused", async () => {
    const stranger = server.client({ token: "another" });
    expect(await stranger.list(NODE).catch(code)).toBe(401);
    const things = informer(stranger, NODE, QUICK);
    const started = things.start();
    await vi.waitFor(() => expect(things.metrics.failures).toBeGreaterThan(1), PATIENCE);
    expect(things.synced).toBe(false);
    await things.stop();
    await started;
  });

  test("an informer loses nothing over five kill -9 of the server, and repeats nothing", async () => {
    const seen: string[] = [];
    const felixes = informer(client, FELIX_CONFIGURATION, { ...QUICK, onEvent: (type, o) => seen.push(`${type} ${o.metadata.name}`) });
    await felixes.start();
    expect(felixes.metrics).toMatchObject({ lists: 1, bookmarks: 1, failures: 0 });
    const names = (of: readonly FelixConfiguration[]): string[] => of.map((o) => o.metadata.name).sort();
    for (let i = 0; i < 5; i++) {
      await client.create(FELIX_CONFIGURATION, felix(`node.before${i}`));
      await server.kill(); // the informer may or may not have seen it
      await server.run();
      await client.create(FELIX_CONFIGURATION, felix(`node.after${i}`));
      await client.delete(FELIX_CONFIGURATION, `node.before${i}`);
      const { items } = await client.list(FELIX_CONFIGURATION);
      await vi.waitFor(() => expect(names(felixes.list())).toEqual(names(items)), PATIENCE);
    }
    // A server that has just started knows of no earlier changes (410): what differs then comes in no order, but nothing comes twice.
    const present = new Set<string>();
    for (const [type, name] of seen.map((s) => s.split(" ") as [string, string])) {
      expect([type, name, present.has(name)]).toEqual([type, name, type !== "ADDED"]);
      if (type === "DELETED") present.delete(name);
      else present.add(name);
    }
    expect([...present].sort()).toEqual(names(felixes.list()));
    expect(seen.filter((s) => s.startsWith("ADDED node.after"))).toHaveLength(5);
    await felixes.stop();
  });

  test("410: what went while nobody looked, and was compacted away, comes as deletions", async () => {
    const other = await ApiServer.start(etcd);
    try {
      const through = other.client();
      for (const name of ["goes", "changes", "stays"]) await client.create(POD, podOf(name));
      const seen: string[] = [];
      const pods = informer(client, POD, { ...QUICK, onEvent: (type, o) => seen.push(`${type} ${o.metadata.name}`) });
      await pods.start();
      seen.length = 0;
      const { revision } = pods.metrics;
      await server.kill();
      await through.delete(POD, "goes");
      await through.patch(POD, "changes", { metadata: { labels: { changed: "yes" } } });
      const { metadata } = await through.create(POD, podOf("new"));
      await etcd.ctl("compact", metadata.resourceVersion!);
      await server.run();
      // Nobody can say any more what happened since.
      const follow = async (): Promise<never> => {
        for await (const _ of client.watch(POD, { resourceVersion: revision! })) break;
        throw new Error("it was watched");
      };
      expect(await follow().catch(isExpired)).toBe(true);
      await vi.waitFor(() => expect([...seen].sort()).toEqual(["ADDED new", "DELETED goes", "MODIFIED changes"]), PATIENCE);
      expect(pods.metrics).toMatchObject({ lists: 2, expired: 1, objects: 3 });
      await client.patch(POD, "stays", { metadata: { labels: { changed: "yes" } } });
      await vi.waitFor(() => expect(pods.byLabel("changed", "yes").map((p) => p.metadata.name).sort()).toEqual(["changes", "stays"]), PATIENCE); // prettier-ignore
      await pods.stop();
    } finally {
      await other.dispose();
    }
  });
});

const podOf = (name: string): never =>
  ({ apiVersion: "v1", kind: "Pod", metadata: { name, namespace: "default" }, spec: { containers: [{ name: "c", image: "i" }] } }) as never;
