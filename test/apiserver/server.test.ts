// The server as a process: its doors and who may come through, its end, and what a kill -9 leaves.
import { execFile, execFileSync } from "node:child_process";
import { statSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { connect as tlsConnect } from "node:tls";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parse } from "yaml";
import { certificate, newKeyPair, privateKeyPem } from "../../src/apiserver/identity/certificate.ts";
import { TORTIE } from "../peers.ts";
import { ask, follow, ServerHome, until } from "./process.ts";

let home: ServerHome;
beforeEach(() => void (home = new ServerHome()));
afterEach(() => home.remove());

type Identity = { ca: string; cert?: string; key?: string };
function identityOf(text: string): Identity {
  const config = parse(text) as { clusters: { cluster: Record<string, string> }[]; users: { user: Record<string, string> }[] };
  const decode = (t: string | undefined): string => Buffer.from(t!, "base64").toString();
  const user = config.users[0]!.user;
  return {
    ca: decode(config.clusters[0]!.cluster["certificate-authority-data"]),
    cert: decode(user["client-certificate-data"]),
    key: decode(user["client-key-data"]),
  };
}
function get(url: string, identity: Identity): Promise<{ code: number; body: string }> {
  const agent = new Agent({ ...identity, keepAlive: false });
  return new Promise((resolve, reject) => {
    const r = request(url, { agent }, (response) => {
      let text = "";
      response.on("data", (d: Buffer) => (text += d.toString()));
      response.on("end", () => resolve({ code: response.statusCode ?? 0, body: text }));
    });
    r.on("error", reject);
    r.end();
  });
}
const MERGE = "application/merge-patch+json";
const FELIX = "/apis/projectcalico.org/v3/felixconfigurations";

test("keys, socket and kubeconfig are their owner's alone", async () => {
  await home.start();
  for (const path of [home.kubeconfig, home.socket, join(home.data, "pki/ca.key"), join(home.data, "store")])
    expect([path, statSync(path).mode & 0o077]).toEqual([path, 0]);
});

test("the certificate decides who one is: admin, node, stranger, nobody", async () => {
  const { url } = await home.start();
  const admin = identityOf(home.read("admin.kubeconfig"));
  expect((await get(`${url}/api/v1/nodes`, admin)).code).toBe(200);
  expect((await get(`${url.replace("127.0.0.1", "localhost")}/healthz`, { ca: admin.ca })).body).toBe("ok");
  expect((await get(`${url}/version`, { ca: admin.ca })).code).toBe(200);
  expect((await get(`${url}/api/v1/nodes`, { ca: admin.ca })).code).toBe(401);
  expect((await get(`${url}/apis`, { ca: admin.ca })).code).toBe(401);

  execFileSync(process.execPath, [
    TORTIE,
    "server",
    "issue",
    "--data",
    home.data,
    "--node",
    "n1",
    "--server",
    url,
    "--kubeconfig",
    join(home.directory, "n1"),
  ]);
  expect(statSync(join(home.directory, "n1")).mode & 0o777).toBe(0o600);
  const node = identityOf(home.read("n1"));
  expect((await get(`${url}/api/v1/nodes`, node)).code).toBe(200);

  const pair = newKeyPair();
  const subject = { commonName: "tortie-admin", organizations: ["system:masters"] };
  const at = Date.now();
  const forged = certificate({
    subject,
    publicKey: pair.publicKey,
    issuer: { subject: { commonName: "tortie-ca" }, key: pair.privateKey },
    notBefore: at - 1000,
    notAfter: at + 60_000,
    use: "client",
  });
  expect((await get(`${url}/api/v1/nodes`, { ca: admin.ca, cert: forged, key: privateKeyPem(pair.privateKey) })).code).toBe(401);
});

test("a certificate for the server's use opens no door", async () => {
  const { url } = await home.start();
  const { openAuthority } = await import("../../src/apiserver/identity/authority.ts");
  const authority = openAuthority(home.data, Date.now, { create: false });
  const server = authority.issue({ commonName: "x", organizations: ["system:masters"] }, "server");
  expect((await get(`${url}/api/v1/nodes`, { ca: authority.caCertificate, cert: server.certificate, key: server.key })).code).toBe(401);
});

