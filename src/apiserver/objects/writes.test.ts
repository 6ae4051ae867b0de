import { describe, expect, test } from "vitest";
import { FELIX, MERGE, POOLS, call, freshWorlds, pool, world } from "../world.cases.ts";

freshWorlds();

describe("writes", () => {
  test("create sets what only the server sets, fills defaults, and an object can be read back", async () => {
    const made = await call("POST", POOLS, {
      body: {
        ...pool("p"),
        metadata: { name: "p", uid: "mine", creationTimestamp: "2000-01-01T00:00:00Z", generation: 9, managedFields: [{}], labels: { a: "b" } },
        status: { conditions: [] },
      },
    });
    expect(made.code).toBe(201);
    expect(made.body.metadata).toMatchObject({
      name: "p",
      creationTimestamp: "2026-11-23T12:00:00Z",
      generation: 1,
      labels: { a: "b" },
      resourceVersion: String(world.store.revision),
    });
    expect(made.body.metadata.uid).not.toBe("mine");
    expect(made.body.metadata.managedFields).toBeUndefined();
    expect(made.body.spec).toEqual({ cidr: "10.0.0.0/16", assignmentMode: "Automatic", nodeSelector: "all()" });
    expect(made.body.status).toBeUndefined();
    expect((await call("GET", `${POOLS}/p`)).body).toEqual(made.body);
  });
  test("generation counts changes of the spec only; a change of nothing writes nothing", async () => {
    const one = (await call("PATCH", `${FELIX}/default`, { headers: MERGE, body: { spec: { wireguardEnabled: true } } })).body.metadata;
    expect(one.generation).toBe(2);
    const same = (await call("PATCH", `${FELIX}/default`, { headers: MERGE, body: { spec: { wireguardEnabled: true } } })).body.metadata;
    expect(same).toEqual(one);
    const labelled = (await call("PATCH", `${FELIX}/default`, { headers: MERGE, body: { metadata: { labels: { a: "b" } } } })).body.metadata;
    expect([labelled.generation, Number(labelled.resourceVersion)]).toEqual([2, Number(one.resourceVersion) + 1]);
  });
  test("PUT with the latest version replaces; with an older one it is refused; immutable metadata stays", async () => {
    const old = (await call("GET", `${FELIX}/default`)).body;
    const put = await call("PUT", `${FELIX}/default`, {
      body: { ...old, metadata: { ...old.metadata, creationTimestamp: "2020-01-01T00:00:00Z" }, spec: { wireguardMTU: 1400 } },
    });
    expect([put.code, put.body.spec, put.body.metadata.creationTimestamp]).toEqual([200, { wireguardMTU: 1400 }, old.metadata.creationTimestamp]);
    expect((await call("PUT", `${FELIX}/default`, { body: { ...old, spec: {} } })).code).toBe(409);
  });
  test("patches that race all land", async () => {
    const keys = Array.from({ length: 5 }, (_, i) => `k${i}`);
    const all = await Promise.all(
      keys.map((k) => call("PATCH", `${FELIX}/default`, { headers: MERGE, body: { metadata: { labels: { [k]: "x" } } } })),
    );
    expect(all.map((a) => a.code)).toEqual(keys.map(() => 200));
    expect(Object.keys((await call("GET", `${FELIX}/default`)).body.metadata.labels)).toEqual(expect.arrayContaining(keys));
  });
  test("dryRun answers as if and writes nothing", async () => {
    const before = world.store.revision;
    expect((await call("POST", `${POOLS}?dryRun=All`, { body: pool("p") })).code).toBe(201);
    expect((await call("PATCH", `${FELIX}/default?dryRun=All`, { headers: MERGE, body: { spec: { wireguardMTU: 1 } } })).body.spec).toEqual({
      wireguardMTU: 1,
    });
    expect((await call("DELETE", `${FELIX}/default`, { body: { dryRun: ["All"] } })).code).toBe(200);
    expect(world.store.revision).toBe(before);
  });
  test("generateName makes names, JSON patch and YAML are read", async () => {
    expect((await call("POST", POOLS, { body: { ...pool(""), metadata: { generateName: "p-" } } })).body.metadata.name).toBe("p-bbbbb");
    const json = await call("PATCH", `${FELIX}/default`, {
      headers: { "content-type": "application/json-patch+json" },
      body: [{ op: "add", path: "/spec/wireguardMTU", value: 1380 }],
    });
    expect(json.body.spec).toEqual({ wireguardMTU: 1380 });
    const yaml = await call("POST", POOLS, {
      headers: { "content-type": "application/yaml" },
      body: "metadata: {name: y}\nspec:\n  cidr: 10.1.0.0/16\n",
    });
    expect([yaml.code, yaml.body.spec.cidr]).toEqual([201, "10.1.0.0/16"]);
  });
  test("delete answers a Status; finalizers hold the object until the last is gone", async () => {
    const made = (await call("POST", POOLS, { body: { ...pool("p"), metadata: { name: "p", finalizers: ["a/b"] } } })).body;
    const marked = await call("DELETE", `${POOLS}/p`);
    expect(marked.body.metadata).toMatchObject({ deletionTimestamp: "2026-11-23T12:00:00Z", deletionGracePeriodSeconds: 0, generation: 2 });
    expect((await call("PATCH", `${POOLS}/p`, { headers: MERGE, body: { metadata: { finalizers: ["a/b", "c/d"] } } })).body.message).toMatch(
      /no new finalizers can be added/,
    );
    expect((await call("PATCH", `${POOLS}/p`, { headers: MERGE, body: { metadata: { finalizers: null } } })).code).toBe(200);
    expect((await call("GET", `${POOLS}/p`)).code).toBe(404);
    await call("POST", POOLS, { body: pool("q") });
    expect((await call("DELETE", `${POOLS}/q`)).body).toMatchObject({
      kind: "Status",
      status: "Success",
      details: { name: "q", group: "projectcalico.org", kind: "ippools" },
    });
    expect(made.metadata.uid).toBeTruthy();
  });
  test("a namespace takes its pods with it", async () => {
    await call("POST", "/api/v1/namespaces", { body: { metadata: { name: "x" } } });
    expect((await call("POST", "/api/v1/namespaces/x/pods", { body: { metadata: { name: "p" }, spec: { containers: [{ name: "c" }] } } })).code).toBe(
      201,
    );
    expect((await call("DELETE", "/api/v1/namespaces/x")).code).toBe(200);
    expect((await call("GET", "/api/v1/pods")).body.items).toEqual([]);
  });
  test("/status of a core kind stores annotations and status, not spec; of ours only status", async () => {
    await call("POST", "/api/v1/nodes", {
      body: { metadata: { name: "n" }, spec: { podCIDR: "10.0.0.0/24" }, status: { addresses: [{ type: "InternalIP", address: "10.0.0.1" }] } },
    });
    const put = await call("PATCH", "/api/v1/nodes/n/status", {
      headers: MERGE,
      body: { metadata: { annotations: { a: "b" } }, spec: { podCIDR: "10.9.0.0/24" }, status: { addresses: null } },
    });
    expect([put.body.metadata.annotations, put.body.spec, put.body.status]).toEqual([{ a: "b" }, { podCIDR: "10.0.0.0/24" }, {}]);
    await call("POST", "/apis/tortie.io/v1/nodeencryptions", { body: { metadata: { name: "n" } } });
    const status = { reportedAt: "2026-11-23T12:00:00Z", watching: true, peers: [], warnings: [] };
    const report = await call("PATCH", "/apis/tortie.io/v1/nodeencryptions/n/status", {
      headers: MERGE,
      body: { metadata: { annotations: { a: "b" } }, status },
    });
    expect([report.body.metadata.annotations, report.body.status]).toEqual([undefined, status]);
    const main = await call("PATCH", "/apis/tortie.io/v1/nodeencryptions/n", { headers: MERGE, body: { status: { watching: false } } });
    expect(main.body.status).toEqual(status);
  });
});
