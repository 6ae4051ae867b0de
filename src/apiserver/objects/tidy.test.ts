import { expect, test } from "vitest";
import { newKeyPair } from "../identity/certificate.ts";
import { certificateRequest } from "../identity/pkcs10.ts";
import { call, freshWorlds, nodeUser, world } from "../world.cases.ts";
import { tidy } from "./tidy.ts";

freshWorlds();

const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const TOKENS = "/apis/tortie.io/v1/accesstokens";
const [MINUTE_MS, HOUR_MS] = [60_000, 3_600_000];

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
