// The audit's report: for a person, and as JSON.
import { formatIp } from "../../base/ip.ts";
import type { Audit, FlowFinding } from "../../capture/audit/audit.ts";
import { type Cause, EXIT_CODES, type Precondition, type Verdict } from "../../capture/audit/types.ts";
import { formatClock, formatTime } from "../../capture/moment.ts";
import { protocolName } from "../../capture/summary.ts";

export type Canaries = {
  readonly sent: number;
  readonly received: number;
  readonly hits: readonly { readonly source: string; readonly frame: number }[];
};
export type Report = {
  /** "the lab", or the file's name. */
  readonly subject: string;
  readonly audit: Audit;
  readonly verdict: Verdict;
  readonly preconditions: readonly Precondition[];
  /** Names of nodes: every pair has a line, also without traffic. */
  readonly nodes: readonly string[];
  readonly canary?: Canaries;
  /** What the reader's damage or other trouble was. */
  readonly remarks: readonly string[];
};

/** What to do about it. */
const REMEDY: Readonly<Record<Cause, string>> = {
  ENCRYPTION_OFF: "encryption is switched off: patch felixconfiguration default with wireguardEnabled: true",
  OVERLAY_BYPASS: "the overlay's packets go past the tunnel: their routes still point to the overlay or the wire",
  ICMP_ERROR: "an ICMP error quotes a pods' packet: it follows from the packet itself having been in the clear, or from a reply of the node",
  FAMILY_GAP: "this address family has no WireGuard: switch it on for it too (IPv6 has a setting of its own)",
  PEER_NO_KEY: "a node has published no public key: is its agent running, and encryption on for it?",
  PEER_NOT_CONFIGURED: "the destination is in no peer's AllowedIPs: is its block known?",
  TUNNEL_NOT_UP: "there was no completed handshake between the two nodes at that time",
  NEW_ENDPOINT_RACE: "the destination pod was younger than ten seconds: the sender did not know it yet",
  ROUTE_BYPASS: "tunnel and AllowedIPs were right, but the sender's route pointed to the wire",
  HOST_NETWORK: "one end is a node itself: Calico encrypts that only with wireguardHostEncryptionEnabled",
  NOT_WIREGUARD: "it is on WireGuard's port and is not WireGuard",
  UNKNOWN: "the cause is not known: look at the sample frame",
};

const percent = (x: number): string => `${(x * 100).toFixed(2)} %`;
const many = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;

export function flowText(f: FlowFinding): string {
  if (!f.flow) return "?";
  const { src, dst, protocol, srcPort, dstPort } = f.flow;
  const ports = srcPort || dstPort ? [`:${srcPort}`, `:${dstPort}`] : ["", ""];
  const wrapped = f.path.length > 0 ? `, in ${f.path.join(" in ")}` : ", native";
  return `${protocolName(protocol)} ${formatIp(src)}${ports[0]} → ${formatIp(dst)}${ports[1]}${wrapped}`;
}

function pairRows(r: Report): string[][] {
  const rows = [["PAIR", "ENCRYPTED", "PROVEN", "IN THE CLEAR", "LAST HANDSHAKE SEEN"]];
  for (const [i, a] of r.nodes.entries()) {
    for (const b of r.nodes.slice(i + 1)) {
      const p = [...r.audit.pairs.values()].find((x) => (x.a === a && x.b === b) || (x.a === b && x.b === a));
      const at = r.audit.proof.lastHandshake(a, b);
      const proven = !p || p.encryptedBytes === 0 ? "-" : percent(p.provenBytes / p.encryptedBytes);
      rows.push([
        `${a} ↔ ${b}`,
        p ? `${many(p.encryptedPackets, "packet")}, ${p.encryptedBytes} B` : "no traffic",
        proven,
        p && p.plainPackets > 0 ? `${many(p.plainPackets, "packet")}, ${p.plainBytes} B` : "0",
        at === undefined ? "not in this window" : formatClock(at),
      ]);
    }
  }
  return rows;
}

