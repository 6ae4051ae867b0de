import { describe, expect, test } from "vitest";
import { type ClusterStatus, clusterStatus } from "../agent/calc/status.ts";
import { felix, key, node } from "../agent/calc/world.cases.ts";
import type { NodeEncryption } from "../api/nodeencryption.ts";
import { ago, renderStatus } from "./status.ts";

const NOW = Date.parse("2026-11-23T12:00:00Z");
const at = (secondsAgo: number): string => new Date(NOW - 1000 * secondsAgo).toISOString();
const nodes = [node("a", { key: key(1) }), node("b", { key: key(2) })];
const status = (reports: NodeEncryption[]): ClusterStatus =>
  clusterStatus({ nodes, felixConfigurations: [felix("default", { wireguardEnabled: true })], reports, now: NOW });
const report = (warnings: string[]): NodeEncryption => ({
  apiVersion: "tortie.io/v1",
  kind: "NodeEncryption",
  metadata: { name: "a" },
  status: {
    publicKey: key(1),
    interface: "wireguard.cali",
    listenPort: 51820,
    reportedAt: at(3),
    watching: true,
    peers: [{ node: "b", publicKey: key(2), rxBytes: 1, txBytes: 1, latestHandshake: at(5) }],
    warnings,
  },
});

describe("renderStatus()", () => {
  test("nobody watching is never shown as never, none or zero", () => {
    const text = renderStatus(status([]), NOW, false);
    expect(text).toContain("on 0 of 2 nodes (2 not watched)");
    expect(text).toMatch(/Last handshake +not watched/);
    expect(text).not.toMatch(/never/);
  });
  test("a key or a warning that holds escape sequences does not reach the terminal as such", () => {
    const hostile = clusterStatus({
      nodes: [...nodes, node("c", { key: "\x1b[31mX\x07" })],
      felixConfigurations: [felix("default", { wireguardEnabled: true })],
      reports: [report(["a \x1b]0;title\x07 b"])],
      now: NOW,
    });
    const text = renderStatus(hostile, NOW, false);
    expect(text).toContain("·[31mX·…");
    expect(text.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
  });
  test("fits 80 columns, and has no colours when none are asked for", () => {
    const warnings = [`node "b" publishes a malformed WireGuard key: it is no peer, traffic with it is not encrypted, and this sentence is long`];
    const text = renderStatus(status([report(warnings)]), NOW, false);
    expect(text.split("\n").filter((l) => l.length > 80)).toEqual([]);
    expect(text).not.toContain("\x1b");
    expect(text.replace(/\s+/g, " ")).toContain(warnings[0]!);
    expect(renderStatus(status([report([])]), NOW, true)).toContain("\x1b[32mon");
  });
});

test.for([
  [0, "0 s ago"],
  [119, "119 s ago"],
  [180, "3 min ago"],
  [7300, "2 h ago"],
  [400_000, "5 days ago"],
] as const)("ago() of %d seconds is %s", ([seconds, want]) => expect(ago(at(seconds), NOW)).toBe(want));
