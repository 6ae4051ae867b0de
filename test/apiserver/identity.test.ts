// Identities at a server that runs: joining by token, renewal, what expires and what is revoked, TLS, limits, the audit log; and that no secret is
// anywhere but where it belongs.
import { execFile, execFileSync, spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect as tlsConnect } from "node:tls";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { keepRenewed, renewalTime, requestIdentity } from "../../src/agent/enroll.ts";
import { STREAM_PROTOCOL } from "../../src/api/nodestream.ts";
import { NODE } from "../../src/api/node.ts";
import { newKeyPair } from "../../src/apiserver/identity/certificate.ts";
import { writePrivate } from "../../src/apiserver/identity/kubeconfig.ts";
import { silent } from "../../src/base/log.ts";
import { connectTo } from "../../src/client/node.ts";
import { loadKubeconfig } from "../../src/client/kubeconfig.ts";
import { describeWith, find, TORTIE } from "../peers.ts";
import { fakeAgent } from "./fakeagent.ts";
import { authorityOf, Guest, sign, upgrading } from "./identities.ts";
import { ask, ServerHome, type ServerProcess, until } from "./process.ts";

let home: ServerHome;
let server: ServerProcess;
let guests: Guest[] = [];
beforeEach(() => void (home = new ServerHome()));
afterEach(async () => {
  for (const guest of guests) guest.close();
  guests = [];
  await home.remove();
});

type Ran = { code: number; out: string; err: string };
const run = (args: string[], options: { input?: string; env?: Record<string, string> } = {}): Promise<Ran> =>
  new Promise((resolve) => {
    const env = { ...process.env, ...options.env };
    const child = execFile(process.execPath, [TORTIE, ...args], { env, timeout: 120_000 }, (e, out, err) =>
      resolve({ code: Number(e?.code ?? 0), out, err }),
    );
    child.stdin!.end(options.input ?? "");
  });
const token = async (...args: string[]): Promise<string> => (await run(["server", "token", "create", "--data", home.data, ...args])).out.trim();
const path = (name: string): string => join(home.directory, name);
const nodeCertificate = (name: string, times: { from?: number; until?: number } = {}): ReturnType<typeof sign> =>
  sign(home.data, `system:node:${name}`, ["system:nodes"], times);
