import { describe, expect, test } from "vitest";
import { type Answer, FELIX, MERGE, POOLS, call, freshWorlds, pool, world } from "../world.cases.ts";

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
  test("a delete is tried, marked once, and changes its mind about dependents", async () => {
    const del = (body?: object, query = ""): Promise<Answer> => call("DELETE", `${POOLS}/p${query}`, body ? { body } : {});
    const { uid, resourceVersion } = (await call("POST", POOLS, { body: { ...pool("p"), metadata: { name: "p", finalizers: ["a/b"] } } })).body
      .metadata;
    const mark = { generation: 2, deletionTimestamp: "2026-11-23T12:00:00Z", deletionGracePeriodSeconds: 0 };
    const tried = await del({ dryRun: ["All"] });
    expect(tried.body.metadata).toMatchObject({ ...mark, resourceVersion });
    expect((await call("GET", `${POOLS}/p`)).body.metadata.deletionTimestamp).toBeUndefined();
    expect((await del({ preconditions: { uid: "x" } })).body).toMatchObject({
      message: `Operation cannot be fulfilled on IPPool.projectcalico.org "p": the UID in the precondition (x) does not match the UID in record (${uid}). The object might have been deleted and then recreated`,
      details: { name: "p", group: "projectcalico.org", kind: "IPPool" },
    });
    const finalizers: unknown[] = [];
    for (const [body, query] of [
      [{ propagationPolicy: "Foreground" }, ""],
      [undefined, ""],
      [{ orphanDependents: true }, ""],
      [undefined, "?propagationPolicy=Foreground"],
      [{ propagationPolicy: "Background" }, ""],
    ] as const) {
      const { metadata } = (await del(body, query)).body;
      expect(metadata).toMatchObject(mark);
      finalizers.push(metadata.finalizers);
    }
    expect(finalizers).toEqual([
      ["a/b", "foregroundDeletion"],
      ["a/b", "foregroundDeletion"],
      ["a/b", "orphan"],
      ["a/b", "foregroundDeletion"],
      ["a/b"],
    ]);
    const before = world.store.revision;
    const last = (await call("PATCH", `${POOLS}/p`, { headers: MERGE, body: { metadata: { finalizers: [] } } })).body.metadata;
    expect([last.finalizers, last.resourceVersion, world.store.revision]).toEqual([undefined, String(before), before + 1]);
  });
  test("a finalizer without a domain is taken with a warning; an empty map or list is none", async () => {
    const made = await call("POST", POOLS, {
      body: { ...pool("p"), metadata: { name: "p", finalizers: ["nope"], labels: {}, ownerReferences: [] } },
    });
    expect(made.headers.warning).toBe(
      '299 - "metadata.finalizers: \\"nope\\": prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers"',
    );
    expect([made.body.metadata.labels, made.body.metadata.ownerReferences]).toEqual([undefined, undefined]);
    const again = await call("PATCH", `${POOLS}/p`, { headers: MERGE, body: { metadata: { labels: { a: "b" } } } });
    expect(again.headers.warning).toBeUndefined();
    expect((await call("PATCH", `${POOLS}/p`, { headers: MERGE, body: { metadata: { labels: { a: null } } } })).body.metadata.labels).toBeUndefined();
  });
  test("deletecollection takes what is selected, at most the limit, and tells what it was", async () => {
    for (const [i, name] of ["a", "b", "c", "d"].entries())
      await call("POST", POOLS, {
        body: { ...pool(name, { spec: { cidr: `10.${i}.0.0/16` } }), metadata: { name, labels: { x: name === "b" ? "2" : "1" } } },
      });
    const deleted = async (query: string): Promise<string[]> =>
      (await call("DELETE", `${POOLS}?${query}`)).body.items.map((o: { metadata: { name: string } }) => o.metadata.name);
    expect(await deleted("labelSelector=x%3D1&dryRun=All")).toEqual(["a", "c", "d"]);
    expect(await deleted("labelSelector=x%3D1&limit=2")).toEqual(["a", "c"]);
    expect(await deleted("fieldSelector=metadata.name%3Db")).toEqual(["b"]);
    expect((await call("GET", POOLS)).body.items).toHaveLength(1);
  });
  test("core kinds but Pod have no generation", async () => {
    const node = (await call("POST", "/api/v1/nodes", { body: { metadata: { name: "n", generation: 7 } } })).body;
    const changed = await call("PATCH", "/api/v1/nodes/n", { headers: MERGE, body: { spec: { unschedulable: true }, metadata: { generation: 9 } } });
    const held = await call("POST", "/api/v1/namespaces/default/pods", { body: { metadata: { name: "p" }, spec: { containers: [{ name: "c" }] } } });
    expect([node, changed.body, held.body].map((o) => o.metadata.generation)).toEqual([undefined, undefined, 1]);
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
