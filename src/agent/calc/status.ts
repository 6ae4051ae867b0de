// The cluster's encryption in one look, from what the nodes say of themselves. Pure. A node whose report is missing or old is not watched: nothing is
// claimed of it, neither good nor bad.
import type { FelixConfiguration } from "../../api/felixconfiguration.ts";
import type { Node } from "../../api/node.ts";
import type { NodeEncryption, NodeEncryptionStatus, PeerReport } from "../../api/nodeencryption.ts";
import { configOf } from "./config.ts";
import { factsOf } from "./facts.ts";
import { isKey } from "./keys.ts";

/** A report older than this says nothing about now. Agents write every ten seconds. */
const WATCHED_MS = 30_000;
/** After this a session's keys are gone (WireGuard's Reject-After-Time): the pair makes a new handshake when there is traffic. */
const SESSION_MS = 180_000;

export type Encrypts = "on" | "off" | "starting" | "not watched";
export type NodeRow = {
  node: string;
  encryption: Encrypts;
  publicKey: string | null;
  /** Peers with a handshake, of those on the device; null: not watched. */
  peersUp: number | null;
  peers: number | null;
  reportedAt: string | null;
};
/** up: keys in use; idle: had a handshake, nothing to send since; waiting: none yet; plain: one of the two does not encrypt. */
export type PairState = "up" | "idle" | "waiting" | "plain" | "not watched";
export type PairRow = { nodes: [string, string]; state: PairState; latestHandshake: string | null };
export type ClusterStatus = {
  /** What happens to traffic with a node that has no key: permissive, in the clear. */
  mode: "permissive";
  nodes: { total: number; encrypting: number; notWatched: number };
  pairs: { total: number; up: number; idle: number; waiting: number; plain: number; notWatched: number };
  /** null: none is known; `watched` says whether anybody looked. */
  latestHandshake: { at: string | null; nodes: [string, string] | null; watched: boolean };
  /** Nobody watches all wires all the time yet: an audit does, while it runs. */
  lastClearPacket: "not watched";
  perNode: NodeRow[];
  perPair: PairRow[];
  warnings: string[];
};

export type StatusInputs = {
  readonly nodes: readonly Node[];
  readonly felixConfigurations: readonly FelixConfiguration[];
  readonly reports: readonly NodeEncryption[];
  /** Wall time in ms. */
  readonly now: number;
};

type Seen = {
  readonly name: string;
  readonly key: string;
  /** Others can have this node as a peer: its key is one, and nobody else claims it. */
  readonly reachable: boolean;
  readonly wanted: boolean;
  readonly report: NodeEncryptionStatus | undefined;
};

const isFresh = (s: NodeEncryptionStatus | undefined, now: number): boolean =>
  s !== undefined && s.watching && Math.abs(now - Date.parse(s.reportedAt)) <= WATCHED_MS;

function encrypts(n: Seen): Encrypts {
  if (!n.report) return "not watched";
  if (!n.wanted && n.report.interface === undefined) return "off";
  return n.report.interface !== undefined && n.report.publicKey === n.key && n.key !== "" ? "on" : "starting";
}

/** What `a` says of `b`, under the key that `b` has now. */
const peerOf = (a: Seen, b: Seen): PeerReport | undefined => a.report?.peers.find((p) => p.node === b.name && p.publicKey === b.key);
/** Time of the last handshake that `a` reports with `b`, in ms. */
const handshake = (a: Seen, b: Seen): number => Date.parse(peerOf(a, b)?.latestHandshake ?? "") || 0;

function pairOf(a: Seen, b: Seen, now: number): PairRow {
  const nodes: [string, string] = [a.name, b.name];
  const both = a.report !== undefined && b.report !== undefined;
  const latest = a.reachable && b.reachable ? Math.max(handshake(a, b), handshake(b, a)) : 0;
  const state = (): PairState => {
    if (!a.reachable || !b.reachable) return both || !a.wanted || !b.wanted ? "plain" : "not watched";
    // What one side reports is old news when the other, which is heard too, has not got it as a peer.
    if (both && !(peerOf(a, b) && peerOf(b, a))) return "waiting";
    if (latest > 0) return now - latest <= SESSION_MS ? "up" : "idle";
    return both ? "waiting" : "not watched";
  };
  return { nodes, state: state(), latestHandshake: latest > 0 ? new Date(latest).toISOString() : null };
}

export function clusterStatus(inputs: StatusInputs): ClusterStatus {
  const { now } = inputs;
  const reports = new Map(inputs.reports.map((r) => [r.metadata.name, r.status]));
  const facts = inputs.nodes.map(factsOf).sort((a, b) => (a.name < b.name ? -1 : 1));
  const seen = facts.map(({ name, labels, publicKey }): Seen => ({
    name,
    key: publicKey,
    reachable: isKey(publicKey) && facts.filter((f) => f.publicKey === publicKey).length === 1,
    wanted: configOf(inputs.felixConfigurations, { name, labels }).enabled,
    report: isFresh(reports.get(name), now) ? reports.get(name) : undefined,
  }));
  const perNode = seen.map((n): NodeRow => {
    const peers = n.report?.peers;
    return {
      node: n.name,
      encryption: encrypts(n),
      publicKey: n.key === "" ? null : n.key,
      peersUp: peers ? peers.filter((p) => p.latestHandshake !== undefined).length : null,
      peers: peers?.length ?? null,
      reportedAt: reports.get(n.name)?.reportedAt ?? null,
    };
  });
  const perPair = seen.flatMap((a, i) => seen.slice(i + 1).map((b) => pairOf(a, b, now)));
  const count = (state: PairState): number => perPair.filter((p) => p.state === state).length;
  const last = perPair.filter((p) => p.latestHandshake !== null).toSorted((a, b) => (a.latestHandshake! > b.latestHandshake! ? -1 : 1))[0];
  return {
    mode: "permissive",
    nodes: {
      total: seen.length,
      encrypting: perNode.filter((n) => n.encryption === "on").length,
      notWatched: perNode.filter((n) => n.encryption === "not watched").length,
    },
    pairs: {
      total: perPair.length,
      up: count("up"),
      idle: count("idle"),
      waiting: count("waiting"),
      plain: count("plain"),
      notWatched: count("not watched"),
    },
    latestHandshake: { at: last?.latestHandshake ?? null, nodes: last?.nodes ?? null, watched: seen.some((n) => n.report !== undefined) },
    lastClearPacket: "not watched",
    perNode,
    perPair,
    warnings: [...new Set(seen.flatMap((n) => n.report?.warnings ?? []))].sort(),
  };
}
