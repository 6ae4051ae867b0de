import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { desiredState } from "./desired.ts";
import type { FelixConfiguration } from "../../api/felixconfiguration.ts";
import type { Desired, Inputs, Route } from "./types.ts";
import { block, cluster, felix, key, mac, node, pool, withNode } from "./world.cases.ts";

/** A route as `ip route` would say it. */
const text = (r: Route): string =>
  [r.type === "unicast" ? "" : `${r.type} `, r.dst, r.via ? ` via ${r.via}` : "", r.dev ? ` dev ${r.dev}` : "", r.onlink ? " onlink" : ""].join("");
const routes = (d: Desired): string[] => d.encryption!.routes.map(text);
const plain = (d: Desired): string[] => d.plainRoutes.map(text);
const W2 = { ip: "192.168.10.102/24", key: key(2), wg: "172.16.2.0", vxlan: "172.16.2.1", mac: mac(2) };

describe("the exercise's cluster", () => {
  const d = desiredState(cluster());
  test("peers have their block and tunnel addresses, at the node's address", () =>
    expect(d.encryption!.peers).toEqual([
      {
        node: "k8s-w0",
        publicKey: key(3),
        endpoint: { address: "192.168.20.100", port: 51820 },
        allowedIps: ["172.16.3.0/24", "172.16.3.0/32", "172.16.3.1/32"],
      },
      {
        node: "k8s-w2",
        publicKey: key(2),
        endpoint: { address: "192.168.10.102", port: 51820 },
        allowedIps: ["172.16.2.0/24", "172.16.2.0/32", "172.16.2.1/32"],
      },
    ]));
  test("the private table sends peers' prefixes to the device and throws the own block", () =>
    expect(routes(d)).toEqual([
      "throw 172.16.1.0/24",
      "172.16.2.0/24 dev wireguard.cali",
      "172.16.2.0/32 dev wireguard.cali",
      "172.16.2.1/32 dev wireguard.cali",
      "172.16.3.0/24 dev wireguard.cali",
      "172.16.3.0/32 dev wireguard.cali",
      "172.16.3.1/32 dev wireguard.cali",
    ]));
  test("the rest is Calico's defaults", () =>
    expect(d.encryption).toMatchObject({
      interface: "wireguard.cali",
      listenPort: 51820,
      mtu: 1440,
      fwmark: 0x200000,
      table: 1,
      rulePriority: 99,
      keepalive: 0,
      address: "172.16.1.0",
    }));
  test("plain routing goes by the node's address inside the subnet and by VXLAN across", () =>
    expect(plain(d)).toEqual([
      "blackhole 172.16.1.0/24",
      "172.16.2.0/24 via 192.168.10.102 dev ens5",
      "172.16.3.0/24 via 172.16.3.1 dev vxlan.calico onlink",
    ]));
  test("the VXLAN device knows its neighbours", () =>
    expect(d.vxlan).toEqual({
      interface: "vxlan.calico",
      vni: 4096,
      port: 4789,
      mtu: 1450,
      mac: mac(1),
      local: "192.168.10.101",
      uplink: "ens5",
      address: "172.16.1.1",
      neighbours: [
        { address: "172.16.2.1", mac: mac(2), nodeAddress: "192.168.10.102" },
        { address: "172.16.3.1", mac: mac(3), nodeAddress: "192.168.20.100" },
      ],
    }));
  test("there is nothing to warn of", () => expect(d.warnings).toEqual([]));
  test("new pods get the smallest MTU", () => expect(d.podMtu).toBe(1440));
});

