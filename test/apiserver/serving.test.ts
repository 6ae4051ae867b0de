// The server's own certificate runs out while it runs: connections stand, and new ones find a new certificate.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkServerIdentity as tlsCheck, connect as tlsConnect, type PeerCertificate } from "node:tls";
import { afterEach, beforeEach, expect, test } from "vitest";
import { NODE, type Node } from "../../src/api/node.ts";
import { type Authority, openAuthority } from "../../src/apiserver/identity/authority.ts";
import { ADMINS } from "../../src/apiserver/identity/roles.ts";
import { pinOf } from "../../src/apiserver/identity/token.ts";
import { type RunningServer, startServer } from "../../src/apiserver/server.ts";
import { silent } from "../../src/base/log.ts";
import { connectTo, connectToSocket } from "../../src/client/node.ts";
import { memoryStore } from "../../src/store/memory.ts";
import { until } from "./process.ts";

let directory: string;
let authority: Authority;
let server: RunningServer;
let servers: RunningServer[];
beforeEach(async () => {
  servers = [];
  directory = mkdtempSync(join(tmpdir(), "tortie-serving-"));
  authority = openAuthority(directory, Date.now, { create: true });
  server = await start(authority, 12);
});
async function start(of: Authority, seconds: number): Promise<RunningServer> {
  const started = await startServer({
    store: memoryStore(Date.now),
    shared: false,
    authority: of,
    listen: { host: "127.0.0.1", port: 0 },
    socket: join(directory, `${servers.length}.sock`),
    version: "0.0.0",
    log: silent,
    now: Date.now,
    certificateSeconds: seconds,
    names: ["api.example.net", "192.0.2.7"],
  });
  servers.push(started);
  return started;
}
afterEach(async () => {
  await Promise.all(servers.map((s) => s.stop(0)));
  rmSync(directory, { recursive: true, force: true });
});

/** The certificate that a new connection is shown, which it checks. */
const shown = (): Promise<{ serial: string; ends: number }> =>
  new Promise((resolve, reject) => {
    const socket = tlsConnect({ host: "127.0.0.1", port: Number(new URL(server.url).port), ca: authority.caCertificate }, () => {
      const { serialNumber: serial, valid_to: to } = socket.getPeerCertificate();
      socket.destroy();
      resolve({ serial, ends: Date.parse(to) });
    });
    socket.once("error", reject);
  });

test("it is renewed again and again; a watch that began with the first outlives it, and the server still knows its clients by their certificates", async () => {
  const first = await shown();
  expect(first.ends - Date.now()).toBeLessThanOrEqual(12_000);
  const { certificate: cert, key } = authority.issue({ commonName: "root", organizations: [ADMINS] }, "client");
  const endpoint = { url: server.url, ca: authority.caCertificate, cert, key };
  const [watcher, writer] = [connectTo(endpoint), connectToSocket(server.socket)];
  const over = new AbortController();
  const seen: string[] = [];
  let ended: unknown;
  const watching = (async () => {
    for await (const { object } of watcher.watch<Node>(NODE, { resourceVersion: "0", signal: over.signal })) seen.push(object.metadata.name);
  })().then(
    () => (ended = "it ended"),
    (thrown: unknown) => (ended = thrown),
  );
  const makes = async (name: string): Promise<void> => {
    await writer.create(NODE, { apiVersion: "v1", kind: "Node", metadata: { name } });
    await until(() => seen.includes(name));
  };
  await makes("before");
  await until(async () => (await shown()).serial !== first.serial, 30_000);
  const second = await shown();
  // Beyond the end of the first, and of the second.
  await until(async () => Date.now() > second.ends && (await shown()).serial !== second.serial, 30_000);
  expect((await shown()).ends).toBeGreaterThan(second.ends);
  expect(ended).toBeUndefined();
  await makes("after");
  expect(seen).toEqual(["before", "after"]);
  const late = connectTo(endpoint);
  expect((await late.list(NODE)).items).toHaveLength(2);
  over.abort();
  await watching;
  await Promise.all([watcher, writer, late].map((c) => c.close()));
});

test("it is good for further names, such as a load balancer's", async () => {
  const believes = (servername: string): Promise<boolean> =>
    new Promise((resolve) => {
      const port = Number(new URL(server.url).port);
      const checkServerIdentity = (_name: string, peer: PeerCertificate): Error | undefined => tlsCheck(servername, peer);
      const socket = tlsConnect({ host: "127.0.0.1", port, ca: authority.caCertificate, checkServerIdentity }, () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });
  expect(await Promise.all(["api.example.net", "192.0.2.7", "127.0.0.1", "other.example.net"].map(believes))).toEqual([true, true, true, false]);
});

test("another certificate of the same authority: whoever has the old one and whoever has the new one are let in and believe, and pins stay", async () => {
  rmSync(join(directory, "pki/ca.crt"));
  const renewed = openAuthority(directory, Date.now, { create: true });
  expect(renewed.caCertificate).not.toBe(authority.caCertificate);
  expect(pinOf(renewed.caCertificate)).toBe(pinOf(authority.caCertificate));
  const { url } = await start(renewed, 3600);
  for (const known of [authority, renewed])
    for (const signer of [authority, renewed]) {
      const { certificate: cert, key } = signer.issue({ commonName: "root", organizations: [ADMINS] }, "client");
      const client = connectTo({ url, ca: known.caCertificate, cert, key });
      expect((await client.list(NODE)).items).toEqual([]);
      await client.close();
    }
});