test("SIGTERM ends it within its grace, watches and all, with exit code 0", async () => {
  const server = await home.start();
  const watches = Array.from({ length: 20 }, () => follow(home.socket, `${FELIX}?watch=true`));
  await until(() => watches.every((w) => w.events.length === 1));
  // A connection that never says anything must not hold it.
  const silent = connect(Number(new URL(server.url).port), "127.0.0.1");
  silent.on("error", () => {});
  await new Promise((resolve) => silent.once("connect", resolve));
  await ask(home.socket, "/healthz");
  const start = Date.now();
  server.child.kill("SIGTERM");
  expect(await server.ended).toBe(0);
  // The silent one would be waited for a minute.
  expect(Date.now() - start).toBeLessThan(30_000);
  await Promise.all(watches.map((w) => w.ended));
  silent.destroy();
});

test("a second server on the same directory is refused with a sentence; after a kill -9 the directory is free", async () => {
  const first = await home.start();
  const run = (...args: string[]): Promise<{ code: number; err: string }> =>
    new Promise((resolve) =>
      execFile(process.execPath, [TORTIE, ...args], { timeout: 60_000 }, (e, _out, err) => resolve({ code: Number(e?.code ?? 0), err })),
    );
  // Another directory, but the same port: said, and ended.
  const port = new URL(first.url).port;
  const other = await run("server", "--data", join(home.directory, "other"), "--listen", `127.0.0.1:${port}`);
  expect(other).toEqual({
    code: 1,
    err: `Cannot listen on 127.0.0.1:${port}: something else listens there\nStop the other server, or choose another --listen or --socket.\n`,
  });
  expect(await run("server", "--data", home.data, "--listen", "127.0.0.1:0")).toEqual({
    code: 1,
    err: `Cannot use "${home.data}": the server with pid ${first.child.pid} uses it\nStop it, or choose another --data.\n`,
  });
  first.child.kill("SIGKILL");
  await first.ended;
  await home.start();
});

test.for([
  { name: "a kubeconfig that cannot be written", more: ["--kubeconfig", "/nonexistent/k"], err: /^Cannot write the kubeconfig "\/nonexistent\/k": / },
  { name: "a level that does not exist", more: ["--log-level", "loud"], err: /^Option '--log-level <level>' argument 'loud' is invalid/ },
  {
    name: "an address of another machine",
    more: ["--listen", "192.0.2.1:0"],
    err: /^Cannot listen on 192\.0\.2\.1:0: this machine has no such address$/m,
  },
  {
    name: "a socket with too long a path",
    more: ["--socket", `/tmp/${"a".repeat(120)}`],
    err: /^Cannot listen on \/tmp\/a+: the path of a socket has at most 107 bytes\nChoose a shorter --socket\.$/m,
  },
  {
    name: "several servers of which nobody knows where they are",
    more: ["--store", "etcd=https://192.0.2.1:2379", "--listen", "0.0.0.0:0"],
    err: /^Cannot share a store: agents are to reach each server, and --advertise does not say where this one is\n--advertise https:\/\/192\.168\.10\.1:6443, or --listen with an address\.$/m,
  },
  {
    name: "an address to announce that is none",
    more: ["--store", "etcd=https://192.0.2.1:2379", "--advertise", "10.0.0.11:6443"],
    err: /^Cannot be reached at "10\.0\.0\.11:6443": it must be a URL of https\nFor example https:\/\/192\.168\.10\.1:6443\.$/m,
  },
  {
    name: "a name for its certificate that is none",
    more: ["--tls-san", "a b"],
    err: /^Cannot use "a b" as a name of this server: it must be a DNS name/,
  },
  { name: "a file for a directory", more: ["--data", "/dev/null"], err: /^Cannot use "\/dev\/null" as --data: it is not a directory$/m },
])("$name ends it with a sentence", async ({ more, err }) => {
  const args = ["server", "--data", home.data, "--listen", "127.0.0.1:0", ...more];
  const ran = await new Promise<{ code: unknown; err: string }>((resolve) =>
    execFile(process.execPath, [TORTIE, ...args], { timeout: 60_000 }, (e, _out, text) => resolve({ code: e?.code ?? 0, err: text })),
  );
  expect(ran).toEqual({ code: 1, err: expect.stringMatching(err) as string });
});

test("a file that is no socket is not taken away for one", async () => {
  const file = join(home.directory, "notes");
  writeFileSync(file, "mine");
  await expect(home.start(0, ["--socket", file])).rejects.toThrow(`Cannot listen on ${file}: it is there, and is no socket`);
  expect(home.read("notes")).toBe("mine");
});

