import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { emptyBlock } from "../../../agent/ipam/block.ts";
import type { ClusterInformation } from "../../../api/clusterinformation.ts";
import type { IPAMBlock } from "../../../api/ipamblock.ts";
import type { Resource } from "../../../api/meta.ts";
import { TortieError } from "../../../base/errors.ts";
import { addressesOf, formatExport, type IpamObjects, readExport } from "./file.ts";

const directory = mkdtempSync(join(tmpdir(), "tortie-export-"));
afterAll(() => rmSync(directory, { recursive: true }));
const file = (text: string): string => {
  const path = join(directory, "all.txt");
  writeFileSync(path, text);
  return path;
};

const named = (kind: string, name: string, spec: object): Resource =>
  ({ apiVersion: "projectcalico.org/v3", kind, metadata: { name }, spec }) as Resource;
const RESOURCES = [
  named("FelixConfiguration", "default", { wireguardEnabled: true }),
  named("IPPool", "p", { cidr: "10.0.0.0/16" }),
  named("IPAMConfiguration", "default", { strictAffinity: true }),
];
const CLUSTER = named("ClusterInformation", "default", { clusterGUID: "g" }) as ClusterInformation;
const IPAM: IpamObjects = {
  blocks: [named("IPAMBlock", "10-0-0-0-30", emptyBlock("10.0.0.0/30", "host:n")) as IPAMBlock],
  block_affinities: [],
  ipam_handles: [],
};
const WHOLE = formatExport(RESOURCES, CLUSTER, IPAM);

test("what formatExport() writes, readExport() reads", () => {
  const { items, cluster, ipam } = readExport(file(WHOLE));
  expect(items.map((i) => i.object)).toEqual(RESOURCES);
  expect([cluster, ipam]).toEqual([CLUSTER, IPAM]);
  expect(addressesOf({ items, cluster, ipam })).toEqual({ pools: [RESOURCES[1]], blocks: IPAM.blocks, configuration: RESOURCES[2] });
});

const [resources, cluster, ipam] = WHOLE.split("===\n") as [string, string, string];
test.for([
  ["nothing", "", "no cluster information specified in file"],
  ["no IPAM", `${resources}===\n${cluster}`, "no IPAM resources specified in file"],
  ["an empty IPAM", `${resources}===\n${cluster}===\n\n`, "no IPAM resources specified in file"],
  ["IPAM that is no JSON", `${resources}===\n${cluster}===\n{`, "cannot read"],
  ["IPAM that is no object", `${resources}===\n${cluster}===\n[]`, "it is not an object"],
  ["IPAM without handles", `${resources}===\n${cluster}===\n{"blocks":[],"block_affinities":[]}`, "it has no list of IPAMHandles"],
  ["a block that is a pool", `${resources}===\n${cluster}===\n${ipam.replace("IPAMBlock", "IPPool")}`, "is not a IPAMBlock"],
  ["a block without a CIDR", `${resources}===\n${cluster}===\n${ipam.replace('"cidr"', '"cdir"')}`, "a IPAMBlock is not one: "],
  ["a resource with an unknown field", WHOLE.replace("wireguardEnabled", "wireguardOn"), "spec.wireguardOn"],
] as const)("readExport() refuses %s", ([, text, why]) => expect(() => readExport(file(text))).toThrow(why));

test("readExport() of any damaged file reads it or throws a TortieError", () => {
  const damage = fc.record({
    at: fc.nat(WHOLE.length - 1),
    length: fc.nat(40),
    by: fc.constantFrom("", "{", "}", "[", "\n", "===\n", "null", '"', ": ", "é", "__proto__"),
  });
  fc.assert(
    fc.property(fc.array(damage, { minLength: 1, maxLength: 4 }), (all) => {
      const text = all.reduce((t, { at, length, by }) => t.slice(0, at) + by + t.slice(at + length), WHOLE);
      try {
        readExport(file(text));
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(TortieError);
      }
    }),
    { numRuns: 500 },
  );
});
