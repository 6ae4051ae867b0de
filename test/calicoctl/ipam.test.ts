// calicoctl ipam, node status, datastore migrate and convert against the real server: L05, L18, L24 and L25 of Calico's conformance list, and its tables.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { assign, release } from "../../src/agent/ipam/ipam.ts";
import { assignPodAddress } from "../../src/agent/ipam/index.ts";
import { CLUSTER_INFORMATION } from "../../src/api/clusterinformation.ts";
import { IPAM_BLOCK } from "../../src/api/ipamblock.ts";
import { IPAM_HANDLE } from "../../src/api/ipamhandle.ts";
import { NODE } from "../../src/api/node.ts";
import { ANNOTATION } from "../../src/api/node-annotations.ts";
import { POD } from "../../src/api/pod.ts";
import { type Ran, RealServer } from "../client/server.ts";

const servers: RealServer[] = [];
async function started(): Promise<RealServer> {
  const server = new RealServer();
  servers.push(server);
  await server.start();
  return server;
}
let server: RealServer;
beforeAll(async () => {
  server = await started();
});
afterAll(() => Promise.all(servers.map((s) => s.dispose())));

const ctl = (line: string[] | string, options: { stdin?: string; env?: NodeJS.ProcessEnv } = {}, on = server): Promise<Ran> =>
  on.run("calicoctl", typeof line === "string" ? line.split(" ") : line, options);
const ok = (out: string): Ran => ({ code: 0, out, err: "" });
const failed = (err: string): Ran => ({ code: 1, out: "", err });
const pool = (name: string, cidr: string, extra = ""): string =>
  `apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata:\n  name: ${name}\nspec:\n  cidr: ${cidr}\n${extra}`;

/** A pod of `node` that runs with `address`. */
async function run(name: string, node: string, address: string): Promise<void> {
  const made = await server.client.create(
    POD,
    { apiVersion: "v1", kind: "Pod", metadata: { name }, spec: { nodeName: node, containers: [{ name: "c", image: "i" }] } },
    { namespace: "default" },
  );
  await server.client.updateStatus(POD, { ...made, status: { phase: "Running", podIP: address } }, { namespace: "default" });
}

