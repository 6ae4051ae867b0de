// calicoctl on a genuine Kubernetes API server, with Calico's resources in each of Calico's three layouts. test/calicoctl/layouts.test.ts has the translation
// in detail; here are the rules of a real server: definitions that drop what they do not declare, conflicts, preconditions, status as a subresource of its own.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { assign, release } from "../../src/agent/ipam/ipam.ts";
import { FELIX_CONFIGURATION } from "../../src/api/felixconfiguration.ts";
import { NODE } from "../../src/api/node.ts";
import { informer } from "../../src/client/informer.ts";
import { calicoClient } from "../../src/client/layouts/index.ts";
import { mirroredUid } from "../../src/client/layouts/uid.ts";
import type { RestClient } from "../../src/client/rest.ts";
import { type Ran, RealServer } from "../client/server.ts";
import { Etcd } from "../etcd/etcd.ts";
import { describeWith } from "../peers.ts";
import { ApiServer, V1_DEFINITIONS, V3_DEFINITIONS } from "./server.ts";

// oxlint-disable-next-line typescript/no-explicit-any
type Any = any;
const ok = (out: string): Ran => ({ code: 0, out, err: "" });

describeWith(["kubernetes-apiserver", "etcd"], "calicoctl on a genuine Kubernetes", () => {
  // Not started but by the last test: it runs the command line.
  const programs = new RealServer();
  afterAll(() => programs.dispose());

  describe.each([
    { layout: "A", definitions: V1_DEFINITIONS },
    { layout: "B", definitions: [...V1_DEFINITIONS, ...V3_DEFINITIONS] },
    { layout: "C", definitions: V3_DEFINITIONS },
  ])("layout $layout", ({ layout, definitions }) => {
    const kept = layout === "C" ? "projectcalico.org/v3" : "crd.projectcalico.org/v1";
    const settings = layout === "C" ? "ipamconfigurations" : "ipamconfigs";
    let etcd: Etcd;
    let cluster: ApiServer;
    let plain: RestClient;
    let calico: RestClient;
    const ctl = (line: string[] | string, stdin?: string): Promise<Ran> =>
      programs.run("calicoctl", typeof line === "string" ? line.split(" ") : line, {
        ...(stdin === undefined ? {} : { stdin }),
        env: { DATASTORE_TYPE: "kubernetes", KUBECONFIG: cluster.kubeconfig },
      });
    const stored = (path: string): Promise<Any> => plain.raw("GET", `/apis/${kept}/${path}`);
    const pool = (name: string, spec: string, meta = ""): string =>
      `apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata:\n  name: ${name}\n${meta}spec: ${spec}\n`;
    beforeAll(async () => {
      etcd = await Etcd.start();
      cluster = await ApiServer.start(etcd);
      plain = cluster.client();
      calico = calicoClient(cluster.client());
      await cluster.define(definitions);
      const spec = { calicoVersion: "v3.31.0", clusterType: "k8s,bgp", clusterGUID: "g", datastoreReady: true };
      await plain.raw("POST", `/apis/${kept}/clusterinformations`, {
        body: { apiVersion: kept, kind: "ClusterInformation", metadata: { name: "default" }, spec },
      });
    });
    afterAll(async () => {
      await cluster.dispose();
      await etcd.remove();
    });

    test("create, get, apply, replace, label, patch, delete", async () => {
      expect(await ctl("create -f -", pool("p", "{cidr: 10.4.0.0/16}"))).toEqual(ok("Successfully created 1 'IPPool' resource(s)\n"));
      const first = await stored("ippools/p");
      expect([first.apiVersion, first.kind]).toEqual([kept, "IPPool"]);
      expect((await ctl("create -f -", pool("p", "{cidr: 10.4.0.0/16}"))).err).toMatch(
        /^failed to create 'IPPool' resource: \[resource already exists: IPPool\(p\) with error: /,
      );
      expect(await ctl("apply -f -", pool("p", "{cidr: 10.4.0.0/16, natOutgoing: true}"))).toEqual(
        ok("Successfully applied 1 'IPPool' resource(s)\n"),
      );
      const stale = `  resourceVersion: "${first.metadata.resourceVersion}"\n`;
      expect((await ctl("replace -f -", pool("p", "{cidr: 10.4.0.0/16}", stale))).err).toBe(
        "failed to replace 'IPPool' resource: [update conflict: IPPool(p)]\n",
      );
      expect((await ctl("delete -f -", pool("p", "{cidr: 10.4.0.0/16}", stale))).err).toBe(
        "Failed to delete 'IPPool' resource: update conflict: IPPool(p)\n",
      );
      expect(await ctl("label ippool p rack=b2")).toEqual(ok("Successfully set label rack on ippool p\n"));
      expect(await ctl(["patch", "ippool", "p", "-p", '{"spec":{"disabled":true}}'])).toEqual(ok("Successfully patched 1 'IPPool' resource\n"));
      const last = await stored("ippools/p");
      expect([last.spec.natOutgoing, last.spec.disabled]).toEqual([true, true]);
      expect([last.metadata.uid, last.metadata.creationTimestamp]).toEqual([first.metadata.uid, first.metadata.creationTimestamp]);
      expect(last.metadata.labels).toEqual(layout === "C" ? { rack: "b2" } : undefined);
      const { out } = await ctl("get ippool p -o yaml");
      expect(out).toContain("  labels:\n    rack: b2\n");
      expect(out).toContain(`  uid: ${layout === "C" ? first.metadata.uid : mirroredUid(first.metadata.uid)}\n`);
      expect(await ctl("get ippools -o custom-columns=NAME,CIDR,NAT,DISABLED")).toEqual(
        ok("NAME   CIDR          NAT    DISABLED   \np      10.4.0.0/16   true   true       \n\n"),
      );
      expect(await ctl("delete ippool p")).toEqual(ok("Successfully deleted 1 'IPPool' resource(s)\n"));
      expect((await ctl("delete ippool p")).err).toMatch(/^Failed to delete 'IPPool' resource: resource does not exist: IPPool\(p\) with error: /);
    });

    test("the documented way to switch encryption on and off", async () => {
      const felix = (name: string, spec: string): string =>
        `apiVersion: projectcalico.org/v3\nkind: FelixConfiguration\nmetadata: {name: ${name}}\nspec: ${spec}\n`;
      await ctl("create -f -", felix("default", "{logSeverityScreen: Info}"));
      const patch = '{"spec":{"wireguardEnabled":true}}';
      expect(await ctl(["patch", "felixconfiguration", "default", "--type=merge", "-p", patch])).toEqual(
        ok("Successfully patched 1 'FelixConfiguration' resource\n"),
      );
      const seen = informer(calico, FELIX_CONFIGURATION);
      await seen.start();
      try {
        expect(seen.get("default")).toMatchObject({
          apiVersion: "projectcalico.org/v3",
          spec: { logSeverityScreen: "Info", wireguardEnabled: true },
        });
        await ctl("create -f -", felix("node.n0", "{wireguardEnabled: false}"));
        await vi.waitFor(() => expect(seen.get("node.n0")?.spec).toEqual({ wireguardEnabled: false }), { timeout: 60_000, interval: 20 });
        await ctl("delete felixconfig node.n0");
        await vi.waitFor(() => expect(seen.get("node.n0")).toBeUndefined(), { timeout: 60_000, interval: 20 });
      } finally {
        await seen.stop();
      }
      expect((await ctl("create -f -", felix("node.x", "{wireguardEnabled: maybe}"))).code).toBe(1);
      expect((await stored("felixconfigurations")).items.map((o: Any) => o.metadata.name)).toEqual(["default"]);
    });

    test("a node's fields are annotations of Kubernetes' Node", async () => {
      await plain.create(NODE, { apiVersion: "v1", kind: "Node", metadata: { name: "n0", labels: { zone: "a" } } });
      const patch = '{"spec":{"bgp":{"ipv4Address":"10.0.0.5/24"}}}';
      expect(await ctl(["patch", "node", "n0", "-p", patch])).toEqual(ok("Successfully patched 1 'Node' resource\n"));
      expect((await plain.get(NODE, "n0")).metadata.annotations).toEqual({ "projectcalico.org/IPv4Address": "10.0.0.5/24" });
      expect(await ctl("get nodes -o wide")).toEqual(ok("NAME   ASN       IPV4          IPV6   \nn0     (64512)   10.0.0.5/24          \n\n"));
      expect((await ctl("get node n0 -o yaml")).out).toContain("    zone: a\n");
    });

    test("IPAM: configure, take addresses, show, check, release; split of a locked datastore", async () => {
      expect(await ctl("ipam configure --strictaffinity=true --max-blocks-per-host=3")).toEqual(
        ok("Successfully set StrictAffinity to: true\nSuccessfully set MaxBlocksPerHost to: 3\n"),
      );
      expect((await stored(`${settings}/default`)).spec).toMatchObject({ strictAffinity: true, maxBlocksPerHost: 3 });
      expect((await ctl("ipam show --show-configuration")).out).toContain("| MaxBlocksPerHost   |     3 |\n");
      await ctl(
        "create -f -",
        `${pool("a", "{cidr: 10.66.0.0/24, blockSize: 28, nodeSelector: zone == 'a'}")}---\n${pool("six", "{cidr: 'fd00:66::/64'}")}`,
      );
      const pod = { node: "n0", handle: "Upper-Case", use: "Workload", attributes: { node: "n0", pod: "web", namespace: "default" } } as const;
      const four = await assign(calico, pod);
      const six = await assign(calico, { ...pod, version: 6 });
      const dashed = (cidr: string): string => cidr.replace(/[.:/]/g, "-");
      expect((await stored(`ipamblocks/${dashed(four.block)}`)).spec.allocations.filter((a: unknown) => a !== null)).toEqual([0]);
      expect((await stored(`blockaffinities/n0-${dashed(six.block)}`)).spec).toEqual({
        state: "confirmed",
        node: "n0",
        type: "host",
        cidr: six.block,
        deleted: layout === "C" ? false : "false",
      });
      expect((await stored("ipamhandles/upper-case")).spec).toMatchObject({ handleID: "Upper-Case", block: { [four.block]: 1, [six.block]: 1 } });
      const shown = (await ctl("ipam show --show-blocks")).out;
      for (const text of ["| IP Pool  | 10.66.0.0/24 ", `| Block    | ${four.block} `, "| IP Pool  | fd00:66::/64 ", `| Block    | ${six.block} `])
        expect(shown).toContain(text);
      expect((await ctl(`ipam show --ip=${six.address}`)).out).toContain(`IP ${six.address} is in use\nHandle ID: Upper-Case\n`);
      expect((await ctl("ipam check")).out).toContain("Found 2 IPs that are allocated in IPAM but not actually in use.\n");
      expect(await ctl(`ipam release --ip=${six.address}`)).toEqual(ok(`Successfully released IP address ${six.address}\n`));
      expect((await ctl(`ipam release --ip=${six.address}`)).err).toBe(`IP address ${six.address} is not assigned\n`);
      await release(calico, "Upper-Case");
      expect((await stored("ipamhandles")).items).toEqual([]);

      expect((await ctl("ipam split 2 --name=a")).err).toMatch(/^datastore is not locked\. /);
      expect(await ctl("datastore migrate lock")).toEqual(ok("Datastore locked.\n"));
      await expect(assign(calico, pod)).rejects.toThrow("the datastore is locked");
      expect((await ctl("ipam split 2 --name=a")).out).toContain("Successfully split IP pool a into 2 IP pools:\n");
      expect(await ctl("datastore migrate unlock")).toEqual(ok("Datastore unlocked.\n"));
      const pools = (await stored("ippools")).items.map((p: Any) => [p.metadata.name, p.spec.cidr, p.spec.nodeSelector]);
      expect(pools.slice(1)).toEqual([
        ["split-a-0", "10.66.0.0/25", "zone == 'a'"],
        ["split-a-1", "10.66.0.128/25", "zone == 'a'"],
      ]);
    });

    test("the cluster's version is Calico's own and no mismatch; nothing is exported from it", async () => {
      const v3 = definitions.filter((d) => layout === "B" && d.spec.group === "projectcalico.org");
      for (const { spec } of v3)
        expect(
          (await plain.raw<Any>("GET", `/apis/projectcalico.org/v3/${spec.names.plural}`)).items,
          "v1 is kept: nothing was written to v3",
        ).toEqual([]);
      expect((await ctl("version")).out).toContain("Cluster Version:  v3.31.0\nCluster Type:     k8s,bgp\n");
      expect((await ctl("datastore migrate export")).err).toMatch(/^invalid datastore type: kubernetes to export from /);
    });
  });

  test("what a tortie server kept moves to a cluster of Kubernetes", async () => {
    const etcd = await Etcd.start();
    const cluster = await ApiServer.start(etcd);
    const directory = mkdtempSync(join(tmpdir(), "tortie-migrate-"));
    const on = (env: NodeJS.ProcessEnv, line: string, stdin?: string): Promise<Ran> =>
      programs.run("calicoctl", line.split(" "), { env, ...(stdin === undefined ? {} : { stdin }) });
    try {
      await programs.start();
      await on({}, "create -f -", "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: p}\nspec: {cidr: 10.7.0.0/24, blockSize: 28}\n");
      const { address } = await assign(programs.client, { node: "n0", handle: "h", use: "Workload", attributes: { node: "n0" } });
      expect(await on({}, "datastore migrate lock")).toEqual(ok("Datastore locked.\n"));
      const exported = await on({}, "datastore migrate export");
      expect(exported.code).toBe(0);
      const file = join(directory, "all.txt");
      writeFileSync(file, exported.out);

      const there = { DATASTORE_TYPE: "kubernetes", KUBECONFIG: cluster.kubeconfig };
      expect((await on(there, `datastore migrate import -f ${file}`)).err).toMatch(/^cannot import: the cluster does not know the kind IPPool\n/);
      await cluster.define(V1_DEFINITIONS);
      const body = { apiVersion: "crd.projectcalico.org/v1", kind: "ClusterInformation", metadata: { name: "default" }, spec: {} };
      await cluster.client().raw("POST", "/apis/crd.projectcalico.org/v1/clusterinformations", { body });
      const imported = await on(there, `datastore migrate import -f ${file}`);
      expect([imported.code, imported.err]).toEqual([0, ""]);
      expect(imported.out).toContain("Datastore information successfully imported. ");
      expect((await on(there, `ipam show --ip=${address}`)).out).toContain(`IP ${address} is in use\nHandle ID: h\n`);
      const before = await on({}, "get ippool p -o yaml --export");
      expect(await on(there, "get ippool p -o yaml --export")).toEqual(before);
    } finally {
      rmSync(directory, { recursive: true, force: true });
      await cluster.dispose();
      await etcd.remove();
    }
  });
});
