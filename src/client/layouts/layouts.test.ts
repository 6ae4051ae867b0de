// The codecs of Calico's layouts. There are no published vectors: the expected values here are built by hand from the rules of the specification
// (apiserver.md 7.2: metadata annotation, mirrored uids, names, texts for booleans), except base32 (RFC 4648) and SHA-3, which node:crypto computes too.
import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { BLOCK_AFFINITY } from "../../api/blockaffinity.ts";
import { FELIX_CONFIGURATION } from "../../api/felixconfiguration.ts";
import { IPAM_BLOCK, blockName } from "../../api/ipamblock.ts";
import { IPAM_CONFIGURATION } from "../../api/ipamconfiguration.ts";
import type { ObjectMeta } from "../../api/meta.ts";
import { TortieError } from "../../base/errors.ts";
import { apiErrorOf } from "../error.ts";
import { calicoClient } from "./index.ts";
import { fromV1, toV1, v1Kind } from "./codec.ts";
import { discoverLayout, layoutOf, layoutOfSetting } from "./discover.ts";
import { fromV1Metadata, METADATA_ANNOTATION, toV1Metadata } from "./metadata.ts";
import { affinityLabels, affinityName, base32 } from "./names.ts";
import { mirroredUid } from "./uid.ts";

test.for([
  [[], "A"],
  [["apps"], "A"],
  [["apps", "crd.projectcalico.org"], "A"],
  [["crd.projectcalico.org", "projectcalico.org"], "B"],
  [["projectcalico.org"], "C"],
] as const)("layoutOf(%j) is %s", ([groups, layout]) => expect(layoutOf(groups)).toBe(layout));

test("discoverLayout(): a server that refuses to say is taken for A; one that is not there is an error", async () => {
  const answers = (act: () => unknown): Parameters<typeof discoverLayout>[0] => ({ raw: async () => act() as never });
  const groups = (...names: string[]): unknown => ({ kind: "APIGroupList", groups: names.map((name) => ({ name })) });
  expect(await discoverLayout(answers(() => groups("projectcalico.org", "apps")))).toBe("C");
  expect(await discoverLayout(answers(() => groups("projectcalico.org", "crd.projectcalico.org")))).toBe("B");
  const refuse = (thrown: Error) => (): never => {
    throw thrown;
  };
  expect(await discoverLayout(answers(refuse(apiErrorOf(403, ""))))).toBe("A");
  await expect(discoverLayout(answers(refuse(new TortieError("Cannot reach"))))).rejects.toThrow("Cannot reach");
});

test("calicoClient() asks with the first request, and again when the cluster could not be reached", async () => {
  const asked: string[] = [];
  let reachable = false;
  const cluster = {
    raw: async (_: string, path: string) => {
      asked.push(path);
      if (!reachable) throw new TortieError("Cannot reach");
      return { groups: [{ name: "crd.projectcalico.org" }] };
    },
    get: async (kind: { group: string }, name: string) => {
      asked.push(`${kind.group} ${name}`);
      return { metadata: { name } };
    },
  };
  const client = calicoClient(cluster as never);
  expect(asked).toEqual([]);
  await expect(client.get(FELIX_CONFIGURATION, "default")).rejects.toThrow("Cannot reach");
  reachable = true;
  for (const name of ["a", "b"]) expect((await client.get(FELIX_CONFIGURATION, name)).apiVersion).toBe("projectcalico.org/v3");
  expect(asked).toEqual(["/apis", "/apis", "crd.projectcalico.org a", "crd.projectcalico.org b"]);
});

test("layoutOfSetting()", () => {
  expect(layoutOfSetting("projectcalico.org/v3")).toBe("C");
  expect(layoutOfSetting("crd.projectcalico.org/v1")).toBe("A");
  expect(() => layoutOfSetting("v3")).toThrow('Cannot use "v3" as calicoAPIGroup');
});