describe("configuration", () => {
  const config = (...felixConfigurations: Inputs["felixConfigurations"]): Desired => desiredState(cluster({ felixConfigurations }));
  test("nothing is encrypted without a configuration, and plain routing stays", () => {
    const d = config();
    expect(d.encryption).toBeUndefined();
    expect(plain(d)).toHaveLength(3);
    expect(d.podMtu).toBe(1450);
  });
  test("node.<name> overrides default field by field", () => {
    const d = config(
      felix("node.k8s-w1", { wireguardListeningPort: 1234 }),
      felix("default", { wireguardEnabled: true, wireguardListeningPort: 5, wireguardInterfaceName: "wg9" }),
      felix("node.other", { wireguardEnabled: false }),
    );
    expect(d.encryption).toMatchObject({ listenPort: 1234, interface: "wg9" });
    expect(routes(d)).toContain("172.16.2.0/24 dev wg9");
  });
  test("node.<name> alone can switch one node off", () =>
    expect(config(felix("default", { wireguardEnabled: true }), felix("node.k8s-w1", { wireguardEnabled: false })).encryption).toBeUndefined());
  describe("one that selects nodes by their labels", () => {
    const labelled = (labels: Record<string, Record<string, string>>, ...felixConfigurations: Inputs["felixConfigurations"]): Desired => {
      const nodes = cluster().nodes.map((n) => ({ ...n, metadata: { ...n.metadata, labels: labels[n.metadata.name] ?? {} } }));
      return desiredState(cluster({ nodes, felixConfigurations }));
    };
    const on = felix("default", { wireguardEnabled: true, wireguardListeningPort: 5, wireguardInterfaceName: "wg9" });
    const made = (creationTimestamp: string, name: string, nodeSelector: string, wireguardListeningPort: number): FelixConfiguration => {
      const f = felix(name, { nodeSelector, wireguardListeningPort });
      return { ...f, metadata: { ...f.metadata, creationTimestamp } };
    };
    const EARLY = "2026-01-01T00:00:00Z";
    const LATE = "2026-02-01T00:00:00Z";
    test("stands between default and node.<name>", () => {
      const zone = felix("zone-a", { nodeSelector: "zone == 'a'", wireguardListeningPort: 7, wireguardInterfaceName: "wg7" });
      const w1 = { "k8s-w1": { zone: "a" } };
      expect(labelled(w1, zone, on).encryption).toMatchObject({ listenPort: 7, interface: "wg7" });
      expect(labelled(w1, zone, on, felix("node.k8s-w1", { wireguardListeningPort: 8 })).encryption).toMatchObject({
        listenPort: 8,
        interface: "wg7",
      });
      expect(labelled({ "k8s-w1": { zone: "b" } }, zone, on).encryption).toMatchObject({ listenPort: 5, interface: "wg9" });
      // A peer's port is that of what selects the peer.
      const peers = labelled({ "k8s-w2": { zone: "a" } }, zone, on).encryption!.peers.map((p) => `${p.node} ${p.endpoint.port}`);
      expect(peers.toSorted()).toEqual(["k8s-w0 5", "k8s-w2 7"]);
    });
    test.for<[string, FelixConfiguration[], number]>([
      ["of several the oldest", [made(LATE, "a", "all()", 1), made(EARLY, "b", "has(zone)", 2)], 2],
      ["of one age the first by name", [made(EARLY, "b", "all()", 1), made(EARLY, "a", "all()", 2)], 2],
      ["not one that cannot be read", [made(EARLY, "a", "zone == a", 1), made(LATE, "b", "all()", 2)], 2],
      ["not one without a selector", [made(EARLY, "a", "", 1)], 5],
      ["not default or node.<name>, whatever they say", [made(EARLY, "node.other", "all()", 1)], 5],
    ])("%s", ([, some, port]) => expect(labelled({ "k8s-w1": { zone: "a" } }, on, ...some).encryption!.listenPort).toBe(port));
    test("a node without labels may be selected, one that is not there yet is not", () => {
      const felixConfigurations = [on, felix("all", { nodeSelector: "!has(zone)", wireguardListeningPort: 7 })];
      expect(desiredState(cluster({ felixConfigurations })).encryption!.listenPort).toBe(7);
      const nodes = cluster().nodes.filter((n) => n.metadata.name !== "k8s-w1");
      expect(desiredState(cluster({ felixConfigurations, nodes })).encryption!.listenPort).toBe(5);
    });
  });
  test("a peer is reached at the port of its own configuration", () =>
    expect(
      config(felix("default", { wireguardEnabled: true }), felix("node.k8s-w2", { wireguardListeningPort: 7 })).encryption!.peers.map(
        (p) => p.endpoint.port,
      ),
    ).toEqual([51820, 7]));
  test.for([
    [
      "the lowest free table",
      {
        routeTableRanges: [
          { min: 20, max: 30 },
          { min: 7, max: 9 },
        ],
      },
      { table: 7 },
    ],
    ["not a reserved table", { routeTableRanges: [{ min: 253, max: 256 }] }, { table: 256 }],
    ["the sixth bit of the mark mask", { iptablesMarkMask: 0xff }, { fwmark: 0x20 }],
    ["the highest bit", { iptablesMarkMask: 0xfc000000 }, { fwmark: 0x80000000 }],
    ["keepalive in seconds", { wireguardKeepAlive: "1m5s" }, { keepalive: 65 }],
    ["an MTU that is set", { wireguardMTU: 1300 }, { mtu: 1300 }],
    ["another priority", { wireguardRoutingRulePriority: 5 }, { rulePriority: 5 }],
  ] as const)("takes %s", ([, spec, want]) =>
    expect(config(felix("default", { wireguardEnabled: true, ...(spec as Parameters<typeof felix>[1]) })).encryption).toMatchObject(want),
  );
  test("a mask without a bit left means off, aloud", () => {
    const d = config(felix("default", { wireguardEnabled: true, iptablesMarkMask: 0x1f }));
    expect(d.encryption).toBeUndefined();
    expect(d.warnings.join()).toMatch(/mark mask/);
  });
  test("what is not offered is said", () =>
    expect(config(felix("default", { wireguardEnabledV6: true })).warnings).toEqual([
      "FelixConfiguration asks for wireguardEnabledV6, which this version does not offer",
    ]));
});

