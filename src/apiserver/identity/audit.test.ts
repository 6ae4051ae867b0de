import { describe, expect, test } from "vitest";
import { call, freshWorlds, nodeUser, NOBODY, send, world } from "../world.cases.ts";
import { type Audited, auditEvent } from "./audit.ts";
import { Limits } from "./limits.ts";

const NOW = Date.parse("2026-11-23T12:00:00.123Z");
const REPORT = "/apis/tortie.io/v1/nodeencryptions/n1/status";

test.for<[string, string, number, boolean]>([
  ["system:node:n1", REPORT, 200, false],
  ["system:node:n1", REPORT, 403, true],
  ["system:node:n1", "/api/v1/nodes/n1/status", 200, true],
  ["tortie-admin", REPORT, 200, true],
  ["system:anonymous", "/healthz", 200, false],
  ["system:anonymous", "/healthz", 500, true],
])("%s on %s with %i is written down: %s", ([user, path, code, written]) =>
  expect(auditEvent({ verb: "patch", path, user, code }, NOW, "id") !== undefined).toBe(written),
);

test("an event has the fields of Kubernetes', in their order", () => {
  const line: Audited = {
    verb: "update",
    path: "/apis/certificates.k8s.io/v1/certificatesigningrequests/x/approval",
    query: "?fieldManager=kubectl",
    user: "eve",
    groups: ["g"],
    extra: { a: ["b"] },
    id: "u",
    source: "127.0.0.1",
    agent: "kubectl/v1.36",
    code: 200,
    role: "admin",
    received: NOW - 5,
    node: "n1",
  };
  expect(JSON.stringify(auditEvent(line, NOW, ""))).toBe(
    JSON.stringify({
      kind: "Event",
      apiVersion: "audit.k8s.io/v1",
      level: "Metadata",
      auditID: "u",
      stage: "ResponseComplete",
      requestURI: "/apis/certificates.k8s.io/v1/certificatesigningrequests/x/approval?fieldManager=kubectl",
      verb: "update",
      user: { username: "eve", groups: ["g"], extra: { a: ["b"] } },
      sourceIPs: ["127.0.0.1"],
      userAgent: "kubectl/v1.36",
      objectRef: { resource: "certificatesigningrequests", name: "x", apiGroup: "certificates.k8s.io", apiVersion: "v1", subresource: "approval" },
      responseStatus: { metadata: {}, code: 200 },
      requestReceivedTimestamp: "2026-11-23T12:00:00.118000Z",
      stageTimestamp: "2026-11-23T12:00:00.123000Z",
      annotations: { "authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": "the role of admin allows it", "tortie.io/node": "n1" },
    }),
  );
});

