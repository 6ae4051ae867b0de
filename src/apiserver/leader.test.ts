import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { silent } from "../base/log.ts";
import { memoryStore } from "../store/memory.ts";
import type { Store } from "../store/store.ts";
import { campaign, lead, type Leader } from "./leader.ts";

let store: Store;
/** Who does the duties now, in the order in which they began. */
let doing: string[];
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setTimeout", "clearTimeout", "performance"] });
  store = memoryStore(Date.now);
  doing = [];
});
afterEach(() => void vi.useRealTimers());

const stand = (id: string, on: Store = store): Leader =>
  campaign({
    store: on,
    id,
    log: silent,
    duties: async () => {
      doing.push(id);
      return { stop: async () => void (doing = doing.filter((d) => d !== id)) };
    },
  });
const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
/** The store as a server sees it that is cut off while `cut.off`. */
function cuttable(cut: { off: boolean }): Store {
  const refuse = (): Promise<never> => Promise.reject(new Error("cut off"));
  return new Proxy(store, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return cut.off ? refuse : (value.bind(target) as unknown);
    },
  });
}

test("of several that stand at once exactly one leads, and stays; its duties are begun once", async () => {
  const all = ["a", "b", "c"].map((id) => stand(id));
  await pass(0);
  expect(doing).toHaveLength(1);
  const [first] = doing;
  for (let i = 0; i < 60; i++) {
    await pass(1000);
    expect(doing).toEqual([first]);
  }
  await Promise.all(all.map((l) => l.stop()));
  expect(doing).toEqual([]);
});

test("one that stops ends its duties and hands over at the others' next turn", async () => {
  const a = stand("a");
  await pass(0);
  const b = stand("b");
  await pass(4000);
  expect(doing).toEqual(["a"]);
  await a.stop();
  expect(doing).toEqual([]);
  await pass(3000);
  expect(doing).toEqual(["b"]);
  await b.stop();
});

test("one that is cut off stops by itself before another begins; coming back it does not lead", async () => {
  const cut = { off: false };
  const a = stand("a", cuttable(cut));
  await pass(0);
  const b = stand("b");
  await pass(3000);
  cut.off = true;
  const seen: string[] = [];
  for (let ms = 0; ms < 20_000; ms += 100) {
    await pass(100);
    if (seen.at(-1) !== doing.join()) seen.push(doing.join());
  }
  expect(seen).toEqual(["a", "", "b"]);
  cut.off = false;
  await pass(30_000);
  expect(doing).toEqual(["b"]);
  await Promise.all([a.stop(), b.stop()]);
});

test("a killed server is followed by another within the lease; restarted, it waits like any other", async () => {
  stand("a-1");
  await pass(0);
  vi.clearAllTimers();
  doing = [];
  const again = stand("a-2");
  await pass(9000);
  expect(doing).toEqual([]);
  await pass(3001);
  expect(doing).toEqual(["a-2"]);
  await again.stop();
});

test("duties that cannot be begun are tried again at the next turn", async () => {
  let tries = 0;
  const leader = campaign({
    store,
    id: "a",
    log: silent,
    duties: async () => {
      if (++tries < 3) throw new Error("not now");
      return { stop: async () => void doing.push("stopped") };
    },
  });
  await pass(20_000);
  expect(tries).toBe(3);
  await leader.stop();
  expect(doing).toEqual(["stopped"]);
});

test("alone: the duties begin at once; what cannot be begun is said, and stops nothing", async () => {
  const leader = lead(async () => ({ stop: async () => void doing.push("stopped") }), silent);
  await leader.stop();
  expect(doing).toEqual(["stopped"]);
  const said: string[] = [];
  const broken = lead(() => Promise.reject(new Error("no")), { ...silent, error: (m) => said.push(m) });
  await broken.stop();
  expect(said).toEqual(["what the leader does could not be begun"]);
});