// 01 -> 80, 02 -> 40, …; 47 (byte 6) and 89 (byte 8) stay.
test("mirroredUid() reverses the bits of every byte but 6 and 8", () => {
  expect(mirroredUid("01020304-0506-4708-890a-0b0c0d0e0f10")).toBe("8040c020-a060-4710-8950-d030b070f008");
  expect(mirroredUid("ffffffff-0000-4fff-8001-800000000001")).toBe("ffffffff-0000-4fff-8080-010000000080");
  expect(mirroredUid("not a uuid")).toBe("not a uuid");
});
test("mirroredUid() is its own inverse, and keeps version and variant", () => {
  fc.assert(
    fc.property(fc.uuid(), (uid) => {
      expect(mirroredUid(mirroredUid(uid))).toBe(uid);
      expect([mirroredUid(uid)[14], mirroredUid(uid)[19]]).toEqual([uid[14], uid[19]]);
    }),
  );
});

// RFC 4648 section 10, without its padding.
test.for([
  ["", ""],
  ["f", "MY"],
  ["fo", "MZXQ"],
  ["foo", "MZXW6"],
  ["foob", "MZXW6YQ"],
  ["fooba", "MZXW6YTB"],
  ["foobar", "MZXW6YTBOI"],
] as const)("base32() of %j", ([text, out]) => expect(base32(Buffer.from(text))).toBe(out));

test("affinityLabels() are labels whatever the node is called, and the hash is SHA3-256", () => {
  const node = "a-very-long-name.".repeat(14);
  const labels = affinityLabels({ node, cidr: "10.0.0.0/26" });
  expect(labels).toEqual({
    "projectcalico.org/hostname-hash": base32(createHash("sha3-256").update(node).digest()),
    "projectcalico.org/affinity-type": "host",
    "projectcalico.org/ip-version": "4",
  });
  expect(labels["projectcalico.org/hostname-hash"]).toMatch(/^[A-Z2-7]{52}$/);
  expect(affinityLabels({ node, type: "virtual", cidr: "fd00::/122" })).toMatchObject({
    "projectcalico.org/affinity-type": "virtual",
    "projectcalico.org/ip-version": "6",
  });
});

test("blockName() and affinityName()", () => {
  expect([blockName("10.0.0.0/26"), blockName("fd00::/122")]).toEqual(["10-0-0-0-26", "fd00---122"]);
  expect(affinityName("k8s-w1", "10.65.0.0/26")).toBe("k8s-w1-10-65-0-0-26");
});
test("affinityName() of 253 characters and more is cut and hashed", () => {
  const cidr = "10.65.0.0/26";
  const [block, longest] = ["10-65-0-0-26", 252 - 1 - "10-65-0-0-26".length];
  expect(affinityName("n".repeat(longest), cidr)).toBe(`${"n".repeat(longest)}-${block}`);
  for (const node of ["n".repeat(longest + 1), "n".repeat(253), `${"n".repeat(252)}m`]) {
    const name = affinityName(node, cidr);
    const hash = createHash("sha256").update(`${node}+${block}`).digest("hex").slice(0, 11);
    expect(name).toMatch(new RegExp(`^n+-${block}-${hash}$`));
    expect(name.length).toBeLessThan(253);
  }
});

const META: ObjectMeta = {
  name: "default",
  resourceVersion: "12",
  uid: "8040c020-a060-4710-8950-d030b070f008",
  creationTimestamp: "2026-11-23T12:00:00Z",
  labels: { team: "red", "projectcalico.org/kind": "x" },
  annotations: { note: "mine", "operator.tigera.io/managed": "yes" },
  ownerReferences: [{ apiVersion: "projectcalico.org/v3", kind: "IPPool", name: "p", uid: "8040c020-a060-4710-8950-d030b070f008" }],
};

test("toV1Metadata(): name, version, identity and Calico's own keys; the rest as JSON in the annotation", () => {
  const { annotations, ...v1 } = toV1Metadata(META);
  expect(v1).toEqual({
    name: "default",
    resourceVersion: "12",
    uid: "01020304-0506-4708-890a-0b0c0d0e0f10",
    labels: { "projectcalico.org/kind": "x" },
  });
  const { [METADATA_ANNOTATION]: text, ...others } = annotations!;
  expect(others).toEqual({ "operator.tigera.io/managed": "yes" });
  expect(JSON.parse(text!)).toEqual({
    creationTimestamp: "2026-11-23T12:00:00Z",
    labels: META.labels,
    annotations: META.annotations,
    ownerReferences: [{ apiVersion: "crd.projectcalico.org/v1", kind: "IPPool", name: "p", uid: "01020304-0506-4708-890a-0b0c0d0e0f10" }],
  });
});

