import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { KINDS } from "../../api/kinds.ts";
import { silent } from "../../base/log.ts";
import { type Any, call, freshWorlds, MERGE, pool, POOLS, world } from "../world.cases.ts";
import { GarbageCollector } from "./garbage.ts";

freshWorlds();

const MAPS = "/api/v1/namespaces/default/configmaps";
type Owner = { name: string; uid: string };
const ref = ({ name, uid }: Owner, more: object = {}): object => ({ apiVersion: "v1", kind: "ConfigMap", name, uid, ...more });

async function make(name: string, owners: object[] = [], more: object = {}): Promise<Owner> {
  const made = await call("POST", MAPS, { body: { metadata: { name, ...(owners.length > 0 ? { ownerReferences: owners } : {}), ...more } } });
  expect(made.code).toBe(201);
  return { name, uid: made.body.metadata.uid };
}
const remove = (name: string, propagationPolicy: string): Promise<Any> => call("DELETE", `${MAPS}/${name}`, { body: { propagationPolicy } });
const get = async (): Promise<Any[]> => (await call("GET", MAPS)).body.items;
const names = async (): Promise<string[]> => (await get()).map((o) => o.metadata.name);
const settles = (wanted: string[]): Promise<void> => expect.poll(names).toEqual(wanted);

let collector: GarbageCollector;
const collect = async (): Promise<void> => {
  collector = new GarbageCollector({ registry: world.registry, kinds: KINDS, log: silent, ...world.auditing });
  await collector.start();
};
afterEach(() => collector.stop());

describe("what owners leave behind", () => {
  beforeEach(collect);
  test("goes after the last of them, and what it owns with it", async () => {
    const [a, b] = [await make("a"), await make("b")];
    const c = await make("c", [ref(a), ref(b)]);
    await make("d", [ref(c)]);
    await remove("a", "Background");
    await expect.poll(async () => (await get()).find((o) => o.metadata.name === "c").metadata.ownerReferences).toEqual([ref(b)]);
    expect(await names()).toEqual(["b", "c", "d"]);
    await remove("b", "Background");
    await settles([]);
  });
  test("stays, without the reference, when the owner is deleted as an orphan", async () => {
    const a = await make("a");
    await make("b", [ref(a)]);
    expect((await remove("a", "Orphan")).body.metadata.finalizers).toEqual(["orphan"]);
    await settles(["b"]);
    expect((await get())[0].metadata.ownerReferences).toBeUndefined();
  });
  test("goes first when the owner is deleted in the foreground, which waits only for what blocks it", async () => {
    const a = await make("a");
    await make("b", [ref(a, { blockOwnerDeletion: true })], { finalizers: ["x.y/z"] });
    await make("c", [ref(a)], { finalizers: ["x.y/z"] });
    await make("d", [ref(a)]);
    const marked = await remove("a", "Foreground");
    expect([marked.body.kind, marked.body.metadata.finalizers]).toEqual(["ConfigMap", ["foregroundDeletion"]]);
    await settles(["a", "b", "c"]);
    const order: string[] = [];
    const stop = world.store.watch("/registry/core/configmaps/", world.store.revision, (changes) => {
      for (const c of changes) if (!c.value) order.push(c.key.split("/").at(-1)!);
    });
    await call("PATCH", `${MAPS}/b`, { headers: MERGE, body: { metadata: { finalizers: null } } });
    await settles(["c"]);
    stop();
    expect(order).toEqual(["b", "a"]);
  });
  test("an owner without dependents does not wait", async () => {
    await make("a");
    await remove("a", "Foreground");
    await settles([]);
  });
  test("two that own each other both go", async () => {
    const a = await make("a");
    const b = await make("b", [ref(a, { blockOwnerDeletion: true })]);
    await call("PATCH", `${MAPS}/a`, { headers: MERGE, body: { metadata: { ownerReferences: [ref(b, { blockOwnerDeletion: true })] } } });
    await remove("a", "Foreground");
    await settles([]);
  });
  test("an owner that has the name but not the uid is none", async () => {
    const a = await make("a");
    await make("b", [ref({ ...a, uid: "another" })]);
    await settles(["a"]);
  });
  test("an owner of an API that this server does not have is left to those who know it", async () => {
    await make("a", [{ apiVersion: "apps/v1", kind: "Deployment", name: "x", uid: "y" }]);
    await collector.settled();
    expect(await names()).toEqual(["a"]);
  });
  test("an owner in a namespace that cannot own is none, and an event says so", async () => {
    const a = await make("a");
    const made = await call("POST", POOLS, { body: { ...pool("p"), metadata: { name: "p", ownerReferences: [ref(a)] } } });
    expect(made.code).toBe(201);
    await expect.poll(async () => (await call("GET", `${POOLS}/p`)).code).toBe(404);
    const { items } = (await call("GET", "/api/v1/events")).body;
    expect(items.map((e: Any) => [e.involvedObject.kind, e.involvedObject.name, e.type, e.reason])).toEqual([
      ["IPPool", "p", "Warning", "OwnerRefInvalidNamespace"],
    ]);
  });
});

test("what lost its owners while nobody collected goes at the start", async () => {
  const a = await make("a");
  await make("b", [ref(a)]);
  await make("c", [ref(a, { blockOwnerDeletion: true })]);
  await remove("a", "Foreground");
  expect(await names()).toEqual(["a", "b", "c"]);
  await collect();
  await settles([]);
});

// The naive twin: who has owners, all of which are gone, is gone, until nothing changes.
function survivors(owners: ReadonlyMap<string, readonly string[]>, deleted: ReadonlySet<string>): string[] {
  const gone = new Set(deleted);
  for (let before = -1; before !== gone.size;) {
    before = gone.size;
    for (const [name, of] of owners) if (of.length > 0 && of.every((o) => gone.has(o))) gone.add(name);
  }
  return [...owners.keys()].filter((name) => !gone.has(name)).toSorted();
}

test("any graph ends as the naive twin says", async () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  let state = seed;
  const below = (n: number): number => (state = (state * 48_271 + 11) % 2_147_483_647) % n;
  await collect();
  for (let round = 0; round < 8; round++) {
    const made: Owner[] = [];
    const owners = new Map<string, string[]>();
    for (let i = 0; i < 30; i++) {
      const name = `n${round}-${String(i).padStart(2, "0")}`;
      const of = i === 0 ? [] : [...new Set(Array.from({ length: below(4) }, () => below(i)))].map((at) => made[at]!);
      owners.set(
        name,
        of.map((o) => o.name),
      );
      made.push(
        await make(
          name,
          of.map((o) => ref(o)),
        ),
      );
    }
    const deleted = new Set(Array.from({ length: 1 + below(8) }, () => made[below(made.length)]!.name));
    await Promise.all([...deleted].map((name) => remove(name, "Background")));
    const left = survivors(owners, deleted);
    const wanted = left.map((name) => [name, owners.get(name)!.filter((o) => left.includes(o))]);
    const seen = async (): Promise<[string, string[]][]> =>
      (await get()).map((o) => [o.metadata.name, (o.metadata.ownerReferences ?? []).map((r: Any) => r.name)]);
    await expect.poll(seen, { message: `seed ${seed}, round ${round}` }).toEqual(wanted);
    await call("DELETE", MAPS);
    await settles([]);
  }
});