const guest = (...args: ConstructorParameters<typeof Guest>): Guest => {
  const made = new Guest(...args);
  guests.push(made);
  return made;
};
type Event = {
  stage: string;
  verb: string;
  user: { username: string };
  responseStatus: { code: number; message?: string };
  objectRef?: { resource: string };
};
const audited = (): Event[] =>
  readFileSync(join(home.data, "audit.log"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Event);

describe("joining", () => {
  test("by a token from a file, from standard input, from the environment and as an argument", async () => {
    server = await home.start();
    const [inFile, onInput, inEnvironment, asArgument] = await Promise.all([1, 2, 3, 4].map(() => token("--node", "k8s-w1")));
    expect(inFile).toMatch(/^[a-z0-9]{6}\.[a-z0-9]{26}\.[A-Za-z0-9_-]{43}$/);
    writeFileSync(path("token"), `${inFile}\n`);
    const ways: [string[], Parameters<typeof run>[1]][] = [
      [["--token-file", path("token")], {}],
      [["--token-file", "-"], { input: `${onInput}\n` }],
      [[], { env: { TORTIE_TOKEN: inEnvironment! } }],
      [["--token", asArgument!], {}],
    ];
    for (const [i, [args, options]] of ways.entries()) {
      const kubeconfig = path(`w${i}/agent.kubeconfig`);
      expect(await run(["agent", "join", server.url, ...args, "--kubeconfig", kubeconfig], options)).toEqual({
        code: 0,
        out: `joined as node k8s-w1; now: tortie agent --node k8s-w1 --kubeconfig ${kubeconfig}\n`,
        err: "",
      });
      for (const file of ["agent.kubeconfig", "agent.pem"]) expect(statSync(path(`w${i}/${file}`)).mode & 0o777).toBe(0o600);
      const client = connectTo(loadKubeconfig(kubeconfig));
      const who = await client.raw<{ status: { userInfo: { username: string } } }>("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {
        body: {},
      });
      expect(who.status.userInfo.username).toBe("system:node:k8s-w1");
      await client.close();
    }
    // Four certificates, each with a key of its own, all in the list of requests.
    const { items } = JSON.parse((await ask(home.socket, "/apis/certificates.k8s.io/v1/certificatesigningrequests")).body) as {
      items: { status: object }[];
    };
    expect(items.map((i) => i.status)).toEqual(
      Array.from({ length: 4 }, () => expect.objectContaining({ certificate: expect.any(String) as string })),
    );
  });

  test("a token is spent by the first certificate: a join whose answer was lost ends well, nobody else's does", async () => {
    server = await home.start();
    const words = await token("--node", "k8s-w1");
    const join = (place: string): Promise<Ran> =>
      run(["agent", "join", server.url, "--token-file", "-", "--kubeconfig", path(`${place}/agent.kubeconfig`)], { input: words });
    expect((await join("w1")).code).toBe(0);
    expect(readdirSync(path("w1")).toSorted()).toEqual(["agent.kubeconfig", "agent.pem"]);
    expect(await join("thief")).toMatchObject({ code: 1, out: "", err: expect.stringMatching(/the token has served: .*another key/) as string });
    expect(readdirSync(path("thief"))).not.toContain("agent.pem");
    // As a join leaves it whose answer never came.
    const pem = readFileSync(path("w1/agent.pem"), "utf8");
    mkdirSync(path("lost"));
    writeFileSync(path("lost/agent.pem.joining"), pem.slice(pem.indexOf("-----BEGIN PRIVATE")), { mode: 0o600 });
    expect((await join("lost")).code).toBe(0);
    expect(readdirSync(path("lost")).toSorted()).toEqual(["agent.kubeconfig", "agent.pem"]);
    const keys = ["w1", "lost"].map((place) => new X509Certificate(readFileSync(path(`${place}/agent.pem`))).publicKey);
    expect(keys[0]!.equals(keys[1]!)).toBe(true);
    expect((await run(["server", "token", "list", "--data", home.data])).out).toMatch(
      /^ID +ROLE +USER +USED +EXPIRES *\n\w+ +node +k8s-w1 +20\S+Z +20\S+Z/,
    );
  });

  test.for<[string, (words: string) => Promise<string[]>, RegExp]>([
    [
      "a token of another cluster",
      async (words) => ["--token", `${words.slice(0, -43)}${"A".repeat(43)}`],
      /its certificate authority is not the one that the token names/,
    ],
    ["a token without a pin", async (words) => ["--token", words.slice(0, -44)], /does not name the certificate authority/],
    ["a token that is not known", async (words) => ["--token", `aaaaaa${words.slice(6)}`], /Unauthorized/],
    ["another node's name", async (words) => ["--token", words, "--node", "k8s-w2"], /the token is for node "k8s-w1"/],
    ["a token of another form", async () => ["--token", "secret-and-wrong"], /^Cannot join: what was given has not the form of a token/],
    ["no token", async () => [], /there is no token/],
    [
      "a token for a person",
      async () => ["--token", await token("--role", "viewer", "--user", "eve"), "--ca", join(home.data, "pki/ca.crt")],
      /for no node/,
    ],
  ])("not by %s", async ([, args, err]) => {
    server = await home.start();
    const ran = await run(["agent", "join", server.url, "--kubeconfig", path("k"), ...(await args(await token("--node", "k8s-w1")))]);
    expect([ran.code, ran.out]).toEqual([1, ""]);
    expect(ran.err).toMatch(err);
    expect(ran.err).not.toContain("secret-and-wrong");
    expect(readdirSync(home.directory)).not.toContain("k");
  });

  test("a token is listed without its secret, ends when it is deleted, and names its CA file instead of a pin where one is given", async () => {
    server = await home.start();
    const words = await token("--node", "k8s-w1", "--ttl", "10m");
    const [id, secret] = words.split(".") as [string, string];
    const listed = await run(["server", "token", "list", "--data", home.data]);
    expect(listed.out).toMatch(new RegExp(`^ID .*\\n${id} +node +k8s-w1 `));
    expect(listed.out).not.toContain(secret);
    expect(await run(["server", "token", "list", "--socket", home.socket])).toEqual(listed);
    const unpinned = await run(["server", "token", "create", "--socket", home.socket, "--node", "k8s-w2"]);
    expect(unpinned).toMatchObject({ code: 1, out: "", err: expect.stringContaining("Give --data too, or --kubeconfig.") as string });
    const join = (): Promise<Ran> =>
      run(["agent", "join", server.url, "--token-file", "-", "--ca", `${home.data}/pki/ca.crt`, "--kubeconfig", path("k.kubeconfig")], {
        input: `${id}.${secret}`,
      });
    expect((await join()).code).toBe(0);
    expect((await run(["server", "token", "delete", "--data", home.data, id])).out).toBe(`deleted token ${id}\n`);
    expect(await join()).toMatchObject({ code: 1, err: expect.stringContaining("Unauthorized") as string });
    expect((await run(["server", "token", "delete", "--data", home.data, id])).err).toMatch(/there is none with this ID/);
  });

  test("a token on the command line is gone from it while the command runs", async () => {
    server = await home.start();
    const words = await token("--node", "k8s-w1");
    // Where nobody answers, so that there is time to look.
    const child = spawn(process.execPath, [TORTIE, "agent", "join", "https://192.0.2.1:6443", "--token", words, "--kubeconfig", path("k")], {
      stdio: "ignore",
    });
    const ended = new Promise((resolve) => child.once("close", resolve));
    try {
      await until(() => readFileSync(`/proc/${child.pid}/cmdline`, "utf8").startsWith("tortie agent join"));
      expect(readFileSync(`/proc/${child.pid}/cmdline`, "utf8")).not.toContain(words.split(".")[1]);
    } finally {
      child.kill("SIGKILL");
      await ended;
    }
  });
});

