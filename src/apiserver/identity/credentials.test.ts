import { describe, expect, test } from "vitest";
import type { AccessToken } from "../../api/accesstoken.ts";
import type { Revocation } from "../../api/revocation.ts";
import { call, freshWorlds, world } from "../world.cases.ts";
import { type Credential, Credentials } from "./credentials.ts";
import { hashOf, newToken, parseToken } from "./token.ts";

const T0 = Date.parse("2026-11-23T12:00:00Z");
const at = (s: number): string => `${new Date(T0 + s * 1000).toISOString().slice(0, 19)}Z`;
const BEARER = "abcdef.0123456789abcdefghijklmnop";
const token = (spec: Partial<AccessToken["spec"]> = {}, madeAt = 0): AccessToken => ({
  apiVersion: "tortie.io/v1",
  kind: "AccessToken",
  metadata: { name: "abcdef", creationTimestamp: at(madeAt) },
  spec: { role: "viewer", user: "eve", hash: hashOf(BEARER), expires: at(3600), ...spec },
});
const revocation = (spec: Revocation["spec"], madeAt: number): Revocation => ({
  apiVersion: "tortie.io/v1",
  kind: "Revocation",
  metadata: { name: "r", creationTimestamp: at(madeAt) },
  spec,
});
const certificate = (o: Partial<Extract<Credential, { type: "certificate" }>> = {}): Credential => ({
  type: "certificate",
  user: "eve",
  serial: "0AFF",
  issuedAt: T0,
  notAfter: T0 + 3_600_000,
  ...o,
});

describe("tokens", () => {
  test.for<[string, Partial<AccessToken["spec"]>, object]>([
    ["admin", { role: "admin" }, { name: "eve", groups: ["system:masters", "system:authenticated"] }],
    ["viewer", {}, { name: "eve", groups: ["tortie:viewers", "system:authenticated"] }],
    [
      "node",
      { role: "node", user: "n1" },
      { name: "system:bootstrap:abcdef", groups: ["system:bootstrappers", "system:authenticated"], extra: { "tortie.io/node": ["n1"] } },
    ],
  ])("of a %s", ([, spec, user]) => {
    const credentials = new Credentials(() => T0);
    credentials.setTokens([token(spec)]);
    expect(credentials.bearer(BEARER)).toMatchObject({ user });
  });
  test.for<[string, string, number, string]>([
    ["unknown", "aaaaaa.0123456789abcdefghijklmnop", 0, "the token is not known"],
    ["with another secret", "abcdef.0123456789abcdefghijklmnoq", 0, "the token is not known"],
    ["of another form", "abcdef", 0, "the token has not the form of one"],
    ["in its last second", BEARER, 3599, ""],
    ["expired", BEARER, 3600, "the token has expired"],
  ])("%s", ([, text, seconds, refused]) => {
    const credentials = new Credentials(() => T0 + seconds * 1000);
    credentials.setTokens([token()]);
    const known = credentials.bearer(text);
    expect("refused" in known ? known.refused : "").toBe(refused);
  });
  test("two have nothing in common, and have their form", () => {
    const [a, b] = [newToken(), newToken()];
    expect(a.bearer.split(".")[1]).not.toBe(b.bearer.split(".")[1]);
    expect(a.bearer).toMatch(/^[a-z0-9]{6}\.[a-z0-9]{26}$/);
    expect(parseToken(`${a.bearer}.${"A".repeat(43)}`)).toEqual({ id: a.id, bearer: a.bearer, pin: "A".repeat(43) });
    for (const bad of ["", "a.b", `${a.bearer}.`, `${a.bearer}.${"A".repeat(42)}`, `${a.bearer}\n`, a.bearer.toUpperCase()])
      expect(parseToken(bad)).toBeUndefined();
  });
});