export function reportLines(r: Report): string[] {
  const { audit } = r;
  const seconds = audit.first !== undefined && audit.last !== undefined ? Number(audit.last - audit.first) / 1e9 : 0;
  const lines = [
    `Audit of ${r.subject}: ${many(audit.frames, "frame")} in ${seconds.toFixed(1)} s, every one walked through all its encapsulations`,
    "",
  ];
  const rows = pairRows(r);
  if (rows.length > 1 && rows.length <= 100) {
    const widths = rows[0]!.map((_, c) => Math.max(...rows.map((row) => row[c]!.length)));
    lines.push(...rows.map((row) => `  ${row.map((cell, c) => cell.padEnd(widths[c]!)).join("  ")}`.trimEnd()), "");
  }
  const share = audit.share();
  lines.push(
    share === undefined
      ? "Encrypted share: no pod traffic was seen"
      : `Encrypted share: ${percent(share.packets)} of packets (${audit.encrypted.packets} of ${audit.encrypted.packets + audit.plain.packets}), ` +
          `${percent(share.bytes)} of bytes (${audit.encrypted.bytes} of ${audit.encrypted.bytes + audit.plain.bytes})`,
    `WireGuard: ${many(audit.encrypted.handshakes, "handshake message")}, ${many(audit.encrypted.packets, "data message")}, of which ${audit.encrypted.provenPackets} proven (their index was announced by a handshake whose mac1 verifies)`,
  );
  if (r.canary)
    lines.push(
      `Canary: ${r.canary.received} of ${r.canary.sent} marked datagrams between pods arrived; the marker was readable in ${many(r.canary.hits.length, "frame")} on the wires`,
    );
  lines.push(`Frames by class: ${[...audit.classes].map(([name, n]) => `${name} ${n}`).join(", ") || "none"}`, "");
  const byCause = new Map<Cause, FlowFinding[]>();
  for (const f of audit.findings) byCause.set(f.cause, [...(byCause.get(f.cause) ?? []), f]);
  if (byCause.size > 0) lines.push("Found in the clear");
  for (const [cause, flows] of byCause) {
    lines.push(`  ${cause}: ${REMEDY[cause]}`);
    for (const f of flows.slice(0, 20)) {
      const notes = f.notes.size > 0 ? ` (${[...f.notes].join("; ")})` : "";
      const kind = f.class === "POD_TO_POD" ? "" : `${f.class} `;
      const ends = f.from !== undefined && f.to !== undefined ? `${f.from} → ${f.to}: ` : "";
      lines.push(
        `    ${ends}${kind}${flowText(f)}: ${many(f.packets, "packet")}, ${f.bytes} B, for example frame ${f.sample.frame} of ${f.sample.source}${notes}`,
      );
    }
    if (flows.length > 20) lines.push(`    and ${flows.length - 20} more flows`);
  }
  if (byCause.size > 0) lines.push("");
  const host = [...audit.flows.values()].filter((f) => f.class === "NODE_TO_POD").reduce((n, f) => n + f.packets, 0);
  if (host > 0 && !audit.findings.some((f) => f.class === "NODE_TO_POD"))
    lines.push(`Between nodes themselves and pods: ${many(host, "packet")} in the clear, which is not claimed to be encrypted (HOST_NETWORK)`, "");
  lines.push("What a proof needs", ...r.preconditions.map((p) => `  ${p.id}  ${p.state.padEnd(7)}  ${p.what}: ${p.evidence}`), "");
  lines.push(...r.remarks);
  lines.push(`Verdict: ${r.verdict}: ${sentence(r)} (exit code ${EXIT_CODES[r.verdict]})`);
  return lines;
}

function sentence(r: Report): string {
  const { audit } = r;
  const missing = r.preconditions.filter((p) => p.state === "missing");
  if (r.verdict === "FAIL") {
    const packets = audit.findings.reduce((n, f) => n + f.packets, 0);
    return `${many(packets, "packet")} of pods left in the clear, in ${many(audit.findings.length + audit.moreFlows, "flow")}`;
  }
  if (r.verdict === "PASS") {
    const trusted = r.preconditions.filter((p) => p.state === "trusted").map((p) => p.id);
    return `0 pod packets in the clear, and encrypted ones were there${trusted.length > 0 ? `; taken on trust: ${trusted.join(", ")}` : ""}`;
  }
  if (missing.length > 0) return `nothing is proven: ${missing.map((p) => `${p.id} (${p.what})`).join(", ")} does not hold`;
  return "nothing is proven: no WireGuard data was seen that a verified handshake announced";
}

export function reportJson(r: Report): unknown {
  const { audit } = r;
  const time = (t: bigint | undefined): string | null => (t === undefined ? null : formatTime(t));
  return {
    verdict: r.verdict,
    exitCode: EXIT_CODES[r.verdict],
    subject: r.subject,
    window: { from: time(audit.first), to: time(audit.last) },
    frames: audit.frames,
    classes: Object.fromEntries(audit.classes),
    encrypted: audit.encrypted,
    plain: audit.plain,
    share: audit.share() ?? null,
    pairs: r.nodes.flatMap((a, i) =>
      r.nodes.slice(i + 1).map((b) => {
        const p = [...audit.pairs.values()].find((x) => (x.a === a && x.b === b) || (x.a === b && x.b === a));
        return {
          a,
          b,
          encryptedPackets: p?.encryptedPackets ?? 0,
          encryptedBytes: p?.encryptedBytes ?? 0,
          provenBytes: p?.provenBytes ?? 0,
          plainPackets: p?.plainPackets ?? 0,
          plainBytes: p?.plainBytes ?? 0,
          lastHandshake: time(audit.proof.lastHandshake(a, b)),
        };
      }),
    ),
    findings: audit.findings.map((f) => ({
      class: f.class,
      cause: f.cause,
      remedy: REMEDY[f.cause],
      path: f.path,
      flow: f.flow
        ? { src: formatIp(f.flow.src), dst: formatIp(f.flow.dst), protocol: f.flow.protocol, srcPort: f.flow.srcPort, dstPort: f.flow.dstPort }
        : null,
      from: f.from ?? null,
      to: f.to ?? null,
      packets: f.packets,
      bytes: f.bytes,
      first: time(f.first),
      last: time(f.last),
      sample: f.sample,
      notes: [...f.notes],
    })),
    moreFlows: audit.moreFlows,
    canary: r.canary ?? null,
    preconditions: r.preconditions,
    remarks: r.remarks,
  };
}