describe("renewal", () => {
  test("between 70 and 90 % of its life", async () => {
    server = await home.start();
    const { cert } = nodeCertificate("n1", { from: 0, until: 1000 });
    const start = Date.parse(new X509Certificate(cert).validFrom);
    expect([renewalTime(cert, 0), renewalTime(cert, 1)].map((t) => t - start)).toEqual([700_000, 900_000]);
  });

  test("a certificate that is due is renewed with a new key, and the client goes on", async () => {
    server = await home.start();
    const old = nodeCertificate("n1", { from: -8000, until: 1000 });
    const file = path("agent.pem");
    writeFileSync(file, old.cert + old.key, { mode: 0o600 });
    writeFileSync(
      path("agent.kubeconfig"),
      readFileSync(home.kubeconfig, "utf8").replace(/client-(certificate|key)-data: .*/g, "client-$1: agent.pem"),
    );
    const client = connectTo(loadKubeconfig(path("agent.kubeconfig")));
    const stop = new AbortController();
    const said: string[] = [];
    const log = { ...silent, info: (m: string) => void said.push(m), warn: (m: string, f: unknown) => void said.push(`${m} ${JSON.stringify(f)}`) };
    const renewing = keepRenewed({ node: "n1", file, client, log, write: (text) => writePrivate(file, "the certificate", text) }, stop.signal);
    await until(() => said.length > 0);
    stop.abort();
    await renewing;
    expect(said).toEqual(["the certificate of this node was renewed"]);
    const fresh = new X509Certificate(readFileSync(file));
    expect(fresh.subject).toBe("O=system:nodes\nCN=system:node:n1");
    expect(Date.parse(fresh.validTo) - Date.now()).toBeGreaterThan(300 * 86_400_000);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(fresh.publicKey.equals(new X509Certificate(old.cert).publicKey)).toBe(false);
    await client.close();
    const next = connectTo(loadKubeconfig(path("agent.kubeconfig")));
    expect((await next.list(NODE)).items).toEqual([]);
    await next.close();
  });

  test("a node may not get another's", async () => {
    server = await home.start();
    const client = connectTo({ url: server.url, ...nodeCertificate("n1") });
    await expect(requestIdentity(client, "n2", newKeyPair(), AbortSignal.timeout(1000))).rejects.toThrow(/nobody has approved the request/);
    await client.close();
  });
});

