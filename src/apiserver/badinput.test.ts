import { describe, expect, test } from "vitest";
import { FELIX, MERGE, type Options, POOLS, call, freshWorlds, pool, send, world } from "./world.cases.ts";

freshWorlds();

describe("bad input is refused with a field and a reason, and nothing changes", () => {
  const patch = (spec: unknown): Options => ({ headers: MERGE, body: { spec } });
  const CASES: { name: string; method: string; path: string; options: Options; code: number; message: string | RegExp }[] = [
    {
      name: "unknown field",
      method: "PATCH",
      path: `${FELIX}/default`,
      options: patch({ wireguardEnabld: true }),
      code: 400,
      message:
        'FelixConfiguration in version "v3" cannot be handled as a FelixConfiguration: strict decoding error: unknown field "spec.wireguardEnabld"',
    },
    {
      name: "port 70000",
      method: "PATCH",
      path: `${FELIX}/default`,
      options: patch({ wireguardListeningPort: 70000 }),
      code: 422,
      message:
        'FelixConfiguration.projectcalico.org "default" is invalid: spec.wireguardListeningPort: Invalid value: 70000: spec.wireguardListeningPort in body should be less than or equal to 65535',
    },
    {
      name: "wrong type",
      method: "PATCH",
      path: `${FELIX}/default`,
      options: patch({ wireguardEnabled: "yes" }),
      code: 422,
      message: /spec.wireguardEnabled in body must be of type boolean: "string"/,
    },
    {
      name: "broken JSON",
      method: "PATCH",
      path: `${FELIX}/default`,
      options: { headers: MERGE, body: '{"spec":' },
      code: 400,
      message: /^error decoding patch: /,
    },
    {
      name: "not UTF-8",
      method: "PATCH",
      path: `${FELIX}/default`,
      options: { headers: MERGE, body: Uint8Array.of(0x7b, 0xff, 0x7d) },
      code: 400,
      message: /^error decoding patch: /,
    },
    {
      name: "a patch that is a list",
      method: "PATCH",
      path: `${FELIX}/default`,
      options: { headers: MERGE, body: [] },
      code: 400,
      message: /^error decoding patch: /,
    },
    {
      name: "a key twice",
      method: "PATCH",
      path: `${FELIX}/default`,
      options: { headers: MERGE, body: '{"spec":{"wireguardMTU":1,"wireguardMTU":2}}' },
      code: 400,
      message: /duplicate field "spec.wireguardMTU"/,
    },
    {
      name: "__proto__",
      method: "PATCH",
      path: `${FELIX}/default`,
      options: { headers: MERGE, body: '{"spec":{"__proto__":{"x":1}}}' },
      code: 400,
      message: /__proto__/,
    },
    {
      name: "a deep bomb",
      method: "PATCH",
      path: `${FELIX}/default`,
      options: { headers: MERGE, body: "[".repeat(500_000) },
      code: 400,
      message: /nested deeper/,
    },
    {
      name: "strategic patch of a Calico kind",
      method: "PATCH",
      path: `${FELIX}/default`,
      options: { headers: { "content-type": "application/strategic-merge-patch+json" }, body: {} },
      code: 415,
      message:
        "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json",
    },
    {
      name: "apply patch: what it is, and what to do instead",
      method: "PATCH",
      path: `${FELIX}/default?fieldManager=kubectl&force=false`,
      options: { headers: { "content-type": "application/apply-patch+yaml" }, body: {} },
      code: 415,
      message:
        'server-side apply (application/apply-patch+yaml) is not available on this server: use "kubectl apply" without --server-side, or send a patch of type application/json-patch+json or application/merge-patch+json',
    },
    {
      name: "patch of what is not there",
      method: "PATCH",
      path: `${FELIX}/zzz`,
      options: patch({}),
      code: 404,
      message: 'felixconfigurations.projectcalico.org "zzz" not found',
    },
    {
      name: "patch of the kind",
      method: "PATCH",
      path: `${FELIX}/default`,
      options: { headers: MERGE, body: { kind: "IPPool" } },
      code: 422,
      message: /kind: Invalid value: "IPPool"/,
    },
    {
      name: "patch of the name",
      method: "PATCH",
      path: `${FELIX}/default`,
      options: { headers: MERGE, body: { metadata: { name: "x" } } },
      code: 400,
      message: "the name of the object (x) does not match the name on the URL (default)",
    },
    {
      name: "metadata as a text",
      method: "PATCH",
      path: `${FELIX}/default`,
      options: { headers: MERGE, body: { metadata: "x" } },
      code: 422,
      message: /metadata in body must be of type object/,
    },
    {
      name: "a stale version in a patch",
      method: "PATCH",
      path: `${FELIX}/default`,
      options: { headers: MERGE, body: { metadata: { resourceVersion: "1" } } },
      code: 409,
      message: /^Operation cannot be fulfilled on felixconfigurations.projectcalico.org "default": the object has been modified/,
    },
    {
      name: "PUT of another name",
      method: "PUT",
      path: `${FELIX}/default`,
      options: { body: { metadata: { name: "x", resourceVersion: "1" } } },
      code: 400,
      message: "the name of the object (x) does not match the name on the URL (default)",
    },
    {
      name: "PUT without a version",
      method: "PUT",
      path: `${FELIX}/default`,
      options: { body: { metadata: { name: "default" } } },
      code: 422,
      message:
        'felixconfigurations.projectcalico.org "default" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update',
    },
    {
      name: "PUT with another's uid",
      method: "PUT",
      path: `${FELIX}/default`,
      options: { body: { metadata: { name: "default", uid: "x", resourceVersion: "1" } } },
      code: 409,
      message: /UID in precondition/,
    },
    {
      name: "POST of another version",
      method: "POST",
      path: POOLS,
      options: { body: { ...pool("p"), apiVersion: "projectcalico.org/v1" } },
      code: 400,
      message: "the API version in the data (projectcalico.org/v1) does not match the expected API version (projectcalico.org/v3)",
    },
    {
      name: "POST of another kind",
      method: "POST",
      path: POOLS,
      options: { body: { ...pool("p"), kind: "Other" } },
      code: 422,
      message: 'IPPool.projectcalico.org "p" is invalid: kind: Invalid value: "Other": must be IPPool',
    },
    {
      name: "a core kind with a finalizer of nobody",
      method: "POST",
      path: "/api/v1/nodes",
      options: { body: { metadata: { name: "n", finalizers: ["kubernetes", "nope"] } } },
      code: 422,
      message:
        'Node "n" is invalid: metadata.finalizers[1]: Invalid value: "nope": name is neither a standard finalizer name nor is it fully qualified',
    },
    {
      name: "two controllers",
      method: "POST",
      path: "/api/v1/nodes",
      options: {
        body: {
          metadata: {
            name: "n",
            ownerReferences: ["a", "b"].map((name) => ({ apiVersion: "v1", kind: "Node", name, uid: name, controller: true })),
          },
        },
      },
      code: 422,
      message: /Only one reference can have Controller set to true\. Found "true" in references for a and b$/,
    },
    {
      name: "an owner without a uid",
      method: "POST",
      path: "/api/v1/nodes",
      options: { body: { metadata: { name: "n", ownerReferences: [{ apiVersion: "v1", kind: "Node", name: "a", uid: "" }] } } },
      code: 422,
      message: 'Node "n" is invalid: metadata.ownerReferences.uid: Invalid value: "": must not be empty',
    },
    {
      name: "a list for labels, a map for finalizers, both empty",
      method: "POST",
      path: "/api/v1/nodes",
      options: { body: { metadata: { name: "n", labels: [], finalizers: {} } } },
      code: 422,
      message: /metadata.labels in body must be of type object: "array", .*metadata.finalizers in body must be of type array: "object"/,
    },
    {
      name: "DELETE of a part",
      method: "DELETE",
      path: "/api/v1/namespaces/default/status",
      options: {},
      code: 405,
      message: /does not allow this method/,
    },
    {
      name: "both ways to say what becomes of dependents",
      method: "DELETE",
      path: `${FELIX}/default`,
      options: { body: { propagationPolicy: "Orphan", orphanDependents: true } },
      code: 422,
      message: /orphanDependents and propagationPolicy cannot be both set/,
    },
    {
      name: "an unknown policy in the query",
      method: "DELETE",
      path: `${FELIX}/default?propagationPolicy=Bad`,
      options: {},
      code: 422,
      message:
        'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Bad": supported values: "Foreground", "Background", "Orphan", "nil"',
    },
    {
      name: "continue with a way to match versions",
      method: "GET",
      path: `${POOLS}?resourceVersion=0&resourceVersionMatch=NotOlderThan&continue=${Buffer.from('{"v":"meta.k8s.io/v1","rv":1,"start":"/a\\u0000"}').toString("base64url")}`,
      options: {},
      code: 422,
      message: /resourceVersionMatch is forbidden when continue is provided/,
    },
    {
      name: "an unknown way to match versions",
      method: "GET",
      path: `${POOLS}?resourceVersion=1&resourceVersionMatch=Foo`,
      options: {},
      code: 422,
      message: /resourceVersionMatch: Unsupported value: "Foo"/,
    },
    {
      name: "a list with initial events",
      method: "GET",
      path: `${POOLS}?sendInitialEvents=false`,
      options: {},
      code: 422,
      message: /sendInitialEvents is forbidden for list/,
    },
    { name: "POST without a name", method: "POST", path: POOLS, options: { body: pool("") }, code: 422, message: /name or generateName is required/ },
    {
      name: "POST with a bad name",
      method: "POST",
      path: POOLS,
      options: { body: pool("A_b") },
      code: 422,
      message: /metadata.name: Invalid value: "A_b": a lowercase RFC 1123 subdomain/,
    },
    {
      name: "POST with a version",
      method: "POST",
      path: POOLS,
      options: { body: { ...pool("p"), metadata: { name: "p", resourceVersion: "1" } } },
      code: 400,
      message: "resourceVersion should not be set on objects to be created",
    },
    {
      name: "POST of what exists",
      method: "POST",
      path: FELIX,
      options: { body: { metadata: { name: "default" } } },
      code: 409,
      message: 'felixconfigurations.projectcalico.org "default" already exists',
    },
    { name: "POST of nothing", method: "POST", path: POOLS, options: {}, code: 400, message: /json parse error/ },
    {
      name: "POST in protobuf of a kind that has none",
      method: "POST",
      path: POOLS,
      options: { headers: { "content-type": "application/vnd.kubernetes.protobuf" }, body: "k8s\0" },
      code: 415,
      message: /^the body of the request/,
    },
    {
      name: "POST with broken YAML",
      method: "POST",
      path: POOLS,
      options: { headers: { "content-type": "application/yaml" }, body: "a: [" },
      code: 400,
      message: /parse error/,
    },
    {
      name: "POST with much YAML: a second of the server for each megabyte, or a minute when it is of anchors",
      method: "POST",
      path: POOLS,
      options: { headers: { "content-type": "application/yaml" }, body: `metadata: {}\n${"#\n".repeat(40_000)}` },
      code: 400,
      message: /YAML is taken up to 65536 bytes; send JSON$/,
    },
    {
      name: "POST with deep YAML",
      method: "POST",
      path: POOLS,
      options: { headers: { "content-type": "application/yaml" }, body: "[".repeat(60_000) },
      code: 400,
      message: /parse error: nested too deep$/,
    },
    {
      name: "POST with a YAML bomb",
      method: "POST",
      path: POOLS,
      options: {
        headers: { "content-type": "application/yaml" },
        body: `a: &a [x,x,x,x,x,x,x,x,x]\n${"bcdefgh"
          .split("")
          .map((c, i) => `${c}: &${c} [${Array(9).fill(`*${"abcdefgh"[i]}`).join(",")}]`)
          .join("\n")}`,
      },
      code: 400,
      message: /alias/i,
    },
    {
      name: "dryRun=Foo",
      method: "POST",
      path: `${POOLS}?dryRun=Foo`,
      options: { body: pool("p") },
      code: 422,
      message: 'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Foo"]: supported values: "All"',
    },
    {
      name: "a pod in no namespace",
      method: "POST",
      path: "/api/v1/namespaces/nons/pods",
      options: { body: { metadata: { name: "p" }, spec: { containers: [{ name: "c" }] } } },
      code: 404,
      message: 'namespaces "nons" not found',
    },
    {
      name: "a pod in another namespace",
      method: "POST",
      path: "/api/v1/namespaces/default/pods",
      options: { body: { metadata: { name: "p", namespace: "x" }, spec: { containers: [{ name: "c" }] } } },
      code: 400,
      message: "the namespace of the provided object does not match the namespace sent on the request",
    },
    {
      name: "bad label selector",
      method: "GET",
      path: `${POOLS}?labelSelector=x+inn+(a)`,
      options: {},
      code: 400,
      message: "unable to parse requirement: found 'inn', expected: in, notin, =, ==, !=, gt, lt",
    },
    {
      name: "bad field selector",
      method: "GET",
      path: `${POOLS}?fieldSelector=spec.cidr=x`,
      options: {},
      code: 400,
      message: "field label not supported: spec.cidr",
    },
    { name: "bad continue", method: "GET", path: `${POOLS}?continue=xxxx`, options: {}, code: 400, message: /^invalid continue token/ },
    { name: "bad limit", method: "GET", path: `${POOLS}?limit=-1`, options: {}, code: 400, message: /limit/ },
    {
      name: "bad version",
      method: "GET",
      path: `${POOLS}?resourceVersion=abc`,
      options: {},
      code: 400,
      message: /^invalid resource version: resourceVersion: Invalid value: "abc"/,
    },
    {
      name: "delete of a kept namespace",
      method: "DELETE",
      path: "/api/v1/namespaces/default",
      options: {},
      code: 403,
      message: 'namespaces "default" is forbidden: this namespace may not be deleted',
    },
    {
      name: "delete with another uid",
      method: "DELETE",
      path: `${FELIX}/default`,
      options: { body: { preconditions: { uid: "abc" } } },
      code: 409,
      message: /the UID in the precondition \(abc\) does not match the UID in record/,
    },
    {
      name: "an unknown policy",
      method: "DELETE",
      path: `${FELIX}/default`,
      options: { body: { propagationPolicy: "Bad" } },
      code: 422,
      message: /propagationPolicy: Unsupported value: "Bad"/,
    },
    {
      name: "an unknown method",
      method: "BREW",
      path: FELIX,
      options: {},
      code: 405,
      message: "the server does not allow this method on the requested resource",
    },
    {
      name: "Accept of nothing we have",
      method: "GET",
      path: FELIX,
      options: { headers: { accept: "image/png" } },
      code: 406,
      message: /only the following media types are accepted/,
    },
    ...["POST", "DELETE"].map((method) => ({
      name: `${method}, to be answered as nothing we have`,
      method,
      path: FELIX,
      options: { headers: { accept: "image/png" }, body: method === "POST" ? { metadata: { name: "node.x" }, spec: {} } : {} },
      code: 406,
      message: /only the following media types are accepted/,
    })),
    {
      name: "DELETE, to be answered as a table that there is not",
      method: "DELETE",
      path: `${FELIX}/default?includeObject=Foo`,
      options: { headers: { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" } },
      code: 400,
      message: /^Unable to convert to Table as requested/,
    },
    {
      name: "DELETE of all, but only of one that is not there",
      method: "DELETE",
      path: FELIX,
      options: { body: { preconditions: { uid: "x" } } },
      code: 409,
      message: /the UID in the precondition \(x\) does not match/,
    },
    { name: "a status where there is none", method: "PUT", path: `${FELIX}/default/status`, options: { body: {} }, code: 404, message: /not found/ },
  ];
  test.for(CASES)("$name", async ({ method, path, options, code, message }) => {
    const before = world.store.revision;
    const answer = await call(method, path, options);
    expect(answer.code).toBe(code);
    expect(answer.body).toMatchObject({ kind: "Status", apiVersion: "v1", status: "Failure", code });
    expect(answer.body.message).toEqual(message instanceof RegExp ? expect.stringMatching(message) : message);
    expect(world.store.revision).toBe(before);
  });
  test.for([
    "/nosuch",
    "/api/v2/nodes",
    "/apis/x.io/v1/things",
    "/api/v1/nodes/a/b/c/d",
    "/apis/projectcalico.org/v3/namespaces/x/ippools",
    "/api/v1/%zz",
    "/api/v1/pods/default%2Fp",
    "/api/v1/pods/p",
    "/api/v1/namespaces/a%2Fb/pods",
    "/apis/projectcalico.org/v3/felixconfigurations/..",
  ])("unknown path %s", async (path) => {
    expect(await call("GET", path)).toMatchObject({ code: 404, body: "404 page not found\n" });
  });
  test("fieldValidation=Warn stores without the unknown field and says so; Ignore says nothing", async () => {
    const warn = await call("PATCH", `${FELIX}/default?fieldValidation=Warn`, { headers: MERGE, body: { spec: { nope: 1, wireguardMTU: 1400 } } });
    expect([warn.code, warn.headers.warning, warn.body.spec]).toEqual([200, '299 - "unknown field \\"spec.nope\\""', { wireguardMTU: 1400 }]);
    const ignore = await call("PATCH", `${FELIX}/default?fieldValidation=Ignore`, { headers: MERGE, body: { spec: { nope: 1 } } });
    expect([ignore.code, ignore.headers.warning]).toEqual([200, undefined]);
  });
});

test("who asks to act as somebody else is refused, not answered as themselves", async () => {
  for (const header of ["impersonate-user", "impersonate-group", "impersonate-uid", "impersonate-extra-scopes"])
    expect(await call("GET", FELIX, { headers: { [header]: "bob" } })).toMatchObject({
      code: 403,
      body: { message: `forbidden: User "system:admin" cannot impersonate: this server does not let anyone act as somebody else (${header})` },
    });
});

// Fields that nobody declared are kept as they came (a pod's), and so must their numbers be.
describe("whole numbers", () => {
  const PODS = "/api/v1/namespaces/default/pods";
  const podWith = (number: string): string => `{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c"}],"other":{"n":[${number}]}}}`;
  const YAML = { "content-type": "application/yaml" };

  test.for(["9007199254740991", "-9007199254740991", "0", "-1", "1.5", "1e-7"])("%s comes back as it is", async (number) => {
    expect((await call("POST", PODS, { body: podWith(number) })).code).toBe(201);
    expect((await call("GET", `${PODS}/p`)).body.spec.other.n).toEqual([Number(number)]);
    const other = podWith(number).replace('"p"', '"q"');
    expect((await call("POST", PODS, { headers: YAML, body: other })).body.spec.other.n).toEqual([Number(number)]);
  });
  test.for<[string, string, Options, string]>([
    ["POST", PODS, { body: podWith("9007199254740993") }, "spec.other.n[0]"],
    ["POST", PODS, { body: podWith("123456789012345678901234567890"), headers: YAML }, "spec.other.n[0]"],
    ["POST", PODS, { body: podWith("0xffffffffffffffff"), headers: YAML }, "spec.other.n[0]"],
    ["PUT", `${FELIX}/default`, { body: '{"metadata":{"name":"default","generation":18446744073709551615}}' }, "metadata.generation"],
    ["PATCH", `${FELIX}/default`, { headers: MERGE, body: '{"spec":{"wireguardMTU":-9007199254740993}}' }, "spec.wireguardMTU"],
    [
      "PATCH",
      `${FELIX}/default`,
      { headers: { "content-type": "application/json-patch+json" }, body: '[{"op":"add","path":"/spec/wireguardMTU","value":9007199254740992}]' },
      "[0].value",
    ],
    ["PATCH", "/api/v1/nodes/n", { headers: MERGE, body: '{"spec":{"x":1e999}}' }, "spec.x"],
  ])("%s %s with one that would come back as another is refused, with its place: %j", async ([method, path, options, field]) => {
    const { code, body } = await call(method, path, options);
    expect([code, body.reason, body.details.causes]).toEqual([
      422,
      "Invalid",
      [
        {
          reason: "FieldValueInvalid",
          field,
          message: expect.stringMatching(
            /^Invalid value: -?[0-9e]+: whole numbers are kept exactly from -9007199254740991 to 9007199254740991; write it as a text$/,
          ),
        },
      ],
    ]);
  });
});

// A body carries hundreds of thousands of them. Whatever compares each item with each would hold up everybody for minutes; whatever tells of each fault would
// fill the memory.
describe("long lists and many faults", () => {
  const many = (n: number, item: (i: number) => string): string => `[${Array.from({ length: n }, (_, i) => item(i)).join(",")}]`;
  const STRATEGIC = { "content-type": "application/strategic-merge-patch+json" };

  test("strategic patches merge, sort and take out of long lists", async () => {
    const name = (i: number): string => `{"type":"t${i}","status":"True"}`;
    await call("POST", "/api/v1/nodes", { body: { metadata: { name: "n" } } });
    const half = (from: number): Promise<{ body: { status: { conditions: { type: string }[] } } }> =>
      call("PATCH", "/api/v1/nodes/n/status", { headers: STRATEGIC, body: `{"status":{"conditions":${many(10_000, (i) => name(from + i))}}}` });
    await half(0);
    const { conditions } = (await half(5_000)).body.status;
    expect([conditions.length, new Set(conditions.map((c) => c.type)).size, conditions[14_999]!.type]).toEqual([15_000, 15_000, "t14999"]);
    const order = many(10_000, (i) => `{"type":"t${9_999 - i}"}`);
    const gone = many(10_000, (i) => `{"type":"t${5_000 + i}","$patch":"delete"}`);
    const patched = await call("PATCH", "/api/v1/nodes/n/status", {
      headers: STRATEGIC,
      body: `{"status":{"$setElementOrder/conditions":${order},"conditions":${gone}}}`,
    });
    expect(patched.code).toBe(200);
    expect(patched.body.status.conditions.map((c: { type: string }) => c.type)).toEqual(Array.from({ length: 5_000 }, (_, i) => `t${4_999 - i}`));
  });
  test("finalizers, as many as fit", async () => {
    const body = (more: string): string => `{"metadata":{"name":"n","finalizers":${many(20_000, (i) => `"a/${i}"`)}}${more}}`;
    expect((await call("POST", "/api/v1/nodes", { body: body("") })).code).toBe(201);
    const without = await call("PATCH", "/api/v1/nodes/n", {
      headers: STRATEGIC,
      body: `{"metadata":{"$deleteFromPrimitiveList/finalizers":${many(19_999, (i) => `"a/${i}"`)}}}`,
    });
    expect(without.body.metadata.finalizers).toEqual(["a/19999"]);
    expect((await call("PATCH", "/api/v1/nodes/n", { headers: STRATEGIC, body: body("") })).body.metadata.finalizers).toHaveLength(20_000);
  });
  test.for<[string, string]>([
    ["labels", `{"labels":{${Array.from({ length: 20_000 }, (_, i) => `"-${i}":"_"`).join(",")}}}`],
    ["annotations", `{"annotations":{${Array.from({ length: 20_000 }, (_, i) => `"-${i}":"_"`).join(",")}}}`],
    ["finalizers", `{"finalizers":${many(20_000, (i) => `"-${i}"`)}}`],
    ["owners", `{"ownerReferences":${many(10_000, () => '{"apiVersion":"","kind":"","name":"","uid":""}')}}`],
    ["unknown fields", `{${Array.from({ length: 20_000 }, (_, i) => `"u${i}":1`).join(",")}}`],
    ["duplicate fields", `{${Array.from({ length: 20_000 }, () => '"name":"n"').join(",")}}`],
  ])("of many wrong %s some are told", async ([, metadata]) => {
    const answer = await send("POST", "/api/v1/nodes?fieldValidation=Strict", { body: `{"metadata":${metadata}}` });
    expect([400, 422]).toContain(answer.code);
    expect((answer.body as string).length).toBeLessThan(200_000);
  });
});
