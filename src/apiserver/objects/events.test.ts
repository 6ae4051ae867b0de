import { expect, test } from "vitest";
import { type Any, call, freshWorlds, MERGE, send, world } from "../world.cases.ts";
import { expireEvents } from "./expiry.ts";

freshWorlds();
const CORE = "/api/v1/namespaces/default/events";
const NEW = "/apis/events.k8s.io/v1/namespaces/default/events";
const about = { kind: "IPPool", name: "p", uid: "u" };
const core = (name: string, more: object = {}): object => ({
  metadata: { name },
  involvedObject: about,
  reason: "R",
  message: "said",
  source: { component: "c", host: "h" },
  firstTimestamp: "2026-11-23T11:59:00Z",
  lastTimestamp: "2026-11-23T11:59:30Z",
  count: 3,
  type: "Normal",
  ...more,
});
const fresh = (name: string, more: object = {}): object => ({
  metadata: { name },
  regarding: about,
  eventTime: "2026-11-23T11:59:00.000001Z",
  reportingController: "c",
  reportingInstance: "c-1",
  action: "A",
  reason: "R",
  note: "said",
  type: "Warning",
  ...more,
});

test("v1 and events.k8s.io/v1 are two views of the same events", async () => {
  const one = (await call("POST", CORE, { body: core("one") })).body;
  const two = (await call("POST", NEW, { body: fresh("two") })).body;
  expect((await call("GET", `${NEW}/one`)).body).toEqual({
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: one.metadata,
    regarding: about,
    reason: "R",
    note: "said",
    type: "Normal",
    deprecatedSource: { component: "c", host: "h" },
    deprecatedFirstTimestamp: "2026-11-23T11:59:00Z",
    deprecatedLastTimestamp: "2026-11-23T11:59:30Z",
    deprecatedCount: 3,
  });
  expect((await call("GET", `${CORE}/two`)).body).toEqual({
    apiVersion: "v1",
    kind: "Event",
    metadata: two.metadata,
    involvedObject: about,
    eventTime: "2026-11-23T11:59:00.000001Z",
    reportingComponent: "c",
    reportingInstance: "c-1",
    action: "A",
    reason: "R",
    message: "said",
    type: "Warning",
  });
  const series = { series: { count: 2, lastObservedTime: "2026-11-23T11:59:50.000000Z" } };
  expect((await call("PATCH", `${NEW}/one`, { headers: MERGE, body: series })).code).toBe(200);
  expect((await call("GET", `${CORE}/one`)).body).toMatchObject(series);
  const found = async (path: string, selector: string): Promise<string[]> =>
    (await call("GET", `${path}?fieldSelector=${encodeURIComponent(selector)}`)).body.items.map((e: Any) => e.metadata.name);
  expect(await found(NEW, "regarding.name=p,type=Warning")).toEqual(["two"]);
  expect(await found(CORE, "involvedObject.name=p,source=c")).toEqual(["one", "two"]);
  expect(await found(NEW, "reportingController=c")).toEqual(["two"]);
  expect((await call("DELETE", `${CORE}/two`)).code).toBe(200);
  expect((await call("GET", `${NEW}/two`)).code).toBe(404);
});
test("a watch of one view sees what is written through the other", async () => {
  const lines: string[] = [];
  for (const path of [CORE, NEW]) {
    const { body } = await send("GET", `${path}?watch=true`);
    const write = (line: string | Uint8Array): void => void lines.push(Buffer.from(line as string).toString());
    (body as (s: object) => void)({ write, waiting: 0, drain: () => {}, end: () => {} });
  }
  await call("POST", CORE, { body: core("one") });
  expect(lines.map((l) => JSON.parse(l)).map(({ type, object }: Any) => [type, object.apiVersion, object.message, object.note])).toEqual([
    ["ADDED", "v1", "said", undefined],
    ["ADDED", "events.k8s.io/v1", undefined, "said"],
  ]);
});
test("who writes events.k8s.io/v1 says all of it", async () => {
  const { body } = await call("POST", NEW, {
    body: { metadata: { name: "x" }, regarding: { ...about, namespace: "other" }, note: "n".repeat(1025) },
  });
  expect(body.details.causes.map((c: Any) => c.field)).toEqual([
    "regarding.namespace",
    "eventTime",
    "reportingController",
    "reportingInstance",
    "action",
    "reason",
    "type",
    "note",
  ]);
});
test("an event goes an hour after it was last seen, however far in the future its writer put it", async () => {
  await call("POST", CORE, { body: core("old") });
  await call("POST", CORE, { body: core("future", { lastTimestamp: "2036-01-01T00:00:00Z" }) });
  await call("POST", CORE, { body: core("seen") });
  const names = async (): Promise<string[]> => (await call("GET", CORE)).body.items.map((e: Any) => e.metadata.name);
  const expire = async (minutes: number): Promise<string[]> => {
    world.now += minutes * 60_000;
    await expireEvents({ registry: world.registry, now: () => world.now, ...world.auditing });
    return names();
  };
  expect(await expire(59)).toEqual(["future", "old", "seen"]);
  await call("PATCH", `${CORE}/seen`, { headers: MERGE, body: { lastTimestamp: "2026-11-23T12:59:00Z" } });
  expect(await expire(2)).toEqual(["seen"]);
  expect(await expire(60)).toEqual([]);
});
