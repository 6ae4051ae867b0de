// The CSR flow as requests: who gets a certificate without being asked about, who must wait, who never gets one.
import { X509Certificate } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import { type Any, call, freshWorlds, NOBODY, nodeUser, world } from "../world.cases.ts";
import type { User } from "../wire/request.ts";
import { newKeyPair } from "./certificate.ts";
import { certificateRequest } from "./pkcs10.ts";
import { AUTHENTICATED, BOOTSTRAPPERS, BOUND_NODE, VIEWERS } from "./roles.ts";

freshWorlds();

const PAIR = newKeyPair();
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const [NODE_SIGNER, CLIENT_SIGNER] = ["kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kube-apiserver-client"];
const joining = (node: string): User => ({
  name: "system:bootstrap:abcdef",
  groups: [BOOTSTRAPPERS, AUTHENTICATED],
  extra: { [BOUND_NODE]: [node] },
});
const ASK = { commonName: "system:node:n1", organizations: ["system:nodes"] };
const TOKENS = "/apis/tortie.io/v1/accesstokens";
beforeEach(async () => {
  const spec = { role: "node", user: "n1", hash: "0".repeat(64), expires: "2027-01-01T00:00:00Z" };
  expect((await call("POST", TOKENS, { body: { metadata: { name: "abcdef" }, spec } })).code).toBe(201);
});
const csr = (subject: { commonName: string; organizations: string[] }, spec: object = {}, name = "r", pair = PAIR): object => ({
  metadata: { name },
  spec: {
    request: Buffer.from(certificateRequest(subject, pair)).toString("base64"),
    signerName: NODE_SIGNER,
    usages: ["digital signature", "client auth"],
    ...spec,
  },
});
const certificateIn = (body: Any): X509Certificate => new X509Certificate(Buffer.from(body.status.certificate as string, "base64"));
const conditions = (body: Any): string[] => ((body.status?.conditions ?? []) as { type: string }[]).map((c) => c.type);

