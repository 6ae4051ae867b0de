// Pods that run somewhere are given time to end; whoever runs them takes them away with none. Everything else goes at once.
import { beforeEach, describe, expect, test } from "vitest";
import { KINDS } from "../../api/kinds.ts";
import { silent } from "../../base/log.ts";
import { type Any, call, freshWorlds, MERGE, world } from "../world.cases.ts";
import { Termination } from "./termination.ts";

freshWorlds();
const PODS = "/api/v1/namespaces/default/pods";
const P = `${PODS}/p`;
const make = (spec: object = { nodeName: "n1" }, metadata: object = {}): Promise<Any> =>
  call("POST", PODS, { body: { metadata: { name: "p", ...metadata }, spec: { containers: [{ name: "c" }], ...spec } } });
const remove = async (options?: object, path = P): Promise<Any> => (await call("DELETE", path, options ? { body: options } : {})).body;
/** How the pod stands: the time at which it is to be gone, and the seconds that it was given. */
const standing = async (): Promise<[string, number] | number> => {
  const { code, body } = await call("GET", P);
  return code === 200 ? [body.metadata.deletionTimestamp, body.metadata.deletionGracePeriodSeconds] : code;
};

describe("a pod on a node", () => {
  beforeEach(async () => void (await make()));
  test.for<[string, object | undefined, [string, number] | number]>([
    ["has half a minute", undefined, ["2026-11-23T12:00:30Z", 30]],
    ["has the time that it is given", { gracePeriodSeconds: 5 }, ["2026-11-23T12:00:05Z", 5]],
    ["has a second where it is given less than none", { gracePeriodSeconds: -1 }, ["2026-11-23T12:00:01Z", 1]],
    ["goes at once where it is given none", { gracePeriodSeconds: 0 }, 404],
  ])("%s: %j", async ([, options, wanted]) => {
    const answer = await remove(options);
    // A delete that is done is a Status, one that has begun is the object.
    expect(answer.kind).toBe(wanted === 404 ? "Status" : "Pod");
    expect(await standing()).toEqual(wanted);
  });
  test("by the query too, and not for a rehearsal", async () => {
    await call("DELETE", `${P}?gracePeriodSeconds=7&dryRun=All`);
    expect(await standing()).toEqual([undefined, undefined]);
    await call("DELETE", `${P}?gracePeriodSeconds=7`);
    expect(await standing()).toEqual(["2026-11-23T12:00:07Z", 7]);
  });
  test("its time is shortened by another delete, not prolonged; with none left it goes", async () => {
    await remove();
    world.now += 10_000;
    const { revision } = world.store;
    for (const options of [undefined, { gracePeriodSeconds: 60 }, { gracePeriodSeconds: 30 }, { gracePeriodSeconds: -1 }]) await remove(options);
    expect([await standing(), world.store.revision]).toEqual([["2026-11-23T12:00:30Z", 30], revision]);
    await remove({ gracePeriodSeconds: 12 });
    expect(await standing()).toEqual(["2026-11-23T12:00:12Z", 12]);
    expect((await remove({ gracePeriodSeconds: 0 })).kind).toBe("Status");
    expect(await standing()).toBe(404);
  });
  test("stays until its finalizers are gone, and its time is over", async () => {
    await call("PATCH", P, { headers: MERGE, body: { metadata: { finalizers: ["x.y/z"] } } });
    await remove();
    await call("PATCH", P, { headers: MERGE, body: { metadata: { finalizers: null } } });
    expect(await standing()).toEqual(["2026-11-23T12:00:30Z", 30]);
    await call("PATCH", P, { headers: MERGE, body: { status: { phase: "Running" }, metadata: { deletionGracePeriodSeconds: 0 } } });
    expect(await standing()).toEqual(["2026-11-23T12:00:30Z", 30]);
  });
  test("that has ended goes at once", async () => {
    await call("PATCH", `${P}/status`, { headers: MERGE, body: { status: { phase: "Failed" } } });
    await remove({ gracePeriodSeconds: 5 });
    expect(await standing()).toBe(404);
  });
  test("and many are deleted in heaps so, too", async () => {
    await remove({ gracePeriodSeconds: 3 }, PODS);
    expect(await standing()).toEqual(["2026-11-23T12:00:03Z", 3]);
  });
});

test("a pod's own time", async () => {
  await make({ nodeName: "n1", terminationGracePeriodSeconds: 300 });
  await remove();
  expect(await standing()).toEqual(["2026-11-23T12:05:00Z", 300]);
});
test("one that is on no node goes at once, as everything that nobody runs", async () => {
  await make({});
  expect((await remove({ gracePeriodSeconds: 30 })).kind).toBe("Status");
  await call("POST", "/api/v1/namespaces/default/configmaps", { body: { metadata: { name: "m" } } });
  expect((await remove({ gracePeriodSeconds: 30 }, "/api/v1/namespaces/default/configmaps/m")).kind).toBe("Status");
});
test.for(["x", "1.5", "99999999999999999999"])("?gracePeriodSeconds=%s is refused", async (seconds) => {
  await make();
  const { code, body } = await call("DELETE", `${P}?gracePeriodSeconds=${seconds}`);
  expect([code, body.message]).toEqual([400, `error decoding DeleteOptions: gracePeriodSeconds: "${seconds}" is not a whole number`]);
  expect(await standing()).toEqual([undefined, undefined]);
});
test("a time beyond all times can still be written", async () => {
  await make();
  await remove({ gracePeriodSeconds: Number.MAX_SAFE_INTEGER });
  expect(await standing()).toEqual(["2094-12-11T15:14:08Z", 2 ** 31]);
});
test("a namespace waits for its pods to end", async () => {
  const termination = new Termination({ registry: world.registry, kinds: KINDS, log: silent, ...world.auditing });
  await termination.start();
  await call("POST", "/api/v1/namespaces", { body: { metadata: { name: "x" } } });
  const pod = "/api/v1/namespaces/x/pods/p";
  await call("POST", "/api/v1/namespaces/x/pods", { body: { metadata: { name: "p" }, spec: { containers: [{ name: "c" }], nodeName: "n1" } } });
  await call("DELETE", "/api/v1/namespaces/x");
  await expect.poll(async () => (await call("GET", pod)).body.metadata.deletionGracePeriodSeconds).toBe(30);
  await expect
    .poll(async () => (await call("GET", "/api/v1/namespaces/x")).body.status.conditions?.[0].message)
    .toBe("Some resources are remaining: pods. has 1 resource instances");
  await remove({ gracePeriodSeconds: 0 }, pod);
  await expect.poll(async () => (await call("GET", "/api/v1/namespaces/x")).code).toBe(404);
  await termination.stop();
});