test("what was answered survives kill -9, and a watcher goes on where it was", async () => {
  let server = await home.start();
  const { port } = new URL(server.url);
  const before = JSON.parse((await ask(home.socket, FELIX)).body) as { metadata: { resourceVersion: string } };
  let answered = 0;
  for (let round = 0; round < 3; round++) {
    const { child } = server;
    try {
      for (const enough = answered + 10; ;) {
        const body = JSON.stringify({ spec: { wireguardMTU: answered + 1 } });
        const { code } = await ask(home.socket, `${FELIX}/default`, { method: "PATCH", type: MERGE, body });
        if (code === 200) answered++;
        // At some moment of one of the next.
        if (answered === enough) setTimeout(() => child.kill("SIGKILL"), 10 * Math.random());
      }
    } catch {
      // The connection went with the server.
    }
    await server.ended;
    server = await home.start(Number(port));
    const { spec } = JSON.parse((await ask(home.socket, `${FELIX}/default`)).body) as { spec: { wireguardMTU: number } };
    expect([answered, answered + 1]).toContain(spec.wireguardMTU);
    answered = spec.wireguardMTU;
  }
  const watch = follow(home.socket, `${FELIX}?watch=true&resourceVersion=${before.metadata.resourceVersion}`);
  await until(() => watch.events.length >= answered);
  expect(watch.events.map((e) => e.type)).toEqual(Array<string>(answered).fill("MODIFIED"));
});

test("bodies that wait for their last byte are bounded in all, and the memory is given back", async () => {
  await home.start();
  const body = Buffer.alloc(3_000_000, 0x20);
  const post = async (): Promise<number> => (await ask(home.socket, "/api/v1/namespaces", { method: "POST", body })).code;
  const open: Socket[] = [];
  // One after the other: sixty that grow side by side are all refused at the same moment, and then there is room again.
  for (let code = 400; code !== 429; code = await post()) {
    expect(code).toBe(400);
    expect(open.length).toBeLessThan(60);
    const socket = connect(home.socket);
    socket.on("error", () => {});
    socket.resume();
    // All but the last byte.
    socket.write(`POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length + 1}\r\n\r\n`);
    await new Promise((resolve) => socket.write(body, resolve));
    open.push(socket);
  }
  expect(open.length).toBeGreaterThan(30);
  for (const socket of open) socket.destroy();
  await until(async () => (await post()) === 400);
});

test("nothing that is sent ends it", async () => {
  const server = await home.start();
  const { port } = new URL(server.url);
  const raw = (bytes: string | Buffer): Promise<void> =>
    new Promise((resolve) => {
      const socket = connect(home.socket, () => socket.end(bytes));
      socket.on("error", () => {});
      socket.on("close", () => resolve());
      socket.resume();
      setTimeout(() => socket.destroy(), 500);
    });
  await raw("GARBAGE\r\n\r\n");
  await raw("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n");
  await raw("PATCH /api/v1/nodes/x HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\nshort");
  await raw(`GET /${"x".repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`);
  await raw("GET /api/v1/namespaces/default/pods/p/exec?command=x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  await raw(
    "GET /apis/tortie.io/v1/nodes/%ff/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n",
  );
  await raw(
    "GET /apis/tortie.io/v1/nodes/n/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: v2.stream.tortie.io\r\nSec-WebSocket-Key: bad\r\n\r\n",
  );
  await new Promise<void>((resolve) => {
    const socket = tlsConnect({ port: Number(port), rejectUnauthorized: false }, () => socket.end(Buffer.alloc(70_000, 0xff)));
    socket.resume();
    socket.on("error", () => {});
    socket.on("close", () => resolve());
  });
  await new Promise<void>((resolve) => {
    const socket = connect(Number(port), "127.0.0.1", () => socket.end(Buffer.alloc(5000, 0)));
    socket.on("error", () => {});
    socket.on("close", () => resolve());
    socket.resume();
  });
  const large = await ask(home.socket, "/api/v1/namespaces", { method: "POST", body: Buffer.alloc(4_000_000, 0x20) }).catch(() => ({ code: 413 }));
  expect(large.code).toBe(413);
  expect((await ask(home.socket, "/healthz")).body).toBe("ok");
  expect(server.child.exitCode).toBeNull();
});
