// What `kubectl get` prints: the columns of Calico's definitions and of Kubernetes' printers (those in parentheses with -o wide).
import { describe, expect, test } from "vitest";
import { type Any, call, freshWorlds } from "./world.cases.ts";

freshWorlds();

const CALICO = "/apis/projectcalico.org/v3";
describe("columns", () => {
  test.for<[path: string, columns: string]>([
    [`${CALICO}/ippools`, "Name, CIDR, VXLAN, IPIP, NAT, Allocatable, Age"],
    [`${CALICO}/clusterinformations`, "Name, Version, Ready, Types"],
    [`${CALICO}/ipamblocks`, "Name, CIDR, Affinity, ClaimTime"],
    [`${CALICO}/blockaffinities`, "Name, CIDR, Node, Type"],
    [`${CALICO}/ipamhandles`, "Name, ID"],
    [`${CALICO}/ipamconfigurations`, "Name, StrictAffinity, MaxBlocksPerHost, AutoAllocateBlocks"],
    [`${CALICO}/caliconodestatuses`, "Name, Node, Classes"],
    [`${CALICO}/felixconfigurations`, "Name, Age"],
    // The last is ours.
    [
      "/api/v1/nodes",
      "Name, Status, Roles, Age, Version, (Internal-IP), (External-IP), (OS-Image), (Kernel-Version), (Container-Runtime), (WireGuard-Key)",
    ],
    ["/api/v1/namespaces", "Name, Status, Age"],
    ["/api/v1/pods", "Name, Ready, Status, Restarts, Age, (IP), (Node), (Nominated Node), (Readiness Gates)"],
    ["/apis/coordination.k8s.io/v1/leases", "Name, Holder, Age"],
    ["/api/v1/configmaps", "Name, Data, Age"],
    ["/api/v1/secrets", "Name, Type, Data, Age"],
    ["/api/v1/events", "Last Seen, Type, Reason, Object, (Subobject), (Source), Message, (First Seen), (Count), (Name)"],
  ])("%s", async ([path, columns]) => {
    const { code, body } = await call("GET", path, { headers: { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" } });
    expect(code).toBe(200);
    const shown = body.columnDefinitions.map((c: Any) => (c.priority === 0 ? c.name : `(${c.name})`));
    expect(shown.join(", ")).toBe(columns);
    // A column that kubectl is to take for the name is one.
    expect(body.columnDefinitions.findIndex((c: Any) => c.format === "name")).toBe(columns.startsWith("Name") ? 0 : -1);
  });
});
