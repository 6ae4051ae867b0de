import { expect, test } from "vitest";
import { newKeyPair } from "../identity/certificate.ts";
import { certificateRequest } from "../identity/pkcs10.ts";
import { call, freshWorlds, nodeUser, world } from "../world.cases.ts";
import { tidy } from "./tidy.ts";

freshWorlds();

const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const TOKENS = "/apis/tortie.io/v1/accesstokens";
const REVOCATIONS = "/apis/tortie.io/v1/revocations";
const [MINUTE_MS, HOUR_MS, YEAR_MS] = [60_000, 3_600_000, 365 * 86_400_000];

test("answered requests go after an hour, others after a day, expired tokens a day later", async () => {
  const request = Buffer.from(certificateRequest({ commonName: "system:node:n1", organizations: ["system:nodes"] }, newKeyPair())).toString("base64");
  const spec = { request, signerName: "kubernetes.io/kube-apiserver-client-kubelet", usages: ["digital signature", "client auth"] };
  // n1 asks for itself and is answered at once; n2 asks for n1 and waits.
  for (const [user, name] of [
    ["n1", "answered"],
    ["n2", "waits"],
  ] as const)
    expect((await call("POST", CSRS, { user: nodeUser(user), body: { metadata: { name }, spec } })).code).toBe(201);
  const expires = new Date(world.now + HOUR_MS).toISOString();
  const token = { metadata: { name: "abcdef" }, spec: { role: "viewer", user: "eve", hash: "0".repeat(64), expires } };
  expect((await call("POST", TOKENS, { body: token })).code).toBe(201);
  const start = world.now;
  const left = async (at: number): Promise<string[]> => {
    world.now = start + at;
    await tidy({ registry: world.registry, now: () => world.now, ...world.auditing });
    const lists = [(await call("GET", CSRS)).body, (await call("GET", TOKENS)).body] as { items: { metadata: { name: string } }[] }[];
    return lists.flatMap((l) => l.items.map((i) => i.metadata.name));
  };
  expect(await left(59 * MINUTE_MS)).toEqual(["answered", "waits", "abcdef"]);
  expect(await left(61 * MINUTE_MS)).toEqual(["waits", "abcdef"]);
  expect(await left(24 * HOUR_MS + MINUTE_MS)).toEqual(["abcdef"]);
  expect(await left(25 * HOUR_MS + MINUTE_MS)).toEqual([]);
});

test("a revocation goes when every certificate that it refuses has expired, and a token that it refuses, however long that was good for, before it", async () => {
  const start = world.now;
  const expires = new Date(start + 2 * YEAR_MS).toISOString();
  const token = (name: string, spec: object): ReturnType<typeof call> =>
    call("POST", TOKENS, { body: { metadata: { name }, spec: { hash: "0".repeat(64), expires, ...spec } } });
  await token("evetok", { role: "viewer", user: "eve" });
  await token("n1toke", { role: "node", user: "n1" });
  await token("bobtok", { role: "admin", user: "bob" });
  for (const [name, spec] of [
    ["eve", { user: "eve" }],
    ["n1", { user: "system:node:n1" }],
    ["one", { serial: "ab12" }],
  ] as const)
    expect((await call("POST", REVOCATIONS, { body: { metadata: { name }, spec } })).code).toBe(201);
  // What is made afterwards is not meant.
  world.now += 5000;
  await token("newtok", { role: "viewer", user: "eve" });
  const left = async (at: number): Promise<string[]> => {
    world.now = start + at;
    await tidy({ registry: world.registry, now: () => world.now, ...world.auditing });
    const lists = [(await call("GET", TOKENS)).body, (await call("GET", REVOCATIONS)).body] as { items: { metadata: { name: string } }[] }[];
    return lists.flatMap((l) => l.items.map((i) => i.metadata.name));
  };
  expect(await left(MINUTE_MS)).toEqual(["bobtok", "newtok", "eve", "n1", "one"]);
  expect(await left(YEAR_MS)).toEqual(["bobtok", "newtok", "eve", "n1", "one"]);
  expect(await left(YEAR_MS + 24 * HOUR_MS + MINUTE_MS)).toEqual(["bobtok", "newtok"]);
});
