import { describe, expect, test } from "vitest";
import { contains, overlaps, parseCidr } from "../base/cidr.ts";
import { parseIp } from "../base/ip.ts";
import { hostInterface, nodeSetup, podSetup, routerSetup, toScript } from "./links.ts";
import { API, CLUSTER, POOL } from "./model.ts";

describe("the cluster", () => {
  const range = (gateway: string, prefix: number) => parseCidr(`${gateway}/${prefix}`)!;
  test("every node is in its subnet, and no address is used twice", () => {
    for (const n of CLUSTER.nodes) expect(contains(range(n.subnet.gateway, n.subnet.prefix), parseIp(n.address)!)).toBe(true);
    const all = [...CLUSTER.nodes.map((n) => n.address), ...CLUSTER.subnets.map((s) => s.gateway)];
    expect(new Set(all).size).toBe(all.length);
  });
  test("subnets and the pods' pool do not overlap, and the pool has a block for every node", () => {
    const ranges = [...CLUSTER.subnets.map((s) => range(s.gateway, s.prefix)), parseCidr(POOL.cidr)!];
    for (const [i, a] of ranges.entries()) for (const b of ranges.slice(i + 1)) expect(overlaps(a, b)).toBe(false);
    expect(2 ** (POOL.blockSize - parseCidr(POOL.cidr)!.prefix)).toBeGreaterThan(CLUSTER.nodes.length);
  });
  test("every pod is on a node, and the API is at the router", () => {
    for (const p of CLUSTER.pods) expect(CLUSTER.nodes.map((n) => n.name)).toContain(p.node);
    expect(CLUSTER.subnets.map((s) => s.gateway)).toContain(API.address);
  });
});

describe("links", () => {
  // Felix' workload interface: "cali" and the first 11 digits of sha1("<namespace>.<pod>"). printf default.pod1 | sha1sum
  test("hostInterface() is Calico's name, short enough for the kernel", () => {
    expect(hostInterface({ namespace: "default", name: "pod1" })).toBe("calice0906292e2");
    expect(hostInterface({ namespace: "default", name: "pod1" })).toHaveLength(15);
  });
  test("every interface name fits into the kernel's 15 bytes", () => {
    const pids = new Map(CLUSTER.nodes.map((n, i) => [n.name, 100 + i]));
    const setups = [routerSetup(CLUSTER, pids), ...CLUSTER.nodes.map(nodeSetup)];
    const names = setups.flatMap((s) => s.ip.flatMap((l) => /^link add (\S+)/.exec(l)?.[1] ?? []));
    expect(names).toHaveLength(CLUSTER.subnets.length + CLUSTER.nodes.length);
    for (const name of names) expect(name.length).toBeLessThanOrEqual(15);
  });
  test("a node's other end is put into its own namespace, never into ours", () => {
    const pids = new Map(CLUSTER.nodes.map((n, i) => [n.name, 100 + i]));
    const lines = routerSetup(CLUSTER, pids).ip.filter((l) => l.includes("type veth"));
    expect(lines).toHaveLength(4);
    for (const pid of pids.values()) expect(lines.filter((l) => l.endsWith(`netns ${pid}`))).toHaveLength(1);
  });
  test("a pod's pair is made as Calico's CNI plugin makes it", () => {
    const { node, pod } = podSetup({ ...CLUSTER.pods[0]!, address: "172.16.7.1", pid: 42 });
    expect(node.ip[0]).toMatch(/^link add calice0906292e2 .*netns 42$/);
    expect(node.ip).toContain("link set calice0906292e2 address ee:ee:ee:ee:ee:ee up");
    expect(node.ip).toContain("route add 172.16.7.1/32 dev calice0906292e2 scope link");
    expect(node.sysctl).toContainEqual(["ipv4/conf/calice0906292e2/proxy_arp", 1]);
    expect(pod.ip).toEqual([
      "link set lo up",
      "address add 172.16.7.1/32 dev eth0",
      "link set eth0 up",
      "route add 169.254.1.1 dev eth0 scope link",
      "route add default via 169.254.1.1 dev eth0",
    ]);
  });
  test("toScript() gives one batch, then one line a value", () => {
    expect(toScript({ ip: ["link set lo up", "route flush cache"], sysctl: [["ipv4/ip_forward", 1]] })).toBe(
      "ip -batch - <<'END'\nlink set lo up\nroute flush cache\nEND\necho 1 >/proc/sys/net/ipv4/ip_forward\n",
    );
  });
});
