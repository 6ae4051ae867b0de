import { beforeEach, describe, expect, test } from "vitest";
import { type Any, POOLS, call, freshWorlds, pool, world } from "../world.cases.ts";

freshWorlds();

describe("reads", () => {
  beforeEach(async () => {
    for (const [i, name] of ["a", "b", "c", "d", "e"].entries())
      await call("POST", POOLS, {
        body: { ...pool(name, { spec: { cidr: `10.${i}.0.0/16` } }), metadata: { name, labels: { even: String(i % 2 === 0) } } },
      });
  });
  const names = (body: Any): string[] => body.items.map((i: Any) => i.metadata.name);
  test("pages are of one version, however the objects change meanwhile", async () => {
    const first = await call("GET", `${POOLS}?limit=2`);
    expect([names(first.body), first.body.metadata.remainingItemCount]).toEqual([["a", "b"], 3]);
    await call("DELETE", `${POOLS}/c`);
    await call("POST", POOLS, { body: pool("bb") });
    const second = await call("GET", `${POOLS}?limit=2&continue=${first.body.metadata.continue}`);
    expect([names(second.body), second.body.metadata.resourceVersion]).toEqual([["c", "d"], first.body.metadata.resourceVersion]);
    const third = await call("GET", `${POOLS}?limit=2&continue=${second.body.metadata.continue}`);
    expect([names(third.body), third.body.metadata.continue]).toEqual([["e"], ""]);
    await world.store.compact(world.store.revision);
    const late = await call("GET", `${POOLS}?limit=2&continue=${first.body.metadata.continue}`);
    expect([late.code, late.body.reason, late.body.message]).toEqual([
      410,
      "Expired",
      expect.stringMatching(/^The provided continue parameter is too old to display a consistent list result\./),
    ]);
    // With the token of the refusal it goes on, at the newest version, from which the pages after it are consistent again.
    const on = (await call("GET", `${POOLS}?limit=2&continue=${late.body.metadata.continue}`)).body;
    expect([names(on), on.metadata.resourceVersion]).toEqual([["bb", "d"], String(world.store.revision)]);
    await call("DELETE", `${POOLS}/e`);
    const last = (await call("GET", `${POOLS}?limit=2&continue=${on.metadata.continue}`)).body;
    expect([names(last), last.metadata.resourceVersion]).toEqual([["e"], on.metadata.resourceVersion]);
  });
  test("any version will do: all of it, whatever the limit", async () => {
    const all = await call("GET", `${POOLS}?limit=2&resourceVersion=0`);
    expect([names(all.body), all.body.metadata.continue]).toEqual([["a", "b", "c", "d", "e"], ""]);
    // Of a core kind the text is left out.
    expect((await call("GET", "/api/v1/nodes")).body.metadata.continue).toBeUndefined();
  });
  test("one object, not older than a version", async () => {
    expect((await call("GET", `${POOLS}/a?resourceVersion=1`)).code).toBe(200);
    const late = await call("GET", `${POOLS}/a?resourceVersion=999999`, { signal: AbortSignal.timeout(20) });
    expect([late.code, late.body.reason]).toEqual([504, "Timeout"]);
  });
  test("selectors, also in pages", async () => {
    expect(names((await call("GET", `${POOLS}?labelSelector=even%3Dtrue`)).body)).toEqual(["a", "c", "e"]);
    const first = await call("GET", `${POOLS}?labelSelector=even%3Dtrue&limit=2`);
    expect([names(first.body), first.body.metadata.remainingItemCount]).toEqual([["a", "c"], undefined]);
    expect(names((await call("GET", `${POOLS}?labelSelector=even%3Dtrue&limit=2&continue=${first.body.metadata.continue}`)).body)).toEqual(["e"]);
    expect(names((await call("GET", `${POOLS}?fieldSelector=metadata.name%3Db`)).body)).toEqual(["b"]);
  });
  test("an exact version, one that is forgotten, and one that is not there yet", async () => {
    const { resourceVersion } = (await call("GET", POOLS)).body.metadata;
    await call("DELETE", `${POOLS}/a`);
    const at = `${POOLS}?resourceVersionMatch=Exact&resourceVersion=${resourceVersion}`;
    expect(names((await call("GET", at)).body)).toHaveLength(5);
    await world.store.compact(world.store.revision);
    expect((await call("GET", at)).body).toMatchObject({
      code: 410,
      reason: "Expired",
      message: "The resourceVersion for the provided list is too old.",
    });
    const future = await call("GET", `${POOLS}?resourceVersion=999999`);
    expect([future.code, future.body.message, future.headers["retry-after"]]).toEqual([
      504,
      `Timeout: Too large resource version: 999999, current: ${world.store.revision}`,
      "1",
    ]);
  });
  test("tables: columns, ages, and the metadata for kubectl", async () => {
    world.now += 162_000;
    const { body } = await call("GET", `${POOLS}?limit=1`, { headers: { accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" } });
    expect(body.columnDefinitions.map((c: Any) => c.name)).toEqual(["Name", "CIDR", "VXLAN", "IPIP", "NAT", "Allocatable", "Age"]);
    expect(body.rows).toEqual([
      {
        cells: ["a", "10.0.0.0/16", null, null, null, null, "2m42s"],
        object: { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: expect.objectContaining({ name: "a" }) },
      },
    ]);
  });
});