describe("who is a peer", () => {
  const peers = (d: Desired): string[] => d.encryption!.peers.map((p) => p.node);
  test.for([
    ["no key", { ...W2, key: undefined }, []],
    ["no address", { ...W2, ip: undefined }, [/"k8s-w2" has a WireGuard key but no address/]],
    ["a malformed key", { ...W2, key: "foobar" }, [/"k8s-w2" publishes a malformed WireGuard key/]],
    ["a key of 31 bytes", { ...W2, key: `${"A".repeat(42)}==`.slice(0, 44) }, [/malformed/]],
    ["a key of zeros", { ...W2, key: key(0) }, [/malformed/]],
    ["the key of another node", { ...W2, key: key(3) }, [/nodes "k8s-w0" and "k8s-w2" claim one WireGuard key/]],
    ["this node's own key", { ...W2, key: key(1) }, [/"k8s-w2" claims the key of this node/]],
  ] as const)("not a node with %s: its prefixes are thrown back", ([, shape, warnings]) => {
    const d = desiredState(withNode(cluster(), "k8s-w2", Object.fromEntries(Object.entries(shape).filter(([, v]) => v !== undefined))));
    expect(peers(d)).not.toContain("k8s-w2");
    expect(routes(d)).toContain("throw 172.16.2.0/24");
    expect(d.warnings).toHaveLength(warnings.length);
    for (const [i, w] of warnings.entries()) expect(d.warnings[i]).toMatch(w);
  });
  test("neither of two nodes with one key; the routes of both are thrown back", () => {
    const d = desiredState(withNode(cluster(), "k8s-w2", { ...W2, key: key(3) }));
    expect(peers(d)).toEqual([]);
    expect(routes(d).filter((r) => !r.startsWith("throw"))).toEqual([]);
  });
  test("a node that is gone while its block remains", () => {
    const world = cluster();
    const d = desiredState({ ...world, nodes: world.nodes.filter((n) => n.metadata.name !== "k8s-w2") });
    expect(peers(d)).toEqual(["k8s-w0"]);
    expect(routes(d)).toContain("throw 172.16.2.0/24");
    expect(plain(d)).not.toContain("172.16.2.0/24 via 192.168.10.102 dev ens5");
  });
  test("the own published key does not matter, the device's does", () => {
    const d = desiredState(withNode(cluster(), "k8s-w1", { ip: "192.168.10.101/24", key: "edited by hand" }));
    expect(peers(d)).toEqual(["k8s-w0", "k8s-w2"]);
    expect(d.warnings).toEqual([]);
  });
});

describe("whose prefix", () => {
  const blocks = (...changed: Inputs["blocks"]): Inputs => {
    const names = new Set(changed.map((b) => b.metadata.name));
    return cluster({ blocks: [...cluster().blocks.filter((b) => !names.has(b.metadata.name)), ...changed] });
  };
  const allowed = (d: Desired, name: string): readonly string[] => d.encryption!.peers.find((p) => p.node === name)!.allowedIps;
  test("an address that a third node borrowed is that node's", () => {
    const d = desiredState(blocks(block("172.16.2.0/24", "k8s-w2", { "172.16.2.9": "k8s-w0" })));
    expect(allowed(d, "k8s-w0")).toContain("172.16.2.9/32");
    expect(routes(d)).toContain("172.16.2.9/32 dev wireguard.cali");
    expect(plain(d)).toContain("172.16.2.9/32 via 172.16.3.1 dev vxlan.calico onlink");
  });
  test("an address that a peer borrowed from the own block leads to the peer", () => {
    const d = desiredState(blocks(block("172.16.1.0/24", "k8s-w1", { "172.16.1.9": "k8s-w2" })));
    expect(routes(d)).toContain("172.16.1.9/32 dev wireguard.cali");
    expect(routes(d)).toContain("throw 172.16.1.0/24");
    expect(plain(d)).toContain("172.16.1.9/32 via 192.168.10.102 dev ens5");
  });
  test("an address that this node borrowed is thrown to ordinary routing", () => {
    const d = desiredState(blocks(block("172.16.2.0/24", "k8s-w2", { "172.16.2.9": "k8s-w1" })));
    expect(routes(d)).toContain("throw 172.16.2.9/32");
    expect(allowed(d, "k8s-w2")).not.toContain("172.16.2.9/32");
    expect(plain(d).join()).not.toContain("172.16.2.9");
  });
  test("one prefix claimed twice is the lower node name's", () => {
    const world = withNode(withNode(cluster(), "k8s-w2", { ...W2, wg: "10.9.9.9" }), "k8s-w0", {
      ip: "192.168.20.100/24",
      key: key(3),
      wg: "10.9.9.9",
    });
    const d = desiredState(world);
    expect(allowed(d, "k8s-w0")).toContain("10.9.9.9/32");
    expect(allowed(d, "k8s-w2")).not.toContain("10.9.9.9/32");
  });
  test("a prefix wider than a block can be is nobody's", () =>
    expect(routes(desiredState(blocks(block("172.16.0.0/19", "k8s-w2")))).join()).not.toContain("/19"));
  test("a block marked deleted is nobody's", () => {
    const b = block("172.16.2.0/24", "k8s-w2");
    expect(routes(desiredState(blocks({ ...b, spec: { ...b.spec, deleted: true } })))).not.toContain("172.16.2.0/24 dev wireguard.cali");
  });
});