describe("what is not taken any more", () => {
  const NODES = "/api/v1/nodes";
  test("an expired certificate opens nothing, not even /version; one that expires is cut off", async () => {
    server = await home.start();
    const expired = guest(server.url, nodeCertificate("n1", { from: -600, until: -1 }));
    for (const at of [NODES, "/version", "/healthz"]) expect([at, (await expired.ask(at)).code]).toEqual([at, 401]);
    const brief = guest(server.url, nodeCertificate("n1", { until: 8 }));
    const watch = await brief.open(`${NODES}?watch=true`);
    expect(watch.code).toBe(200);
    await watch.ended;
    await expect(brief.ask(NODES)).resolves.toMatchObject({ code: 401 });
    await until(() => audited().some((e) => e.responseStatus.message === "the certificate has expired"));
  });

  test("revoking a node ends its watches and its stream at once, and its tokens; what it is given afterwards holds", async () => {
    server = await home.start();
    const words = await token("--node", "n1");
    // Issued a while ago: of what is issued in the second of the revocation nobody can say whether it was before.
    const node = guest(server.url, nodeCertificate("n1", { from: -600 }));
    const other = guest(server.url, nodeCertificate("n2"));
    const held = [await node.open(`${NODES}?watch=true`), await node.open("/apis/tortie.io/v1/nodes/n1/stream", upgrading(STREAM_PROTOCOL))];
    const kept = await other.open(`${NODES}?watch=true`);
    let cut = false;
    void kept.ended.then(() => (cut = true));
    expect([...held, kept].map((h) => h.code)).toEqual([200, 101, 200]);
    const ran = await run(["server", "revoke", "--data", home.data, "--node", "n1", "--reason", "lost"]);
    expect(ran).toMatchObject({ code: 0, out: expect.stringMatching(/^refused from now on: all that system:node:n1 was given until now/) as string });
    await Promise.all(held.map((h) => h.ended));
    expect((await node.ask(NODES)).code).toBe(401);
    expect(cut).toBe(false);
    expect((await other.ask(NODES)).code).toBe(200);
    expect((await guest(server.url, { ca: authorityOf(home.data), token: words.slice(0, -44) }).ask("/apis")).code).toBe(401);

    await new Promise((resolve) => setTimeout(resolve, 1100));
    const again = await run(["agent", "join", server.url, "--token-file", "-", "--kubeconfig", path("n1.kubeconfig")], {
      input: await token("--node", "n1"),
    });
    expect(again.code).toBe(0);
    const pem = readFileSync(path("n1.pem"), "utf8");
    expect((await guest(server.url, { ca: authorityOf(home.data), cert: pem, key: pem }).ask(NODES)).code).toBe(200);
    expect((await node.ask(NODES)).code).toBe(401);
  });

  test("one certificate is revoked by its serial number; the user's others hold", async () => {
    server = await home.start();
    const [lost, kept] = [nodeCertificate("n1"), nodeCertificate("n1")];
    writeFileSync(path("lost.pem"), lost.cert);
    expect((await guest(server.url, lost).ask(NODES)).code).toBe(200);
    expect((await run(["server", "revoke", "--kubeconfig", home.kubeconfig, "--certificate", path("lost.pem")])).code).toBe(0);
    expect((await guest(server.url, lost).ask(NODES)).code).toBe(401);
    expect((await guest(server.url, kept).ask(NODES)).code).toBe(200);
    // It outlives a restart.
    server.child.kill("SIGKILL");
    await server.ended;
    server = await home.start();
    expect((await guest(server.url, lost).ask(NODES)).code).toBe(401);
  });

  test("a token's connections end when it is deleted", async () => {
    server = await home.start();
    const words = await token("--role", "viewer", "--user", "eve");
    const eve = guest(server.url, { ca: authorityOf(home.data), token: words });
    const watch = await eve.open(`${NODES}?watch=true`);
    expect(watch.code).toBe(200);
    await run(["server", "token", "delete", "--data", home.data, words.split(".")[0]!]);
    await watch.ended;
    expect((await eve.ask(NODES)).code).toBe(401);
  });
});

