// What controllers change stands in the audit log under their own names; while that cannot be written they wait, as everybody.
import { expect, test } from "vitest";
import { KINDS } from "../../api/kinds.ts";
import { silent } from "../../base/log.ts";
import { auditEvent } from "../identity/audit.ts";
import { call, freshWorlds, MERGE, world } from "../world.cases.ts";
import { expireEvents } from "./expiry.ts";
import { GarbageCollector } from "./garbage.ts";
import { Termination } from "./termination.ts";
import { tidy } from "./tidy.ts";

freshWorlds();
const MAPS = "/api/v1/namespaces/default/configmaps";
const HOUR_MS = 3_600_000;

/** Who deleted which path, and how it was answered. */
const deletions = (by: string): [string, number | undefined][] =>
  world.audited
    .filter((l) => l.verb === "delete" && l.user === `system:serviceaccount:kube-system:${by}`)
    .map((l): [string, number | undefined] => [l.path, l.code])
    .toSorted(([a], [b]) => (a < b ? -1 : 1));

test("the garbage collector: a line for each object", async () => {
  const collector = new GarbageCollector({ registry: world.registry, kinds: KINDS, log: silent, ...world.auditing });
  await collector.start();
  const { uid } = (await call("POST", MAPS, { body: { metadata: { name: "a" } } })).body.metadata;
  const ownerReferences = [{ apiVersion: "v1", kind: "ConfigMap", name: "a", uid }];
  for (const name of ["b", "c"]) await call("POST", MAPS, { body: { metadata: { name, ownerReferences } } });
  await call("DELETE", `${MAPS}/a`, { body: { propagationPolicy: "Background" } });
  await expect
    .poll(() => deletions("generic-garbage-collector"))
    .toEqual([
      [`${MAPS}/b`, 200],
      [`${MAPS}/c`, 200],
    ]);
  await collector.stop();
  const line = world.audited.findLast((l) => l.verb === "delete")!;
  expect(auditEvent(line, world.now, "")).toMatchObject({
    verb: "delete",
    user: { username: "system:serviceaccount:kube-system:generic-garbage-collector", groups: ["system:masters"] },
    objectRef: { resource: "configmaps", namespace: "default", apiVersion: "v1" },
    responseStatus: { code: 200 },
    annotations: { "authorization.k8s.io/decision": "allow" },
  });
});

test("the end of a namespace: its content and its finalizer; a line also for what failed", async () => {
  const said: unknown[] = [];
  const log = { ...silent, warn: (_text: string, more?: object) => void said.push(more) };
  const termination = new Termination({ registry: world.registry, kinds: KINDS, log, ...world.auditing });
  await termination.start();
  await call("POST", "/api/v1/namespaces", { body: { metadata: { name: "x" } } });
  await call("POST", "/api/v1/namespaces/x/configmaps", { body: { metadata: { name: "m" } } });
  world.breakAudit("the disk is full");
  // Asked by nobody who would wait for the audit log.
  await world.registry.remove(
    { kind: KINDS.find((k) => k.plural === "namespaces")!, namespace: "", name: "x", subresource: "", rest: "" },
    { user: { name: "t", groups: ["system:masters"] }, dryRun: false, validation: "Strict" },
  );
  await expect.poll(() => said).toEqual([{ key: "x", error: "the audit log cannot be written, so nothing is changed: the disk is full" }]);
  expect((await call("GET", "/api/v1/namespaces/x/configmaps/m")).code).toBe(200);
  expect(deletions("namespace-controller")).toEqual([]);
  world.breakAudit(undefined);
  await expect.poll(async () => (await call("GET", "/api/v1/namespaces/x")).code, { timeout: 10_000 }).toBe(404);
  await termination.stop();
  expect(deletions("namespace-controller")).toEqual([["/api/v1/namespaces/x/configmaps/m", 200]]);
  expect(world.audited.some((l) => l.verb === "patch" && l.path === "/api/v1/namespaces/x/finalize" && l.code === 200)).toBe(true);
});

test("events that are old, and tokens that are over", async () => {
  const events = "/api/v1/namespaces/default/events";
  for (const name of ["one", "two"])
    await call("POST", events, { body: { metadata: { name }, involvedObject: { name: "x" }, lastTimestamp: "2026-11-23T12:00:00Z" } });
  const expires = new Date(world.now + HOUR_MS).toISOString();
  const spec = { role: "viewer", user: "eve", hash: "0".repeat(64), expires };
  await call("POST", "/apis/tortie.io/v1/accesstokens", { body: { metadata: { name: "abcdef" }, spec } });
  world.now += 2 * HOUR_MS;
  const all = { registry: world.registry, now: () => world.now, ...world.auditing };
  await expireEvents(all);
  expect(deletions("event-expiry")).toEqual([
    [`${events}/one`, 200],
    [`${events}/two`, 200],
  ]);
  await tidy(all);
  expect(deletions("token-cleaner")).toEqual([]);
  world.now += 24 * HOUR_MS;
  await tidy(all);
  expect(deletions("token-cleaner")).toEqual([["/apis/tortie.io/v1/accesstokens/abcdef", 200]]);
});

test("an event that is seen again in the moment in which it would go is not said to be gone", async () => {
  const events = "/api/v1/namespaces/default/events";
  await call("POST", events, { body: { metadata: { name: "one" }, involvedObject: { name: "x" } } });
  world.now += 2 * HOUR_MS;
  const { store } = world;
  const commit = store.commit.bind(store);
  store.commit = async (transaction) => {
    store.commit = commit;
    await call("PATCH", `${events}/one`, { headers: MERGE, body: { lastTimestamp: new Date(world.now).toISOString() } });
    return commit(transaction);
  };
  await expireEvents({ registry: world.registry, now: () => world.now, ...world.auditing });
  expect((await call("GET", `${events}/one`)).code).toBe(200);
  expect(deletions("event-expiry")).toEqual([]);
});
