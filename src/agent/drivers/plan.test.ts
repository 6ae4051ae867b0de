import { describe, expect, test } from "vitest";
import { desiredState } from "../calc/desired.ts";
import type { Desired } from "../calc/types.ts";
import { cluster, felix, mac, withNode } from "../calc/world.cases.ts";
import type { RouteEntry, Rule } from "../../sys/ip.ts";
import { type Actual, difference, existing, type Sort, type State, wanted } from "./plan.ts";

const ALL: readonly Sort[] = ["address", "neighbour", "table", "main", "rule", "forwarding"];
const EMPTY: Actual = { links: [], addresses: [], rules: [], main: [], tables: new Map([[1, []]]), neighbours: [], forwarding: [] };
const have = (changes: Partial<Actual> = {}): State => existing({ ...EMPTY, ...changes }, new Set(["wireguard.cali"]), "vxlan.calico");
const lines = (from: State, to: Desired): string[] => (["ip", "bridge"] as const).flatMap((p) => difference(from, wanted(to), ALL, p));
const on = desiredState(cluster());
const off = desiredState(cluster({ felixConfigurations: [] }));

const entry = (e: Partial<RouteEntry>): RouteEntry => ({
  type: "unicast",
  dst: "172.16.2.0/24",
  dev: undefined,
  via: undefined,
  onlink: false,
  scope: "global",
  protocol: "boot",
  metric: 0,
  ...e,
});
const rule = (r: Partial<Rule>): Rule => ({ priority: 99, table: "1", not: true, fwmark: 0x200000, fwmask: 0x200000, more: false, ...r });

test("from nothing everything is made", () =>
  expect(lines(have(), on)).toEqual([
    "address replace 172.16.1.0/32 dev wireguard.cali",
    "address replace 172.16.1.1/32 dev vxlan.calico",
    `neigh replace 172.16.2.1 lladdr ${mac(2)} dev vxlan.calico nud permanent`,
    `neigh replace 172.16.3.1 lladdr ${mac(3)} dev vxlan.calico nud permanent`,
    "route replace throw 172.16.1.0/24 proto 3 table 1",
    "route replace 172.16.2.0/24 dev wireguard.cali scope link proto 3 table 1",
    "route replace 172.16.2.0/32 dev wireguard.cali scope link proto 3 table 1",
    "route replace 172.16.2.1/32 dev wireguard.cali scope link proto 3 table 1",
    "route replace 172.16.3.0/24 dev wireguard.cali scope link proto 3 table 1",
    "route replace 172.16.3.0/32 dev wireguard.cali scope link proto 3 table 1",
    "route replace 172.16.3.1/32 dev wireguard.cali scope link proto 3 table 1",
    "route replace blackhole 172.16.1.0/24 proto 80 table 254",
    "route replace 172.16.2.0/24 via 192.168.10.102 dev ens5 proto 80 table 254",
    "route replace 172.16.3.0/24 via 172.16.3.1 dev vxlan.calico onlink proto 80 table 254",
    "rule add not fwmark 0x200000/0x200000 priority 99 table 1",
    `fdb replace ${mac(2)} dev vxlan.calico dst 192.168.10.102 self permanent`,
    `fdb replace ${mac(3)} dev vxlan.calico dst 192.168.20.100 self permanent`,
  ]));

test("what is right is not written again", () => expect(lines(wanted(on), on)).toEqual([]));

test("switched off, what is encryption's goes and plain routing stays", () =>
  expect(difference(wanted(on), wanted(off), ["rule", "table", "main"], "ip")).toEqual([
    "rule del not fwmark 0x200000/0x200000 priority 99 table 1",
    ...[...wanted(on).table.values()].map((words) => `route del ${words}`),
  ]));

test("a peer that loses its key has its routes replaced, never deleted", () => {
  const without = desiredState(withNode(cluster(), "k8s-w2", { ip: "192.168.10.102/24", wg: "172.16.2.0", vxlan: "172.16.2.1", mac: mac(2) }));
  expect(lines(wanted(on), without)).toEqual([
    "route replace throw 172.16.2.0/24 proto 3 table 1",
    "route replace throw 172.16.2.0/32 proto 3 table 1",
    "route replace throw 172.16.2.1/32 proto 3 table 1",
  ]);
});

describe("what was found in the kernel", () => {
  const only = (changes: Partial<Actual>): string[] => lines(have(changes), { ...off, vxlan: undefined, plainRoutes: [] });
  test.for([
    [
      "a rule to the table with another mark",
      { rules: [rule({ fwmark: 0x100000, fwmask: 0x100000 })] },
      ["rule del not fwmark 0x100000/0x100000 priority 99 table 1"],
    ],
    ["a rule to another table", { rules: [rule({ table: "2" })] }, []],
    [
      "a foreign route without interface in the table",
      { tables: new Map([[1, [entry({ type: "blackhole" })]]]) },
      ["route del blackhole 172.16.2.0/24 proto 3 table 1"],
    ],
    ["a foreign route of another interface in the table", { tables: new Map([[1, [entry({ dev: "eth9" })]]]) }, []],
    ["a route of the main table that is not ours", { main: [entry({ dev: "ens5", protocol: "kernel" })] }, []],
    [
      "a route of ours that is no longer wanted",
      { main: [entry({ via: "192.168.10.9", dev: "ens5", protocol: "80" })] },
      ["route del 172.16.2.0/24 via 192.168.10.9 dev ens5 proto 80 table 254"],
    ],
    [
      "a second address on the device",
      { addresses: [{ dev: "wireguard.cali", address: "10.0.0.1", prefix: 24, scope: "global" }] },
      ["address del 10.0.0.1/24 dev wireguard.cali"],
    ],
    ["an address of the machine", { addresses: [{ dev: "ens5", address: "10.0.0.1", prefix: 24, scope: "global" }] }, []],
    ["a neighbour that was learnt", { neighbours: [{ address: "10.0.0.1", mac: mac(9), permanent: false }] }, []],
  ] as [string, Partial<Actual>, string[]][])("%s", ([, changes, want]) => expect(only(changes)).toEqual(want));

  test("a rule of ours with another priority is replaced: the new one first", () => {
    const moved = desiredState(cluster({ felixConfigurations: [felix("default", { wireguardEnabled: true, wireguardRoutingRulePriority: 5 })] }));
    expect(difference(have({ rules: [rule({})] }), wanted(moved), ["rule"], "ip")).toEqual([
      "rule add not fwmark 0x200000/0x200000 priority 5 table 1",
      "rule del not fwmark 0x200000/0x200000 priority 99 table 1",
    ]);
  });

  test("exactly what should be is recognised", () => {
    const routes = on.encryption!.routes.map((r) => entry({ type: r.type, dst: r.dst, dev: r.dev, scope: r.scope ?? "global" }));
    expect(difference(have({ rules: [rule({})], tables: new Map([[1, routes]]) }), wanted(on), ["rule", "table"], "ip")).toEqual([]);
  });
});
