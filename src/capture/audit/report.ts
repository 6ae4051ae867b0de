// What an audit came to, as plain data: what a terminal, a page, the viewer's audit tab and `-o json` show (sections 7.10, 8.2). Times are nanoseconds
// since 1970; reportJson() makes text of them.
import { many } from "../../base/text.ts";
import { formatIp } from "../../base/ip.ts";
import { formatTime } from "../moment.ts";
import { protocolName } from "../summary.ts";
import type { Audit, Judgement } from "./audit.ts";
import { REMEDY } from "./cause.ts";
import { bytesOf, type CauseTotals, type FlowFinding, type FrameReference, packetsOf, severityOf } from "./findings.ts";
import type { InventoryCanary } from "./inventory.ts";
import { type Cause, EXIT_CODES, type PacketClass, type Precondition, type Verdict } from "./types.ts";

export type ReportFlow = {
  readonly class: PacketClass;
  readonly cause: Cause;
  readonly severity: "high" | "medium" | "low";
  readonly path: readonly string[];
  /** "TCP 10.0.0.1:80 → 10.0.0.2:9, native" */
  readonly text: string;
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly packets: number;
  readonly fragments: number;
  readonly bytes: number;
  readonly confirmed: number;
  readonly first: bigint | undefined;
  readonly last: bigint | undefined;
  readonly notes: readonly string[];
  readonly sample: string | undefined;
  readonly frames: readonly FrameReference[];
};
export type ReportCause = CauseTotals & { readonly remedy: string; readonly flowList: readonly ReportFlow[] };
export type ReportPair = {
  readonly a: string;
  readonly b: string;
  readonly encryptedPackets: number;
  readonly encryptedBytes: number;
  readonly provenBytes: number;
  readonly plainPackets: number;
  readonly plainBytes: number;
  readonly causes: readonly Cause[];
  readonly lastHandshake: bigint | undefined;
  /** What their devices say of each other: "a" has "b" as a peer, and the other way; undefined when not known. */
  readonly peers: string | undefined;
};
/** An audit's result. Times are nanoseconds since 1970. */
export type AuditReport = {
  readonly subject: string;
  readonly verdict: Verdict;
  readonly exitCode: 0 | 2 | 3;
  /** One sentence. */
  readonly why: string;
  readonly first: bigint | undefined;
  readonly last: bigint | undefined;
  readonly frames: number;
  readonly confirming: number;
  readonly inside: number;
  readonly classes: readonly (readonly [string, number])[];
  readonly encrypted: Audit["encrypted"];
  readonly plain: { readonly packets: number; readonly bytes: number };
  readonly share: { readonly packets: number; readonly bytes: number } | undefined;
  readonly exposed: { readonly flows: number; readonly seconds: number };
  readonly ciphertext: readonly { readonly way: string; readonly chiSquare: number; readonly bytes: number }[];
  readonly pairs: readonly ReportPair[];
  readonly causes: readonly ReportCause[];
  /** Findings in flows beyond the limit. */
  readonly more: number;
  /** Between nodes and pods, where that is not claimed to be encrypted. */
  readonly allowed: readonly ReportFlow[];
  readonly canary:
    | (InventoryCanary & { readonly readable: number; readonly nodesReadable: number; readonly frames: readonly FrameReference[] })
    | undefined;
  readonly preconditions: readonly Precondition[];
  readonly doubts: readonly string[];
  readonly remarks: readonly string[];
};

/** All that an audit found, as plain data: for a page, for JSON, for a terminal. */
export function reportOf(audit: Audit, judged: Judgement, about: { subject: string; remarks?: readonly string[] }): AuditReport {
  const { findings } = audit;
  const totals = audit.found.byCause(findings);
  const { canary } = audit.inventory;
  const causes = totals.map((t) => ({ ...t, remedy: REMEDY[t.cause], flowList: findings.filter((f) => f.cause === t.cause).map(flowOf) }));
  return {
    subject: about.subject,
    ...judged,
    exitCode: EXIT_CODES[judged.verdict],
    why: sentence(audit, judged),
    first: audit.first,
    last: audit.last,
    frames: audit.frames,
    confirming: audit.confirming,
    inside: audit.inside,
    classes: [...audit.classes].sort((a, b) => b[1] - a[1]),
    encrypted: { ...audit.encrypted },
    plain: audit.plain,
    share: audit.share(),
    exposed: { flows: findings.length + audit.found.more, seconds: audit.found.seconds(totals.map((t) => t.cause)) },
    ciphertext: [...audit.proof.bytes].map(([way, b]) => ({ way: way.replace(" ", " → "), chiSquare: b.chiSquare, bytes: b.total })),
    pairs: pairsOf(audit),
    causes,
    more: audit.found.more,
    allowed: audit.allowed.map(flowOf),
    canary: canary && { ...canary, readable: audit.markers.pods, nodesReadable: audit.markers.nodes, frames: audit.markers.samples },
    remarks: about.remarks ?? [],
  };
}

