import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toBase64 } from "../base/bytes.ts";
import { CALICO_NODE, type CalicoNode, fromCalicoNode, toCalicoNode } from "./calico-node.ts";
import { FELIX_CONFIGURATION } from "./felixconfiguration.ts";
import { IP_POOL } from "./ippool.ts";
import { blockName, IPAM_BLOCK } from "./ipamblock.ts";
import type { JsonValue } from "./json.ts";
import { findKind, KINDS } from "./kinds.ts";
import { apiVersionOf, type Kind } from "./kind.ts";
import type { Resource } from "./meta.ts";
import { generatedName, keyProblem, nameProblem, validateMetadata } from "./names.ts";
import type { Node } from "./node.ts";
import { checkStructure } from "./structure.ts";

/** Fields that are refused: by structure, then by rules. */
function refused<T extends Resource>(kind: Kind<T>, object: JsonValue, old?: unknown): string[] {
  const { errors, unknown, pruned } = checkStructure(kind.schema, object);
  const found = [...errors.map((e) => e.field), ...unknown.map((u) => `unknown ${u}`)];
  return found.length > 0 ? found : kind.validate(pruned as unknown as T, old as T | undefined).map((e) => e.field);
}
const felix = (spec: JsonValue, name = "default"): JsonValue => ({
  apiVersion: "projectcalico.org/v3",
  kind: "FelixConfiguration",
  metadata: { name },
  spec,
});

describe("FelixConfiguration", () => {
  // The numbers in brackets are those of Calico's own tests as listed in the specification.
  test.for<[string, JsonValue, string[]]>([
    ["a port (C02)", { wireguardListeningPort: 12345, wireguardListeningPortV6: 12345 }, []],
    ["port 99999 (C02)", { wireguardListeningPort: 99999 }, ["spec.wireguardListeningPort"]],
    ["port 0 (C02)", { wireguardListeningPortV6: 0 }, ["spec.wireguardListeningPortV6"]],
    ["port 1.5", { wireguardListeningPort: 1.5 }, ["spec.wireguardListeningPort"]],
    ["port as text", { wireguardListeningPort: "51820" }, ["spec.wireguardListeningPort"]],
    ["priority 32765 (C03)", { wireguardRoutingRulePriority: 32765 }, []],
    ["priority 32766 (C03)", { wireguardRoutingRulePriority: 32766 }, ["spec.wireguardRoutingRulePriority"]],
    ["priority 0 (C03)", { wireguardRoutingRulePriority: 0 }, ["spec.wireguardRoutingRulePriority"]],
    ["wg0 (C04)", { wireguardInterfaceName: "wg0" }, []],
    ["wg&0 (C04)", { wireguardInterfaceName: "wg&0" }, ["spec.wireguardInterfaceName"]],
    ["16 characters (C04)", { wireguardInterfaceName: "a".repeat(16) }, ["spec.wireguardInterfaceName"]],
    ["25s", { wireguardKeepAlive: "25s" }, []],
    ["1.5s", { wireguardKeepAlive: "1.5s" }, []],
    ["25", { wireguardKeepAlive: "25" }, ["spec.wireguardKeepAlive"]],
    ["MTU -1", { wireguardMTU: -1 }, ["spec.wireguardMTU"]],
    ["yes", { wireguardEnabled: "yes" }, ["spec.wireguardEnabled"]],
    ["an unknown field", { wireguardEnabld: true }, ["unknown spec.wireguardEnabld"]],
    ["several at once", { wireguardEnabled: 1, wireguardMTU: "x", nope: {} }, ["spec.wireguardEnabled", "spec.wireguardMTU", "unknown spec.nope"]],
    ["a list for spec", [], ["spec"]],
    ["table ranges", { routeTableRanges: [{ min: 1, max: 250 }] }, []],
    ["an empty table range", { routeTableRanges: [{ min: 5, max: 1 }] }, ["spec.routeTableRanges[0]"]],
    ["half a table range", { routeTableRanges: [{ min: 5 }] }, ["spec.routeTableRanges[0].max"]],
    ["nodeSelector on default", { nodeSelector: "all()" }, ["spec.nodeSelector"]],
  ])("%s", ([, spec, want]) => expect(refused(FELIX_CONFIGURATION, felix(spec))).toEqual(want));
  test("nodeSelector is allowed on other names", () => expect(refused(FELIX_CONFIGURATION, felix({ nodeSelector: "all()" }, "x"))).toEqual([]));
  test("nulls mean nothing", () => expect(checkStructure(FELIX_CONFIGURATION.schema, felix({ wireguardMTU: null })).pruned).toEqual(felix({})));
  test("texts are Kubernetes'", () =>
    expect(checkStructure(FELIX_CONFIGURATION.schema, felix({ wireguardListeningPort: 70000 })).errors).toEqual([
      {
        field: "spec.wireguardListeningPort",
        reason: "FieldValueInvalid",
        message: "Invalid value: 70000: spec.wireguardListeningPort in body should be less than or equal to 65535",
      },
    ]));
});