test("roles for people: a viewer looks, an admin changes; by certificate and by token", async () => {
  server = await home.start();
  for (const role of ["viewer", "admin"]) {
    const file = path(`${role}.kubeconfig`);
    const args = ["--data", home.data, "--role", role, "--user", "eve", "--server", server.url, "--kubeconfig", file, "--ttl", "1h"];
    expect(await run(["server", "kubeconfig", ...args])).toEqual({ code: 0, out: `wrote ${file} for ${role} eve\n`, err: "" });
    const endpoint = loadKubeconfig(file);
    expect(Math.round((Date.parse(new X509Certificate(endpoint.cert!).validTo) - Date.now()) / 60_000)).toBe(60);
    const bearer = await token("--role", role, "--user", "eve");
    for (const who of [
      { ca: endpoint.ca!, cert: endpoint.cert!, key: endpoint.key! },
      { ca: endpoint.ca!, token: bearer },
    ]) {
      const eve = guest(server.url, who);
      expect((await eve.ask("/api/v1/nodes")).code).toBe(200);
      const made = await eve.ask("/api/v1/namespaces?dryRun=All", { method: "POST", body: { metadata: { name: "x" } } });
      expect(made.code).toBe(role === "admin" ? 201 : 403);
    }
  }
  const bad = await run([
    "server",
    "kubeconfig",
    "--data",
    home.data,
    "--role",
    "admin",
    "--user",
    "system:x",
    "--server",
    server.url,
    "--kubeconfig",
    path("x"),
  ]);
  expect(bad).toMatchObject({ code: 1, err: expect.stringContaining("belong to the system") as string });
  // What was revoked is forgotten after that time.
  const long = [
    "server",
    "kubeconfig",
    "--data",
    home.data,
    "--role",
    "viewer",
    "--user",
    "eve",
    "--server",
    server.url,
    "--kubeconfig",
    path("long"),
  ];
  expect(await run([...long, "--ttl", "366d"])).toMatchObject({
    code: 1,
    err: "Cannot issue a certificate for longer than 365d\nIssue another before it expires.\n",
  });
});

test("TLS 1.3 and nothing older", async () => {
  server = await home.start();
  const port = Number(new URL(server.url).port);
  const speak = (version: "TLSv1.2" | "TLSv1.3"): Promise<string> =>
    new Promise((resolve) => {
      const socket = tlsConnect({ port, ca: authorityOf(home.data), minVersion: version, maxVersion: version }, () => {
        resolve(socket.getProtocol() ?? "");
        socket.destroy();
      });
      socket.on("error", (e) => resolve((e as NodeJS.ErrnoException).code ?? e.message));
    });
  expect(await speak("TLSv1.3")).toBe("TLSv1.3");
  expect(await speak("TLSv1.2")).toMatch(/PROTOCOL_VERSION|ECONNRESET/);
});

test("who asks too much is told to wait; others are not", async () => {
  server = await home.start(0, ["--request-rate", "5", "--watches", "3"]);
  const [busy, other] = [guest(server.url, nodeCertificate("n1")), guest(server.url, nodeCertificate("n2"))];
  const answers = await Promise.all(Array.from({ length: 200 }, () => busy.ask("/api/v1/nodes?limit=1")));
  const refused = answers.filter((a) => a.code === 429);
  // How many depends on how long it took to ask.
  expect(refused.length).toBeGreaterThan(0);
  expect(refused.every((a) => a.headers["retry-after"] === "1")).toBe(true);
  const watches = [];
  for (let i = 0; i < 5; i++) watches.push(await guest(server.url, nodeCertificate("n2")).open("/api/v1/nodes?watch=true"));
  expect(watches.map((w) => w.code)).toEqual([200, 200, 200, 429, 429]);
  expect((await other.ask("/api/v1/nodes")).code).toBe(200);
});

