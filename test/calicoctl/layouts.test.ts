// calicoctl and the client on a cluster whose Calico resources are custom resources of crd.projectcalico.org/v1 (layouts A and B). What the cluster keeps is
// looked at by plain requests. Expectations are built from the rules of the specification (apiserver.md 7.1 to 7.3): there are no recordings of Calico.
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { assign, release } from "../../src/agent/ipam/ipam.ts";
import { BLOCK_AFFINITY } from "../../src/api/blockaffinity.ts";
import type { IPAM_BLOCK } from "../../src/api/ipamblock.ts";
import { IP_POOL, type IPPool } from "../../src/api/ippool.ts";
import { NODE } from "../../src/api/node.ts";
import { ANNOTATION } from "../../src/api/node-annotations.ts";
import type { Resource } from "../../src/api/meta.ts";
import { FELIX_CONFIGURATION } from "../../src/api/felixconfiguration.ts";
import { informer } from "../../src/client/informer.ts";
import { isNotFound } from "../../src/client/error.ts";
import { calicoClient } from "../../src/client/layouts/index.ts";
import { mirroredUid } from "../../src/client/layouts/uid.ts";
import type { RestClient } from "../../src/client/rest.ts";
import { type Ran, RealServer } from "../client/server.ts";
import { CalicoCluster } from "./calicocluster.ts";

// Not started: it only runs the command line.
const programs = new RealServer();
afterAll(() => programs.dispose());

const V1 = "/apis/crd.projectcalico.org/v1";
// oxlint-disable-next-line typescript/no-explicit-any
type Any = any;
const ok = (out: string): Ran => ({ code: 0, out, err: "" });