describe("IPPool", () => {
  const pool = (spec: JsonValue): JsonValue => ({ apiVersion: "projectcalico.org/v3", kind: "IPPool", metadata: { name: "p" }, spec });
  test.for<[JsonValue, string[]]>([
    [{ cidr: "172.16.0.0/16", blockSize: 24, vxlanMode: "CrossSubnet" }, []],
    [{ cidr: "fd00:10::/48" }, []],
    [{}, ["spec.cidr"]],
    [{ cidr: "172.16.0.1/16" }, ["spec.cidr"]],
    [{ cidr: "172.16.0.0" }, ["spec.cidr"]],
    [{ cidr: "x" }, ["spec.cidr"]],
    [{ cidr: "172.16.0.0/16", blockSize: 19 }, ["spec.blockSize"]],
    [{ cidr: "172.16.0.0/16", blockSize: 120 }, ["spec.blockSize"]],
    [{ cidr: "172.16.0.0/28", blockSize: 26 }, ["spec.blockSize"]],
    [{ cidr: "172.16.0.0/16", vxlanMode: "Sometimes" }, ["spec.vxlanMode"]],
    [{ cidr: "172.16.0.0/16", vxlanMode: "Always", ipipMode: "Always" }, ["spec.ipipMode"]],
    [{ cidr: "fd00::/48", ipipMode: "Always" }, ["spec.ipipMode"]],
  ])("%j: %j", ([spec, want]) => expect(refused(IP_POOL, pool(spec))).toEqual(want));
  test("cidr and blockSize cannot be changed", () => {
    const old = { spec: { cidr: "10.0.0.0/16", blockSize: 26 } };
    expect(refused(IP_POOL, pool({ cidr: "10.1.0.0/16", blockSize: 27 }), old)).toEqual(["spec.cidr", "spec.blockSize"]);
  });
});

test("IPAMBlock: slots, indexes and free ordinals must fit", () => {
  const block = (more: object): JsonValue => ({
    apiVersion: "projectcalico.org/v3",
    kind: "IPAMBlock",
    metadata: { name: blockName("10.0.0.0/30") },
    spec: {
      cidr: "10.0.0.0/30",
      strictAffinity: false,
      deleted: false,
      allocations: [0, null, null, null],
      unallocated: [1, 2, 3],
      attributes: [{ handle_id: "h" }],
      ...more,
    },
  });
  const of = (more: object): string[] => refused(IPAM_BLOCK, block(more));
  expect(of({})).toEqual([]);
  expect(of({ allocations: [0, null, null] })).toEqual(["spec.allocations", "spec.unallocated[2]"]);
  expect(of({ allocations: [1, null, null, null] })).toEqual(["spec.allocations[0]"]);
  expect(of({ unallocated: [0] })).toEqual(["spec.unallocated[0]"]);
  expect(of({ allocations: ["a", null, null, null] })).toEqual(["spec.allocations[0]"]);
  expect(blockName("fd00::/122")).toBe("fd00---122");
});