const streamOf = (node: string): string => `/apis/tortie.io/v1/nodes/${node}/stream`;

test("what is to be upgraded counts as a request, also when it is refused", async () => {
  server = await home.start(0, ["--request-rate", "1"]);
  const busy = guest(server.url, nodeCertificate("n1"));
  const codes: number[] = [];
  for (let i = 0; i < 40; i++) codes.push((await busy.open(streamOf("n2"), upgrading(STREAM_PROTOCOL))).code);
  expect(codes.slice(0, 3)).toEqual([403, 403, 403]);
  const refused = codes.filter((c) => c === 429).length;
  expect(refused).toBeGreaterThan(2);
  // Of a row of refusals the first stands for all in the log.
  const written = (): number => audited().filter((e) => e.user.username === "system:node:n1" && e.responseStatus.code === 429).length;
  await until(() => written() > 0);
  expect(written()).toBeLessThan(refused);
});

test("what was upgraded counts as a watch while it lasts", async () => {
  server = await home.start(0, ["--watches", "3"]);
  const open = (): ReturnType<Guest["open"]> => guest(server.url, nodeCertificate("n2")).open(streamOf("n2"), upgrading(STREAM_PROTOCOL));
  const watch = (): ReturnType<Guest["open"]> => guest(server.url, nodeCertificate("n2")).open("/api/v1/nodes?watch=true");
  const held = [await open(), await watch(), await watch()];
  expect(held.map((h) => h.code)).toEqual([101, 200, 200]);
  expect([(await watch()).code, (await open()).code]).toEqual([429, 429]);
  held[0]!.stop();
  await until(async () => (await watch()).code === 200);
});

test("with --audit-required nothing is done on nodes while the log cannot be written", async () => {
  server = await home.start();
  for (const [path, body] of [
    ["/api/v1/nodes", { metadata: { name: "n1" } }],
    ["/api/v1/namespaces/default/pods", { metadata: { name: "p" }, spec: { nodeName: "n1", containers: [{ name: "c", image: "i" }] } }],
  ] as const)
    expect((await ask(home.socket, path, { method: "POST", body: JSON.stringify(body) })).code).toBe(201);
  server.child.kill("SIGTERM");
  await server.ended;
  server = await home.start(0, ["--audit-required", "--audit-log", "/dev/full"]);
  const agent = await fakeAgent(home.socket, "n1");
  const admin = guest(server.url, sign(home.data, "root", ["system:masters"]));
  const exec = "/api/v1/namespaces/default/pods/p/exec?command=true&stdout=true";
  await until(async () => (await admin.open(exec, upgrading("v5.channel.k8s.io"))).code === 503);
  const before = agent.opened.length;
  expect((await admin.open(exec, upgrading("v5.channel.k8s.io"))).code).toBe(503);
  expect(agent.opened.length).toBe(before);
  agent.close();
});