describe("ipam", () => {
  let web = "";
  let lost = "";
  let tunnel = "";
  beforeAll(async () => {
    expect((await ctl("create -f -", { stdin: pool("p4", "10.65.0.0/16", "  blockSize: 28\n") })).err).toBe("");
    ({ address: web } = await assignPodAddress(server.client, { node: "n0", namespace: "default", pod: "web" }));
    ({ address: lost } = await assignPodAddress(server.client, { node: "n0", namespace: "default", pod: "lost" }));
    await run("web", "n0", web);
    const handle = "wireguard-tunnel-addr-n0";
    const attributes = { node: "n0", type: "wireguardTunnelAddress" };
    ({ address: tunnel } = await assign(server.client, { node: "n0", handle, use: "Tunnel", attributes }));
    await server.client.create(NODE, {
      apiVersion: "v1",
      kind: "Node",
      metadata: { name: "n0", annotations: { [ANNOTATION.interfaceIPv4Address]: tunnel } },
    });
  });

  test("show: pools, and their blocks", async () => {
    const block = (await server.client.list(IPAM_BLOCK)).items[0]!.spec.cidr;
    expect(await ctl("ipam show")).toEqual(
      ok(`+----------+--------------+-----------+------------+--------------+--------------+
| GROUPING |     CIDR     | IPS TOTAL | IPS IN USE | IPS RESERVED |   IPS FREE   |
+----------+--------------+-----------+------------+--------------+--------------+
| IP Pool  | 10.65.0.0/16 |     65536 | 3 (0%)     | 0 (0%)       | 65533 (100%) |
+----------+--------------+-----------+------------+--------------+--------------+
`),
    );
    const { out } = await ctl("ipam show --show-blocks");
    expect(out.split("\n")[4]!.replace(/ +/g, " ")).toBe(`| Block | ${block} | 16 | 3 (19%) | 0 (0%) | 13 (81%) |`);
  });

  test("show --ip: who holds an address", async () => {
    expect(await ctl(`ipam show --ip=${tunnel}`)).toEqual(
      ok(`IP ${tunnel} is in use\nHandle ID: wireguard-tunnel-addr-n0\nActive Owner Attributes:\n  node: n0\n  type: wireguardTunnelAddress\n`),
    );
    expect((await ctl(["ipam", "show", "--ip", web])).out).toContain("  namespace: default\n  node: n0\n  pod: web\n");
    expect(await ctl("ipam show --ip=10.65.255.255")).toEqual(ok("10.65.255.255 is not assigned\n"));
    expect(await ctl("ipam show --ip=10.65.0")).toEqual(failed("invalid IP address: 10.65.0\n"));
  });

  test("show --show-borrowed", async () => {
    const block = (await server.client.list(IPAM_BLOCK)).items[0]!;
    const { attributes } = block.spec;
    const index = attributes.findIndex((a) => a.secondary?.pod === "lost");
    const changed = attributes.map((a, i) => (i === index ? { ...a, secondary: { ...a.secondary, node: "n9" } } : a));
    const lent = await server.client.update(IPAM_BLOCK, { ...block, spec: { ...block.spec, attributes: changed } });
    const { out } = await ctl("ipam show --show-borrowed");
    const [, headings, , row, ...rest] = out.trim().split("\n");
    expect(headings!.replace(/ +/g, " ")).toBe("| IP | BORROWING-NODE | BLOCK | BLOCK OWNER | TYPE | ALLOCATED-TO |");
    expect(row!.replace(/ +/g, " ")).toBe(`| ${lost} | n9 | ${block.spec.cidr} | n0 | pod | default/lost |`);
    expect(rest.length).toBe(1);
    await server.client.update(IPAM_BLOCK, { ...lent, spec: { ...lent.spec, attributes } });
  });

  test("configure, and show --show-configuration", async () => {
    const table = (strict: string, most: string): string => `+--------------------+-------+
|      PROPERTY      | VALUE |
+--------------------+-------+
| StrictAffinity     | ${strict} |
| AutoAllocateBlocks | true  |
| MaxBlocksPerHost   | ${most} |
+--------------------+-------+
`;
    expect(await ctl("ipam show --show-configuration")).toEqual(ok(table("false", "    0")));
    expect(await ctl("ipam configure --strictaffinity=true --max-blocks-per-host=4")).toEqual(
      ok("Successfully set StrictAffinity to: true\nSuccessfully set MaxBlocksPerHost to: 4\n"),
    );
    expect(await ctl("ipam show --show-configuration")).toEqual(ok(table("true ", "    4")));
    expect(await ctl("get ipamconfig -o wide")).toEqual(
      ok(
        "NAME      STRICTAFFINITY   AUTOALLOCATEBLOCKS   MAXBLOCKSPERHOST   \ndefault   true             true                 4                  \n\n",
      ),
    );
    expect(await ctl("ipam configure --strictaffinity=false --max-blocks-per-host=0")).toEqual(
      ok("Successfully set StrictAffinity to: false\nSuccessfully set MaxBlocksPerHost to: 0\n"),
    );
    expect(await ctl("ipam configure")).toEqual(failed("at least one configuration option must be specified\n"));
    expect(await ctl("ipam configure --strictaffinity=maybe")).toEqual(failed("invalid value. Use true or false to set strictaffinity\n"));
    expect((await ctl("ipam configure --max-blocks-per-host=-1")).code).toBe(1);
  });

  test("strict affinity and the most blocks are kept by IPAM", async () => {
    expect((await ctl("create -f -", { stdin: pool("tiny", "10.77.0.0/27", "  blockSize: 28\n  allowedUses: [Workload]\n") })).code).toBe(0);
    await ctl(["patch", "ippool", "p4", "-p", '{"spec":{"disabled":true}}']);
    const take = (node: string, i: number): Promise<{ address: string }> =>
      assignPodAddress(server.client, { node, namespace: "t", pod: `${node}-${i}` });
    try {
      await ctl("ipam configure --max-blocks-per-host=1");
      // Two blocks of 16: the first node fills its own and then borrows, because it may not claim the second.
      for (let i = 0; i < 16; i++) await take("t0", i);
      await take("t1", 0);
      const { address } = await take("t0", 16);
      expect((await ctl("ipam show --show-borrowed")).out).toContain(`| ${address} `);
      await ctl("ipam configure --strictaffinity=true");
      await expect(take("t0", 17)).rejects.toThrow('Cannot give node "t0" an address: every block of 10.77.0.0/27 that it may use is full');
    } finally {
      await ctl("ipam configure --strictaffinity=false --max-blocks-per-host=0");
      await ctl(["patch", "ippool", "p4", "-p", '{"spec":{"disabled":false}}']);
      for (let i = 0; i < 18; i++) await release(server.client, `k8s-pod-network.t.t0-${i}`);
      await release(server.client, "k8s-pod-network.t.t1-0");
      await ctl("delete ippool tiny");
      for (const b of (await server.client.list(IPAM_BLOCK)).items)
        if (b.spec.cidr.startsWith("10.77.")) await server.client.delete(IPAM_BLOCK, b.metadata.name);
    }
  });

  test("check: leaks are found, reported and released", async () => {
    const report = join(server.directory, "report.json");
    const { code, out } = await ctl(["ipam", "check", "--show-problem-ips", "-o", report]);
    expect(code).toBe(0);
    expect(out.startsWith("Checking IPAM for inconsistencies...\n\nLoading all IPAM blocks...\nFound 1 IPAM blocks.\n IPAM block 10.65.")).toBe(true);
    for (const line of [
      "IPAM blocks record 3 allocations.",
      "  10.65.0.0/16\nFound 1 active IP pools.",
      "Found 1 node tunnel IPs.",
      "Found 1 workload IPs.",
      "Workloads and nodes are using 2 IPs.",
      "  n0 has 3 allocations\nNode with most allocations has 3; median is 3",
      `  ${lost} leaked; attrs handle=k8s-pod-network.default.lost node=n0 pod=lost namespace=default`,
      "Found 1 IPs that are allocated in IPAM but not actually in use.",
      "Found 0 in-use IPs that are not in active IP pools.",
      "Found 0 in-use IPs that are in active IP pools but have no corresponding IPAM allocation.",
      "Found 0 handles with no matching IPs (and 3 handles with matches).",
      "Found 0 handles mentioned in blocks with no matching handle resource.",
    ])
      expect(out).toContain(`${line}\n`);
    expect(out.endsWith("Check complete; found 1 problems.\n")).toBe(true);
    expect((await ctl("ipam check --show-all-ips")).out).toContain(`  ${web} allocated; attrs handle=k8s-pod-network.default.web `);

    const unlocked = await ctl(["ipam", "release", "--from-report", report]);
    expect([unlocked.code, unlocked.out]).toEqual([1, ""]);
    expect(unlocked.err).toMatch(/^datastore is not locked\. /);
    const foreign = join(server.directory, "foreign.json");
    writeFileSync(foreign, readFileSync(report, "utf8").replace(/"clusterGUID": "[^"]*"/, '"clusterGUID": "another"'));
    expect((await ctl(["ipam", "release", "--force", "--from-report", foreign])).err).toContain("it is of another cluster (another, ");
    const older = join(server.directory, "older.json");
    writeFileSync(older, readFileSync(report, "utf8").replace(/"version": "[^"]*"/, '"version": "0.0.1"'));
    expect((await ctl(["ipam", "release", "--force", "--from-report", report, "--from-report", older])).err).toContain(
      "it was written by version 0.0.1",
    );
    expect((await ctl("ipam release --force --from-report /nonexistent")).err).toMatch(
      /^cannot read the report \/nonexistent: no such file or directory\n/,
    );

    expect(await ctl("datastore migrate lock")).toEqual(ok("Datastore locked.\n"));
    await expect(assignPodAddress(server.client, { node: "n0", namespace: "default", pod: "late" })).rejects.toThrow("the datastore is locked");
    expect(await ctl(["ipam", "release", "--from-report", report, "--from-report", report])).toEqual(
      ok("Releasing 1 old IPs...\nReleased 1 IPs successfully\nYou may now unlock the data store.\n"),
    );
    expect((await ctl(["ipam", "release", "--from-report", report])).out).toContain(`  ${lost} skipped: it is not what the report says any more\n`);
    expect(await ctl("datastore migrate unlock")).toEqual(ok("Datastore unlocked.\n"));
    expect((await ctl("ipam check")).out).toContain("Check complete; found 0 problems.\n");
  });

  test("release --ip frees the address and its handle", async () => {
    const { address } = await assignPodAddress(server.client, { node: "n0", namespace: "default", pod: "gone" });
    expect(await ctl(`ipam release --ip=${address}`)).toEqual(ok(`Successfully released IP address ${address}\n`));
    expect(await ctl(`ipam release --ip=${address}`)).toEqual(failed(`IP address ${address} is not assigned\n`));
    expect((await server.client.list(IPAM_HANDLE)).items.map((h) => h.spec.handleID)).not.toContain("k8s-pod-network.default.gone");
    expect((await ctl("ipam release")).err).toMatch(/^Cannot release: give either --ip or --from-report/);
    expect((await ctl("ipam release --ip=10.0.0.0/8")).err).toBe("invalid IP address: 10.0.0.0/8\n");
  });

  test("L24 split: by name and by CIDR, only when locked, only what is there", async () => {
    const text = pool("big", "10.80.0.0/16", "  natOutgoing: true\n  vxlanMode: Always\n  blockSize: 28\n");
    expect((await ctl("create -f -", { stdin: text })).code).toBe(0);
    const unlocked = await ctl("ipam split 4 --name=big");
    expect(unlocked).toEqual(failed("datastore is not locked. Run the `calicoctl datastore migrate lock` command in order to begin the split\n"));
    await ctl("datastore migrate lock");
    expect((await ctl("ipam split 4 --name=none")).err).toBe("unable to find IP pool none\n");
    expect((await ctl("ipam split 4 --cidr=10.81.0.0/16")).err).toBe("unable to find IP pool covering the specified CIDR 10.81.0.0/16\n");
    expect((await ctl("ipam split 3 --name=big")).err).toBe("cannot split into 3 IP pools: the number must be a power of 2, from 2 to 4096\n");
    expect((await ctl("ipam split 16 --name=big")).code).toBe(0);
    expect((await ctl("get ippools -o name")).out.split("\n").filter((l) => l.includes("/split-big-")).length).toBe(16);
    const last = await ctl("get ippool split-big-15 -o yaml --export");
    expect(last.out).toContain("  cidr: 10.80.240.0/20\n");
    expect(last.out).toContain("  natOutgoing: true\n");
    expect(last.out).toContain("  vxlanMode: Always\n");
    expect((await ctl("get ippool big")).code).toBe(1);
    expect((await ctl("ipam split 512 --cidr=10.80.0.0/20")).err).toMatch(/each would be smaller than a block of \/28\n$/);
    expect(await ctl("ipam split 2 --cidr=10.65.0.0/16")).toEqual(
      ok(
        "Successfully split IP pool p4 into 2 IP pools:\n  split-p4-0 10.65.0.0/17\n  split-p4-1 10.65.128.0/17\nYou may now unlock the data store.\n",
      ),
    );
    await ctl("datastore migrate unlock");
    expect((await ctl("ipam check")).out).toContain("found 0 problems");
  });

  test("L05 a broken datastore configuration is an error for ipam too; L18 so is a cluster of another version", async () => {
    const broken = join(server.directory, "broken.cfg");
    writeFileSync(broken, "apiVersion: projectcalico.org/v3\nkind: CalicoAPIConfig\nspec:\n  kubeconfig: /nonexistent\n");
    for (const line of ["ipam show", "ipam check", "ipam release --ip=10.0.0.1", "ipam configure --strictaffinity=true", "datastore migrate lock"]) {
      const ran = await ctl([...line.split(" "), "-c", broken]);
      expect([ran.code, ran.out]).toEqual([1, ""]);
      expect(ran.err).toMatch(/^Failed to create Calico API client: /);
    }
    const own = (await server.client.get(CLUSTER_INFORMATION, "default")).spec!.calicoVersion!;
    await server.client.patch(CLUSTER_INFORMATION, "default", { spec: { calicoVersion: "v9.8.7" } });
    expect((await ctl("ipam show")).err).toMatch(/^version mismatch\./);
    await server.client.patch(CLUSTER_INFORMATION, "default", { spec: { calicoVersion: own } });
  });
});

describe("datastore migrate", () => {
  test("L25 export and import round trip; wrong states are refused", async () => {
    const felix =
      "apiVersion: projectcalico.org/v3\nkind: FelixConfiguration\nmetadata:\n  name: node.n0\n  labels: {a: b}\nspec:\n  wireguardMTU: 1400\n";
    expect((await ctl("apply -f -", { stdin: felix })).code).toBe(0);
    expect(await ctl("datastore migrate export")).toEqual(
      failed("datastore is not locked. Run the `calicoctl datastore migrate lock` command in order to begin migration\n"),
    );
    await ctl("datastore migrate lock");
    const exported = await ctl("datastore migrate export");
    expect([exported.code, exported.err]).toEqual([0, ""]);
    const file = join(server.directory, "all.txt");
    writeFileSync(file, exported.out);
    const before = await ctl("ipam show --show-blocks");
    expect(await ctl(`ipam show --show-blocks --from-snapshot ${file}`, { env: { TORTIE_SOCKET: "/nonexistent" } })).toEqual(before);

    const other = await started();
    const guid = (await server.client.get(CLUSTER_INFORMATION, "default")).spec!.clusterGUID;
    await other.client.patch(CLUSTER_INFORMATION, "default", { spec: { calicoVersion: "v9.9.9" } });
    const imported = await ctl(`datastore migrate import -f ${file}`, {}, other); // of another version: not gated
    expect([imported.code, imported.err]).toEqual([0, ""]);
    expect(imported.out).toMatch(
      /^\[WARNING\] Attempted to import node n0 from etcd that references a nonexistent Kubernetes node\. .*\nDatastore information successfully imported\. /,
    );
    await other.client.patch(CLUSTER_INFORMATION, "default", { spec: { calicoVersion: "" } });
    expect((await other.client.get(CLUSTER_INFORMATION, "default")).spec).toMatchObject({ clusterGUID: guid, datastoreReady: false });
    expect(await ctl("ipam show --show-blocks", {}, other)).toEqual(before);
    expect((await ctl("get felixconfig node.n0 -o yaml --export", {}, other)).out).toBe((await ctl("get felixconfig node.n0 -o yaml --export")).out);
    const again = await ctl("datastore migrate export", {}, other);
    // All but the node, whose agent is not there, and ClusterInformation's own dates.
    expect(again.out.split("===\n")[2]).toBe(exported.out.split("===\n")[2]);

    const full = await ctl(`datastore migrate import -f ${file}`, {}, other);
    expect([full.code, full.out]).toEqual([1, ""]);
    expect(full.err).toMatch(/^datastore is not empty: there is a IPPool, /);
    const [resources, cluster] = exported.out.split("===\n");
    writeFileSync(file, `${resources}===\n${cluster}`);
    expect((await ctl(`datastore migrate import -f ${file}`, {}, other)).err).toBe("no IPAM resources specified in file\n");
    expect((await ctl("datastore migrate import -f /nonexistent", {}, other)).err).toBe("cannot read /nonexistent: no such file or directory\n");
    expect((await ctl("datastore migrate import", {}, other)).code).toBe(1);
    await ctl("datastore migrate unlock");
  });
});

describe("node status", () => {
  test("without an agent in this network namespace", async () => {
    const ran = await ctl("node status");
    expect([ran.code, ran.out]).toEqual([1, ""]);
    expect(ran.err).toMatch(/^Calico process is not running\.\n/);
  });
});

describe("convert", () => {
  const V1 = `apiVersion: v1
kind: ipPool
metadata:
  cidr: 192.168.0.0/16
spec:
  ipip:
    enabled: true
    mode: cross-subnet
  nat-outgoing: true
---
- apiVersion: v1
  kind: node
  metadata:
    name: N1
  spec:
    bgp:
      asNumber: 64512
      ipv4Address: 10.0.0.1/24
`;
  const env = { TORTIE_SOCKET: "/nonexistent.sock" };

  test("pools and nodes of v1, without a server; validate takes the result", async () => {
    const { code, out } = await ctl("convert -f -", { stdin: V1, env });
    expect(code).toBe(0);
    expect(out).toBe(`apiVersion: projectcalico.org/v3
kind: IPPool
metadata:
  name: 192-168-0-0-16
spec:
  blockSize: 26
  cidr: 192.168.0.0/16
  ipipMode: CrossSubnet
  natOutgoing: true
  vxlanMode: Never
---
apiVersion: projectcalico.org/v3
kind: Node
metadata:
  name: n1
spec:
  bgp:
    asNumber: 64512
    ipv4Address: 10.0.0.1/24
`);
    expect(await ctl("validate -f -", { stdin: out, env })).toEqual(ok("Successfully validated 2 resource(s)\n"));
    const json = JSON.parse((await ctl("convert -f - -o json", { stdin: V1, env })).out) as { kind: string }[];
    expect(json.map((r) => r.kind)).toEqual(["IPPool", "Node"]);
  });

  test("what is not of v1, and what v3 does not take", async () => {
    const v3 = pool("p", "10.0.0.0/16");
    expect((await ctl("convert -f -", { stdin: v3, env })).err).toBe(
      "failed to execute command: unknown resource type (IPPool) and/or version (projectcalico.org/v3)\n",
    );
    const bits = V1.replace("192.168.0.0/16", "192.168.0.1/16");
    expect((await ctl("convert -f -", { stdin: bits, env })).err).toBe(
      "error with field spec.cidr = '192.168.0.1/16' (IPPool CIDR must be strictly masked)\n",
    );
    expect((await ctl("convert -f - --ignore-validation", { stdin: bits, env })).code).toBe(0);
  });
});