test("fromV1Metadata() gives back what was written", () => expect(fromV1Metadata(toV1Metadata(META))).toEqual(META));

test.for<[string, ObjectMeta, ObjectMeta]>([
  ["without the annotation it is the object's own", { name: "a", labels: { x: "y" } }, { name: "a", labels: { x: "y" } }],
  [
    "the annotation goes over the object's labels and is gone",
    { name: "a", labels: { x: "1", y: "1" }, annotations: { [METADATA_ANNOTATION]: '{"labels":{"x":"2"},"creationTimestamp":null}' } },
    { name: "a", labels: { x: "2", y: "1" } },
  ],
  [
    "a name, version or identity in the annotation counts for nothing",
    { name: "a", resourceVersion: "5", annotations: { [METADATA_ANNOTATION]: '{"name":"b","resourceVersion":"4","uid":"u","namespace":"n"}' } },
    { name: "a", resourceVersion: "5" },
  ],
  ["broken JSON counts for nothing", { name: "a", annotations: { [METADATA_ANNOTATION]: "{" } }, { name: "a" }],
  ["nor does what is no object", { name: "a", annotations: { [METADATA_ANNOTATION]: "[1]" } }, { name: "a" }],
])("fromV1Metadata(): %s", ([, v1, v3]) => expect(fromV1Metadata(v1)).toEqual(v3));

test("codec: names of kinds, and the object round-trips with fields that nobody knows", () => {
  const object = {
    apiVersion: "projectcalico.org/v3",
    kind: "FelixConfiguration",
    metadata: META,
    spec: { wireguardEnabled: true, tomorrow: { a: [1] } },
  };
  const wire = toV1(FELIX_CONFIGURATION, object as never);
  expect([wire.apiVersion, wire.kind]).toEqual(["crd.projectcalico.org/v1", "FelixConfiguration"]);
  expect(fromV1(FELIX_CONFIGURATION, wire)).toEqual(object);
  expect(v1Kind(FELIX_CONFIGURATION)).toMatchObject({ group: "crd.projectcalico.org", version: "v1", plural: "felixconfigurations" });
});

test("codec: IPAMConfiguration is IPAMConfig in v1", () => {
  const object = {
    apiVersion: "projectcalico.org/v3",
    kind: "IPAMConfiguration",
    metadata: { name: "default" },
    spec: { strictAffinity: true },
  };
  expect(v1Kind(IPAM_CONFIGURATION)).toMatchObject({ kind: "IPAMConfig", plural: "ipamconfigs" });
  const wire = toV1(IPAM_CONFIGURATION, object);
  expect([wire.apiVersion, wire.kind]).toEqual(["crd.projectcalico.org/v1", "IPAMConfig"]);
  expect(fromV1(IPAM_CONFIGURATION, wire)).toEqual(object);
});

test("codec: a claim's deleted is a text in v1, and its type is host when nobody says", () => {
  const spec = { state: "confirmed" as const, node: "n", cidr: "10.0.0.0/26" };
  const affinity = { apiVersion: "projectcalico.org/v3", kind: "BlockAffinity", metadata: { name: "x" } };
  for (const deleted of [true, false]) {
    const wire = toV1(BLOCK_AFFINITY, { ...affinity, spec: { ...spec, type: "host", deleted } });
    expect(wire.spec.deleted).toBe(String(deleted));
    expect(fromV1(BLOCK_AFFINITY, wire).spec).toEqual({ ...spec, type: "host", deleted });
  }
  expect(fromV1(BLOCK_AFFINITY, { ...affinity, spec: { ...spec, deleted: "false" as never } }).spec).toEqual({
    ...spec,
    type: "host",
    deleted: false,
  });
  // A block's stays a boolean.
  const block = { ...affinity, kind: "IPAMBlock", spec: { cidr: "10.0.0.0/26", deleted: true } };
  expect(toV1(IPAM_BLOCK, block as never).spec.deleted).toBe(true);
});
