// The way to the nodes, on a real server: a reader that never reads, cut connections, second agents, other nodes, grants.
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { WINDOW } from "../../src/api/nodestream.ts";
import { Stream } from "../../src/agent/stream.ts";
import { openAuthority } from "../../src/apiserver/identity/authority.ts";
import { ADMINS, NODES } from "../../src/apiserver/identity/roles.ts";
import { ApiError } from "../../src/client/error.ts";
import { silent } from "../../src/base/log.ts";
import { captureOnNode, exec, runOnNode } from "../../src/client/exec.ts";
import type { Endpoint } from "../../src/client/kubeconfig.ts";
import { nodeTransport, openWebSocket } from "../../src/client/node.ts";
import type { Transport } from "../../src/client/transport.ts";
import { processes } from "../../src/sys/ns.ts";
import { FaultProxy } from "../client/faults.ts";
import { describeWith, find } from "../peers.ts";
import { type FakeAgent, fakeAgent } from "./fakeagent.ts";
import { ask, ServerHome, type ServerProcess, until } from "./process.ts";

let home: ServerHome;
let server: ServerProcess;
let transport: Transport;
beforeAll(async () => {
  home = new ServerHome();
  server = await home.start();
  transport = nodeTransport({ url: `unix:${home.socket}`, socketPath: home.socket });
  for (const name of ["n1", "n2"]) {
    await ask(home.socket, "/api/v1/nodes", { method: "POST", body: JSON.stringify({ metadata: { name } }) });
    const pod = { metadata: { name: `p-${name}` }, spec: { nodeName: name, containers: [{ name: "c", image: "i" }] } };
    expect((await ask(home.socket, "/api/v1/namespaces/default/pods", { method: "POST", body: JSON.stringify(pod) })).code).toBe(201);
  }
});
afterAll(async () => {
  await transport.close();
  await home.remove();
});

/** The endpoint of somebody whose certificate our authority signed. */
function endpointOf(commonName: string, ...organizations: string[]): Endpoint {
  const authority = openAuthority(home.data, Date.now, { create: false });
  const { certificate, key } = authority.issue({ commonName, organizations }, "client");
  return { url: server.url, ca: authority.caCertificate, cert: certificate, key };
}
type Ran = { code: number; out: Buffer };
async function run(command: string[], options: { stdin?: AsyncIterable<Uint8Array>; onOutput?: (bytes: number) => void } = {}): Promise<Ran> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  const stdout = (d: Uint8Array): void => {
    parts.push(d);
    options.onOutput?.((bytes += d.length));
  };
  const pipes = { stdout, stderr: () => {}, ...(options.stdin ? { stdin: options.stdin } : {}) };
  const code = await exec(transport, { namespace: "default", pod: "p-n1", command, ...pipes });
  return { code, out: Buffer.concat(parts) };
}
type Line = {
  msg: string;
  verb?: string;
  ended?: boolean;
  user?: string;
  bytesToClient?: number;
  bytesFromClient?: number;
  start?: string;
  end?: string;
  command?: string[];
  path?: string;
};
const audited = (verb: string): Line[] =>
  home.log
    .split("\n")
    .filter((l) => l.startsWith("{"))
    .map((l) => JSON.parse(l) as Line)
    .filter((l) => l.msg === "audit" && l.verb === verb);

