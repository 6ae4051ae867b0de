import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type Any, MERGE, type Options, POOLS, call, freshWorlds, pool, send, world } from "../world.cases.ts";

freshWorlds();

describe("watch", () => {
  async function open(target: string, options: Options = {}): Promise<{ lines: Any[]; stop: () => void; ended: () => boolean }> {
    const { code, body } = await send("GET", target, options);
    expect(code).toBe(200);
    const lines: Any[] = [];
    let ended = false;
    const stop = (body as (s: object) => () => void)({
      write: (chunk: Uint8Array) =>
        void lines.push(
          ...Buffer.from(chunk)
            .toString()
            .split("\n")
            .filter(Boolean)
            .map((l) => JSON.parse(l)),
        ),
      waiting: 0,
      drain: () => {},
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
  describe("time", () => {
    afterEach(() => void vi.useRealTimers());
    /** What is written, and when, in seconds. */
    async function over(target: string, seconds: number): Promise<string[]> {
      const { body } = await send("GET", target);
      vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setTimeout", "clearTimeout"] });
      let [now, running] = [0, true];
      const seen: string[] = [];
      const stop = (body as (s: object) => () => void)({
        write: (chunk: Uint8Array) =>
          void seen.push(`${now} ${chunk.length === 1 ? "newline" : (JSON.parse(Buffer.from(chunk).toString()) as Any).type}`),
        waiting: 0,
        drain: () => {},
        end: () => {
          running = false;
          seen.push(`${now} end`);
        },
      });
      for (; now < seconds && running;) {
        now++;
        vi.advanceTimersByTime(1000);
      }
      stop();
      expect(vi.getTimerCount()).toBe(0);
      return seen;
    }
    test.for([
      { of: "timeoutSeconds=1", seen: ["1 end"] },
      { of: "timeoutSeconds=21", seen: ["20 newline", "21 end"] },
      { of: "timeoutSeconds=23&allowWatchBookmarks=true", seen: ["20 newline", "21 BOOKMARK", "23 end"] },
      { of: "timeoutSeconds=45&allowWatchBookmarks=true", seen: ["20 newline", "40 newline", "43 BOOKMARK", "45 end"] },
      {
        of: "timeoutSeconds=101&allowWatchBookmarks=true",
        seen: ["20 newline", "40 newline", "60 newline", "60 BOOKMARK", "99 BOOKMARK", "101 end"],
      },
      {
        of: "allowWatchBookmarks=true",
        seen: [20, 40, 60].map((at) => `${at} newline`).concat("60 BOOKMARK", "100 newline", "120 newline", "120 BOOKMARK"),
      },
    ])("$of", async ({ of, seen }) => {
      expect(await over(`${POOLS}?watch=true&resourceVersion=${world.store.revision}&${of}`, 130)).toEqual(seen);
    });
  });
  test("nothing is kept of what it began with", async () => {
    await call("POST", POOLS, { body: pool("a") });
    const value = async (): Promise<Uint8Array> => (await world.store.get("/registry/projectcalico.org/ippools/a"))!.value;
    const first = new WeakRef(await value());
    const w = await open(`${POOLS}?watch=true`);
    await call("PATCH", `${POOLS}/a`, { headers: MERGE, body: { spec: { disabled: true } } });
    await world.store.compact(world.store.revision);
    const last = new WeakRef(await value());
    setFlagsFromString("--expose-gc");
    const gc = runInNewContext("gc") as () => void;
    // What a turn of the event loop has looked at is kept until its end.
    await setImmediate();
    gc();
    expect(shown(w.lines)).toEqual(["ADDED a", "MODIFIED a"]);
    expect([first.deref(), last.deref() !== undefined]).toEqual([undefined, true]);
    w.stop();
  });
  test("there are none in YAML", async () => {
    const { code, body } = await call("GET", `${POOLS}?watch=true`, { headers: { accept: "application/yaml" } });
    expect([code, body.message]).toEqual([406, "only the following media types are accepted: application/json"]);
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
  describe("who does not take what is sent", () => {
    type Slow = { names: string[]; ended: boolean; waiting: number; drained: (() => void) | undefined };
    /** Takes `room` lines, then nothing until `drained` is called. */
    async function slow(target: string, room: number): Promise<Slow> {
      const sink: Slow = { names: [], ended: false, waiting: 0, drained: undefined };
      const { body } = await send("GET", target);
      (body as (s: object) => () => void)({
        write(chunk: Uint8Array) {
          const line = JSON.parse(Buffer.from(chunk).toString()) as Any;
          sink.names.push(line.type === "ERROR" ? "ERROR" : `${line.type} ${line.object.metadata.name ?? ""}`);
          if (sink.names.length % room === 0) sink.waiting = 2 ** 20;
        },
        get waiting() {
          return sink.waiting;
        },
        drain: (then: () => void) => (sink.drained = then),
        end: () => (sink.ended = true),
      });
      return sink;
    }
    const take = (sink: Slow): void => {
      const then = sink.drained;
      sink.drained = undefined;
      sink.waiting = 0;
      then?.();
    };
    const make = async (...names: string[]): Promise<void> => {
      for (const [i, name] of names.entries()) await call("POST", POOLS, { body: pool(name, { spec: { cidr: `10.${i}.0.0/16` } }) });
    };

    test("gets what is there in pieces, then what changed meanwhile, each once", async () => {
      await make("a", "b", "c", "d", "e");
      const sink = await slow(`${POOLS}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`, 2);
      expect(sink.names).toEqual(["ADDED a", "ADDED b"]);
      await call("DELETE", `${POOLS}/a`);
      take(sink);
      expect(sink.names.slice(2)).toEqual(["ADDED c", "ADDED d"]);
      take(sink);
      take(sink);
      take(sink);
      expect(sink.names.slice(4)).toEqual(["ADDED e", "BOOKMARK ", "DELETED a"]);
      await call("DELETE", `${POOLS}/b`);
      take(sink);
      expect(sink.names.slice(7)).toEqual(["DELETED b"]);
      expect(sink.ended).toBe(false);
    });
    test("goes on where it was, each change once and in order", async () => {
      const sink = await slow(`${POOLS}?watch=true`, 3);
      const names = Array.from({ length: 10 }, (_, i) => `p${i}`);
      await make(...names);
      expect(sink.names).toHaveLength(3);
      for (let i = 0; i < 10; i++) take(sink);
      expect(sink.names).toEqual(names.map((n) => `ADDED ${n}`));
    });
    test("is told 410 when what it missed is forgotten", async () => {
      const sink = await slow(`${POOLS}?watch=true`, 1);
      await make("a", "b", "c");
      await world.store.compact(world.store.revision);
      take(sink);
      expect(sink.names).toEqual(["ADDED a", "ERROR"]);
      expect(sink.ended).toBe(true);
    });
  });
  test("two watchers of one form get the same bytes, those of another form their own", async () => {
    const lines: Uint8Array[][] = [];
    const accept = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
    for (const headers of [{}, {}, { accept }]) {
      const own: Uint8Array[] = [];
      const { body } = await send("GET", `${POOLS}?watch=true`, { headers });
      (body as (s: object) => () => void)({ write: (l: Uint8Array) => own.push(l), waiting: 0, drain: () => {}, end: () => {} });
      lines.push(own);
    }
    await call("POST", POOLS, { body: pool("a") });
    expect(lines[0]![0]).toBe(lines[1]![0]);
    expect(JSON.parse(Buffer.from(lines[2]![0]!).toString())).toMatchObject({ type: "ADDED", object: { kind: "PartialObjectMetadata" } });
  });
});
