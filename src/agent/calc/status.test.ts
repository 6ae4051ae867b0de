import { expect, test } from "vitest";
import type { NodeEncryption, PeerReport } from "../../api/nodeencryption.ts";
import { type ClusterStatus, clusterStatus } from "./status.ts";
import { felix, key, node } from "./world.cases.ts";

const NOW = Date.parse("2026-11-23T12:00:00Z");
const at = (secondsAgo: number): string => new Date(NOW - 1000 * secondsAgo).toISOString();
const peer = (name: string, k: number, secondsAgo?: number): PeerReport => ({
  node: name,
  publicKey: key(k),
  rxBytes: 1,
  txBytes: 1,
  ...(secondsAgo === undefined ? {} : { latestHandshake: at(secondsAgo) }),
});
const report = (name: string, k: number, peers: PeerReport[], more: Partial<NodeEncryption["status"]> = {}): NodeEncryption => ({
  apiVersion: "tortie.io/v1",
  kind: "NodeEncryption",
  metadata: { name },
  status: { publicKey: key(k), interface: "wireguard.cali", listenPort: 51820, reportedAt: at(3), watching: true, peers, warnings: [], ...more },
});
const status = (
  reports: NodeEncryption[],
  nodes = [node("a", { key: key(1) }), node("b", { key: key(2) }), node("c", { key: key(3) })],
): ClusterStatus => clusterStatus({ nodes, felixConfigurations: [felix("default", { wireguardEnabled: true })], reports, now: NOW });
const A = report("a", 1, [peer("b", 2, 5), peer("c", 3, 7)]);
const B = report("b", 2, [peer("a", 1, 5), peer("c", 3, 9)]);
const C = report("c", 3, [peer("a", 1, 7), peer("b", 2, 9)]);

test("all is up", () => {
  const s = status([A, B, C]);
  expect(s.nodes).toEqual({ total: 3, encrypting: 3, notWatched: 0 });
  expect(s.pairs).toEqual({ total: 3, up: 3, idle: 0, waiting: 0, plain: 0, notWatched: 0 });
  expect(s.latestHandshake).toEqual({ at: at(5), nodes: ["a", "b"], watched: true });
});

test.for([
  ["no reports", [], { notWatched: 3 }],
  ["reports of yesterday", [A, B, C].map((r) => ({ ...r, status: { ...r.status!, reportedAt: at(86_400) } })), { notWatched: 3 }],
  [
    "reports of an agent that could not read its device",
    [A, B, C].map((r) => ({ ...r, status: { ...r.status!, watching: false } })),
    { notWatched: 3 },
  ],
  ["one side of a pair reports the handshake", [A], { up: 2, notWatched: 1 }],
  ["no handshake yet", [report("a", 1, [peer("b", 2), peer("c", 3, 7)]), report("b", 2, [peer("a", 1), peer("c", 3, 9)]), C], { up: 2, waiting: 1 }],
  ["a side that has lost its peer", [report("a", 1, [peer("b", 2, 5)]), B, C], { up: 2, waiting: 1 }],
  ["no handshake on the side that reports", [report("a", 1, [peer("b", 2), peer("c", 3)])], { notWatched: 3 }],
  ["a session that expired", [report("a", 1, [peer("b", 2, 500), peer("c", 3, 5)]), C], { up: 2, idle: 1 }],
  [
    "a handshake with an old key",
    [report("a", 1, [peer("b", 9, 5), peer("c", 3, 5)]), report("b", 2, [peer("a", 1), peer("c", 3, 5)]), C],
    { up: 2, waiting: 1 },
  ],
] as [string, NodeEncryption[], Partial<ClusterStatus["pairs"]>][])("%s", ([, reports, want]) =>
  expect(status(reports).pairs).toEqual({ total: 3, up: 0, idle: 0, waiting: 0, plain: 0, notWatched: 0, ...want }),
);

test("a node that is switched off makes its pairs plain", () => {
  const reports = [report("a", 1, [peer("b", 2, 1)]), B, report("c", 3, [], { warnings: [] })];
  const { publicKey: _, interface: __, ...rest } = reports[2]!.status!;
  const s = clusterStatus({
    nodes: [node("a", { key: key(1) }), node("b", { key: key(2) }), node("c")],
    felixConfigurations: [felix("default", { wireguardEnabled: true }), felix("node.c", { wireguardEnabled: false })],
    reports: [reports[0]!, reports[1]!, { ...reports[2]!, status: rest }],
    now: NOW,
  });
  expect(s.perNode.map((n) => n.encryption)).toEqual(["on", "on", "off"]);
  expect(s.pairs).toMatchObject({ up: 1, plain: 2 });
});

test.for([
  ["is malformed", "garbage", 2],
  ["is another's too", key(2), 3],
] as [string, string, number][])("a node whose key %s has no pair that is up, whatever old reports say", ([, claimed, plain]) => {
  const s = status([A, B, C], [node("a", { key: key(1) }), node("b", { key: key(2) }), node("c", { key: claimed })]);
  expect(s.pairs).toMatchObject({ up: 3 - plain, plain });
});
