// The report for a terminal.
import { many } from "../../base/text.ts";
import type { AuditReport, ReportFlow, ReportPair } from "../../capture/audit/report.ts";
import { formatClock } from "../../capture/moment.ts";

const FLOWS = 20;
const WIDTH = 110;
export const percent = (x: number): string => `${(x * 100).toFixed(2)} %`;
export const secondsOf = (r: Pick<AuditReport, "first" | "last">): number =>
  r.first !== undefined && r.last !== undefined ? Number(r.last - r.first) / 1e9 : 0;

export function reportLines(r: AuditReport): string[] {
  const { encrypted: e, plain: p, share } = r;
  const lines = [
    `Audit of ${r.subject}: ${many(r.frames, "frame")} in ${secondsOf(r).toFixed(1)} s, every one walked through all its encapsulations`,
    "",
  ];
  if (r.pairs.length > 0 && r.pairs.length <= 100) lines.push(...table([PAIR_HEAD, ...r.pairs.map(pairRow)]), "");
  lines.push(
    share === undefined
      ? "Encrypted share: no pod traffic was seen"
      : `Encrypted share: ${percent(share.packets)} of packets (${e.packets} of ${e.packets + p.packets}), ${percent(share.bytes)} of bytes (${e.bytes} of ${e.bytes + p.bytes})`,
    `WireGuard: ${many(e.handshakes, "handshake message")}, ${many(e.packets, "data message")}; proven by a handshake whose mac1 verifies: ${e.provenPackets} (${e.provenBytes} B), not proven: ${e.packets - e.provenPackets} (${e.bytes - e.provenBytes} B)` +
      (e.authenticatedPackets > 0 ? `; opened with keys: ${e.authenticatedPackets}` : ""),
  );
  if (r.ciphertext.length > 0) {
    const worst = r.ciphertext.reduce((a, b) => (b.chiSquare > a.chiSquare ? b : a));
    lines.push(`Ciphertext: ${many(r.ciphertext.length, "direction")}, chi-square at most ${worst.chiSquare.toFixed(0)} (uniform bytes: 255 ± 45)`);
  }
  if (r.canary) lines.push(...canaryLines(r.canary));
  lines.push(...wrap(`Frames by class: ${r.classes.map(([name, n]) => `${name} ${n}`).join(", ") || "none"}`, 2), "");
  if (r.causes.length > 0) lines.push(`Found in the clear: ${many(r.exposed.flows, "flow")}, in ${many(r.exposed.seconds, "second")} of the window`);
  for (const c of r.causes) {
    lines.push(
      `  ${c.cause}: ${many(c.packets, "packet")}, ${c.bytes} B, ${many(c.flows, "flow")}, ${span(c)}`,
      ...wrap(`    What to do: ${c.remedy}`, 6),
    );
    for (const f of c.flowList.slice(0, FLOWS)) lines.push(...wrap(`    - ${flowLine(f)}`, 8));
    if (c.flowList.length > FLOWS) lines.push(`    and ${c.flowList.length - FLOWS} more flows`);
  }
  if (r.more > 0) lines.push(`  and ${many(r.more, "packet")} of flows beyond those that are listed`);
  if (r.causes.length > 0) lines.push("");
  const host = r.allowed.reduce((n, f) => n + f.packets, 0);
  if (host > 0)
    lines.push(
      ...wrap(
        `Between nodes themselves and pods: ${many(host, "packet")} in the clear, which is not claimed to be encrypted (${[...new Set(r.allowed.map((f) => f.cause))].join(", ")})`,
        2,
      ),
      "",
    );
  lines.push("What a proof needs", ...r.preconditions.flatMap((x) => wrap(`  ${x.id}  ${x.state.padEnd(7)}  ${x.what}: ${x.evidence}`, 15)));
  for (const d of r.doubts) lines.push(...wrap(`  !   doubt    ${d}`, 15));
  lines.push("", ...r.remarks, ...wrap(`Verdict: ${r.verdict}: ${r.why} (exit code ${r.exitCode})`, 2));
  return lines;
}