type Event = {
  auditID: string;
  verb: string;
  stage: string;
  user: { username: string };
  objectRef?: { subresource?: string };
  requestReceivedTimestamp: string;
  stageTimestamp: string;
  annotations: Record<string, string>;
};
const events = (): Event[] =>
  readFileSync(join(home.data, "audit.log"), "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Event);

async function withAgent(body: (agent: FakeAgent) => Promise<void>): Promise<void> {
  const agent = await fakeAgent(home.socket, "n1");
  try {
    await body(agent);
  } finally {
    agent.close();
    await until(async () => agent.running() === 0 && (await agent.closed) > 0);
  }
}

test("one that reads nothing holds up itself, and nobody else", () =>
  withAgent(async (agent) => {
    const query = "stdout=true&command=cat&command=/dev/zero";
    const stuck = new WebSocket(`ws+unix:${home.socket}:/api/v1/namespaces/default/pods/p-n1/exec?${query}`, "v5.channel.k8s.io");
    await new Promise((resolve) => stuck.once("open", resolve));
    stuck.pause();
    await until(() => agent.running() === 1);
    // Others go on meanwhile, small and large; the large one is several windows in both directions.
    for (let i = 0; i < 10; i++) expect(await run(["echo", String(i)])).toEqual({ code: 0, out: Buffer.from(`${i}\n`) });
    const data = Buffer.alloc(5 * WINDOW, "0123456789abcdef");
    const echoed = await run(["cat"], {
      stdin: (async function* () {
        yield data;
      })(),
    });
    expect(echoed.code).toBe(0);
    expect(echoed.out.equals(data)).toBe(true);
    expect(agent.running()).toBe(1);
    stuck.terminate();
    await until(() => agent.running() === 0);
    await until(() => audited("exec").some((l) => l.ended && l.command?.[1] === "/dev/zero"));
    const line = audited("exec").find((l) => l.ended && l.command?.[1] === "/dev/zero")!;
    // What the kernel holds for it, and the window.
    expect(line.bytesToClient).toBeLessThan(WINDOW + (4 << 20));
  }));

test("a command that takes no input is not ended for it, and holds up nobody", () =>
  withAgent(async () => {
    const data = Buffer.alloc(4 * WINDOW, "x");
    const slow = run(["sh", "-c", "sleep 4; wc -c"], {
      stdin: (async function* () {
        yield data;
      })(),
    });
    expect((await run(["echo", "meanwhile"])).out.toString()).toBe("meanwhile\n");
    expect(await slow).toEqual({ code: 0, out: Buffer.from(`${data.length}\n`) });
  }));

test("who did what from when to when, and how many bytes, stands in the audit log", () =>
  withAgent(async () => {
    const before = audited("exec").length;
    const stdin = (async function* () {
      yield Buffer.from("12345");
    })();
    expect((await run(["sh", "-c", "cat >/dev/null; printf abc"], { stdin })).code).toBe(0);
    await until(() => audited("exec").length === before + 2);
    const [began, ended] = audited("exec").slice(-2);
    expect(began).toMatchObject({ user: "system:admin", code: 101, command: ["sh", "-c", "cat >/dev/null; printf abc"] });
    expect(ended).toMatchObject({ ended: true, bytesFromClient: 5, bytesToClient: 3, start: began!.start, result: { status: "Success" } });
    expect(Date.parse(ended!.end!)).toBeGreaterThanOrEqual(Date.parse(ended!.start!));
  }));

test("its lines in the audit file are Events like those of requests: who, with which groups, by which role, what, when, how it ended", () =>
  withAgent(async () => {
    const root = nodeTransport(endpointOf("root", ADMINS));
    const pipes = { stdout: () => {}, stderr: () => {} };
    expect(await exec(root, { namespace: "default", pod: "p-n1", command: ["sh", "-c", "printf abcd; exit 3"], ...pipes })).toBe(3);
    const viewer = nodeTransport(endpointOf("vera", "tortie:viewers"));
    await expect(exec(viewer, { namespace: "default", pod: "p-n1", command: ["id"], ...pipes })).rejects.toThrow("is forbidden");
    await Promise.all([root.close(), viewer.close()]);
    const of = (user: string): Event[] => events().filter((e) => e.user.username === user && e.objectRef?.subresource === "exec");
    await until(() => of("root").length === 2 && of("vera").length === 1);
    const [began, ended] = of("root");
    const both = {
      kind: "Event",
      apiVersion: "audit.k8s.io/v1",
      auditID: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      verb: "exec",
      requestURI: expect.stringContaining("/pods/p-n1/exec?") as string,
      user: {
        username: "root",
        groups: [ADMINS, "system:authenticated"],
        extra: { "authentication.kubernetes.io/credential-id": [expect.stringMatching(/^X509SHA256=[0-9a-f]{64}$/)] },
      },
      sourceIPs: ["127.0.0.1"],
      objectRef: { resource: "pods", namespace: "default", name: "p-n1", apiVersion: "v1", subresource: "exec" },
      responseStatus: { code: 101 },
    };
    const allowed = {
      "authorization.k8s.io/decision": "allow",
      "authorization.k8s.io/reason": "the role of admin allows it",
      "tortie.io/node": "n1",
    };
    expect(began).toMatchObject({ ...both, stage: "ResponseStarted", annotations: allowed });
    const outcome = {
      "tortie.io/bytesToClient": "4",
      "tortie.io/bytesFromClient": "0",
      "tortie.io/result": expect.stringContaining("exit code 3") as string,
    };
    expect(ended).toMatchObject({ ...both, stage: "ResponseComplete", annotations: { ...allowed, ...outcome } });
    expect(ended!.auditID).toBe(began!.auditID);
    expect(Date.parse(ended!.stageTimestamp)).toBeGreaterThanOrEqual(Date.parse(ended!.requestReceivedTimestamp));
    expect(of("vera")[0]).toMatchObject({
      verb: "exec",
      user: { groups: ["tortie:viewers", "system:authenticated"] },
      responseStatus: { code: 403, reason: "Forbidden" },
      annotations: { "authorization.k8s.io/decision": "forbid" },
    });
  }));

test("a connection that is cut again and again comes back: commands go on, no byte is lost or doubled", () =>
  withAgent(async (agent) => {
    let seen = 0;
    const running = run(["sh", "-c", "i=0; while [ $i -lt 60000 ]; do echo $i; i=$((i+1)); done"], { onOutput: (n) => (seen = n) });
    for (let cut = 0; cut < 5; cut++) {
      const before = seen;
      await until(() => seen > before || seen >= 348_890);
      agent.cut();
      expect(await agent.reconnect()).toBe(true);
    }
    const { code, out } = await running;
    expect(code).toBe(0);
    expect(out.toString() === Array.from({ length: 60_000 }, (_, i) => `${i}\n`).join("")).toBe(true);
  }));

test("the agent itself comes back through a bad network; when it is away for too long, what ran is over on both sides", async () => {
  const proxy = new FaultProxy(home.socket);
  const stop = new AbortController();
  // A length that is no other test's.
  const nap = `sleep ${30_000 + process.pid}`;
  const count = ["sh", "-c", `i=0; while [ $i -lt 40000 ]; do echo $i; i=$((i+1)); done; [ "$4" = 1 ] || exec ${nap}`, "sh"];
  const stream = new Stream({ endpoint: { url: await proxy.listen() }, node: "n1", log: silent, tortie: count });
  const running = stream.run(stop.signal);
  try {
    await until(() => stream.connected);
    let out = "";
    const stdout = (d: Uint8Array): void => void (out += Buffer.from(d).toString());
    const probe = (times: number): Promise<number> =>
      runOnNode(transport, "n1", { type: "probe", address: "127.0.0.1", count: times }, { stdout, stderr: stdout });
    const done = probe(1);
    for (let cut = 0; cut < 6; cut++) {
      const before = out.length;
      await until(() => out.length > before || out.length === 228_890);
      if (cut % 2 === 0) proxy.cut();
      else proxy.cutAfter(cut * 1111);
    }
    expect(await done).toBe(0);
    expect(out === Array.from({ length: 40_000 }, (_, i) => `${i}\n`).join("")).toBe(true);
    out = "";
    const lost = probe(2);
    await until(() => out.length === 228_890);
    const sleeping = (): boolean => processes().some((p) => p.args.join(" ") === nap);
    await until(sleeping);
    await proxy.close();
    await expect(lost).rejects.toThrow("the agent of the node went away: what ran there was ended");
    await until(() => !sleeping());
  } finally {
    stop.abort();
    await running;
  }
});

test("what cannot be resumed is said to be over: the agent stopped, or another one came", async () => {
  const agent = await fakeAgent(home.socket, "n1");
  const running = run(["sleep", "60"]);
  await until(() => agent.running() === 1);
  agent.close();
  await expect(running).rejects.toThrow("the agent of the node went away: what ran there was ended");
});

test("of two agents with one name the newer has the stream, the older is told, and the audit log says so", async () => {
  const older = await fakeAgent(home.socket, "n1");
  const newer = await fakeAgent(home.socket, "n1");
  try {
    expect(await older.closed).toBe(4001);
    expect((await run(["echo", "x"])).code).toBe(0);
    expect([older.opened.length, newer.opened.length]).toEqual([0, 1]);
    await until(() => audited("replace").length === 1);
    expect(audited("replace")[0]!.path).toContain("/nodes/n1/stream");
  } finally {
    newer.close();
  }
});

test("no node takes the stream of another, nor a viewer, nor a stranger; its own it has", async () => {
  const path = "/apis/tortie.io/v1/nodes/n1/stream";
  const open = (e: Endpoint): Promise<number> =>
    openWebSocket(e, path, "v2.stream.tortie.io").then(
      (s) => (s.close(), 101),
      (thrown: unknown) => (thrown instanceof ApiError ? thrown.code : 0),
    );
  expect(await open(endpointOf("system:node:n2", NODES))).toBe(403);
  expect(await open(endpointOf("bob", "tortie:viewers"))).toBe(403);
  expect(await open({ url: server.url, insecure: true })).toBe(401);
  expect(await open(endpointOf("system:node:n1", NODES))).toBe(101);
});

describeWith(["kubectl"], "kubectl", () => {
  test("shows who may capture where until when, and why", async () => {
    const expires = new Date(Date.now() + 3_600_000).toISOString();
    const spec = { users: ["bob"], groups: ["net"], nodes: ["n1", "n2"], actions: ["capture", "keys"], expires, reason: "ticket 2" };
    const kubectl = async (...args: string[]): Promise<string> =>
      (await promisify(execFile)(find("kubectl")!, ["--kubeconfig", home.kubeconfig, ...args], { env: { ...process.env, HOME: home.directory } }))
        .stdout;
    const file = join(home.directory, "grant.json");
    writeFileSync(file, JSON.stringify({ apiVersion: "tortie.io/v1", kind: "CaptureGrant", metadata: { name: "shown" }, spec }));
    expect(await kubectl("apply", "-f", file)).toBe("capturegrant.tortie.io/shown created\n");
    expect((await kubectl("get", "cg", "-o", "wide")).split("\n").map((l) => l.split(/ {2,}/))).toEqual([
      ["NAME", "WHO", "NODES", "ACTIONS", "EXPIRES", "AGE", "REASON"],
      ["shown", "bob,group net", "n1,n2", "capture,keys", expires, expect.stringMatching(/^\d+s$/), "ticket 2"],
      [""],
    ]);
    expect(await kubectl("explain", "capturegrant.spec.expires")).toContain("at most 7 days from its creation");
    expect(await kubectl("delete", "cg", "shown")).toMatch(/^capturegrant.tortie.io "shown" deleted/);
  });
});

describe("a CaptureGrant", () => {
  const GRANTS = "/apis/tortie.io/v1/capturegrants";
  const inSeconds = (s: number): string => new Date(Date.now() + s * 1000).toISOString();
  const grant = (name: string, spec: object = {}): string =>
    JSON.stringify({
      metadata: { name },
      spec: { users: ["bob"], nodes: ["n1"], actions: ["capture"], expires: inSeconds(60), reason: "ticket 1", ...spec },
    });
  const create = (body: string): Promise<{ code: number; body: string }> => ask(home.socket, GRANTS, { method: "POST", body });
  let bob: Transport;
  beforeAll(() => void (bob = nodeTransport(endpointOf("bob"))));
  afterAll(() => bob.close());
  const capture = (as: Transport, node: string, keys = false): { done: Promise<number>; stop: () => void } => {
    const over = new AbortController();
    const stdin = (async function* () {
      yield new Uint8Array();
      await new Promise((resolve) => over.signal.addEventListener("abort", resolve));
    })();
    const order = { interfaces: ["lo"], filter: "", ...(keys ? { keys: true as const } : {}) };
    return { done: captureOnNode(as, node, order, { stdin, stdout: () => {}, stderr: () => {} }), stop: () => over.abort() };
  };

  test.for<[string, object, RegExp]>([
    ["nobody is named", { users: undefined }, /spec.users: Required value/],
    ["no node is named", { nodes: [] }, /spec.nodes: Required value/],
    ["an action that is none", { actions: ["exec"] }, /Unsupported value: ..exec/],
    ["it is over already", { expires: inSeconds(-60) }, /must be in the future/],
    ["too long", { expires: inSeconds(8 * 86_400) }, /must be within 7 days/],
    ["no reason", { reason: " " }, /audit log should see what it was for/],
    ["not a time", { expires: "tomorrow" }, /date-time/],
  ])("is refused when %s", async ([, spec, words]) => {
    const answer = await create(grant("bad", spec));
    expect([answer.code, answer.body]).toEqual([422, expect.stringMatching(words)]);
  });

  test("lets its users capture on its nodes, not others, not elsewhere, not with keys", () =>
    withAgent(async (agent) => {
      await expect(capture(bob, "n1").done).rejects.toThrow('User "bob" cannot create resource "nodes/capture"');
      expect((await create(grant("g"))).code).toBe(201);
      const allowed = capture(bob, "n1");
      await until(() => agent.running() === 1);
      await expect(capture(bob, "n1", true).done).rejects.toThrow("is forbidden");
      await expect(capture(bob, "n2").done).rejects.toThrow("is forbidden");
      const eve = nodeTransport(endpointOf("eve"));
      await expect(capture(eve, "n1").done).rejects.toThrow("is forbidden");
      await eve.close();
      allowed.stop();
      expect(await allowed.done).toBe(0);
      const line = (): Line | undefined => audited("capture").findLast((l) => l.ended);
      await until(() => line()?.user === "bob");
      expect(line()).toMatchObject({ grant: "g", grantedFor: "ticket 1" });
      await until(() => events().some((e) => e.user.username === "bob" && e.stage === "ResponseComplete" && "tortie.io/grant" in e.annotations));
      expect(events().findLast((e) => e.user.username === "bob" && "tortie.io/grant" in e.annotations)).toMatchObject({
        verb: "capture",
        user: { groups: ["system:authenticated"] },
        annotations: { "authorization.k8s.io/reason": 'the CaptureGrant "g" allows it' },
      });
      // An administrator needs none.
      const admin = nodeTransport(endpointOf("root", ADMINS));
      const free = capture(admin, "n1", true);
      await until(() => agent.running() === 1);
      free.stop();
      expect(await free.done).toBe(0);
      await admin.close();
      await until(() => line()?.user === "root");
      expect(line()).toMatchObject({ keys: true });
      await ask(home.socket, `${GRANTS}/g`, { method: "DELETE" });
    }));

  test("with keys for who may have them; what runs ends when it is deleted", () =>
    withAgent(async (agent) => {
      expect((await create(grant("k", { users: undefined, groups: ["keepers"], nodes: ["*"], actions: ["capture", "keys"] }))).code).toBe(201);
      const keeper = nodeTransport(endpointOf("kim", "keepers"));
      const running = capture(keeper, "n1", true);
      await until(() => agent.running() === 1);
      await ask(home.socket, `${GRANTS}/k`, { method: "DELETE" });
      await expect(running.done).rejects.toThrow('capturegrants.tortie.io "k" is forbidden: it was deleted');
      await until(() => agent.running() === 0);
      await expect(capture(keeper, "n1", true).done).rejects.toThrow("is forbidden");
      await keeper.close();
    }));

  test("what runs ends when it expires, and it is removed", () =>
    withAgent(async (agent) => {
      expect((await create(grant("short", { expires: inSeconds(6) }))).code).toBe(201);
      const running = capture(bob, "n1");
      await until(() => agent.running() === 1);
      await expect(running.done).rejects.toThrow('capturegrants.tortie.io "short" is forbidden: it has expired');
      await expect(capture(bob, "n1").done).rejects.toThrow("is forbidden");
      await until(async () => (await ask(home.socket, `${GRANTS}/short`)).code === 404);
      await until(() => audited("expire").length > 0);
      expect(audited("expire").map((l) => l.path)).toEqual([`${GRANTS}/short`]);
    }));

  test("cannot be changed, and no node makes one", async () => {
    expect((await create(grant("fixed"))).code).toBe(201);
    const patched = await ask(home.socket, `${GRANTS}/fixed`, {
      method: "PATCH",
      body: '{"spec":{"nodes":["*"]}}',
      type: "application/merge-patch+json",
    });
    expect([patched.code, patched.body]).toEqual([422, expect.stringContaining("a grant cannot be changed")]);
    const node = nodeTransport(endpointOf("system:node:n1", NODES));
    const answer = await node.request({ method: "POST", path: GRANTS, headers: { "content-type": "application/json" }, body: grant("own") });
    expect(answer.status).toBe(403);
    await node.close();
  });
});