describe("plain routing", () => {
  test.for([
    ["Always", ["172.16.2.0/24 via 172.16.2.1 dev vxlan.calico onlink", "172.16.3.0/24 via 172.16.3.1 dev vxlan.calico onlink"]],
    ["Never", ["172.16.2.0/24 via 192.168.10.102 dev ens5"]],
  ] as const)("follows vxlanMode %s", ([vxlanMode, want]) => {
    const d = desiredState(cluster({ pools: [pool({ vxlanMode })] }));
    expect(plain(d).slice(1)).toEqual(want);
    expect(d.vxlan === undefined).toBe(vxlanMode === "Never");
  });
  test("has no way to a node whose VXLAN device is not known yet", () => {
    const d = desiredState(withNode(cluster(), "k8s-w0", { ip: "192.168.20.100/24" }));
    expect(plain(d)).toEqual(["blackhole 172.16.1.0/24", "172.16.2.0/24 via 192.168.10.102 dev ens5"]);
  });
});

// The result depends on the state, not on the path: whatever order, repetition or history the resources came in.
test("order of resources does not change the result", () => {
  const world = cluster({
    blocks: [
      block("172.16.1.0/24", "k8s-w1", { "172.16.1.9": "k8s-w2" }),
      block("172.16.2.0/24", "k8s-w2", { "172.16.2.9": "k8s-w0", "172.16.2.8": "k8s-w1" }),
      block("172.16.3.0/24", "k8s-w0"),
    ],
    felixConfigurations: [felix("default", { wireguardEnabled: true }), felix("node.k8s-w1", { wireguardKeepAlive: "25s" })],
    pools: [pool(), { ...pool({ cidr: "10.0.0.0/8" }), metadata: { name: "other" } }],
    nodes: [...cluster().nodes, node("x", { key: key(3) }), node("y", { key: "bad", ip: "1.2.3.4" })],
  });
  const want = desiredState(world);
  const shuffled = <T>(list: readonly T[]): fc.Arbitrary<T[]> => fc.shuffledSubarray([...list], { minLength: list.length });
  fc.assert(
    fc.property(
      fc.record({
        nodes: shuffled(world.nodes),
        felixConfigurations: shuffled(world.felixConfigurations),
        pools: shuffled(world.pools),
        blocks: shuffled(world.blocks),
      }),
      (order) => {
        expect(desiredState({ ...world, ...order })).toEqual(want);
      },
    ),
    { numRuns: 60 },
  );
});

test("no input from the store makes it throw", () => {
  const junk = fc.oneof(fc.string(), fc.constantFrom("::1", "10.0.0.0/33", "fd00::/64", "0.0.0.0/0", "172.16.2.0/24", "192.168.10.5/24", key(7)));
  fc.assert(
    fc.property(
      fc.array(fc.record({ name: fc.constantFrom("k8s-w1", "a", "b"), ip: junk, key: junk, wg: junk, vxlan: junk, mac: junk }), { maxLength: 4 }),
      fc.array(fc.record({ cidr: junk, affinity: junk, slot: fc.integer({ min: -1, max: 300 }), user: junk }), { maxLength: 3 }),
      junk,
      (nodes, blocks, cidr) => {
        const d = desiredState(
          cluster({
            nodes: nodes.map(({ name, ...shape }) => node(name, shape)),
            blocks: blocks.map(({ cidr: c, affinity, slot, user }) => {
              const b = block("172.16.2.0/24", "a");
              return { ...b, spec: { ...b.spec, cidr: c, affinity, allocations: [slot], attributes: [{ secondary: { node: user } }] } };
            }),
            pools: [pool({ cidr })],
          }),
        );
        expect(Array.isArray(d.warnings)).toBe(true);
      },
    ),
    { numRuns: 300 },
  );
});