describe("Calico's Node", () => {
  const key = toBase64(new Uint8Array(32).fill(7));
  const node: Node = {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name: "n1",
      resourceVersion: "9",
      uid: "u",
      labels: { a: "b" },
      annotations: {
        other: "kept",
        "projectcalico.org/IPv4Address": "192.168.10.10/24",
        "projectcalico.org/IPv4VXLANTunnelAddr": "172.16.1.1",
        "projectcalico.org/IPv4WireguardInterfaceAddr": "172.16.1.2",
        "projectcalico.org/WireguardPublicKey": key,
        "projectcalico.org/ASNumber": "64512",
        "projectcalico.org/labels": '{"c":"d"}',
      },
    },
    spec: { podCIDRs: ["172.16.1.0/24"] },
    status: { addresses: [{ type: "InternalIP", address: "192.168.10.10" }] },
  };
  test("is read from the annotations", () => {
    const calico = toCalicoNode(node);
    expect(calico.status).toEqual({ wireguardPublicKey: key, podCIDRs: ["172.16.1.0/24"] });
    expect(calico.spec).toMatchObject({
      bgp: { ipv4Address: "192.168.10.10/24", asNumber: 64512 },
      ipv4VXLANTunnelAddr: "172.16.1.1",
      wireguard: { interfaceIPv4Address: "172.16.1.2" },
    });
    expect(calico.metadata).toEqual({ name: "n1", resourceVersion: "9", uid: "u", labels: { a: "b", c: "d" }, annotations: { other: "kept" } });
    expect(calico.spec.addresses).toEqual([
      { address: "192.168.10.10/24", type: "CalicoNodeIP" },
      { address: "192.168.10.10", type: "InternalIP" },
    ]);
    expect(refused(CALICO_NODE, calico as unknown as JsonValue)).toEqual([]);
  });
  test("is written back as it was", () => expect(fromCalicoNode(toCalicoNode(node), node)).toEqual(node));
  test("an absent value deletes the annotation; others' annotations stay", () => {
    const calico = toCalicoNode(node);
    const { wireguard: _w, ...spec } = calico.spec;
    const back = fromCalicoNode({ ...calico, spec, status: { wireguardPublicKey: "" } }, node);
    expect(back.metadata.annotations).toEqual({
      other: "kept",
      "projectcalico.org/IPv4Address": "192.168.10.10/24",
      "projectcalico.org/IPv4VXLANTunnelAddr": "172.16.1.1",
      "projectcalico.org/ASNumber": "64512",
      "projectcalico.org/labels": '{"c":"d"}',
    });
  });
  test("malformed annotations are ignored, a malformed key is shown as it is", () => {
    const bad = (name: string, value: string): CalicoNode =>
      toCalicoNode({ apiVersion: "v1", kind: "Node", metadata: { name: "n", annotations: { [`projectcalico.org/${name}`]: value } } });
    for (const [name, value] of [
      ["IPv4Address", "x"],
      ["IPv4Address", "fd00::1/64"],
      ["IPv4WireguardInterfaceAddr", "fd00::1"],
      ["ASNumber", "-1"],
      ["Interfaces", "{"],
      ["labels", "[1]"],
    ] as const)
      expect(bad(name, value)).toEqual({
        apiVersion: "projectcalico.org/v3",
        kind: "Node",
        metadata: { name: "n" },
        spec: { orchRefs: [{ nodeName: "n", orchestrator: "k8s" }] },
      });
    expect(bad("WireguardPublicKey", "foobar").status).toEqual({ wireguardPublicKey: "foobar" });
  });
  test.for<[JsonValue, string]>([
    [{ spec: {}, status: { wireguardPublicKey: "foobar" } }, "status.wireguardPublicKey"],
    [{ spec: {}, status: { wireguardPublicKeyV6: toBase64(new Uint8Array(31)) } }, "status.wireguardPublicKeyV6"],
    [{ spec: { wireguard: { interfaceIPv4Address: "fd00::1" } } }, "spec.wireguard.interfaceIPv4Address"],
    [{ spec: { wireguard: { interfaceIPv6Address: "10.0.0.1" } } }, "spec.wireguard.interfaceIPv6Address"],
  ])("%j is refused (C05, C06)", ([node, field]) =>
    expect(refused(CALICO_NODE, { apiVersion: "projectcalico.org/v3", kind: "Node", metadata: { name: "n" }, ...(node as object) })).toEqual([field]),
  );
  test("toCalicoNode() and fromCalicoNode() are inverse for any annotations, as far as Calico reads them", () => {
    const value = fc.oneof(fc.constantFrom("10.0.0.1", "10.0.0.1/24", "fd00::1", key, "7", '{"a":"b"}', ""), fc.string());
    const names = [
      "IPv4Address",
      "IPv6Address",
      "IPv4WireguardInterfaceAddr",
      "WireguardPublicKey",
      "ASNumber",
      "Interfaces",
      "labels",
      "annotations",
    ];
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names.map((n) => `projectcalico.org/${n}`), "x"), value), (annotations) => {
        const k8s: Node = { apiVersion: "v1", kind: "Node", metadata: { name: "n", annotations } };
        const calico = toCalicoNode(k8s);
        expect(toCalicoNode(fromCalicoNode(calico, k8s))).toEqual(calico);
      }),
    );
  });
});

