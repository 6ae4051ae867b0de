// Each cause of section 7.8 has a leak that has it, and what tells it from the next one.
import { expect, test } from "vitest";
import { toBase64, utf8 } from "../../base/bytes.ts";
import { type Ip, parseIp } from "../../base/ip.ts";
import { nodeCrypto } from "../../crypto/node.ts";
import { ethernet, icmp, ip, ipv4, tcp, udp, vxlan } from "../../packet/build.ts";
import type { CapturedPacket } from "../packet.ts";
import { document, leak } from "./audit.cases.ts";
import { Audit } from "./audit.ts";
import { REMEDY } from "./cause.ts";
import { Inventory, type InventoryDocument } from "./inventory.ts";
import type { Snapshot } from "./observed.ts";
import type { Cause } from "./types.ts";

const mac = new Uint8Array(6).fill(2);
const at = (text: string): Ip => parseIp(text)!;
const frame = (src: string, dst: string, port = 80): Uint8Array => {
  const [s, d] = [at(src), at(dst)];
  const data = ip({ src: s, dst: d, protocol: 6 }, tcp(s, d, { srcPort: 40_000, dstPort: port }, utf8("x")));
  return ethernet(mac, mac, s.length === 4 ? 0x0800 : 0x86dd, data);
};
const [podA, podB, podA6, podB6] = ["10.244.1.10", "10.244.2.20", "fd44:1::10", "fd44:2::20"];
const [nodeA, nodeB] = ["10.77.0.1", "10.77.0.2"];
const native = frame(podA, podB);
const outer = (payload: Uint8Array): Uint8Array =>
  ethernet(mac, mac, 0x0800, ipv4({ src: at(nodeA), dst: at(nodeB), protocol: 17 }, udp(at(nodeA), at(nodeB), 4_000, 4_789, payload)));
const quote = ethernet(
  mac,
  mac,
  0x0800,
  ipv4({ src: at(nodeB), dst: at(nodeA), protocol: 1 }, icmp(at(nodeB), at(nodeA), { type: 3 }, native.subarray(14))),
);
/** The handshake of the fixture was at this second; the leak is a second later. */
const SHAKEN = Number(leak.packets[20]!.time! / 1_000_000n) / 1000;
const LATER = SHAKEN + 1;
const keyB = document.nodes[1]!.wgPublicKey as string;
const state = (change: Partial<Snapshot>): InventoryDocument["observed"] => [
  {
    node: "node-a",
    from: 0,
    to: 2e9,
    links: [
      { name: "eth0", role: "wire" },
      { name: "wg0", role: "inside" },
    ],
    snapshots: [{ time: 0, ...change }],
  },
];
const peer = (allowedIPs: string[], lastHandshake = SHAKEN) => ({ publicKey: keyB, allowedIPs, lastHandshake });
const nodes = (change: object): InventoryDocument["nodes"] => document.nodes.map((n) => ({ ...n, ...change }));
/** The sender's rules, and what its private table says of the other node's pods. */
const routed = (how: object): Partial<InventoryDocument> => ({
  observed: state({
    rules: [
      { priority: 99, table: "1", not: true, fwmark: 0x200000, fwmask: 0x200000 },
      { priority: 32_766, table: "main" },
    ],
    routes: [
      { dst: "10.244.2.0/24", table: "1", ...how },
      { dst: "0.0.0.0/0", table: "main", dev: "eth0" },
    ],
  })!,
});

