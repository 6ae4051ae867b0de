// What is not calicoctl, on a cluster that keeps Calico's resources as Calico does (layouts A and B): our kubectl, status, the audit's view of the cluster.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { FELIX_CONFIGURATION } from "../../src/api/felixconfiguration.ts";
import { IPAM_BLOCK } from "../../src/api/ipamblock.ts";
import { NODE } from "../../src/api/node.ts";
import { documentOfCluster } from "../../src/cli/audit/inventory.ts";
import { calicoClient } from "../../src/client/layouts/index.ts";
import type { RestClient } from "../../src/client/rest.ts";
import { CalicoCluster } from "../calicoctl/calicocluster.ts";
import { RealServer } from "./server.ts";

// Not started: it only runs the command line.
const programs = new RealServer();
afterAll(() => programs.dispose());

describe.each(["A", "B"] as const)("layout %s", (layout) => {
  const cluster = new CalicoCluster(layout);
  const kubeconfig = join(programs.directory, `${layout}.kubeconfig`);
  let calico: RestClient;
  beforeAll(async () => {
    await cluster.start();
    const config = {
      "current-context": "m",
      clusters: [{ name: "c", cluster: { server: cluster.url } }],
      contexts: [{ name: "m", context: { cluster: "c" } }],
    };
    writeFileSync(kubeconfig, JSON.stringify(config));
    calico = calicoClient(cluster.client());
    await calico.create(NODE, {
      apiVersion: "v1",
      kind: "Node",
      metadata: { name: "n1", annotations: { "projectcalico.org/IPv4Address": "192.0.2.1/24" } },
    });
    await calico.create(FELIX_CONFIGURATION, {
      apiVersion: "projectcalico.org/v3",
      kind: "FelixConfiguration",
      metadata: { name: "default" },
      spec: { wireguardEnabled: true, wireguardListeningPort: 51_999 },
    });
    await calico.create(IPAM_BLOCK, {
      apiVersion: "projectcalico.org/v3",
      kind: "IPAMBlock",
      metadata: { name: "10-1-0-0-26" },
      spec: { cidr: "10.1.0.0/26", affinity: "host:n1", allocations: [], unallocated: [], attributes: [], deleted: false, strictAffinity: false },
    });
  });
  afterAll(() => cluster.stop());
  const run = (line: string, stdin = ""): ReturnType<RealServer["run"]> => {
    const [name, ...args] = line.split(" ");
    return programs.run(name!, args, { stdin, env: { KUBECONFIG: kubeconfig } });
  };
  const felix = (spec: object): string =>
    JSON.stringify({ apiVersion: "projectcalico.org/v3", kind: "FelixConfiguration", metadata: { name: "node.n1" }, spec });

  test("our kubectl: apply, get as table and as object, patch", async () => {
    const named = "felixconfiguration.projectcalico.org/node.n1";
    expect(await run("kubectl apply -f -", felix({ wireguardMTU: 1400 }))).toEqual({ code: 0, out: `${named} created\n`, err: "" });
    expect((await run("kubectl apply -f -", felix({ wireguardMTU: 1380 }))).out).toBe(`${named} configured\n`);
    expect((await run("kubectl get felixconfigurations")).out).toMatch(/^NAME +AGE\ndefault +\S+\nnode\.n1 +\S+\n$/);
    expect((await run("kubectl get felixconfigurations,nodes -o name")).out).toBe(
      `felixconfiguration.projectcalico.org/default\n${named}\nnode/n1\n`,
    );
    const yaml = (await run("kubectl get felixconfiguration node.n1 -o yaml")).out;
    expect(yaml).toMatch(/^apiVersion: projectcalico\.org\/v3\nkind: FelixConfiguration\n/);
    expect(yaml).not.toContain("projectcalico.org/metadata");
    expect((await run(`kubectl patch felixconfiguration node.n1 --type=merge -p {"spec":{"wireguardMTU":1360}}`)).out).toBe(`${named} patched\n`);
    expect((await calico.get(FELIX_CONFIGURATION, "node.n1")).spec).toEqual({ wireguardMTU: 1360 });
  });

  test("our kubectl follows v3 objects, and the server's own rows", async () => {
    const ways = ["-o yaml", "-o name", ""].map((how) =>
      programs.follow("kubectl", `get felixconfigurations -w --kubeconfig ${kubeconfig} ${how}`.trim().split(" ")),
    );
    try {
      for (const w of ways) await vi.waitFor(() => expect(w.out()).toContain("default"), { timeout: 60_000 });
      // What comes between the list and the watch is told as well.
      await calico.patch(FELIX_CONFIGURATION, "default", { metadata: { labels: { seen: "yes" } } });
      const [yaml, name, table] = ways;
      await vi.waitFor(() => expect(yaml!.out()).toMatch(/---\napiVersion: projectcalico\.org\/v3\nkind: FelixConfiguration\n[^]*seen: "?yes/), {
        timeout: 60_000,
      });
      await vi.waitFor(() => expect(name!.out().match(/^felixconfiguration\.projectcalico\.org\/default$/gm)).toHaveLength(2), { timeout: 60_000 });
      await vi.waitFor(() => expect(table!.out().match(/^default /gm)).toHaveLength(2), { timeout: 60_000 });
    } finally {
      await Promise.all(ways.map((w) => w.end()));
    }
  });

  test("status without the kind by which nodes report: settings and keys, and a sentence", async () => {
    const { code, out, err } = await run("tortie status -o json");
    expect([code, err]).toEqual([0, ""]);
    const status = JSON.parse(out) as { nodes: object; warnings: string[] };
    expect(status.nodes).toEqual({ total: 1, encrypting: 0, notWatched: 1 });
    expect(status.warnings).toEqual([expect.stringMatching(/^nodes cannot report to this cluster, which has no kind NodeEncryption: /)]);
  });

  test("the audit knows the cluster", async () => {
    expect(await documentOfCluster({ kubeconfig })).toMatchObject({
      wireguardPort: 51_999,
      encryption: true,
      nodes: [{ name: "n1", ips: ["192.0.2.1"], podCIDRs: ["10.1.0.0/26"] }],
    });
  });
});
