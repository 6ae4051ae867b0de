import { beforeEach, describe, expect, test } from "vitest";
import type { User } from "./wire/request.ts";
import { FELIX, MERGE, NOBODY, POOLS, call, freshWorlds, nodeUser, pool, world } from "./world.cases.ts";

freshWorlds();

describe("roles", () => {
  const block = (name: string, spec: object = {}): object => ({
    metadata: { name },
    spec: {
      cidr: "10.0.0.0/31",
      affinity: "host:n1",
      strictAffinity: false,
      deleted: false,
      allocations: [null, null],
      unallocated: [0, 1],
      attributes: [],
      ...spec,
    },
  });
  const BLOCKS = "/apis/projectcalico.org/v3/ipamblocks";
  const affinity = (name: string, of: string): object => ({
    metadata: { name },
    spec: { state: "confirmed", node: of, cidr: "10.0.0.0/31", deleted: false },
  });

  beforeEach(async () => {
    for (const name of ["n1", "n2"])
      await call("POST", "/api/v1/nodes", {
        body: { metadata: { name, labels: { "node-role.kubernetes.io/x": "" } }, spec: { taints: [{ key: "a", effect: "b" }] } },
      });
    for (const [name, on] of [
      ["p1", "n1"],
      ["p2", "n2"],
    ])
      await call("POST", "/api/v1/namespaces/default/pods", { body: { metadata: { name }, spec: { nodeName: on, containers: [{ name: "c" }] } } });
  });
  const CASES: { name: string; method: string; path: string; body?: object; code: number; message?: string | RegExp; before?: [string, object] }[] = [
    { name: "reads all nodes", method: "GET", path: "/api/v1/nodes", code: 200 },
    { name: "watches pools", method: "GET", path: `${POOLS}?limit=1`, code: 200 },
    {
      name: "publishes its key",
      method: "PATCH",
      path: "/api/v1/nodes/n1/status",
      body: { metadata: { annotations: { "projectcalico.org/WireguardPublicKey": "x" } } },
      code: 200,
    },
    {
      name: "not another's",
      method: "PATCH",
      path: "/api/v1/nodes/n2/status",
      body: { metadata: { annotations: { a: "b" } } },
      code: 403,
      message: 'nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2"',
    },
    {
      name: "no other node",
      method: "POST",
      path: "/api/v1/nodes",
      body: { metadata: { name: "n9" } },
      code: 403,
      message: /not allowed to modify node "n9"/,
    },
    ...(
      [
        ["says what happened on it", { source: { host: "n1" } }, 201],
        ["… in both fields", { source: { host: "n1" }, reportingComponent: "c", reportingInstance: "n1" }, 201],
        ["says nothing for another", { source: { host: "n2" } }, 403],
        ["says nothing for another in one of the fields", { source: { host: "n1" }, reportingComponent: "c", reportingInstance: "n2" }, 403],
        ["says nothing for nobody", {}, 403],
      ] as const
    ).map(([name, from, code]) => ({
      name,
      method: "POST",
      path: "/api/v1/namespaces/default/events",
      body: { metadata: { name: "e" }, involvedObject: { kind: "Pod", name: "p1", namespace: "default" }, reason: "R", type: "Normal", ...from },
      code,
    })),
    ...(
      [
        ["n1", {}, 201],
        ["n2", {}, 403],
        ["n1", { deprecatedSource: { host: "n2" } }, 403],
      ] as const
    ).map(([reportingInstance, more, code]) => ({
      name: `events.k8s.io as ${reportingInstance} ${JSON.stringify(more)}`,
      method: "POST",
      path: "/apis/events.k8s.io/v1/namespaces/default/events",
      body: {
        metadata: { name: "e" },
        regarding: { kind: "Pod", name: "p1", namespace: "default" },
        eventTime: "2026-11-23T11:59:00.000001Z",
        reportingController: "c",
        reportingInstance,
        action: "A",
        reason: "R",
        type: "Normal",
        ...more,
      },
      code,
    })),
    {
      name: "not its taints",
      method: "PATCH",
      path: "/api/v1/nodes/n1",
      body: { spec: { taints: null } },
      code: 403,
      message: /not allowed to modify taints/,
    },
    {
      name: "not its roles",
      method: "PATCH",
      path: "/api/v1/nodes/n1",
      body: { metadata: { labels: { "node-role.kubernetes.io/x": null } } },
      code: 403,
      message: /not allowed to modify labels: node-role/,
    },
    {
      name: "free labels",
      method: "PATCH",
      path: "/api/v1/nodes/n1",
      body: { metadata: { labels: { "x.io/a": "b", "kubernetes.io/hostname": "n1" } } },
      code: 200,
    },
    {
      name: "does not delete itself",
      method: "DELETE",
      path: "/api/v1/nodes/n1",
      code: 403,
      message: 'nodes "n1" is forbidden: User "system:node:n1" cannot delete resource "nodes" in API group "" at the cluster scope',
    },
    {
      name: "its pod's status",
      method: "PATCH",
      path: "/api/v1/namespaces/default/pods/p1/status",
      body: { status: { phase: "Running" } },
      code: 200,
    },
    {
      name: "not another's pod's",
      method: "PATCH",
      path: "/api/v1/namespaces/default/pods/p2/status",
      body: { status: { phase: "Running" } },
      code: 403,
      message: /spec.nodeName set to itself/,
    },
    {
      name: "no labels through it",
      method: "PATCH",
      path: "/api/v1/namespaces/default/pods/p1/status",
      body: { metadata: { labels: { a: "b" } } },
      code: 403,
      message: /cannot update labels/,
    },
    {
      name: "no pods",
      method: "POST",
      path: "/api/v1/namespaces/default/pods",
      body: { metadata: { name: "x" }, spec: { containers: [{ name: "c" }] } },
      code: 403,
      message: 'pods is forbidden: User "system:node:n1" cannot create resource "pods" in API group "" in the namespace "default"',
    },
    {
      name: "no configuration",
      method: "PATCH",
      path: `${FELIX}/default`,
      body: { spec: { wireguardEnabled: false } },
      code: 403,
      message:
        'felixconfigurations.projectcalico.org "default" is forbidden: User "system:node:n1" cannot patch resource "felixconfigurations" in API group "projectcalico.org" at the cluster scope',
    },
    { name: "no pools", method: "POST", path: POOLS, body: pool("x"), code: 403 },
    { name: "no exec", method: "POST", path: "/api/v1/namespaces/default/pods/p1/exec", code: 403, message: /cannot create resource "pods\/exec"/ },
    { name: "its block", method: "POST", path: BLOCKS, body: block("b"), code: 201 },
    {
      name: "not another's block",
      method: "POST",
      path: BLOCKS,
      body: block("b", { affinity: "host:n2" }),
      code: 403,
      message: /a block of host:n2/,
    },
    {
      name: "borrows from another's block",
      method: "PATCH",
      path: `${BLOCKS}/b`,
      before: [BLOCKS, block("b", { affinity: "host:n2" })],
      body: { spec: { allocations: [0, null], unallocated: [1], attributes: [{ secondary: { node: "n1" } }] } },
      code: 200,
    },
    {
      name: "not in another's name",
      method: "PATCH",
      path: `${BLOCKS}/b`,
      before: [BLOCKS, block("b", { affinity: "host:n2" })],
      body: { spec: { allocations: [0, null], unallocated: [1], attributes: [{ secondary: { node: "n2" } }] } },
      code: 403,
      message: /allocations of other nodes/,
    },
    {
      name: "no finalizer in another's block",
      method: "PATCH",
      path: `${BLOCKS}/b`,
      before: [BLOCKS, block("b", { affinity: "host:n2" })],
      body: { metadata: { finalizers: ["x/y"] } },
      code: 403,
      message: /a block of host:n2/,
    },
    {
      name: "no label on another's block",
      method: "PATCH",
      path: `${BLOCKS}/b`,
      before: [BLOCKS, block("b", { affinity: "host:n2" })],
      body: { metadata: { labels: { a: "b" } } },
      code: 403,
      message: /a block of host:n2/,
    },
    {
      name: "does not hide another's free addresses",
      method: "PATCH",
      path: `${BLOCKS}/b`,
      before: [BLOCKS, block("b", { affinity: "host:n2" })],
      body: { spec: { unallocated: [] } },
      code: 403,
      message: /allocations of other nodes/,
    },
    {
      name: "does not run another's counter away",
      method: "PATCH",
      path: `${BLOCKS}/b`,
      before: [BLOCKS, block("b", { affinity: "host:n2" })],
      body: { spec: { sequenceNumber: 99 } },
      code: 403,
      message: /allocations of other nodes/,
    },
    {
      name: "takes no address from its holder with nobody's block",
      method: "PATCH",
      path: `${BLOCKS}/b`,
      before: [BLOCKS, block("b", { affinity: undefined, allocations: [0, null], unallocated: [1], attributes: [{ secondary: { node: "n2" } }] })],
      body: { spec: { affinity: "host:n1", allocations: [null, null], unallocated: [0, 1], attributes: [] } },
      code: 403,
      message: /allocations of other nodes/,
    },
    {
      name: "does not borrow from a block that is its owner's alone",
      method: "PATCH",
      path: `${BLOCKS}/b`,
      before: [BLOCKS, block("b", { affinity: "host:n2", strictAffinity: true })],
      body: { spec: { allocations: [0, null], unallocated: [1], attributes: [{ secondary: { node: "n1" } }] } },
      code: 403,
      message: /the block is reserved for host:n2/,
    },
    {
      name: "no look at exec either",
      method: "GET",
      path: "/api/v1/namespaces/default/pods/p1/exec",
      code: 403,
      message: /cannot get resource "pods\/exec"/,
    },
    {
      name: "does not take another's block",
      method: "PATCH",
      path: `${BLOCKS}/b`,
      before: [BLOCKS, block("b", { affinity: "host:n2" })],
      body: { spec: { affinity: "host:n1" } },
      code: 403,
    },
    {
      name: "does not delete another's block",
      method: "DELETE",
      path: `${BLOCKS}/b`,
      before: [BLOCKS, block("b", { affinity: "host:n2" })],
      code: 403,
    },
    {
      name: "takes a block of NOBODY",
      method: "PATCH",
      path: `${BLOCKS}/b`,
      before: [BLOCKS, block("b", { affinity: undefined })],
      body: { spec: { affinity: "host:n1" } },
      code: 200,
    },
    { name: "its affinity", method: "POST", path: "/apis/projectcalico.org/v3/blockaffinities", body: affinity("n1-10-0-0-0-31", "n1"), code: 201 },
    {
      name: "not another's affinity",
      method: "POST",
      path: "/apis/projectcalico.org/v3/blockaffinities",
      body: affinity("n2-10-0-0-0-31", "n2"),
      code: 403,
    },
    {
      name: "no affinity in its name for another",
      method: "POST",
      path: "/apis/projectcalico.org/v3/blockaffinities",
      body: affinity("n1-10-0-0-0-31", "n2"),
      code: 403,
    },
    {
      name: "no affinity by the name of a node whose name begins as its own",
      method: "POST",
      path: "/apis/projectcalico.org/v3/blockaffinities",
      body: affinity("n1-b-10-0-0-0-31", "n1"),
      code: 403,
    },
    {
      name: "its tunnel's handle",
      method: "POST",
      path: "/apis/projectcalico.org/v3/ipamhandles",
      body: { metadata: { name: "wireguard-tunnel-addr-n1" }, spec: { handleID: "wireguard-tunnel-addr-n1", block: {} } },
      code: 201,
    },
    {
      name: "not another's handle",
      method: "POST",
      path: "/apis/projectcalico.org/v3/ipamhandles",
      body: { metadata: { name: "wireguard-tunnel-addr-n2" }, spec: { handleID: "wireguard-tunnel-addr-n2", block: {} } },
      code: 403,
    },
    {
      name: "no handle of a pod: it does not say whose it is",
      method: "DELETE",
      path: "/apis/projectcalico.org/v3/ipamhandles/k8s-pod-network.default.pod1",
      before: [
        "/apis/projectcalico.org/v3/ipamhandles",
        { metadata: { name: "k8s-pod-network.default.pod1" }, spec: { handleID: "k8s-pod-network.default.pod1", block: {} } },
      ],
      code: 403,
      message: /a handle that is not of its tunnels/,
    },
    { name: "its report", method: "POST", path: "/apis/tortie.io/v1/nodeencryptions", body: { metadata: { name: "n1" } }, code: 201 },
    {
      name: "not another's report",
      method: "POST",
      path: "/apis/tortie.io/v1/nodeencryptions",
      body: { metadata: { name: "n2" } },
      code: 403,
      message: /the report of node "n2"/,
    },
  ];
  test.for(CASES)("the agent of n1: $name", async ({ method, path, body, code, message, before }) => {
    if (before) expect((await call("POST", before[0], { body: before[1] })).code).toBe(201);
    const revision = world.store.revision;
    const answer = await call(method, path, { user: nodeUser("n1"), body, ...(method === "PATCH" ? { headers: MERGE } : {}) });
    expect(answer.code).toBe(code);
    if (message !== undefined) expect(answer.body.message).toEqual(message instanceof RegExp ? expect.stringMatching(message) : message);
    if (code === 403) {
      expect(world.store.revision).toBe(revision);
      expect(world.audited.at(-1)).toMatchObject({ user: "system:node:n1", code: 403, path: path.split("?")[0] });
    }
  });
  test.for(["system:node:", "n1", "system:nodes"])("group system:nodes with the name %j may nothing", async (name) => {
    expect((await call("GET", "/api/v1/nodes", { user: { name, groups: ["system:nodes", "system:authenticated"] } })).code).toBe(403);
  });
  test("a known user without a role may read what the server is, nothing else", async () => {
    const user: User = { name: "bob", groups: ["system:authenticated"] };
    expect((await call("GET", "/apis", { user })).code).toBe(200);
    expect((await call("GET", "/api/v1/nodes", { user })).body.message).toBe(
      'nodes is forbidden: User "bob" cannot list resource "nodes" in API group "" at the cluster scope',
    );
  });
  test.for(["/healthz", "/livez", "/readyz", "/version"])("everybody may %s", async (path) =>
    expect((await call("GET", path, { user: NOBODY })).code).toBe(200),
  );
  test.for(["/api", "/apis", "/openapi/v3", "/api/v1/nodes", "/healthzz", "/metrics"])("NOBODY else may %s", async (path) => {
    expect(await call("GET", path, { user: NOBODY })).toMatchObject({ code: 401, body: { reason: "Unauthorized" } });
  });
});
