// Three servers on an etcd of three members: any one of each may be killed at any moment. What was answered stays, and who watches, going on with another
// server after the last version it saw, misses nothing and sees nothing twice.
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { FELIX_CONFIGURATION, type FelixConfiguration } from "../../src/api/felixconfiguration.ts";
import { Streams } from "../../src/agent/streams.ts";
import { NODE } from "../../src/api/node.ts";
import { POD } from "../../src/api/pod.ts";
import { REVOCATION } from "../../src/api/revocation.ts";
import { silent } from "../../src/base/log.ts";
import { isApiError } from "../../src/client/error.ts";
import { exec } from "../../src/client/exec.ts";
import { loadKubeconfig } from "../../src/client/kubeconfig.ts";
import { connectWith } from "../../src/client/node.ts";
import type { RestClient } from "../../src/client/rest.ts";
import { seeded } from "../../src/store/linear.cases.ts";
import { Guest, sign } from "../apiserver/identities.ts";
import { ask, ServerHome, type ServerProcess, until } from "../apiserver/process.ts";
import { describeEtcd, Etcd } from "./etcd.ts";

const felix = (name: string): FelixConfiguration => ({
  apiVersion: "projectcalico.org/v3",
  kind: "FelixConfiguration",
  metadata: { name: `node.${name}` },
  spec: {},
});
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

class Servers {
  readonly etcd: Etcd;
  readonly homes: readonly ServerHome[] = [new ServerHome(), new ServerHome(), new ServerHome()];
  readonly #running: ServerProcess[] = [];
  readonly clients: RestClient[] = [];

  constructor(etcd: Etcd) {
    this.etcd = etcd;
  }

  async start(i: number): Promise<void> {
    const { etcd } = this;
    // Each has its own member first.
    const urls = [...etcd.urls.slice(i), ...etcd.urls.slice(0, i)].join(",");
    const files = [`--etcd-ca=${etcd.file("ca.crt")}`, `--etcd-cert=${etcd.file("client.crt")}`, `--etcd-key=${etcd.file("client.key")}`];
    const port = this.#running[i] === undefined ? 0 : Number(new URL(this.#running[i].url).port);
    this.#running[i] = await this.homes[i]!.start(port, [`--store=etcd=${urls}`, ...files]);
    this.clients[i] ??= connectWith(this.homes[i]!.kubeconfig);
  }
  async startAll(): Promise<void> {
    await this.start(0);
    for (const home of this.homes.slice(1)) {
      mkdirSync(home.data, { recursive: true });
      cpSync(join(this.homes[0]!.data, "pki"), join(home.data, "pki"), { recursive: true });
    }
    await Promise.all([this.start(1), this.start(2)]);
  }
  async kill(i: number): Promise<void> {
    this.#running[i]!.child.kill("SIGKILL");
    await this.#running[i]!.ended;
  }
  async terminate(i: number): Promise<number | string> {
    this.#running[i]!.child.kill("SIGTERM");
    return this.#running[i]!.ended;
  }
  async remove(): Promise<void> {
    for (const client of this.clients) await client.close();
    for (const home of this.homes) await home.remove();
    await this.etcd.remove();
  }
}

let servers: Servers;
afterEach(() => servers.remove());