describe("revocations", () => {
  // What is revoked, when (s); a certificate issued when (s), of whom, with which serial number; whether it is still taken.
  test.for<[Revocation["spec"], number, Parameters<typeof certificate>[0], boolean]>([
    [{ user: "eve" }, 100, { issuedAt: T0 }, false],
    [{ user: "eve" }, 100, { issuedAt: T0 + 100_000 }, false],
    [{ user: "eve" }, 100, { issuedAt: T0 + 101_000 }, true],
    [{ user: "bob" }, 100, {}, true],
    [{ serial: "aff" }, 100, {}, false],
    [{ serial: "000AFF" }, 100, {}, false],
    [{ serial: "AFF0" }, 100, {}, true],
  ])("%j at %i and %j: %s", ([spec, madeAt, issued, taken]) => {
    const credentials = new Credentials(() => T0 + 200_000);
    credentials.setRevocations([revocation(spec, madeAt)]);
    expect(credentials.problem(certificate(issued))).toBe(taken ? undefined : "the certificate is revoked");
  });
  test("the latest of several counts, in any order", () => {
    const credentials = new Credentials(() => T0);
    credentials.setRevocations([revocation({ user: "eve" }, 100), revocation({ user: "eve" }, 50)]);
    expect(credentials.problem(certificate({ issuedAt: T0 + 80_000 }))).toBeDefined();
  });
  test("a token for a node goes with the node's identity", () => {
    const credentials = new Credentials(() => T0 + 50_000);
    credentials.setTokens([token({ role: "node", user: "n1" })]);
    credentials.setRevocations([revocation({ user: "system:node:n1" }, 10)]);
    expect(credentials.bearer(BEARER)).toEqual({ refused: "the token is revoked" });
  });
  test("a certificate expires", () => {
    const credentials = new Credentials(() => T0 + 3_600_000);
    expect(credentials.problem(certificate())).toBe("the certificate has expired");
  });
});

describe("as objects", () => {
  freshWorlds();
  const TOKENS = "/apis/tortie.io/v1/accesstokens";
  test("a token is taken from the moment of its creation to that of its deletion; its secret is nowhere", async () => {
    expect((await call("POST", TOKENS, { body: { metadata: { name: "abcdef" }, spec: token().spec } })).code).toBe(201);
    expect(world.credentials.bearer(BEARER)).toMatchObject({ user: { name: "eve" } });
    expect(JSON.stringify([(await call("GET", TOKENS)).body, world.audited])).not.toContain(BEARER.split(".")[1]);
    expect((await call("DELETE", `${TOKENS}/abcdef`)).code).toBe(200);
    expect(world.credentials.bearer(BEARER)).toEqual({ refused: "the token is not known" });
  });
  test("a revocation counts when its creation is answered", async () => {
    world.now += 5000;
    expect((await call("POST", "/apis/tortie.io/v1/revocations", { body: { metadata: { generateName: "r-" }, spec: { user: "eve" } } })).code).toBe(
      201,
    );
    expect(world.credentials.problem(certificate({ issuedAt: T0 }))).toBe("the certificate is revoked");
  });
  const review = (text: string): Promise<{ code: number; body: { spec: unknown; status: unknown } }> =>
    call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", { body: { spec: { token: text } } });
  test("a review of a token says whose it is, and does not repeat it", async () => {
    await call("POST", TOKENS, { body: { metadata: { name: "abcdef" }, spec: token().spec } });
    const good = await review(BEARER);
    expect([good.code, good.body.status]).toEqual([
      201,
      { authenticated: true, user: { username: "eve", groups: ["tortie:viewers", "system:authenticated"] } },
    ]);
    expect(good.body.spec).toEqual({});
    expect((await review("x")).body.status).toEqual({ authenticated: false, error: "the token has not the form of one" });
  });
  test.for<[string, string, object]>([
    ["a hash that is none", TOKENS, { ...token().spec, hash: "x" }],
    ["a user of the system", TOKENS, { ...token().spec, user: "system:admin" }],
    ["a role that is none", TOKENS, { ...token().spec, role: "root" }],
    ["neither serial nor user", "/apis/tortie.io/v1/revocations", {}],
    ["both", "/apis/tortie.io/v1/revocations", { serial: "1", user: "x" }],
  ])("%s: 422", async ([, path, spec]) => expect((await call("POST", path, { body: { metadata: { name: "abcdef" }, spec } })).code).toBe(422));
});