describe("names", () => {
  test.for<[string, boolean, boolean]>([
    ["a", true, true],
    ["node.k8s-w1", true, false],
    ["A", false, false],
    ["-a", false, false],
    ["a_b", false, false],
    ["a..b", false, false],
    ["", false, false],
    ["a".repeat(64), true, false],
    ["a".repeat(254), false, false],
  ])("%j as subdomain: %j, as label: %j", ([name, subdomain, label]) =>
    expect([nameProblem(name, "subdomain"), nameProblem(name, "label")].map((p) => p === undefined)).toEqual([subdomain, label]),
  );
  test.for<[string, boolean]>([
    ["a", true],
    ["x.io/A_b.c", true],
    ["x.io/", false],
    ["/a", false],
    ["a/b/c", false],
    ["X.io/a", false],
    ["a ", false],
    ["a".repeat(64), false],
  ])("%j as a key: %j", ([key, ok]) => expect(keyProblem(key) === undefined).toBe(ok));
  test("labels and annotations have limits", () => {
    const fields = (meta: object): string[] => validateMetadata({ name: "n", ...meta }, "subdomain").map((e) => e.field);
    expect(fields({ labels: { a: "x".repeat(63) }, annotations: { "X.io/A": "any thing" } })).toEqual([]);
    expect(fields({ labels: { a: "x".repeat(64), b: "-", "c d": "" } })).toEqual(["metadata.labels", "metadata.labels", "metadata.labels"]);
    expect(fields({ annotations: { a: "x".repeat(262_144) } })).toEqual(["metadata.annotations"]);
    expect(fields({ finalizers: ["a b"] })).toEqual(["metadata.finalizers"]);
  });
  test("generatedName() cuts the base and is a name", () => {
    let i = 0;
    const name = generatedName("x".repeat(100), (below) => i++ % below);
    expect(name).toBe(`${"x".repeat(58)}bcdfg`);
  });
});

describe("kinds", () => {
  test.for(KINDS.map((k) => ({ name: k.kind, kind: k })))(
    "$name: every declared field has words, names are lower case, its empty form is read",
    ({ kind }) => {
      expect(kind.plural).toMatch(/^[a-z]+$/);
      const bare: string[] = [];
      const walk = (s: Kind["schema"], path: string): void => {
        if (s.description === undefined && s.type !== "integer" && !s["x-kubernetes-int-or-string"]) bare.push(path);
        for (const [k, v] of Object.entries(s.properties ?? {})) walk(v, `${path}.${k}`);
        for (const inner of [s.items, s.additionalProperties]) if (inner) walk(inner, `${path}[]`);
      };
      walk(kind.schema, kind.kind);
      expect(bare).toEqual([]);
      const named: Resource = { apiVersion: apiVersionOf(kind), kind: kind.kind, metadata: { name: "a" } };
      expect(checkStructure(kind.schema, named as unknown as JsonValue).unknown).toEqual([]);
    },
  );
  test.for(["felixconfigs", "FelixConfiguration", "felixconfiguration", "no", "nodes", "Node"])("findKind(%j)", (word) =>
    expect(findKind(word)?.kind).toBe(word.startsWith("n") || word.startsWith("N") ? "Node" : "FelixConfiguration"),
  );
});

