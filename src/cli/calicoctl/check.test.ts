import { expect, test } from "vitest";
import type { Resource } from "../../api/meta.ts";
import { checkChange, checkDocument } from "./check.ts";
import { typeOf } from "./types.ts";

const felix = (spec: Record<string, unknown>): Resource =>
  ({ apiVersion: "projectcalico.org/v3", kind: "FelixConfiguration", metadata: { name: "default" }, spec }) as Resource;
const pool = (spec: Record<string, unknown>): Resource =>
  ({ apiVersion: "projectcalico.org/v3", kind: "IPPool", metadata: { name: "p" }, spec: { cidr: "10.0.0.0/16", ...spec } }) as Resource;
const node = (spec: Record<string, unknown>, status: Record<string, unknown> = {}): Resource =>
  ({ apiVersion: "projectcalico.org/v3", kind: "Node", metadata: { name: "n" }, spec, status }) as Resource;

const KEY = "jlkVyQYooZYzI2wFfNhSZez5eWh44yfq1wKVjLvSXgY=";

// Calico's own table of what its validators accept and refuse, as far as it is about WireGuard and the pools under it.
test.for<[string, Resource, string | undefined]>([
  ["port 1", felix({ wireguardListeningPort: 1 }), undefined],
  ["port 65535", felix({ wireguardListeningPort: 65535 }), undefined],
  ["port 0", felix({ wireguardListeningPort: 0 }), "spec.wireguardListeningPort = '0'"],
  ["port 70000", felix({ wireguardListeningPort: 70000 }), "spec.wireguardListeningPort = '70000'"],
  ["port 1.5", felix({ wireguardListeningPort: 1.5 }), "spec.wireguardListeningPort = '1.5'"],
  ["v6 port 70000", felix({ wireguardListeningPortV6: 70000 }), "spec.wireguardListeningPortV6 = '70000'"],
  ["priority 32765", felix({ wireguardRoutingRulePriority: 32765 }), undefined],
  ["priority 32766", felix({ wireguardRoutingRulePriority: 32766 }), "spec.wireguardRoutingRulePriority = '32766'"],
  ["interface wg0", felix({ wireguardInterfaceName: "wg0" }), undefined],
  ["interface wg&0", felix({ wireguardInterfaceName: "wg&0" }), "spec.wireguardInterfaceName = 'wg&0'"],
  ["interface of 16 characters", felix({ wireguardInterfaceName: "a".repeat(16) }), "spec.wireguardInterfaceName = "],
  ["keep-alive 25s", felix({ wireguardKeepAlive: "25s" }), undefined],
  ["keep-alive of words", felix({ wireguardKeepAlive: "often" }), "spec.wireguardKeepAlive = 'often'"],
  ["a text for a boolean", felix({ wireguardEnabled: "true" }), "spec.wireguardEnabled = 'true' (must be of type boolean"],
  ["masked CIDR", pool({}), undefined],
  ["CIDR with host bits", pool({ cidr: "10.0.0.1/16" }), "spec.cidr = '10.0.0.1/16'"],
  ["no CIDR", pool({ cidr: "ten" }), "spec.cidr = 'ten'"],
  ["block size 33", pool({ blockSize: 33 }), "spec.blockSize = '33'"],
  ["an unknown mode", pool({ vxlanMode: "Sometimes" }), "spec.vxlanMode = 'Sometimes' (supported values: "],
  ["a node selector", pool({ nodeSelector: "zone == 'a' && !has(edge)" }), undefined],
  [
    "a node selector without quotes",
    pool({ nodeSelector: "zone == a" }),
    "spec.nodeSelector = 'zone == a' (invalid selector: expected a text in quotes",
  ],
  ["a namespace selector that ends early", pool({ namespaceSelector: "has(a) &&" }), "spec.namespaceSelector = 'has(a) &&'"],
  ["both modes", pool({ vxlanMode: "Always", ipipMode: "Always" }), "spec.ipipMode = 'Always'"],
  ["a public key", node({}, { wireguardPublicKey: KEY }), undefined],
  ["foobar as public key", node({}, { wireguardPublicKey: "foobar" }), "status.wireguardPublicKey = 'foobar'"],
  ["a key of 33 bytes", node({}, { wireguardPublicKey: `A${KEY}`.slice(0, 44) }), "status.wireguardPublicKey = 'Ajlk"],
  ["IPv6 for IPv4", node({ wireguard: { interfaceIPv4Address: "fd00::1" } }), "spec.wireguard.interfaceIPv4Address = 'fd00::1'"],
  ["AS number 4294967296", node({ bgp: { asNumber: 4294967296 } }), "spec.bgp.asNumber = '4294967296'"],
])("checkChange(): %s", ([, object, error]) => {
  const check = (): void => checkChange(typeOf(object.kind), object);
  if (error === undefined) check();
  else expect(check).toThrow(`error with field ${error}`);
});

test("several refused fields stand below a heading", () => {
  expect(() => checkChange(typeOf("felixconfig"), felix({ wireguardListeningPort: 0, wireguardMTU: -1 }))).toThrow(
    /^error with the following fields:\n- {2}spec\.wireguardListeningPort = '0' \(.*\)\n- {2}spec\.wireguardMTU = '-1' \(.*\)$/,
  );
});

test("what was there before is no fault of the writer: a field of another version of Calico stays", () => {
  const before = felix({ aFieldOfTomorrow: 1, wireguardListeningPort: 70000 });
  checkChange(typeOf("felixconfig"), felix({ aFieldOfTomorrow: 1, wireguardListeningPort: 70000, wireguardEnabled: true }), before);
  expect(() => checkChange(typeOf("felixconfig"), felix({ aFieldOfTomorrow: 1, another: 2 }), before)).toThrow(/wrong location: spec\.another$/);
  expect(() => checkChange(typeOf("felixconfig"), felix({ wireguardListeningPort: 70001 }), before)).toThrow("'70001'");
});

test("checkDocument() is about fields and types, not about ranges", () => {
  checkDocument(typeOf("felixconfig"), felix({ wireguardListeningPort: 70000 }));
  expect(() => checkDocument(typeOf("felixconfig"), felix({ wireguardListeningPort: "x" }))).toThrow("spec.wireguardListeningPort = 'x'");
  expect(() => checkDocument(typeOf("felixconfig"), felix({ a: 1, b: 2 }))).toThrow(/spec\.a\n.*spec\.b$/);
});
