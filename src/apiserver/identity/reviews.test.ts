import { describe, expect, test } from "vitest";
import { call, freshWorlds, NOBODY, nodeUser } from "../world.cases.ts";
import type { User } from "../wire/request.ts";
import { SOCKET_OWNER } from "./authenticate.ts";
import { AUTHENTICATED, VIEWERS } from "./roles.ts";

freshWorlds();

const VIEWER: User = { name: "eve", groups: [VIEWERS, AUTHENTICATED] };
const STRANGER: User = { name: "bob", groups: [AUTHENTICATED] };
const NODE = nodeUser("n1");
const AUTHORIZATION = "/apis/authorization.k8s.io/v1";

const can = async (user: User, spec: object): Promise<boolean> => {
  const { code, body } = await call("POST", `${AUTHORIZATION}/selfsubjectaccessreviews`, { user, body: { spec } });
  expect(code).toBe(201);
  return body.status.allowed as boolean;
};

describe("may I?", () => {
  const resource = (verb: string, full: string, group = ""): object => {
    const [plural, subresource] = full.split("/");
    return { resourceAttributes: { verb, group, resource: plural, ...(subresource ? { subresource } : {}) } };
  };
  const path = (verb: string, p: string): object => ({ nonResourceAttributes: { verb, path: p } });
  // Columns: admin, viewer, node, a user without a role.
  test.for<[string, object, string]>([
    ["list nodes", resource("list", "nodes"), "yyy-"],
    ["get secrets", resource("get", "secrets"), "y---"],
    ["get everything", resource("get", "*"), "y---"],
    ["do everything", resource("*", "*", "*"), "y---"],
    ["impersonate", resource("impersonate", "users"), "----"],
    ["create pods", resource("create", "pods"), "y---"],
    ["exec", resource("create", "pods/exec"), "y---"],
    ["exec over a websocket", resource("get", "pods/exec"), "y---"],
    ["read logs", resource("get", "pods/log"), "yy--"],
    ["report a node's status", resource("patch", "nodes/status"), "y-y-"],
    ["change blocks", resource("update", "ipamblocks", "projectcalico.org"), "y-y-"],
    ["delete pools", resource("delete", "ippools", "projectcalico.org"), "y---"],
    ["ask what I may", resource("create", "selfsubjectaccessreviews", "authorization.k8s.io"), "yyyy"],
    ["ask what others may", resource("create", "subjectaccessreviews", "authorization.k8s.io"), "y---"],
    ["read the version", path("get", "/version"), "yyyy"],
    ["read discovery", path("get", "/apis"), "yyyy"],
    ["post to discovery", path("post", "/apis"), "y---"],
    ["read another path", path("get", "/metrics"), "y---"],
  ])("%s", async ([, spec, expected]) => {
    const found = await Promise.all([SOCKET_OWNER, VIEWER, NODE, STRANGER].map((user) => can(user, spec)));
    expect(found.map((yes) => (yes ? "y" : "-")).join("")).toBe(expected);
  });

  test("an administrator asks for somebody else", async () => {
    const ask = { body: { spec: { user: "system:node:n1", groups: ["system:nodes"], resourceAttributes: { verb: "get", resource: "secrets" } } } };
    const { code, body } = await call("POST", `${AUTHORIZATION}/subjectaccessreviews`, ask);
    expect([code, body.status]).toEqual([201, { allowed: false }]);
    expect((await call("POST", `${AUTHORIZATION}/subjectaccessreviews`, { ...ask, user: NODE })).code).toBe(403);
  });

  test.for<[string, string, object, string]>([
    ["nothing is sent", "selfsubjectaccessreviews", {}, "spec"],
    ["nothing is asked", "selfsubjectaccessreviews", { spec: {} }, "spec.resourceAttributes"],
    [
      "two things are asked",
      "selfsubjectaccessreviews",
      { spec: { ...resource("get", "pods"), ...path("get", "/version") } },
      "spec.nonResourceAttributes",
    ],
    ["a verb is a number", "selfsubjectaccessreviews", { spec: { resourceAttributes: { verb: 1 } } }, "spec.resourceAttributes.verb"],
    ["nobody is asked about", "subjectaccessreviews", { spec: path("get", "/version") }, "spec.user"],
    ["nobody is asked about, by no group", "subjectaccessreviews", { spec: { groups: [], ...path("get", "/version") } }, "spec.user"],
  ])("%s: 422 with the field", async ([, plural, body, field]) => {
    const answer = await call("POST", `${AUTHORIZATION}/${plural}`, { body });
    expect([answer.code, answer.body.details.causes.map((c: { field: string }) => c.field)]).toEqual([422, [field]]);
  });
  test.for(["selfsubjectaccessreviews", "selfsubjectrulesreviews", "subjectaccessreviews"])(
    "%s: the status that Go's clients send along is no matter",
    async (plural) => {
      const spec = plural === "selfsubjectrulesreviews" ? {} : { user: "eve", ...path("get", "/version") };
      for (const status of [{}, { allowed: "no" }])
        expect((await call("POST", `${AUTHORIZATION}/${plural}`, { body: { spec, status } })).code, JSON.stringify(status)).toBe(201);
    },
  );
  test("what nobody reads is told", async () => {
    const body = { spec: { ...resource("get", "pods"), nope: 1 } };
    const { code, headers, body: answer } = await call("POST", `${AUTHORIZATION}/selfsubjectaccessreviews`, { body });
    expect([code, headers.warning, answer.spec.nope, answer.status.allowed]).toEqual([201, '299 - "unknown field \\"spec.nope\\""', undefined, true]);
    expect((await call("POST", `${AUTHORIZATION}/selfsubjectaccessreviews?fieldValidation=Strict`, { body })).code).toBe(400);
  });

  test("who nobody knows may not ask", async () =>
    expect((await call("POST", `${AUTHORIZATION}/selfsubjectaccessreviews`, { user: NOBODY, body: { spec: path("get", "/version") } })).code).toBe(
      401,
    ));

  test("reviews are not kept", async () => expect((await call("GET", `${AUTHORIZATION}/selfsubjectaccessreviews`)).code).toBe(405));
});

test("what I may: every rule, secrets not among them", async () => {
  const { code, body } = await call("POST", `${AUTHORIZATION}/selfsubjectrulesreviews`, { user: VIEWER, body: { spec: { namespace: "default" } } });
  expect(code).toBe(201);
  expect(body.status.incomplete).toBe(false);
  const core = body.status.resourceRules.find((r: { apiGroups: string[] }) => r.apiGroups[0] === "");
  expect(core.verbs).toEqual(["get", "list", "watch"]);
  expect(core.resources).toEqual(expect.arrayContaining(["nodes", "nodes/status", "pods", "configmaps"]));
  expect(core.resources).not.toContain("secrets");
});

test("who am I", async () => {
  const { code, body } = await call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", { user: NODE, body: {} });
  expect([code, body.status.userInfo]).toEqual([201, { username: "system:node:n1", groups: ["system:nodes", AUTHENTICATED] }]);
});
