import { afterEach, beforeEach, expect, test } from "vitest";
import { KINDS } from "../../api/kinds.ts";
import { silent } from "../../base/log.ts";
import { type Answer, call, freshWorlds, MERGE, world } from "../world.cases.ts";
import { Termination } from "./termination.ts";

freshWorlds();
const X = "/api/v1/namespaces/x";

let termination: Termination;
beforeEach(async () => {
  termination = new Termination({ registry: world.registry, kinds: KINDS, log: silent, ...world.auditing });
  await termination.start();
  await call("POST", "/api/v1/namespaces", { body: { metadata: { name: "x" } } });
});
afterEach(() => termination.stop());
const make = (path: string, metadata: object): Promise<Answer> => call("POST", `${X}/${path}`, { body: { metadata } });

test("a namespace knows its name, is Active and has no generation", async () => {
  const { metadata, spec, status } = (await call("GET", X)).body;
  expect([metadata.labels, metadata.generation, spec, status]).toEqual([
    { "kubernetes.io/metadata.name": "x" },
    undefined,
    { finalizers: ["kubernetes"] },
    { phase: "Active" },
  ]);
});
test("a deleted one is Terminating until what is in it is gone, takes nothing new, and then goes itself", async () => {
  await make("configmaps", { name: "a" });
  await make("configmaps", { name: "b", finalizers: ["x.y/z"] });
  await make("secrets", { name: "s" });
  const marked = await call("DELETE", X);
  expect([marked.code, marked.body.status.phase, marked.body.metadata.deletionTimestamp]).toEqual([200, "Terminating", "2026-11-23T12:00:00Z"]);
  const late = await make("configmaps", { name: "late" });
  expect([late.code, late.body.message, late.body.details.causes]).toEqual([
    403,
    'configmaps "late" is forbidden: unable to create new content in namespace x because it is being terminated',
    [{ reason: "NamespaceTerminating", message: "namespace x is being terminated", field: "metadata.namespace" }],
  ]);
  await expect
    .poll(async () => (await call("GET", X)).body.status.conditions?.map((c: { status: string; message: string }) => [c.status, c.message]))
    .toEqual([
      ["True", "Some resources are remaining: configmaps. has 1 resource instances"],
      ["True", "Some content in the namespace has finalizers remaining: x.y/z in 1 resource instances"],
    ]);
  // Again is the same, and writes nothing.
  const { revision } = world.store;
  expect((await call("DELETE", X)).body.kind).toBe("Namespace");
  expect(world.store.revision).toBe(revision);
  await call("PATCH", `${X}/configmaps/b`, { headers: MERGE, body: { metadata: { finalizers: null } } });
  await expect.poll(async () => (await call("GET", X)).code).toBe(404);
  expect((await world.store.range("/registry/core/configmaps/x/")).items).toEqual([]);
});
test("an object that is made in the moment in which its namespace ends is made before, and goes with it, or not at all", async () => {
  for (let round = 0; round < 20; round++) {
    await call("POST", "/api/v1/namespaces", { body: { metadata: { name: "y" } } });
    const made = Promise.all(
      Array.from({ length: 5 }, (_, i) => call("POST", "/api/v1/namespaces/y/configmaps", { body: { metadata: { name: `c${i}` } } })),
    );
    const deleted = call("DELETE", "/api/v1/namespaces/y");
    for (const { code } of await made) expect([201, 403, 404]).toContain(code);
    await deleted;
    await expect.poll(async () => (await call("GET", "/api/v1/namespaces/y")).code).toBe(404);
    expect((await world.store.range("/registry/core/configmaps/y/")).items).toEqual([]);
  }
});
test("only …/finalize takes the finalizer away, and only by PUT", async () => {
  await termination.stop();
  const old = (await call("GET", X)).body;
  const without = { ...old, spec: { finalizers: [] } };
  expect((await call("PUT", X, { body: without })).body.spec).toEqual({ finalizers: ["kubernetes"] });
  expect((await call("PATCH", `${X}/finalize`, { headers: MERGE, body: { spec: { finalizers: null } } })).code).toBe(405);
  const other = await call("PUT", `${X}/finalize`, { body: { ...without, metadata: { ...old.metadata, labels: { a: "b" } } } });
  expect([other.code, other.body.spec, other.body.metadata.labels]).toEqual([200, { finalizers: [] }, { "kubernetes.io/metadata.name": "x" }]);
  expect((await call("DELETE", X)).body).toMatchObject({ kind: "Status", status: "Success" });
});
test("a namespace that was deleted while nobody looked goes at the start", async () => {
  await termination.stop();
  await make("configmaps", { name: "a" });
  await call("DELETE", X);
  termination = new Termination({ registry: world.registry, kinds: KINDS, log: silent, ...world.auditing });
  await termination.start();
  await expect.poll(async () => (await call("GET", X)).code).toBe(404);
});
test.for(["default", "kube-system", "kube-node-lease"])("%s stays", async (name) => {
  expect((await call("DELETE", `/api/v1/namespaces/${name}`)).body.message).toBe(
    `namespaces "${name}" is forbidden: this namespace may not be deleted`,
  );
});