test("the audit log says who did what to which object; no secret is in it, in the log, or in the store", async () => {
  server = await home.start(0, ["--log-level", "debug"]);
  let logged = "";
  server.child.stderr!.on("data", (d: Buffer) => (logged += d.toString()));
  const words = await token("--node", "n1");
  await run(["agent", "join", server.url, "--token-file", "-", "--kubeconfig", path("n1.kubeconfig")], { input: words });
  const eve = guest(server.url, { ca: authorityOf(home.data), token: await token("--role", "admin", "--user", "eve") });
  await eve.ask("/api/v1/namespaces/default/secrets", { method: "POST", body: { metadata: { name: "s" }, stringData: { k: "hush-hush" } } });
  await eve.ask("/api/v1/namespaces/default/secrets/s");
  await eve.ask("/apis/authentication.k8s.io/v1/tokenreviews", { method: "POST", body: { spec: { token: words.slice(0, -44) } } });
  await until(() => audited().some((e) => e.objectRef?.resource === "tokenreviews"));
  const seen = audited().map((e) => `${e.user.username.replace(/:[a-z0-9]{6}$/, ":ID")} ${e.verb} ${e.objectRef?.resource} ${e.responseStatus.code}`);
  for (const line of [
    "system:admin create accesstokens 201",
    "system:bootstrap:ID create certificatesigningrequests 201",
    "eve create secrets 201",
    "eve get secrets 200",
    "eve create tokenreviews 201",
  ])
    expect(seen).toContain(line);
  expect(statSync(join(home.data, "audit.log")).mode & 0o777).toBe(0o600);
  server.child.kill("SIGTERM");
  expect(await server.ended).toBe(0);
  const secret = words.split(".")[1]!;
  // The Secret itself stands in the store; a token does not.
  expect(readFileSync(join(home.data, "audit.log"), "utf8") + logged).not.toMatch(
    new RegExp(`hush-hush|${Buffer.from("hush-hush").toString("base64")}|${secret}|PRIVATE KEY`),
  );
  const found = execFileSync("sh", ["-c", `grep -raoc '${secret}' '${home.data}' | grep -v ':0$' || true`], { encoding: "utf8" });
  expect(found).toBe("");
});

test("the server makes no core dump, and opens no inspector for a signal", async () => {
  server = await home.start();
  const pid = server.child.pid!;
  const limit = /^Max core file size +(\S+) +(\S+)/m.exec(readFileSync(`/proc/${pid}/limits`, "utf8"))!;
  expect(limit.slice(1)).toEqual(["0", "0"]);
  server.child.kill("SIGUSR1");
  // Somebody who comes after the signal is answered: the server has taken it by then.
  expect((await ask(home.socket, "/healthz")).code).toBe(200);
  expect(home.log).not.toContain("Debugger listening");
});

test("with --audit-required not even the first write is answered where the log cannot be made", async () => {
  server = await home.start(0, ["--audit-required", "--audit-log", "/nonexistent/audit.log"]);
  const made = await ask(home.socket, "/api/v1/namespaces", { method: "POST", body: JSON.stringify({ metadata: { name: "x" } }) });
  expect(made).toMatchObject({ code: 503, body: expect.stringContaining("the audit log cannot be written") as string });
  expect((await ask(home.socket, "/api/v1/namespaces/x")).code).toBe(404);
});

test("with --audit-required nothing is changed while the log cannot be written; reads go on", async () => {
  server = await home.start(0, ["--audit-required", "--audit-log", "/dev/full"]);
  const create = (): Promise<{ code: number }> =>
    ask(home.socket, "/api/v1/namespaces", { method: "POST", body: JSON.stringify({ metadata: { name: "x" } }) });
  expect((await ask(home.socket, "/api/v1/nodes")).code).toBe(200);
  await until(async () => (await ask(home.socket, "/api/v1/nodes")).code === 200 && (await create()).code !== 201);
  expect((await create()).code).toBe(503);
  expect((await ask(home.socket, "/api/v1/nodes")).code).toBe(200);
});