describeEtcd("three servers on three etcd members", () => {
  test("kill -9 of any one of each during writes and watches loses no answered write, and no watch misses or repeats", async () => {
    servers = new Servers(await Etcd.start({ members: 3, tls: true }));
    await servers.startAll();
    const { clients, etcd } = servers;
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = seeded(seed);
    const start = (await clients[0]!.list(FELIX_CONFIGURATION)).metadata.resourceVersion!;
    const stop = new AbortController();
    /** Answered creates and changes, "REVISION TYPE NAME"; the names that were answered as deleted, whose revision is not told. */
    const [answered, deleted] = [new Set<string>(), new Set<string>()];
    /** What was asked for and not answered: "TYPE NAME". */
    const uncertain = new Set<string>();
    const unexpected: string[] = [];

    const writers = [0, 1, 2, 3].map(async (id) => {
      const own: string[] = [];
      for (let i = 0, at = id; !stop.signal.aborted; i++) {
        const client = clients[at % 3]!;
        const what = random();
        const name = what < 0.5 ? undefined : own[Math.floor(random() * own.length)];
        const made = felix(`${id}-${i}`).metadata.name;
        const type = name === undefined ? "ADDED" : what < 0.85 ? "MODIFIED" : "DELETED";
        try {
          if (type === "DELETED") {
            await client.delete(FELIX_CONFIGURATION, name!);
            deleted.add(name!);
          } else {
            const { metadata } =
              type === "ADDED"
                ? await client.create(FELIX_CONFIGURATION, felix(`${id}-${i}`))
                : await client.patch(FELIX_CONFIGURATION, name!, { spec: { wireguardMTU: 1000 + i } });
            answered.add(`${metadata.resourceVersion} ${type} ${metadata.name}`);
            if (type === "ADDED") own.push(made);
          }
          if (type === "DELETED") own.splice(own.indexOf(name!), 1);
        } catch (thrown) {
          // Its server was killed, or lost its member: not answered, so it may be there or not. What it was about is left alone from now on.
          if (isApiError(thrown) && thrown.code !== 503) unexpected.push(`${type} ${thrown.message}`);
          uncertain.add(`${type} ${name ?? made}`);
          if (name !== undefined) own.splice(own.indexOf(name), 1);
          at++;
          await pause(20);
        }
      }
    });

    type Seen = { revision: number; type: string; name: string };
    const watches = [0, 1, 2].map((id) => ({ at: id, version: start, seen: [] as Seen[], resumed: 0 }));
    const over = new AbortController();
    const watchers = watches.map(async (w) => {
      while (!over.signal.aborted) {
        try {
          const events = clients[w.at % 3]!.watch(FELIX_CONFIGURATION, { resourceVersion: w.version, signal: over.signal });
          for await (const { type, object } of events) {
            w.version = object.metadata.resourceVersion!;
            w.seen.push({ revision: Number(w.version), type, name: object.metadata.name });
          }
        } catch (thrown) {
          if (isApiError(thrown) && thrown.code !== 503) unexpected.push(thrown.message);
        }
        w.at++;
        w.resumed++;
        if (!over.signal.aborted) await pause(50);
      }
    });

    /** Writes go on, whatever has just been killed. */
    const moment = async (ms: number): Promise<void> => {
      const before = answered.size;
      await pause(ms);
      await until(() => answered.size > before);
    };
    const anyOne = (): number => Math.floor(random() * 3);
    const compacted: number[] = [];
    await moment(1000);
    // Each of them once, then some at random.
    for (const [i, server] of [[0, 0], [1, 1], [2, 2], ...[1, 2].map(() => [anyOne(), anyOne()] as const)] as const) {
      await etcd.kill(i);
      await moment(2500);
      etcd.run(i);
      await etcd.answers(i);
      // Behind what all watches have seen: none of them may notice.
      const behind = Math.min(...watches.map((w) => Number(w.version)));
      if (behind > (compacted.at(-1) ?? Number(start))) {
        await etcd.ctl("compact", String(behind));
        compacted.push(behind);
      }
      await servers.kill(server);
      await moment(1000);
      await servers.start(server);
      await moment(500);
    }
    stop.abort();
    await Promise.all(writers);
    const last = await clients[0]!.create(FELIX_CONFIGURATION, felix("last"));
    const end = Number(last.metadata.resourceVersion);
    answered.add(`${end} ADDED ${last.metadata.name}`);
    await until(() => watches.every((w) => Number(w.version) >= end));
    over.abort();
    await Promise.all(watchers);

    const told = `seed ${seed}`;
    // The watches were really interrupted.
    expect(Math.min(...watches.map((w) => w.resumed)), told).toBeGreaterThan(0);
    expect(compacted.length, told).toBeGreaterThan(0);
    expect(unexpected, told).toEqual([]);
    const { seen } = watches[0]!;
    for (const w of watches) expect(w.seen, told).toEqual(seen);
    expect(seen, told).toEqual(seen.toSorted((a, b) => a.revision - b.revision));
    expect(new Set(seen.map((e) => e.revision)).size, told).toBe(seen.length);
    // Each answer is an event, and each event is an answer or what was not answered; together they make what is there.
    const events = new Set(seen.map((e) => `${e.revision} ${e.type} ${e.name}`));
    expect(
      [...answered].filter((e) => !events.has(e)),
      told,
    ).toEqual([]);
    const gone = seen.filter((e) => e.type === "DELETED").map((e) => e.name);
    expect(
      [...deleted].filter((name) => !gone.includes(name)),
      told,
    ).toEqual([]);
    const nobodys = seen.filter(
      (e) =>
        !answered.has(`${e.revision} ${e.type} ${e.name}`) && !(e.type === "DELETED" && deleted.has(e.name)) && !uncertain.has(`${e.type} ${e.name}`),
    );
    expect(nobodys, told).toEqual([]);
    const replayed = new Map<string, number>();
    for (const { type, name, revision } of seen) {
      expect(replayed.has(name), `${told}: ${revision} ${type} ${name}`).toBe(type !== "ADDED");
      if (type === "DELETED") replayed.delete(name);
      else replayed.set(name, revision);
    }
    const { items } = await clients[1]!.list(FELIX_CONFIGURATION);
    const there = items.map((o) => [o.metadata.name, Number(o.metadata.resourceVersion)] as const).filter(([, revision]) => revision > Number(start));
    expect(new Map(there), told).toEqual(replayed);
    expect(deleted.size, told).toBeGreaterThan(0);
  });

  test("what one answers, the others read at once; one certificate is good for all; each ends on SIGTERM", async () => {
    servers = new Servers(await Etcd.start({ members: 3, tls: true }));
    await servers.startAll();
    const { clients, homes } = servers;
    for (let i = 0; i < 30; i++) {
      await clients[i % 3]!.create(FELIX_CONFIGURATION, felix(String(i)));
      expect((await clients[(i + 1) % 3]!.get(FELIX_CONFIGURATION, `node.${i}`)).metadata.name).toBe(`node.${i}`);
      const listed = await clients[(i + 2) % 3]!.list(FELIX_CONFIGURATION, { limit: 7 });
      expect(listed.items.filter((o) => /^node\.\d+$/.test(o.metadata.name))).toHaveLength(i + 1);
    }
    // The admin's certificate of the first server opens the second.
    const config = homes[0]!.read("admin.kubeconfig").replace(/https:\/\/\S+/, /https:\/\/\S+/.exec(homes[1]!.read("admin.kubeconfig"))![0]);
    const both = join(homes[0]!.directory, "both.kubeconfig");
    writeFileSync(both, config, { mode: 0o600 });
    const client = connectWith(both);
    expect((await client.list(FELIX_CONFIGURATION)).items.length).toBeGreaterThanOrEqual(30);
    await client.close();
    for (const i of [0, 1, 2]) expect(await servers.terminate(i)).toBe(0);
  });

  test("who is revoked at one is refused at all, at once, and their watches are cut; also by a server that was away meanwhile", async () => {
    servers = new Servers(await Etcd.start({ members: 3, tls: true }));
    await servers.startAll();
    const { clients, homes } = servers;
    const eve = sign(homes[0]!.data, "eve", ["tortie:viewers"]);
    const guests = [0, 1, 2].map((i) => new Guest(clients[i]!.transport.where, eve));
    const watches = await Promise.all(guests.map((g) => g.open("/api/v1/nodes?watch=true")));
    expect(watches.map((w) => w.code)).toEqual([200, 200, 200]);
    await servers.kill(2);
    await clients[0]!.create(REVOCATION, { apiVersion: "tortie.io/v1", kind: "Revocation", metadata: { name: "eve" }, spec: { user: "eve" } });
    // The limit of the test stands for all of them: what is not cut keeps it waiting.
    await Promise.all(watches.map((w) => w.ended));
    for (const i of [0, 1]) expect((await guests[i]!.ask("/api/v1/nodes")).code).toBe(401);
    await servers.start(2);
    expect((await guests[2]!.ask("/api/v1/nodes")).code).toBe(401);
    for (const guest of guests) guest.close();
  });

  test("without a majority of etcd nothing is answered as written or as new; with one again it goes on", async () => {
    servers = new Servers(await Etcd.start({ members: 3, tls: true }));
    await servers.startAll();
    const { clients, etcd, homes } = servers;
    await clients[0]!.create(FELIX_CONFIGURATION, felix("before"));
    await Promise.all([etcd.kill(1), etcd.kill(2)]);
    const refused = await Promise.allSettled([
      clients[0]!.create(FELIX_CONFIGURATION, felix("during")),
      clients[1]!.list(FELIX_CONFIGURATION),
      clients[2]!.get(FELIX_CONFIGURATION, "node.before"),
    ]);
    for (const r of refused) expect(r).toMatchObject({ status: "rejected", reason: { code: 503 } });
    await until(async () => /store failed: etcd cannot be reached/.test((await ask(homes[1]!.socket, "/readyz")).body));
    // No new start would help.
    expect((await ask(homes[1]!.socket, "/livez")).body).toBe("ok");
    etcd.run(1);
    await until(async () => (await ask(homes[1]!.socket, "/readyz")).code === 200);
    await clients[1]!.create(FELIX_CONFIGURATION, felix("after"));
    expect((await clients[1]!.list(FELIX_CONFIGURATION)).items.map((o) => o.metadata.name)).toContain("node.before");
  });

  test("an agent that was told of one server has a stream to each: an order comes to it through any, also when the first one is killed, and is back", async () => {
    servers = new Servers(await Etcd.start({ members: 3, tls: true }));
    await servers.startAll();
    const { clients } = servers;
    const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec: { nodeName: "n1", containers: [{ name: "c", image: "i" }] } };
    await clients[0]!.create(NODE, { apiVersion: "v1", kind: "Node", metadata: { name: "n1" } });
    await clients[0]!.create(POD, pod, { namespace: "default" });
    const endpoint = loadKubeconfig(servers.homes[0]!.kubeconfig);
    const stop = new AbortController();
    const running = new Streams({ endpoint, node: "n1", log: silent, tortie: ["false"], client: clients[0]! }).run(stop.signal);
    /** The agent's own words: no pod runs here. */
    const answers = async (i: number): Promise<boolean> => {
      const pipes = { stdout: () => {}, stderr: () => {} };
      const thrown: unknown = await exec(clients[i]!.transport, { namespace: "default", pod: "p", command: ["true"], ...pipes }).catch(
        (e: unknown) => e,
      );
      return thrown instanceof Error && thrown.message === 'pod "default/p" does not run on this node';
    };
    try {
      for (const i of [0, 1, 2]) await until(() => answers(i));
      await servers.kill(0);
      for (const i of [1, 2]) await until(() => answers(i));
      await servers.start(0);
      await until(() => answers(0));
      for (const i of [1, 2]) await until(() => answers(i));
    } finally {
      stop.abort();
      await running;
    }
  });
});
