// The store on a real etcd: what every store must do, and what only this one meets: several servers, cut connections, TLS, users, limits.
import { cpSync, rmSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { fromUtf8, utf8 } from "../../src/base/bytes.ts";
import { silent } from "../../src/base/log.ts";
import type { Endpoint } from "../../src/store/etcd/endpoints.ts";
import type { EtcdStore } from "../../src/store/etcd/store.ts";
import { storeCases } from "../../src/store/store.cases.ts";
import { type Change, CompactedError, type Committed, type Store } from "../../src/store/store.ts";
import { until } from "../apiserver/process.ts";
import { describeRoot, describeWith } from "../peers.ts";
import { drop } from "./drop.ts";
import { describeEtcd, Etcd } from "./etcd.ts";
import { Proxy } from "./proxy.ts";

const put = (store: Store, key: string, value: string | Uint8Array): Promise<Committed> =>
  store.commit({ conditions: [], writes: [{ key, value: typeof value === "string" ? utf8(value) : value }] });
const remove = (store: Store, key: string): Promise<Committed> => store.commit({ conditions: [], writes: [{ key, value: undefined }] });
const shown = (c: Change): string => `${c.revision} ${c.key}=${c.value ? fromUtf8(c.value) : "-"}(${c.previous ? fromUtf8(c.previous.value) : "-"})`;

/** What a watch from now on brings. */
function record(store: Store): string[] {
  const seen: string[] = [];
  store.watch("", store.revision, (changes) => seen.push(...changes.map(shown)));
  return seen;
}

describeEtcd("etcd store", () => {
  let etcd: Etcd;
  let fresh = 0;
  beforeAll(async () => {
    etcd = await Etcd.start();
  });
  afterAll(() => etcd.remove());
  const open: { close(): unknown }[] = [];
  const opened = async (...args: Parameters<Etcd["store"]>): Promise<EtcdStore> => {
    const store = await etcd.store(...args);
    open.push(store);
    return store;
  };
  afterEach(async () => {
    for (const it of open.splice(0)) await it.close();
  });

  describe("does what every store must", () =>
    storeCases(async () => {
      const prefix = `/cases-${fresh++}`;
      let store = await etcd.store({ prefix });
      return {
        store,
        reopen: async () => {
          await store.close();
          return (store = await etcd.store({ prefix }));
        },
        done: () => store.close(),
      };
    }));

  test("what one server was answered, the next one reads at once, also while others write elsewhere in this etcd", async () => {
    const prefix = `/t-${fresh++}`;
    const [a, b, other] = [await opened({ prefix }), await opened({ prefix }), await opened({ prefix: `/other-${fresh++}` })];
    const seen = record(b);
    const expected: string[] = [];
    for (let i = 0; i < 100; i++) {
      const done = await put(a, "/k", String(i));
      if (i % 3 === 0) await put(other, "/k", "x");
      expect([fromUtf8((await b.get("/k"))!.value), b.revision >= (done.done ? done.revision : Infinity)]).toEqual([String(i), true]);
      expected.push(`${done.done ? done.revision : 0} /k=${i}(${i === 0 ? "-" : i - 1})`);
    }
    expect(seen).toEqual(expected);
    expect((await other.range("")).items).toHaveLength(1);
  });

  test("a list at a revision before what a server has read back is answered by etcd, until it forgets", async () => {
    const prefix = `/t-${fresh++}`;
    const a = await opened({ prefix });
    for (const k of ["/x/a", "/x/b", "/x/c", "/y"]) await put(a, k, "old");
    const at = a.revision;
    await put(a, "/x/b", "new");
    for (let i = 0; i < 26; i++) await Promise.all(Array.from({ length: 200 }, (_, n) => put(a, `/${n}`, "x")));
    const b = await opened({ prefix });
    expect([b.compacted > at, a.compacted <= at]).toEqual([true, true]);
    for (const options of [{}, { limit: 2 }, { limit: 1, startAfter: "/x/a" }, { startAfter: "/a" }, { startAfter: "/x/c" }])
      for (const from of ["", "/x/", "/none/"])
        expect(await b.range(from, { ...options, atRevision: at })).toEqual(await a.range(from, { ...options, atRevision: at }));
    await a.compact(at + 1);
    await expect(b.range("/", { atRevision: at })).rejects.toThrow(CompactedError);
  });

  test("a server that starts goes back far enough for watchers of others to go on with it", async () => {
    const prefix = `/t-${fresh++}`;
    const a = await opened({ prefix });
    const after = a.revision;
    const seen = record(a);
    for (let i = 0; i < 50; i++) await put(a, `/${i % 7}`, String(i));
    await remove(a, "/3");
    const b = await opened({ prefix });
    const again: string[] = [];
    b.watch("", after, (changes) => again.push(...changes.map(shown)));
    expect(again).toEqual(seen);
    expect(seen).toHaveLength(51);
  });

  describe("a server that was cut off", () => {
    const behindProxy = async (): Promise<{ a: EtcdStore; b: EtcdStore; proxy: Proxy }> => {
      const prefix = `/t-${fresh++}`;
      const proxy = await Proxy.before(etcd.endpoints[0]!);
      const a = await opened({ prefix, endpoints: [proxy.endpoint] });
      open.push(proxy);
      return { a, b: await opened({ prefix }), proxy };
    };

    test("misses nothing, and nothing comes twice", async () => {
      const { a, b, proxy } = await behindProxy();
      const [seen, expected] = [record(a), record(b)];
      for (let round = 0; round < 5; round++) {
        for (let i = 0; i < 10; i++) await put(i % 2 === 0 ? a : b, `/${i}`, `${round}`);
        proxy.cut();
        await until(() => a.failure !== undefined);
        for (let i = 0; i < 10; i++) await put(b, `/${i % 3}`, `cut ${round} ${i}`);
        await remove(b, "/1");
        proxy.mend();
        expect(fromUtf8((await a.get("/0"))!.value)).toBe(`cut ${round} 9`);
      }
      expect(seen).toEqual(expected);
      expect(seen).toHaveLength(5 * 21);
      expect(a.failure).toBeUndefined();
    });

    test("gets what is too much for one message in parts, and still each transaction whole", async () => {
      const { a, b, proxy } = await behindProxy();
      const seen: string[] = [];
      a.watch("", a.revision, (changes) => seen.push(changes.map((c) => `${c.revision} ${c.key} ${c.value?.length}`).join()));
      proxy.cut();
      await until(() => a.failure !== undefined);
      const expected: string[] = [];
      for (let i = 0; i < 40; i++) {
        const writes = ["/a", "/b"].map((key) => ({ key, value: new Uint8Array(300_000 + i) }));
        const done = await b.commit({ conditions: [], writes });
        const revision = done.done ? done.revision : 0;
        expected.push(writes.map((w) => `${revision} ${w.key} ${w.value.length}`).join());
      }
      proxy.mend();
      await a.sync();
      expect(seen).toEqual(expected);
    });

    test("and comes back after a compaction: the differences come as changes, older watches are refused", async () => {
      const { a, b, proxy } = await behindProxy();
      for (const k of ["/same", "/changed", "/gone"]) await put(a, k, "1");
      const before = a.revision;
      const seen = record(a);
      proxy.cut();
      await until(() => a.failure !== undefined);
      await put(b, "/changed", "2");
      await put(b, "/new", "1");
      await remove(b, "/gone");
      await put(b, "/passing", "1");
      await remove(b, "/passing");
      const [changed, made, last] = [(await b.get("/changed"))!.revision, (await b.get("/new"))!.revision, b.revision];
      await b.compact(last);
      proxy.mend();
      await a.sync();
      expect(seen).toEqual([`${changed} /changed=2(1)`, `${made} /new=1(-)`, `${last} /gone=-(1)`]);
      expect(() => a.watch("", before, () => {})).toThrow(CompactedError);
      await put(b, "/new", "2");
      await a.sync();
      expect(seen.at(-1)).toBe(`${last + 1} /new=2(1)`);
    });

    test("answers nothing stale meanwhile, says why, and closes all the same", async () => {
      const { a, b, proxy } = await behindProxy();
      await put(a, "/k", "1");
      proxy.cut();
      await until(() => a.failure !== undefined);
      expect(a.failure!.message).toMatch(/^etcd cannot be reached: /);
      await put(b, "/k", "2");
      const reads = Promise.allSettled([a.get("/k"), put(a, "/k", "3")]);
      await new Promise((resolve) => setTimeout(resolve, 100));
      await a.close();
      for (const r of await reads) expect(r).toMatchObject({ status: "rejected", reason: { name: "StoreError", message: "the store is closed" } });
      expect(fromUtf8((await b.get("/k"))!.value)).toBe("2");
    });
  });

  test("a value that is too large is refused as such, and nothing else suffers", async () => {
    const store = await opened({ prefix: `/t-${fresh++}` });
    for (const size of [1_600_000, 2_200_000, 5_000_000])
      await expect(put(store, "/large", new Uint8Array(size))).rejects.toMatchObject({ name: "StoreError", reason: "too large" });
    await put(store, "/k", new Uint8Array(1_000_000));
    expect([(await store.get("/k"))!.value.length, await store.get("/large"), store.failure]).toEqual([1_000_000, undefined, undefined]);
  });
});

describeEtcd("etcd that was put back to an older state", () => {
  test("is not gone on with: a revision would mean two things", async () => {
    const etcd = await Etcd.start();
    const store = await etcd.store();
    try {
      await put(store, "/k", "1");
      await etcd.kill(0);
      await until(() => store.failure !== undefined);
      cpSync(etcd.file("m0"), etcd.file("backup"), { recursive: true });
      etcd.run(0);
      await put(store, "/k", "2");
      await etcd.kill(0);
      rmSync(etcd.file("m0"), { recursive: true });
      cpSync(etcd.file("backup"), etcd.file("m0"), { recursive: true });
      const { revision } = store;
      etcd.run(0);
      await until(() => /has gone back from revision \d+ to \d+/.test(store.failure?.message ?? ""));
      expect(store.failure).toMatchObject({ reason: "halted" });
      await expect(store.get("/k")).rejects.toThrow(/this server must be started anew/);
      await expect(put(store, "/k", "3")).rejects.toThrow(/this server must be started anew/);
      const anew = await etcd.store();
      expect([fromUtf8((await anew.get("/k"))!.value), anew.revision < revision]).toEqual(["1", true]);
      await anew.close();
    } finally {
      await store.close();
      await etcd.remove();
    }
  });
});

describeEtcd("etcd of three members", () => {
  test("one that does not answer any more, though it is there, is left for another", async () => {
    const etcd = await Etcd.start({ members: 3 });
    const store = await etcd.store();
    try {
      const seen = record(store);
      await put(store, "/k", "before");
      await etcd.halt(0);
      expect(fromUtf8((await store.get("/k"))!.value)).toBe("before");
      await put(store, "/k", "after");
      expect(seen.map((s) => s.replace(/^\d+ /, ""))).toEqual(["/k=before(-)", "/k=after(before)"]);
    } finally {
      etcd.resume(0);
      await store.close();
      await etcd.remove();
    }
  });

  describeWith(["nft"], "behind a packet filter", () =>
    describeRoot("as root", () => {
      test("one whose packets are lost is left for another: by whoever asks, and by whoever only watches; no change is missed or comes twice", async () => {
        const etcd = await Etcd.start({ members: 3, tls: true });
        const [first, second, third] = etcd.endpoints as [Endpoint, Endpoint, Endpoint];
        const warned: string[] = [];
        const log = { ...silent, warn: (_message: string, fields?: object) => void warned.push(JSON.stringify(fields)) };
        const asks = await etcd.store({ log, endpoints: [first, second, third] });
        const watches = await etcd.store({ endpoints: [first, third] });
        const other = await etcd.store({ endpoints: [third, second] });
        const lifted: (() => Promise<void>)[] = [];
        try {
          const [a, b, expected] = [record(asks), record(watches), record(other)];
          await put(asks, "/k", "before");

          lifted.push(await drop(first.port));
          const writing = put(asks, "/uncertain", "1").then(
            () => "done",
            (thrown: Error) => thrown.message,
          );
          for (let i = 0; i < 20; i++) await put(other, `/${i % 3}`, `${i}`);
          // It waited for the first one, found that nobody was there, and asked the next.
          expect(fromUtf8((await asks.get("/1"))!.value)).toBe("19");
          expect(await writing).toMatch(/^done$|nothing came from https:\/\/\S+ for [0-9]+ s; the change may or may not have been made$/);
          expect(warned).toEqual([expect.stringContaining(`nothing came from ${first.url} for`)]);
          await put(asks, "/k", "after");
          // And the one that it came to.
          lifted.push(await drop(second.port));
          expect(fromUtf8((await asks.get("/k"))!.value)).toBe("after");
          await put(asks, "/k", "last");
          await other.sync();
          // Nobody asks anything of this one.
          await until(() => b.length >= expected.length, 60_000);
          expect([a, b]).toEqual([expected, expected]);
          expect(expected.length).toBeGreaterThanOrEqual(23);
        } finally {
          for (const lift of lifted) await lift();
          for (const store of [asks, watches, other]) await store.close();
          await etcd.remove();
        }
      });
    }),
  );

  test("another etcd in the list is not taken for the same one", async () => {
    const [etcd, other] = await Promise.all([Etcd.start(), Etcd.start()]);
    const store = await etcd.store({ endpoints: [...etcd.endpoints, ...other.endpoints] });
    try {
      await put(store, "/k", "1");
      await etcd.kill(0);
      await until(() => /is of another cluster/.test(store.failure?.message ?? ""));
      etcd.run(0);
      expect(fromUtf8((await store.get("/k"))!.value)).toBe("1");
    } finally {
      await store.close();
      await Promise.all([etcd.remove(), other.remove()]);
    }
  });

  test("a list in which none answers is refused with what each says", async () => {
    const etcd = await Etcd.start();
    await etcd.kill(0);
    await expect(etcd.store()).rejects.toThrow(/Cannot use the etcd: http:\/\/127\.0\.0\.1:\d+: etcd does not answer: .*ECONNREFUSED/);
    await etcd.remove();
  });
});

describeEtcd("etcd with little space", () => {
  test("a write that finds none is refused in words; reads go on", async () => {
    const etcd = await Etcd.start({ flags: ["--quota-backend-bytes=8388608"] });
    const store = await etcd.store();
    try {
      let refused: unknown;
      for (let i = 0; i < 20 && !refused; i++) await put(store, "/k", new Uint8Array(1_000_000)).catch((thrown: unknown) => (refused = thrown));
      expect(refused).toMatchObject({ reason: "unavailable", message: expect.stringMatching(/no space left: compact and defragment/) as string });
      expect((await store.get("/k"))!.value.length).toBe(1_000_000);
    } finally {
      await store.close();
      await etcd.remove();
    }
  });
});

describeEtcd("etcd with TLS", () => {
  let etcd: Etcd;
  beforeAll(async () => {
    etcd = await Etcd.start({ tls: true });
  });
  afterAll(() => etcd.remove());

  test("a client certificate opens it, and nothing goes without", async () => {
    const store = await etcd.store();
    await put(store, "/k", "1");
    await store.close();
    const { ca } = etcd.tls();
    await expect(etcd.store({ tls: () => ({ ca: ca! }) })).rejects.toThrow(/Cannot use the etcd: https:/);
  });

  test("members may be named: the certificate must be for the name that is used", async () => {
    const store = await etcd.store({ endpoints: etcd.named("localhost") });
    await put(store, "/named", "1");
    expect(fromUtf8((await store.get("/named"))!.value)).toBe("1");
    await store.close();
  });
  test.for([
    { of: "127.0.0.1", use: "localhost" },
    { of: "localhost", use: "127.0.0.1" },
  ])("a certificate for $of is not one for $use", async ({ of, use }) => {
    const other = await Etcd.start({ tls: true, names: [of] });
    try {
      await expect(other.store({ endpoints: other.named(use) })).rejects.toThrow(/Cannot use the etcd: .*does not match certificate's altnames/);
      const store = await other.store({ endpoints: other.named(of) });
      await put(store, "/k", "1");
      await store.close();
    } finally {
      await other.remove();
    }
  });

  test("a member that another authority vouches for is not talked to", async () => {
    const { certificate, key } = etcd.tls();
    const refused = etcd.store({ tls: () => ({ ca: certificate!, certificate: certificate!, key: key! }) });
    await expect(refused).rejects.toThrow(/Cannot use the etcd: .*certificate/);
  });
});

describeEtcd("etcd with users", () => {
  let etcd: Etcd;
  const root = ["--user=root:root"];
  const login = { user: "tortie", password: () => "pass:word" };
  beforeAll(async () => {
    etcd = await Etcd.start({ flags: ["--auth-token-ttl=1"] });
    await etcd.ctl("user", "add", "root:root");
    await etcd.ctl("user", "grant-role", "root", "root");
    await etcd.ctl("role", "add", "tortie");
    await etcd.ctl("role", "grant-permission", "tortie", "--prefix=true", "readwrite", "/tortie/");
    await etcd.ctl("user", "add", "tortie", "--new-user-password=pass:word");
    await etcd.ctl("user", "grant-role", "tortie", "tortie");
    await etcd.ctl("auth", "enable");
  });
  afterAll(() => etcd.remove());

  test("a token that has run out is replaced", async () => {
    const store = await etcd.store({ login });
    const seen = record(store);
    await put(store, "/k", "1");
    await new Promise((resolve) => setTimeout(resolve, 3500));
    await Promise.all([put(store, "/a", "2"), put(store, "/b", "2"), store.get("/k")]);
    expect(seen).toHaveLength(3);
    await store.close();
  });

  test("and one of before a change of the users", async () => {
    const store = await etcd.store({ login });
    await put(store, "/k", "1");
    await etcd.ctl(...root, "user", "add", `new-${Date.now()}:x`);
    await put(store, "/k", "2");
    expect(fromUtf8((await store.get("/k"))!.value)).toBe("2");
    await store.close();
  });

  test("a client certificate's common name is the user, where nobody logs in", async () => {
    const certified = await Etcd.start({ tls: true });
    try {
      await certified.ctl("user", "add", "root:root");
      await certified.ctl("user", "grant-role", "root", "root");
      await certified.ctl("role", "add", "tortie");
      await certified.ctl("role", "grant-permission", "tortie", "--prefix=true", "readwrite", "/tortie/");
      await certified.ctl("user", "add", "tortie", "--no-password");
      await certified.ctl("auth", "enable");
      await expect(certified.store()).rejects.toThrow(/does not permit it/);
      await certified.ctl(...root, "user", "grant-role", "tortie", "tortie");
      const store = await certified.store();
      await put(store, "/k", "1");
      expect(fromUtf8((await store.get("/k"))!.value)).toBe("1");
      await store.close();
      await expect(certified.store({ prefix: "/elsewhere" })).rejects.toThrow(/does not permit it/);
    } finally {
      await certified.remove();
    }
  });

  test("a wrong password, no user, and a prefix that is not permitted are refused in words that hold no password", async () => {
    const cases = [
      { options: { login: { user: "tortie", password: () => "wr0ng" } }, words: /invalid user ID or password/ },
      { options: {}, words: /does not know who asks/ },
      { options: { login, prefix: "/elsewhere" }, words: /does not permit it/ },
    ];
    for (const { options, words } of cases) {
      const thrown = await etcd.store(options).then(
        () => undefined,
        (e: unknown) => e as Error,
      );
      expect(thrown?.message).toMatch(words);
      expect(thrown?.message).not.toMatch(/wr0ng|pass:word/);
    }
  });
});