test("checkStructure() never throws, and what it lets through it lets through again", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...KINDS),
      fc.dictionary(fc.constantFrom("apiVersion", "kind", "metadata", "spec", "status", "x"), fc.jsonValue()),
      (kind, value) => {
        const first = checkStructure(kind.schema, value as JsonValue);
        const second = checkStructure(kind.schema, first.pruned);
        expect(second.unknown).toEqual([]);
        if (first.errors.length === 0) expect(second.errors).toEqual([]);
      },
    ),
  );
});

describe("ConfigMap, Secret, Event, IPAMConfiguration, CalicoNodeStatus", () => {
  const named = (kind: Kind, fields: JsonValue, metadata: JsonValue = { name: "x", namespace: "default" }): JsonValue => ({
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    metadata,
    ...(fields as object),
  });
  const of = (plural: string): Kind => findKind(plural)!;
  const large = "x".repeat(1024 * 1024);
  test.for<[string, string, JsonValue, string[], JsonValue?]>([
    ["texts and bytes", "configmaps", { data: { "a.b-c_D": "1" }, binaryData: { b: "AAE=" } }, []],
    ["a key with a slash", "configmaps", { data: { "a/b": "1" } }, ["data[a/b]"]],
    ["the key ..", "configmaps", { data: { "..": "1" } }, ["data[..]"]],
    ["bytes that are not base64", "configmaps", { binaryData: { b: "%" } }, ["binaryData[b]"]],
    ["a key in both maps", "configmaps", { data: { b: "1" }, binaryData: { b: "AAE=" } }, ["binaryData[b]"]],
    ["1 MiB", "configmaps", { data: { a: large } }, []],
    ["1 MiB and a byte", "configmaps", { data: { a: `${large}x` } }, ["data"]],
    ["a change of what is immutable", "configmaps", { data: { a: "2" }, immutable: true }, ["data"], { data: { a: "1" }, immutable: true }],
    ["immutable taken back", "configmaps", { data: { a: "1" } }, ["immutable"], { data: { a: "1" }, immutable: true }],
    ["a secret that is not base64", "secrets", { data: { token: "*hidden*" }, type: "Opaque" }, ["data[token]"]],
    ["another type", "secrets", { type: "b" }, ["type"], { type: "a" }],
    ["an event of another namespace", "events", { involvedObject: { namespace: "other" } }, ["involvedObject.namespace"]],
    ["an event of a node, in default", "events", { involvedObject: { kind: "Node", name: "a" } }, []],
    ["an event about nothing", "events", {}, ["involvedObject"]],
    ["a lease of 0 seconds", "leases", { spec: { leaseDurationSeconds: 0 } }, ["spec.leaseDurationSeconds"]],
    ["blocks below 0", "ipamconfigurations", { spec: { strictAffinity: true, maxBlocksPerHost: -1 } }, ["spec.maxBlocksPerHost"]],
    ["not named default", "ipamconfigurations", { spec: { strictAffinity: true } }, ["metadata.name"]],
    [
      "a status that moves to another node",
      "caliconodestatuses",
      { spec: { node: "b", classes: ["BGP"], updatePeriodSeconds: 10 } },
      ["spec.node"],
      { spec: { node: "a", classes: ["BGP"], updatePeriodSeconds: 10 } },
    ],
    ["an unknown class", "caliconodestatuses", { spec: { node: "b", classes: ["X"], updatePeriodSeconds: 10 } }, ["spec.classes[0]"]],
  ])("%s", ([, plural, fields, expected, old]) => {
    const kind = of(plural);
    expect(refused(kind, named(kind, fields), old === undefined ? undefined : named(kind, old))).toEqual(expected);
  });

  test("no message repeats a secret", () => {
    const kind = of("secrets");
    const found = kind.validate(named(kind, { data: { token: "*hidden*" } }) as unknown as Resource);
    expect(found).toHaveLength(1);
    expect(JSON.stringify(found)).not.toContain("hidden");
  });

  test("stringData becomes data", () =>
    expect(of("secrets").defaults(named(of("secrets"), { stringData: { a: "hé" }, data: { b: "AA==" } }) as unknown as Resource)).toMatchObject({
      type: "Opaque",
      data: { a: "aMOp", b: "AA==" },
    }));
});