describeWith(["kubectl"], "kubectl", () => {
  test("sees, approves and denies requests; a token in a kubeconfig works; whoami", async () => {
    server = await home.start();
    const kubectl = (config: string, ...args: string[]): string =>
      execFileSync(find("kubectl")!, args, {
        env: { ...process.env, KUBECONFIG: config, KUBECACHEDIR: path("cache"), HOME: home.directory },
        encoding: "utf8",
      });
    const client = connectTo({ url: server.url, ...nodeCertificate("n2") });
    const asked = requestIdentity(client, "n1", newKeyPair());
    let name = "";
    await until(() => (name = /node-csr-\S+/.exec(kubectl(home.kubeconfig, "get", "csr"))?.[0] ?? "") !== "");
    expect(kubectl(home.kubeconfig, "get", "csr")).toMatch(
      /^NAME +AGE +SIGNERNAME +REQUESTOR +REQUESTEDDURATION +CONDITION\nnode-csr-\S+ +\S+ +kubernetes.io\/kube-apiserver-client-kubelet +system:node:n2 +<none> +Pending\n$/,
    );
    expect(kubectl(home.kubeconfig, "certificate", "approve", name)).toBe(`certificatesigningrequest.certificates.k8s.io/${name} approved\n`);
    expect(new X509Certificate(await asked).subject).toBe("O=system:nodes\nCN=system:node:n1");
    expect(kubectl(home.kubeconfig, "get", "csr")).toMatch(/Approved,Issued\n$/);
    const refused = requestIdentity(client, "n1", newKeyPair());
    await until(() => (name = /(node-csr-\S+).*Pending/.exec(kubectl(home.kubeconfig, "get", "csr"))?.[1] ?? "") !== "");
    kubectl(home.kubeconfig, "certificate", "deny", name);
    await expect(refused).rejects.toThrow(/the request was denied: This CSR was denied by kubectl certificate deny/);
    await client.close();

    const bearer = await token("--role", "viewer", "--user", "eve");
    const config = readFileSync(home.kubeconfig, "utf8")
      .replace(/ +client-certificate-data: .*\n/, "")
      .replace(/client-key-data: .*/, `token: ${bearer}`);
    writeFileSync(path("eve"), config, { mode: 0o600 });
    expect(kubectl(path("eve"), "auth", "whoami")).toMatch(/Username +eve\nGroups +\[tortie:viewers system:authenticated\]/);
    expect(kubectl(path("eve"), "get", "namespaces")).toMatch(/kube-system/);
    expect(() => kubectl(path("eve"), "delete", "namespace", "calico-system")).toThrow(/forbidden/);
  });
});

describeWith(["openssl"], "openssl", () => {
  test.for<[string, string[], number]>([
    ["P-256", ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], 201],
    ["P-384", ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-sha384"], 201],
    ["RSA 2048", ["-newkey", "rsa:2048"], 201],
    ["Ed25519", ["-newkey", "ed25519"], 201],
    ["RSA 1024", ["-newkey", "rsa:1024"], 422],
    ["SHA-1", ["-newkey", "rsa:2048", "-sha1"], 422],
  ])("makes a request with %s", async ([, args, code]) => {
    server = await home.start();
    const subject = ["-subj", "/O=tortie:viewers/CN=eve"];
    const pem = execFileSync("openssl", ["req", "-new", "-nodes", "-keyout", path("key"), ...subject, ...args], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const spec = { request: pem.toString("base64"), signerName: "kubernetes.io/kube-apiserver-client", usages: ["client auth"] };
    const csrs = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    const made = await ask(home.socket, csrs, { method: "POST", body: JSON.stringify({ metadata: { name: "eve" }, spec }) });
    expect(made.code, made.body).toBe(code);
    if (code !== 201) return;
    const approved = await ask(home.socket, `${csrs}/eve/approval`, {
      method: "PATCH",
      type: "application/merge-patch+json",
      body: JSON.stringify({ status: { conditions: [{ type: "Approved", status: "True" }] } }),
    });
    const { status } = JSON.parse(approved.body) as { status: { certificate: string } };
    const cert = Buffer.from(status.certificate, "base64").toString();
    writeFileSync(path("cert"), cert);
    // openssl holds it for a client's certificate of this authority.
    expect(
      execFileSync("openssl", ["verify", "-CAfile", join(home.data, "pki/ca.crt"), "-purpose", "sslclient", path("cert")], { encoding: "utf8" }),
    ).toContain(": OK");
    const eve = guest(server.url, { ca: authorityOf(home.data), cert, key: readFileSync(path("key"), "utf8") });
    expect((await eve.ask("/api/v1/nodes")).code).toBe(200);
    expect((await eve.ask("/api/v1/namespaces/default/secrets")).code).toBe(403);
  });
});