const CASES: [Cause, string, Uint8Array, Partial<InventoryDocument>, number?][] = [
  ["ENCRYPTION_OFF", "it is switched off", native, { encryption: false }],
  ["OVERLAY_BYPASS", "VXLAN between the nodes", outer(vxlan(42, native)), {}],
  ["ICMP_ERROR", "a quote", quote, {}],
  ["FAMILY_GAP", "IPv6, of which the peer is sent nothing", frame(podA6, podB6), {}],
  ["FAMILY_GAP", "by the sender's own peers", frame(podA6, podB6), { observed: state({ peers: [peer(["10.244.2.0/24"])] })! }],
  ["FAMILY_GAP", "before a key that is not there", frame(podA6, podB6), { nodes: nodes({ wgPublicKey: undefined }) }],
  ["PEER_NO_KEY", "the destination's node has none", native, { nodes: nodes({ wgPublicKey: undefined }) }],
  ["PEER_NOT_CONFIGURED", "no allowed IPs", native, { nodes: nodes({ wgAllowedIPs: [] }) }],
  ["PEER_NOT_CONFIGURED", "by the sender's own peers", native, { observed: state({ peers: [peer(["10.244.9.0/24"])] })! }],
  ["TUNNEL_NOT_UP", "a second before the handshake", native, {}, SHAKEN - 1],
  ["TUNNEL_NOT_UP", "181 s after it", native, {}, SHAKEN + 181],
  ["NEW_ENDPOINT_RACE", "the pod is three seconds old", native, { pods: document.pods.map((p) => ({ ...p, since: LATER - 3 })) }],
  ["ROUTE_BYPASS", "nothing is known of routes", native, { pods: document.pods.map((p) => ({ ...p, since: LATER - 30 })) }],
  ["ROUTE_BYPASS", "the sender's route leads to the wire: the rule's table throws", native, routed({ type: "throw" })],
  ["UNASSIGNED_IP", "the route is right and nobody has the address", frame(podA, "10.244.2.99"), routed({ dev: "wg0" })],
  ["UNKNOWN", "the route is right and so is all else", native, routed({ dev: "wg0" })],
  ["HOST_NETWORK", "a node to a pod", frame(nodeA, podB), { hostEncryption: true }],
  ["PROXY", "a node's proxy to a pod", frame(nodeA, podB, 15_006), { hostEncryption: true, proxyPorts: [15_006] }],
  [
    "NAT",
    "a pod behind its node's address",
    frame(nodeA, nodeB, 5000),
    { conntrack: { "node-a": `tcp 6 9 ESTABLISHED src=${podA} dst=${podB} sport=1 dport=2 src=${nodeB} dst=${nodeA} sport=5000 dport=40000\n` } },
  ],
  [
    "NOT_WIREGUARD",
    "text on the port",
    ethernet(mac, mac, 0x0800, ipv4({ src: at(nodeA), dst: at(nodeB), protocol: 17 }, udp(at(nodeA), at(nodeB), 9, 51_820, utf8("hello there")))),
    {},
  ],
  [
    "MARKER",
    "the marker in a packet that no rule names",
    ethernet(
      mac,
      mac,
      0x0800,
      ipv4({ src: at("192.0.2.1"), dst: at("192.0.2.2"), protocol: 17 }, udp(at("192.0.2.1"), at("192.0.2.2"), 9, 9, utf8("0123456789abcdef"))),
    ),
    { canary: { marker: "30313233343536373839616263646566", paths: [], controls: [] } },
  ],
];

test.for(CASES)("%s: %s", ([want, , data, change, time = LATER]) => {
  const changed = { ...document, ...change };
  const audit = new Audit(nodeCrypto, new Inventory(JSON.parse(JSON.stringify(changed))));
  for (const p of leak.packets.slice(19, 21)) audit.add(p, { name: "a" });
  const packet: CapturedPacket = { ...leak.packets[0]!, data, originalLength: data.length, time: BigInt(Math.round(time * 1e3)) * 1_000_000n };
  expect(audit.add(packet, { name: "a" })!.cause).toBe(want);
  expect(audit.judge().verdict).toBe("FAIL");
});

test("every cause has a case and a remedy", () => {
  expect(new Set(CASES.map(([c]) => c))).toEqual(new Set(Object.keys(REMEDY)));
});

test("a marker between pods and nodes is exposure only where their encryption is claimed", () => {
  const marker = "30313233343536373839616263646566";
  const data = ethernet(
    mac,
    mac,
    0x0800,
    ipv4({ src: at(nodeA), dst: at(podB), protocol: 17 }, udp(at(nodeA), at(podB), 9, 9, utf8("0123456789abcdef"))),
  );
  const seen = (hostEncryption: boolean): Audit => {
    const canary = { marker: "ff".repeat(16), nodeMarker: marker, paths: [], controls: [] };
    const audit = new Audit(nodeCrypto, new Inventory({ ...document, hostEncryption, canary }));
    audit.add({ ...leak.packets[0]!, data, originalLength: data.length }, { name: "a" });
    return audit;
  };
  expect([seen(false).markers.nodes, seen(false).findings.length, seen(true).findings.length]).toEqual([1, 0, 1]);
});

test("keys of several devices of one node: each verifies what is for it", () => {
  const other = toBase64(new Uint8Array(32).fill(9));
  const two = { ...document, nodes: document.nodes.map((n) => ({ ...n, wgPublicKey: [other, n.wgPublicKey as string], wgPort: [1, 51_820] })) };
  const audit = new Audit(nodeCrypto, new Inventory(two));
  for (const p of leak.packets) audit.add(p, { name: "a" });
  expect(audit.encrypted.provenPackets).toBe(32);
});