function flowOf(f: FlowFinding): ReportFlow {
  return {
    class: f.class,
    cause: f.cause,
    severity: severityOf(f),
    path: f.path,
    text: flowText(f),
    from: f.from,
    to: f.to,
    packets: packetsOf(f),
    fragments: f.fragments,
    bytes: bytesOf(f),
    confirmed: f.confirmed,
    first: f.first,
    last: f.last,
    notes: [...(f.hint ? [f.hint.what] : []), ...f.notes],
    sample: f.hint?.sample,
    frames: f.samples,
  };
}

function flowText(f: Pick<FlowFinding, "flow" | "path">): string {
  if (!f.flow) return "?";
  const { src, dst, protocol, srcPort, dstPort } = f.flow;
  const hasPorts = (srcPort !== 0 || dstPort !== 0) && protocol !== 1 && protocol !== 58;
  const end = (ip: Uint8Array, port: number): string =>
    !hasPorts ? formatIp(ip) : ip.length === 4 ? `${formatIp(ip)}:${port}` : `[${formatIp(ip)}]:${port}`;
  const wrapped = f.path.length > 0 ? `, in ${f.path.join(" in ")}` : ", native";
  return `${protocolName(protocol)} ${end(src, srcPort)} → ${end(dst, dstPort)}${wrapped}`;
}

/** Every pair of nodes has a line, also without traffic; of very many nodes only the pairs that spoke. */
function pairsOf(audit: Audit): ReportPair[] {
  const names = audit.inventory.nodes.map((n) => n.name);
  const known = [...audit.pairs.values()];
  const all = names.length <= 20 ? names.flatMap((a, i) => names.slice(i + 1).map((b) => [a, b] as const)) : known.map((p) => [p.a, p.b] as const);
  return all.map(([a, b]) => {
    const p = known.find((x) => (x.a === a && x.b === b) || (x.a === b && x.b === a));
    return {
      a,
      b,
      encryptedPackets: p?.encryptedPackets ?? 0,
      encryptedBytes: p?.encryptedBytes ?? 0,
      provenBytes: p?.provenBytes ?? 0,
      plainPackets: p?.plainPackets ?? 0,
      plainBytes: p?.plainBytes ?? 0,
      causes: [...(p?.causes ?? [])],
      lastHandshake: audit.proof.lastHandshake(a, b),
      peers: audit.inventory.peersOf(a, b),
    };
  });
}

function sentence(audit: Audit, judged: Judgement): string {
  const missing = judged.preconditions.filter((p) => p.state === "missing");
  if (judged.verdict === "FAIL") {
    const packets = audit.findings.reduce((n, f) => n + packetsOf(f), 0);
    if (packets === 0) return judged.doubts.join("; ");
    return `${many(packets, "packet")} of pods could be read on a wire, in ${many(audit.findings.length + audit.found.more, "flow")}`;
  }
  if (judged.verdict === "PASS") {
    const trusted = judged.preconditions.filter((p) => p.state === "trusted").map((p) => p.id);
    return `0 pod packets in the clear, and encrypted ones were there${trusted.length > 0 ? `; taken on trust: ${trusted.join(", ")}` : ""}`;
  }
  const ids = missing.map((p) => p.id).join(", ");
  const why = [...(missing.length > 0 ? [`${ids} ${missing.length === 1 ? "does" : "do"} not hold`] : []), ...judged.doubts];
  return `nothing is proven: ${why.join("; ")}`;
}

/** The report with times as text: what `-o json` prints. */
export function reportJson(r: AuditReport): unknown {
  const time = (t: bigint | undefined): string | null => (t === undefined ? null : formatTime(t));
  const flow = (f: ReportFlow): unknown => ({
    ...f,
    from: f.from ?? null,
    to: f.to ?? null,
    sample: f.sample ?? null,
    first: time(f.first),
    last: time(f.last),
  });
  const { first, last, causes, allowed, pairs, classes, canary, share, ...rest } = r;
  return {
    ...rest,
    window: { from: time(first), to: time(last) },
    share: share ?? null,
    classes: Object.fromEntries(classes),
    pairs: pairs.map((p) => ({ ...p, lastHandshake: time(p.lastHandshake), peers: p.peers ?? null })),
    causes: causes.map(({ flowList, ...c }) => ({ ...c, first: time(c.first), last: time(c.last), flowList: flowList.map(flow) })),
    allowed: allowed.map(flow),
    canary: canary ?? null,
  };
}