describe("without asking anybody", () => {
  test.for<[string, User]>([
    ["a token for the node", joining("n1")],
    ["the node itself, to renew", nodeUser("n1")],
  ])("%s", async ([, user]) => {
    const { code, body } = await call("POST", CSRS, { user, body: csr(ASK) });
    expect([code, conditions(body)]).toEqual([201, ["Approved"]]);
    expect(body.spec).toMatchObject({ username: user.name, groups: user.groups });
    const certificate = certificateIn(body);
    expect(certificate.subject).toBe("O=system:nodes\nCN=system:node:n1");
    expect(certificate.publicKey.equals(PAIR.publicKey)).toBe(true);
    expect(certificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
    expect(Date.parse(certificate.validTo) - world.now).toBe(365 * 86_400_000);
    expect((await call("GET", `${CSRS}/r`, { user })).body.status.certificate).toBe(body.status.certificate);
  });
  test("as long as it was asked for, at least ten minutes", async () => {
    const { body } = await call("POST", CSRS, { user: joining("n1"), body: csr(ASK, { expirationSeconds: 3600 }) });
    expect(Date.parse(certificateIn(body).validTo) - world.now).toBe(3_600_000);
    expect((await call("POST", CSRS, { user: joining("n1"), body: csr(ASK, { expirationSeconds: 599 }, "s") })).code).toBe(422);
  });
  test("a dry run gives no certificate", async () => {
    const { code, body } = await call("POST", `${CSRS}?dryRun=All`, { user: joining("n1"), body: csr(ASK) });
    expect([code, body.status.certificate]).toEqual([201, undefined]);
    expect((await call("GET", `${CSRS}/r`)).code).toBe(404);
  });
  test("what the sender says of itself is overruled, and a status is not taken", async () => {
    const spec = { username: "system:node:n1", groups: ["system:nodes"], extra: { [BOUND_NODE]: ["n2"] } };
    const subject = { ...ASK, commonName: "system:node:n2" };
    const status = { conditions: [{ type: "Approved", status: "True" }], certificate: "AAAA" };
    const { body } = await call("POST", CSRS, { user: joining("n1"), body: { ...csr(subject, spec), status } });
    expect(body.spec).toMatchObject({ username: "system:bootstrap:abcdef", extra: { [BOUND_NODE]: ["n1"] } });
    expect(body.status).toBeUndefined();
  });
});

describe("waits for an administrator", () => {
  test.for<[string, User, object]>([
    ["a token for another node", joining("n2"), csr(ASK)],
    ["another node", nodeUser("n2"), csr(ASK)],
    ["a token that is for no node", { ...joining(""), extra: {} }, csr(ASK)],
    ["another organization", joining("n1"), csr({ ...ASK, organizations: ["system:masters"] })],
    ["two organizations", joining("n1"), csr({ ...ASK, organizations: ["system:nodes", "system:masters"] })],
    ["another name", joining("n1"), csr({ ...ASK, commonName: "n1" })],
    ["a name that is none", joining("n1"), csr({ ...ASK, commonName: "system:node:N 1" })],
    ["server auth", joining("n1"), csr(ASK, { usages: ["digital signature", "client auth", "server auth"] })],
    ["no client auth", joining("n1"), csr(ASK, { usages: ["digital signature"] })],
  ])("%s", async ([, user, body]) => {
    const made = await call("POST", CSRS, { user, body });
    expect([made.code, made.body.status]).toEqual([201, undefined]);
  });

  beforeEach(async () => {
    await call("POST", CSRS, { user: nodeUser("n2"), body: csr(ASK, {}, "waits") });
  });
  const decision = (type: string, status = "True"): object => ({ status: { conditions: [{ type, status, reason: "Me", message: "looked at" }] } });
  const merge = { headers: { "content-type": "application/merge-patch+json" } };
  test("approved, it is signed at once; and the approval stays", async () => {
    const { code, body } = await call("PATCH", `${CSRS}/waits/approval`, { body: decision("Approved"), ...merge });
    expect(code).toBe(200);
    expect(certificateIn(body).subject).toContain("CN=system:node:n1");
    expect((await call("PATCH", `${CSRS}/waits/approval`, { body: decision("Denied"), ...merge })).code).toBe(422);
    expect((await call("PATCH", `${CSRS}/waits/approval`, { body: { status: { conditions: [] } }, ...merge })).code).toBe(422);
    expect((await call("PATCH", `${CSRS}/waits`, { body: { spec: { usages: ["any"] } }, ...merge })).code).toBe(422);
  });
  test("denied, it stays unsigned", async () => {
    expect(conditions((await call("PATCH", `${CSRS}/waits/approval`, { body: decision("Denied"), ...merge })).body)).toEqual(["Denied"]);
    const late = await call("PATCH", `${CSRS}/waits/approval`, { body: decision("Approved"), ...merge });
    expect([late.code, (await call("GET", `${CSRS}/waits`)).body.status.certificate]).toEqual([422, undefined]);
  });
  test("an approval changes nothing but conditions", async () => {
    const body = { ...decision("Approved"), metadata: { labels: { a: "b" } } };
    const answer = await call("PATCH", `${CSRS}/waits/approval`, { body, ...merge });
    expect([answer.code, answer.body.metadata.labels]).toEqual([200, undefined]);
  });
  test("an approval that is not True approves nothing", async () => {
    const { body } = await call("PATCH", `${CSRS}/waits/approval`, { body: decision("Approved", "False"), ...merge });
    expect(body.status.certificate).toBeUndefined();
  });
  test("approved against the rules of its signer, it fails", async () => {
    await call("POST", CSRS, { body: csr({ commonName: "x", organizations: ["system:masters"] }, {}, "bad") });
    const { body } = await call("PATCH", `${CSRS}/bad/approval`, { body: decision("Approved"), ...merge });
    expect([conditions(body), body.status.conditions[1].reason, body.status.certificate]).toEqual([
      ["Approved", "Failed"],
      "SignerValidationFailure",
      undefined,
    ]);
  });
  test.for<[string, User, number]>([
    ["the node", nodeUser("n2"), 403],
    ["a viewer", { name: "eve", groups: [VIEWERS, AUTHENTICATED] }, 403],
    ["a token to join with", joining("n2"), 403],
    ["nobody", NOBODY, 401],
  ])("%s may not approve, nor write the status", async ([, user, want]) => {
    for (const part of ["approval", "status"])
      expect((await call("PATCH", `${CSRS}/waits/${part}`, { user, body: decision("Approved"), ...merge })).code).toBe(want);
  });
});

describe("for a person", () => {
  const person = { commonName: "eve", organizations: [VIEWERS] };
  test("signed after approval", async () => {
    await call("POST", CSRS, { body: csr(person, { signerName: CLIENT_SIGNER }) });
    const { body } = await call("PATCH", `${CSRS}/r/approval`, {
      body: { status: { conditions: [{ type: "Approved", status: "True" }] } },
      headers: { "content-type": "application/merge-patch+json" },
    });
    expect(certificateIn(body).subject).toBe(`O=${VIEWERS}\nCN=eve`);
  });
  test("administrators are not made so", async () => {
    const { code, body } = await call("POST", CSRS, {
      body: csr({ commonName: "eve", organizations: ["system:masters"] }, { signerName: CLIENT_SIGNER }),
    });
    expect([code, body.message]).toEqual([
      403,
      `certificatesigningrequests.certificates.k8s.io "r" is forbidden: use of ${CLIENT_SIGNER} signer with system:masters group is not allowed`,
    ]);
  });
  test("another's signer is left to the other", async () => {
    await call("POST", CSRS, { body: csr(person, { signerName: "example.com/x" }) });
    const { body } = await call("PATCH", `${CSRS}/r/approval`, {
      body: { status: { conditions: [{ type: "Approved", status: "True" }] } },
      headers: { "content-type": "application/merge-patch+json" },
    });
    expect([conditions(body), body.status.certificate]).toEqual([["Approved"], undefined]);
  });
});

test.for<[string, string, object, number]>([
  ["a request that is none", CSRS, { metadata: { name: "r" }, spec: { request: "AAAA", signerName: NODE_SIGNER, usages: ["client auth"] } }, 422],
  ["a token asks for a person", CSRS, csr(ASK, { signerName: CLIENT_SIGNER }), 403],
  ["a token makes a node", "/api/v1/nodes", { metadata: { name: "n1" } }, 403],
])("%s: refused", async ([, path, body, code]) => expect((await call("POST", path, { user: joining("n1"), body })).code).toBe(code));

describe("a token to join with is spent by the first certificate", () => {
  const ask = (name: string, pair = PAIR, query = ""): ReturnType<typeof call> =>
    call("POST", `${CSRS}${query}`, { user: joining("n1"), body: csr(ASK, {}, name, pair) });
  const token = async (): Promise<Any> => (await call("GET", `${TOKENS}/abcdef`)).body;

  test("the same key gets another: the answer may have been lost; any other key is refused, and nothing is stored for it", async () => {
    expect((await token()).status).toBeUndefined();
    expect((await ask("first")).code).toBe(201);
    expect((await token()).status).toEqual({ key: expect.stringMatching(/^[\w-]{43}$/) as string, used: "2026-11-23T12:00:00Z" });
    const again = await ask("again");
    expect([again.code, certificateIn(again.body).publicKey.equals(PAIR.publicKey)]).toEqual([201, true]);
    const thief = await ask("thief", newKeyPair());
    expect([thief.code, thief.body.message]).toEqual([
      403,
      expect.stringMatching(/the token has served: .* for another key was issued at 2026-11-23T12:00:00Z; .*revoke --node n1/) as string,
    ]);
    expect((await call("GET", `${CSRS}/thief`)).code).toBe(404);
  });
  test("of two at the same moment one is signed", async () => {
    const codes = (await Promise.all(["a", "b", "c", "d"].map((name) => ask(name, newKeyPair())))).map((a) => a.code);
    expect(codes.toSorted((a, b) => a - b)).toEqual([201, 403, 403, 403]);
  });
  test("a dry run, and a request that must wait, do not spend it", async () => {
    expect((await ask("dry", newKeyPair(), "?dryRun=All")).code).toBe(201);
    const other = csr({ ...ASK, commonName: "system:node:n2" }, {}, "other", newKeyPair());
    expect((await call("POST", CSRS, { user: joining("n1"), body: other })).body.status).toBeUndefined();
    expect((await token()).status).toBeUndefined();
    expect((await ask("real")).code).toBe(201);
  });
  test("one that was deleted in the meantime gives nothing", async () => {
    await call("DELETE", `${TOKENS}/abcdef`);
    expect((await ask("late")).body.message).toMatch(/the token was deleted/);
  });
  test("what it served cannot be said by a client that makes it", async () => {
    const spec = { role: "node", user: "n1", hash: "0".repeat(64), expires: "2027-01-01T00:00:00Z" };
    const made = await call("POST", TOKENS, { body: { metadata: { name: "ghijkl" }, spec, status: { key: "x" } } });
    expect([made.code, made.body.status]).toEqual([201, undefined]);
  });
});

test("a token to join with reads requests one by one and nothing else", async () => {
  for (const [path, code] of [
    [`${CSRS}/x`, 404],
    [CSRS, 403],
    ["/api/v1/nodes", 403],
    ["/api/v1/namespaces/kube-system/secrets", 403],
  ] as const)
    expect([path, (await call("GET", path, { user: joining("n1") })).code]).toEqual([path, code]);
});
