import { describe, expect, test } from "vitest";
import { type Any, MERGE, type Options, POOLS, call, freshWorlds, pool, send, world } from "../world.cases.ts";

freshWorlds();

describe("watch", () => {
  async function open(target: string, options: Options = {}): Promise<{ lines: Any[]; stop: () => void; ended: () => boolean }> {
    const { code, body } = await send("GET", target, options);
    expect(code).toBe(200);
    const lines: Any[] = [];
    let ended = false;
    const stop = (body as (s: object) => () => void)({
      write: (chunk: string) =>
        void lines.push(
          ...chunk
            .split("\n")
            .filter(Boolean)
            .map((l) => JSON.parse(l)),
        ),
      waiting: 0,
      end: () => (ended = true),
    });
    return { lines, stop, ended: () => ended };
  }
  const shown = (lines: Any[]): string[] => lines.map((l) => `${l.type} ${l.object.metadata?.name ?? ""}`);

  test("without a version: what is there, then what changes, in the order of versions", async () => {
    await call("POST", POOLS, { body: pool("a") });
    const w = await open(`${POOLS}?watch=true`);
    await call("POST", POOLS, { body: pool("b", { spec: { cidr: "10.1.0.0/16" } }) });
    await call("PATCH", `${POOLS}/a`, { headers: MERGE, body: { spec: { disabled: true } } });
    await call("DELETE", `${POOLS}/b`);
    expect(shown(w.lines)).toEqual(["ADDED a", "ADDED b", "MODIFIED a", "DELETED b"]);
    const versions = w.lines.map((l) => Number(l.object.metadata.resourceVersion));
    expect(versions).toEqual(versions.toSorted((a, b) => a - b));
    expect(versions.at(-1)).toBe(world.store.revision);
    w.stop();
    await call("DELETE", `${POOLS}/a`);
    expect(w.lines).toHaveLength(4);
  });
  test("from a version: exactly what came after it", async () => {
    await call("POST", POOLS, { body: pool("a") });
    const { resourceVersion } = (await call("GET", POOLS)).body.metadata;
    await call("POST", POOLS, { body: pool("b", { spec: { cidr: "10.1.0.0/16" } }) });
    const w = await open(`${POOLS}?watch=true&resourceVersion=${resourceVersion}`);
    expect(shown(w.lines)).toEqual(["ADDED b"]);
    w.stop();
  });
  test("an object that starts or stops being selected is added or deleted", async () => {
    await call("POST", POOLS, { body: pool("a") });
    const w = await open(`${POOLS}?watch=true&resourceVersion=${world.store.revision}&labelSelector=x%3D1`);
    const label = (value: string | null): Promise<unknown> =>
      call("PATCH", `${POOLS}/a`, { headers: MERGE, body: { metadata: { labels: { x: value } } } });
    await label("1");
    await call("PATCH", `${POOLS}/a`, { headers: MERGE, body: { spec: { disabled: true } } });
    await label("2");
    await call("DELETE", `${POOLS}/a`);
    expect(shown(w.lines)).toEqual(["ADDED a", "MODIFIED a", "DELETED a"]);
    // Its last content while it was selected, at the version at which it stopped.
    expect(w.lines[2].object.metadata).toMatchObject({ labels: { x: "1" }, resourceVersion: String(world.store.revision - 1) });
    w.stop();
  });
  test("forgotten history is 410 as an event, and the end", async () => {
    await call("POST", POOLS, { body: pool("a") });
    await world.store.compact(world.store.revision);
    const w = await open(`${POOLS}?watch=true&resourceVersion=1`);
    expect(w.lines).toEqual([
      {
        type: "ERROR",
        object: expect.objectContaining({ code: 410, reason: "Expired", message: `too old resource version: 1 (${world.store.revision})` }),
      },
    ]);
    expect(w.ended()).toBe(true);
  });
  test("sendInitialEvents ends the initial ones with a marked bookmark", async () => {
    await call("POST", POOLS, { body: pool("a") });
    const w = await open(`${POOLS}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`);
    expect(shown(w.lines)).toEqual(["ADDED a", "BOOKMARK "]);
    expect(w.lines[1].object).toEqual({
      apiVersion: "projectcalico.org/v3",
      kind: "IPPool",
      metadata: { resourceVersion: String(world.store.revision), annotations: { "k8s.io/initial-events-end": "true" } },
    });
    w.stop();
    expect((await call("GET", `${POOLS}?watch=true&sendInitialEvents=true`)).code).toBe(422);
  });
  test("in tables the columns are said once", async () => {
    await call("POST", POOLS, { body: pool("a") });
    const w = await open(`${POOLS}?watch=true`, { headers: { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" } });
    await call("PATCH", `${POOLS}/a`, { headers: MERGE, body: { spec: { disabled: true } } });
    expect(w.lines.map((l) => [l.object.kind, l.object.columnDefinitions?.length ?? null, l.object.rows.length])).toEqual([
      ["Table", 7, 1],
      ["Table", null, 1],
    ]);
    w.stop();
  });
  test("who does not take what is sent is ended", async () => {
    let ended = false;
    const { body } = await send("GET", `${POOLS}?watch=true`);
    (body as (s: object) => void)({ write: () => {}, waiting: 9 * 1024 * 1024, end: () => (ended = true) });
    await call("POST", POOLS, { body: pool("a") });
    expect(ended).toBe(true);
  });
});