const span = (c: { first: bigint | undefined; last: bigint | undefined }): string =>
  c.first === undefined || c.last === undefined ? "at an unknown time" : `${formatClock(c.first)} to ${formatClock(c.last)}`;

export const flowNotes = (f: ReportFlow): string[] => [
  ...f.notes,
  ...(f.fragments > 0 ? [`${f.fragments} of them later fragments`] : []),
  ...(f.confirmed > 0 ? [`the receiver's capture has ${f.confirmed}`] : []),
];

export function flowLine(f: ReportFlow): string {
  const kind = f.class === "POD_TO_POD" ? "" : `${f.class} `;
  const ends = f.from !== undefined && f.to !== undefined ? `${f.from} → ${f.to}: ` : "";
  const notes = flowNotes(f);
  const frames = f.frames.length > 0 ? `, for example frame ${f.frames.map((x) => x.frame).join(", ")} of ${f.frames[0]!.source}` : "";
  return `${ends}${kind}${f.text}: ${many(f.packets, "packet")}, ${f.bytes} B${frames}${notes.length > 0 ? ` (${notes.join("; ")})` : ""}`;
}

export const PAIR_HEAD: readonly string[] = ["PAIR", "ENCRYPTED", "PROVEN", "IN THE CLEAR", "LAST HANDSHAKE SEEN", "PEERS"];
export const pairRow = (p: ReportPair): string[] => [
  `${p.a} ↔ ${p.b}`,
  p.encryptedPackets > 0 ? `${many(p.encryptedPackets, "packet")}, ${p.encryptedBytes} B` : p.plainPackets > 0 ? "0" : "no traffic",
  p.encryptedBytes === 0 ? "-" : percent(p.provenBytes / p.encryptedBytes),
  p.plainPackets > 0 ? `${many(p.plainPackets, "packet")}, ${p.plainBytes} B: ${p.causes.join(", ")}` : "0",
  p.lastHandshake === undefined ? "not in this window" : formatClock(p.lastHandshake),
  p.peers ?? "not read",
];

export function canaryLines(c: NonNullable<AuditReport["canary"]>): string[] {
  const paths = new Map<string, { sent: number; received: number; paths: number; silent: number }>();
  for (const p of c.paths) {
    const t = paths.get(p.path) ?? { sent: 0, received: 0, paths: 0, silent: 0 };
    paths.set(p.path, {
      sent: t.sent + p.sent,
      received: t.received + p.received,
      paths: t.paths + 1,
      silent: t.silent + (p.received === 0 ? 1 : 0),
    });
  }
  const inner = c.controls.filter((x) => x.seen > 0).length;
  return [
    `Canary: the marker between pods was readable in ${many(c.readable, "frame")} on the wires; seen on ${inner} of ${c.controls.length} inner links, where it must be`,
    ...[...paths].map(
      ([path, t]) =>
        `  ${path}: ${many(t.paths, "path")}, ${t.sent} sent, ${t.received} arrived or answered${t.silent > 0 ? `, ${t.silent} silent` : ""}`,
    ),
    ...(c.nodesReadable > 0 ? [`  the marker between pods and nodes was readable in ${many(c.nodesReadable, "frame")}`] : []),
    ...(c.notProbed ?? []).map((x) => `  not probed: ${x}`),
    ...(c.remarks ?? []).slice(0, 5).map((x) => `  ${x}`),
  ];
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, c) => Math.max(...rows.map((row) => row[c]!.length)));
  return rows.map((row) => `  ${row.map((cell, c) => cell.padEnd(widths[c]!)).join("  ")}`.trimEnd());
}

/** Breaks a line at blanks; what follows the first line begins `indent` blanks in. */
function wrap(text: string, indent: number): string[] {
  const lines: string[] = [];
  let rest = text;
  while (rest.length > WIDTH) {
    const at = rest.lastIndexOf(" ", WIDTH);
    if (at <= indent + 2) break;
    lines.push(rest.slice(0, at));
    rest = " ".repeat(indent) + rest.slice(at + 1);
  }
  return [...lines, rest];
}