describe.each(["A", "B"] as const)("layout %s", (layout) => {
  const cluster = new CalicoCluster(layout);
  let plain: RestClient;
  let calico: RestClient;
  beforeAll(async () => {
    await cluster.start();
    plain = cluster.client();
    calico = calicoClient(cluster.client());
    await plain.raw("POST", `${V1}/clusterinformations`, {
      body: {
        apiVersion: "crd.projectcalico.org/v1",
        kind: "ClusterInformation",
        metadata: { name: "default" },
        spec: { calicoVersion: "v3.31.0", clusterType: "k8s,bgp", clusterGUID: "g", datastoreReady: true },
      },
    });
  });
  beforeEach(() => void cluster.taken());
  afterAll(() => cluster.stop());

  const ctl = (line: string[] | string, options: { stdin?: string; env?: NodeJS.ProcessEnv } = {}): Promise<Ran> =>
    programs.run("calicoctl", typeof line === "string" ? line.split(" ") : line, {
      ...options,
      env: { DATASTORE_TYPE: "kubernetes", K8S_API_ENDPOINT: cluster.url, ...options.env },
    });
  const kept = (path: string): Promise<Any> => plain.raw("GET", `${V1}/${path}`);

  test("what is written is a v1 object; what is read back is v3", async () => {
    const felix = `apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata:
  annotations:
    note: mine
  labels:
    team: red
  name: node.n0
spec:
  wireguardEnabled: true
`;
    expect(await ctl("create -f -", { stdin: felix })).toEqual(ok("Successfully created 1 'FelixConfiguration' resource(s)\n"));
    const object = await kept("felixconfigurations/node.n0");
    expect([object.apiVersion, object.kind, object.spec]).toEqual(["crd.projectcalico.org/v1", "FelixConfiguration", { wireguardEnabled: true }]);
    expect(object.metadata.labels).toBeUndefined();
    expect(Object.keys(object.metadata.annotations)).toEqual(["projectcalico.org/metadata"]);
    expect(JSON.parse(object.metadata.annotations["projectcalico.org/metadata"])).toMatchObject({
      labels: { team: "red" },
      annotations: { note: "mine" },
    });

    const { out } = await ctl("get felixconfig node.n0 -o yaml");
    expect(out).toContain(`  uid: ${mirroredUid(object.metadata.uid)}\n`);
    expect(out).not.toContain("projectcalico.org/metadata");
    expect((await ctl("get felixconfig node.n0 -o yaml --export")).out).toBe(felix);
    // Layout B shows the same as projectcalico.org/v3, but nothing was asked of it.
    expect(cluster.taken().filter((r) => r.path.startsWith("/apis/projectcalico.org"))).toEqual([]);
  });

  test("apply, replace, label, patch, delete; versions are the cluster's", async () => {
    const pool = (extra = "", meta = ""): string =>
      `apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata:\n  name: v\n${meta}spec:\n  cidr: 10.4.0.0/16\n${extra}`;
    expect((await ctl("apply -f -", { stdin: pool() })).code).toBe(0);
    const first = await kept("ippools/v");
    expect((await ctl("apply -f -", { stdin: pool("  natOutgoing: true\n") })).code).toBe(0);
    const stale = await ctl("replace -f -", { stdin: pool("", `  resourceVersion: "${first.metadata.resourceVersion}"\n`) });
    expect(stale).toEqual({ code: 1, out: "", err: "failed to replace 'IPPool' resource: [update conflict: IPPool(v)]\n" });
    expect(await ctl("label ippool v rack=b2")).toEqual(ok("Successfully set label rack on ippool v\n"));
    expect(await ctl(["patch", "ippool", "v", "-p", '{"spec":{"disabled":true}}'])).toEqual(ok("Successfully patched 1 'IPPool' resource\n"));
    const last = await kept("ippools/v");
    expect([last.spec.natOutgoing, last.spec.disabled, last.metadata.labels]).toEqual([true, true, undefined]);
    expect([last.metadata.uid, last.metadata.creationTimestamp]).toEqual([first.metadata.uid, first.metadata.creationTimestamp]);
    expect((await ctl("get ippool v -o yaml")).out).toContain("  labels:\n    rack: b2\n");
    expect(await ctl("get ippool v")).toEqual(ok("NAME   CIDR          SELECTOR   \nv      10.4.0.0/16              \n\n"));
    expect(await ctl("delete ippool v")).toEqual(ok("Successfully deleted 1 'IPPool' resource(s)\n"));
    expect((await ctl("get ippool v")).err).toMatch(/^resource does not exist: IPPool\(v\) with error: /);
  });

  test("fields that we do not know are kept", async () => {
    await plain.raw("POST", `${V1}/felixconfigurations`, {
      body: {
        apiVersion: "crd.projectcalico.org/v1",
        kind: "FelixConfiguration",
        metadata: { name: "default" },
        spec: { fieldOfTomorrow: { a: [1] } },
      },
    });
    expect(await ctl(["patch", "felixconfiguration", "default", "--type=merge", "-p", '{"spec":{"wireguardEnabled":true}}'])).toEqual(
      ok("Successfully patched 1 'FelixConfiguration' resource\n"),
    );
    expect((await kept("felixconfigurations/default")).spec).toEqual({ fieldOfTomorrow: { a: [1] }, wireguardEnabled: true });
  });

  test("ClusterInformation: Calico's own version is no mismatch; nothing is exported from here", async () => {
    expect((await ctl("get clusterinfo")).out).toContain("default   g             k8s,bgp       v3.31.0");
    expect((await ctl("version")).out).toContain("Cluster Version:  v3.31.0\nCluster Type:     k8s,bgp\n");
    expect((await ctl("datastore migrate export")).err).toMatch(
      /^invalid datastore type: kubernetes to export from for datastore migration\. Datastore type must be etcdv3\n/,
    );
    expect(await ctl("datastore migrate lock")).toEqual(ok("Datastore locked.\n"));
    expect((await kept("clusterinformations/default")).spec).toMatchObject({ datastoreReady: false, calicoVersion: "v3.31.0" });
    expect(await ctl("datastore migrate unlock")).toEqual(ok("Datastore unlocked.\n"));
  });

  test("a node's fields are annotations, written through /status", async () => {
    await plain.create(NODE, { apiVersion: "v1", kind: "Node", metadata: { name: "n0", labels: { zone: "a" } } });
    cluster.taken();
    expect(await ctl(["patch", "node", "n0", "-p", '{"spec":{"bgp":{"ipv4Address":"10.0.0.5/24"}}}'])).toEqual(
      ok("Successfully patched 1 'Node' resource\n"),
    );
    const writes = cluster.taken().filter((r) => r.method !== "GET");
    expect(writes.map((r) => `${r.method} ${r.path}`)).toEqual(["PUT /api/v1/nodes/n0/status"]);
    expect(JSON.parse(writes[0]!.body).metadata.resourceVersion).toMatch(/^[0-9]+$/);
    expect((await plain.get(NODE, "n0")).metadata.annotations).toEqual({ [ANNOTATION.ipv4Address]: "10.0.0.5/24" });
    expect(await ctl("get node n0 -o wide")).toEqual(ok("NAME   ASN       IPV4          IPV6   \nn0     (64512)   10.0.0.5/24          \n\n"));
    // Who has no number of its own has the cluster's, in parentheses; who has no BGP has none.
    const bgp = (asNumber?: number): object => ({
      body: { apiVersion: "crd.projectcalico.org/v1", kind: "BGPConfiguration", metadata: { name: "default" }, spec: { asNumber } },
    });
    await plain.raw("POST", `${V1}/bgpconfigurations`, bgp(64999));
    await plain.create(NODE, { apiVersion: "v1", kind: "Node", metadata: { name: "plain" } });
    const wide = await ctl("get nodes -o custom-columns=NAME,ASN");
    expect(wide).toEqual(ok("NAME    ASN       \nn0      (64999)   \nplain             \n\n"));
    expect(await ctl(["get", "node", "n0", "-o", 'go-template={{config "asnumber"}} ']).then((r) => r.out.trim())).toBe("64999");
    await ctl(["patch", "node", "n0", "-p", '{"spec":{"bgp":{"asNumber":65001}}}']);
    expect((await ctl("get node n0 -o wide")).out).toContain("\nn0     65001   10.0.0.5/24 ");
    await plain.raw("DELETE", "/api/v1/nodes/plain");
    expect((await ctl("delete node n0")).err).toMatch(/^Failed to delete 'Node' resource: operation Delete is not supported on Node\(n0\): /);
  });

  test("IPAM: settings, blocks, claims and handles under v1's names", async () => {
    expect(await ctl("ipam configure --strictaffinity=true")).toEqual(ok("Successfully set StrictAffinity to: true\n"));
    expect(await kept("ipamconfigs/default")).toMatchObject({ kind: "IPAMConfig", spec: { strictAffinity: true } });
    expect((await ctl("get ipamconfiguration")).out).toBe(
      "NAME      STRICTAFFINITY   AUTOALLOCATEBLOCKS   \ndefault   true             true                 \n\n",
    );

    expect(
      (
        await ctl("create -f -", {
          stdin: "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: p}\nspec: {cidr: 10.66.0.0/24, blockSize: 28}\n",
        })
      ).code,
    ).toBe(0);
    const request = {
      node: "n0",
      handle: "Upper-Case-Handle",
      use: "Workload" as const,
      attributes: { node: "n0", pod: "web", namespace: "default" },
    };
    const { address, block } = await assign(calico, request);
    const dashed = block.replace(/[./]/g, "-");
    const affinity = await kept(`blockaffinities/n0-${dashed}`);
    expect(affinity.spec).toEqual({ state: "confirmed", node: "n0", type: "host", cidr: block, deleted: "false" });
    expect(affinity.metadata.labels).toMatchObject({ "projectcalico.org/affinity-type": "host", "projectcalico.org/ip-version": "4" });
    expect((await kept(`ipamblocks/${dashed}`)).spec).toMatchObject({ affinity: "host:n0", strictAffinity: true, deleted: false });
    expect((await kept("ipamhandles/upper-case-handle")).spec).toMatchObject({ handleID: "Upper-Case-Handle", block: { [block]: 1 } });
    expect((await ctl(`ipam show --ip=${address}`)).out).toContain("Handle ID: Upper-Case-Handle\n");
    expect((await ctl("ipam show --show-blocks")).out).toContain(`| Block    | ${block} `);
    expect((await ctl("ipam check")).out).toContain("Found 1 IPs that are allocated in IPAM but not actually in use.\n");
    cluster.taken();
    await release(calico, "Upper-Case-Handle");
    // The handle goes in two steps: marked, then removed as the very object that was marked.
    const writes = cluster.taken().filter((r) => r.path.includes("/ipamhandles/") && r.method !== "GET");
    expect(writes.map((r) => r.method)).toEqual(["PUT", "DELETE"]);
    const marked = JSON.parse(writes[0]!.body);
    expect(marked.spec.deleted).toBe(true);
    expect(JSON.parse(writes[1]!.body).preconditions).toEqual({ uid: marked.metadata.uid });
    expect((await ctl(`ipam release --ip=${address}`)).err).toBe(`IP address ${address} is not assigned\n`);
  });

  test("a reader that meets a marked object finishes its deletion; a writer makes it anew", async () => {
    const claim = (name: string, node: string): Resource =>
      ({
        apiVersion: "projectcalico.org/v3",
        kind: "BlockAffinity",
        metadata: { name },
        spec: { state: "confirmed", node, type: "host", cidr: "10.99.0.0/26", deleted: false },
      }) as Resource;
    const mark = async (name: string): Promise<string> => {
      const object = await kept(`blockaffinities/${name}`);
      object.spec.deleted = "true";
      await plain.raw("PUT", `${V1}/blockaffinities/${name}`, { body: object });
      return object.metadata.uid;
    };
    const affinities = BLOCK_AFFINITY as never as typeof IPAM_BLOCK;
    await calico.create(affinities, claim("n1-10-99-0-0-26", "n1") as never);
    await mark("n1-10-99-0-0-26");
    expect((await calico.list(affinities)).items.map((a) => a.metadata.name)).not.toContain("n1-10-99-0-0-26");
    await expect(calico.get(affinities, "n1-10-99-0-0-26")).rejects.toSatisfy(isNotFound);
    await expect(kept("blockaffinities/n1-10-99-0-0-26")).rejects.toSatisfy(isNotFound);

    await calico.create(affinities, claim("n2-10-99-0-0-26", "n2") as never);
    const uid = await mark("n2-10-99-0-0-26");
    await calico.create(affinities, claim("n2-10-99-0-0-26", "n2") as never);
    const now = await kept("blockaffinities/n2-10-99-0-0-26");
    expect([now.spec.deleted, now.metadata.uid === uid]).toEqual(["false", false]);
  });

  test("deletes with the identity that was shown; another's is refused", async () => {
    const made = await calico.create(IP_POOL, {
      apiVersion: "projectcalico.org/v3",
      kind: "IPPool",
      metadata: { name: "u" },
      spec: { cidr: "10.8.0.0/16" },
    });
    const real = (await kept("ippools/u")).metadata.uid as string;
    expect([made.metadata.uid, made.metadata.uid === real]).toEqual([mirroredUid(real), false]);
    await expect(calico.delete(IP_POOL, "u", { uid: real })).rejects.toThrow("UID in the precondition");
    await calico.delete(IP_POOL, "u", { uid: made.metadata.uid! });
  });

  test("users' labels select, although the cluster does not see them; a watch tells of v3 objects and of marks", async () => {
    const pool = (name: string, labels: Record<string, string>): IPPool => ({
      apiVersion: "projectcalico.org/v3",
      kind: "IPPool",
      metadata: { name, labels },
      spec: { cidr: "10.20.0.0/16" },
    });
    const { metadata } = await calico.list(IP_POOL);
    await calico.create(IP_POOL, pool("red", { team: "red" }));
    await calico.create(IP_POOL, pool("blue", { team: "blue" }));
    expect((await calico.list(IP_POOL, { labelSelector: "team=red" })).items.map((p) => p.metadata.name)).toEqual(["red"]);
    expect((await calico.list(IP_POOL, { labelSelector: "team in (red,blue)" })).items.length).toBe(2);
    await calico.patch(IP_POOL, "red", { metadata: { labels: { team: "green" } } });

    const seen: string[] = [];
    const abort = new AbortController();
    for await (const event of calico.watch(IP_POOL, {
      resourceVersion: metadata.resourceVersion!,
      labelSelector: "team=red",
      signal: abort.signal,
    })) {
      expect([event.object.apiVersion, event.object.metadata.annotations]).toEqual(["projectcalico.org/v3", undefined]);
      seen.push(`${event.type} ${event.object.metadata.name}`);
      if (seen.length === 3) break;
    }
    abort.abort();
    // What does not match is gone for who selects.
    expect(seen).toEqual(["ADDED red", "DELETED blue", "DELETED red"]);
  });

  test("an informer lists and follows v3 objects", async () => {
    const seen = informer(calico, FELIX_CONFIGURATION);
    try {
      await seen.start();
      expect(seen.get("node.n0")!.metadata.labels).toEqual({ team: "red" });
      await ctl(["patch", "felixconfiguration", "node.n0", "-p", '{"spec":{"wireguardMTU":1380}}']);
      await vi.waitFor(() => expect(seen.get("node.n0")!.spec?.wireguardMTU).toBe(1380), 60_000);
      await ctl("delete felixconfiguration node.n0");
      await vi.waitFor(() => expect(seen.get("node.n0")).toBeUndefined(), 60_000);
      await ctl("create -f -", { stdin: "apiVersion: projectcalico.org/v3\nkind: FelixConfiguration\nmetadata: {name: node.n0}\nspec: {}\n" });
      await vi.waitFor(() => expect(seen.get("node.n0")).toBeDefined(), 60_000);
    } finally {
      await seen.stop();
    }
  });

  test("calicoAPIGroup wins over what the cluster shows", async () => {
    const { code, err } = await ctl("get felixconfig node.n0", { env: { CALICO_API_GROUP: "projectcalico.org/v3" } });
    expect([code, err.startsWith("resource does not exist: FelixConfiguration(node.n0)")]).toEqual([1, true]);
    expect((await ctl("get felixconfig node.n0", { env: { CALICO_API_GROUP: "crd.projectcalico.org/v1" } })).code).toBe(0);
    expect((await ctl("get felixconfig", { env: { CALICO_API_GROUP: "v9" } })).err).toMatch(/^Cannot use "v9" as calicoAPIGroup: /);
  });
});
