// Two servers on one store: an agent has a stream to each, whichever it was told of, and an order comes to it through either; who is revoked at one is refused at both.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Streams } from "../../src/agent/streams.ts";
import type { Kind } from "../../src/api/kind.ts";
import { LEASE } from "../../src/api/lease.ts";
import { NODE } from "../../src/api/node.ts";
import { STREAM_PROTOCOL } from "../../src/api/nodestream.ts";
import { POD } from "../../src/api/pod.ts";
import { REVOCATION } from "../../src/api/revocation.ts";
import { type Authority, openAuthority } from "../../src/apiserver/identity/authority.ts";
import { NODES } from "../../src/apiserver/identity/roles.ts";
import { silent } from "../../src/base/log.ts";
import { exec } from "../../src/client/exec.ts";
import { connectTo, connectToSocket } from "../../src/client/node.ts";
import type { RestClient } from "../../src/client/rest.ts";
import { memoryStore } from "../../src/store/memory.ts";
import type { Store } from "../../src/store/store.ts";
import { startServer, type RunningServer } from "../../src/apiserver/server.ts";
import { Guest, upgrading } from "./identities.ts";
import { until } from "./process.ts";

let directory: string;
let store: Store;
let authority: Authority;
let servers: RunningServer[];
let clients: RestClient[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tortie-servers-"));
  const inner = memoryStore(Date.now);
  // The store outlives each of them, as an etcd does.
  store = new Proxy(inner, {
    get: (target, name) => {
      if (name === "close") return async () => {};
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
  authority = openAuthority(directory, Date.now, { create: true });
  [servers, clients] = [[], []];
});
afterEach(async () => {
  await Promise.all(clients.map((c) => c.close()));
  await Promise.all(servers.map((s) => s.stop(0)));
  rmSync(directory, { recursive: true, force: true });
});
async function start(name: string): Promise<RunningServer> {
  const socket = join(directory, `${name}.sock`);
  const listen = { host: "127.0.0.1", port: 0 };
  const server = await startServer({ store, shared: true, authority, listen, socket, version: "0.0.0", log: silent, now: Date.now });
  servers.push(server);
  return server;
}

test("an order reaches the agent through each server, also one that came later, and after the first has gone", async () => {
  const first = await start("a");
  const admin = (s: RunningServer): RestClient => {
    const client = connectToSocket(s.socket);
    clients.push(client);
    return client;
  };
  const client = admin(first);
  await client.create(NODE, { apiVersion: "v1", kind: "Node", metadata: { name: "n1" } });
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec: { nodeName: "n1", containers: [{ name: "c", image: "i" }] } };
  await client.create(POD, pod, { namespace: "default" });
  const { certificate, key } = authority.issue({ commonName: "system:node:n1", organizations: [NODES] }, "client");
  const endpoint = { url: first.url, ca: authority.caCertificate, cert: certificate, key };
  const agent = connectTo(endpoint);
  clients.push(agent);
  const stop = new AbortController();
  const running = new Streams({ endpoint, node: "n1", log: silent, tortie: ["false"], client: agent }).run(stop.signal);
  /** The agent's own words: no pod runs here. */
  const answers = (through: RestClient): Promise<boolean> =>
    exec(through.transport, { namespace: "default", pod: "p", command: ["true"], stdout: () => {}, stderr: () => {} }).then(
      () => false,
      (thrown: unknown) => (thrown as Error).message === 'pod "default/p" does not run on this node',
    );
  await until(() => answers(client));
  const second = await start("b");
  const other = admin(second);
  await until(() => answers(other));
  expect(await answers(client)).toBe(true);
  expect((await client.list(LEASE as unknown as Kind, { namespace: "kube-system" })).items).toHaveLength(2);
  await first.stop(0);
  servers = servers.filter((s) => s !== first);
  expect(await answers(other)).toBe(true);
  expect((await other.list(LEASE as unknown as Kind, { namespace: "kube-system" })).items).toHaveLength(1);
  stop.abort();
  await running;
});

test("who is revoked at one is refused at all, and the watches and streams that it has there are cut", async () => {
  const all = [await start("a"), await start("b")];
  const admin = connectToSocket(all[0]!.socket);
  clients.push(admin);
  const identity = authority.issue({ commonName: "system:node:n1", organizations: [NODES] }, "client");
  const who = { ca: authority.caCertificate, cert: identity.certificate, key: identity.key };
  const guests = all.map(({ url }) => new Guest(url, who));
  const held = (
    await Promise.all(
      guests.map((g) => [g.open("/api/v1/nodes?watch=true"), g.open("/apis/tortie.io/v1/nodes/n1/stream", upgrading(STREAM_PROTOCOL))]).flat(),
    )
  ).flat();
  expect(held.map((h) => h.code)).toEqual([200, 101, 200, 101]);
  await admin.create(REVOCATION, { apiVersion: "tortie.io/v1", kind: "Revocation", metadata: { name: "n1" }, spec: { user: "system:node:n1" } });
  await Promise.all(held.map((h) => h.ended));
  for (const guest of guests) expect((await guest.ask("/api/v1/nodes")).code).toBe(401);
  for (const guest of guests) guest.close();
});