describe("of requests", () => {
  freshWorlds();
  const last = (): Record<string, unknown> => auditEvent(world.audited.at(-1)!, NOW, "") as Record<string, unknown>;

  test.for<[string, string, object, object]>([
    ["GET", "/api/v1/nodes", {}, { verb: "list", responseStatus: { code: 200 }, objectRef: { resource: "nodes", apiVersion: "v1" } }],
    ["GET", "/api/v1/nodes", { user: NOBODY }, { verb: "list", responseStatus: { code: 401, reason: "Unauthorized" } }],
    [
      "DELETE",
      "/api/v1/nodes/n9",
      { user: nodeUser("n1") },
      { verb: "delete", responseStatus: { code: 403, reason: "Forbidden" }, annotations: { "authorization.k8s.io/decision": "forbid" } },
    ],
    [
      "PUT",
      "/api/v1/nodes/n9",
      { user: nodeUser("n1"), body: { metadata: { name: "n9" } } },
      { verb: "update", responseStatus: { code: 404 }, annotations: { "authorization.k8s.io/decision": "allow" } },
    ],
    [
      "POST",
      "/api/v1/nodes",
      { user: nodeUser("n1"), body: { metadata: { name: "n9" } } },
      {
        responseStatus: { code: 403 },
        annotations: { "authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": "the role of node allows it" },
      },
    ],
    [
      "GET",
      "/api/v1/nodes?access_token=abc123.0123456789abcdef0123456789&limit=5",
      {},
      { requestURI: "/api/v1/nodes?access_token=%28hidden%29&limit=5" },
    ],
    ["GET", "/nowhere", {}, { verb: "get", requestURI: "/nowhere", responseStatus: { code: 404 } }],
    [
      "POST",
      "/api/v1/namespaces/default/configmaps?dryRun=All",
      { body: { metadata: { name: "c" } } },
      {
        verb: "create",
        requestURI: "/api/v1/namespaces/default/configmaps?dryRun=All",
        objectRef: { namespace: "default", name: "c" },
        responseStatus: { code: 201 },
      },
    ],
  ])("%s %s %j", async ([method, path, options, want]) => {
    await call(method, path, options);
    expect(last()).toMatchObject(want);
  });

  test("a watch is written down when it begins and when it ends", async () => {
    const before = world.audited.length;
    const { body } = await send("GET", "/api/v1/nodes?watch=true");
    const stop = (body as (sink: object) => () => void)({ write: () => {}, waiting: 0, end: () => {} });
    expect(world.audited.slice(before).map((l) => l.stage)).toEqual(["ResponseStarted"]);
    stop();
    stop();
    expect(world.audited.slice(before).map((l) => [l.verb, l.stage])).toEqual([
      ["watch", "ResponseStarted"],
      ["watch", undefined],
    ]);
  });

  test("no body of a secret, also not of one that is refused", async () => {
    const SECRETS = "/api/v1/namespaces/default/secrets";
    await call("POST", SECRETS, { body: { metadata: { name: "s" }, stringData: { k: "hush-hush" } } });
    await call("POST", SECRETS, { body: { metadata: { name: "t" }, data: { k: "hush-hush" } } });
    await call("POST", SECRETS, { body: { metadata: { name: "u" }, type: { hush: "hush-hush" } } });
    await call("POST", SECRETS, { body: '{"metadata":{"name":"u"},"stringData":"hush-hush"}' });
    const events = world.audited.map((line) => JSON.stringify(auditEvent(line, NOW, "")));
    expect(events.filter((e) => e.includes('"secrets"'))).toHaveLength(4);
    expect(events.join("")).not.toContain("hush-hush");
  });

  test("who asks too much is refused, and fills no log", async () => {
    world.limit(new Limits({ perSecond: 1, burst: 2, watches: 1 }, () => 0));
    const before = world.audited.length;
    const answers = [];
    for (let i = 0; i < 6; i++) answers.push(await call("GET", "/api/v1/nodes", { user: nodeUser("n1") }));
    expect(answers.map((a) => a.code)).toEqual([200, 200, 429, 429, 429, 429]);
    expect(answers[5]).toMatchObject({ headers: { "retry-after": "1" }, body: { reason: "TooManyRequests" } });
    expect(world.audited.slice(before).map((l) => l.code)).toEqual([200, 200, 429]);
    expect((await call("GET", "/api/v1/nodes")).code).toBe(200);
  });

  test("a watch too many is refused; one that ends makes room", async () => {
    world.limit(new Limits({ perSecond: 1000, burst: 1000, watches: 1 }, () => 0));
    const open = (): ReturnType<typeof send> => send("GET", "/api/v1/nodes?watch=true", { user: nodeUser("n1") });
    const first = await open();
    expect((await open()).code).toBe(429);
    (first.body as (sink: object) => () => void)({ write: () => {}, waiting: 0, end: () => {} })();
    expect((await open()).code).toBe(200);
  });

  test("while the audit log must be written and cannot be, reads go on and writes do not", async () => {
    world.breakAudit("no space left on device");
    expect((await call("GET", "/api/v1/nodes")).code).toBe(200);
    const { revision } = world.store;
    const refused = await call("POST", "/api/v1/nodes", { body: { metadata: { name: "n1" } } });
    expect(refused).toMatchObject({ code: 503, body: { message: expect.stringContaining("no space left on device") } });
    expect(world.store.revision).toBe(revision);
  });
});
