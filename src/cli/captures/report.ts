// What decrypting a capture came to: for a person, and as JSON.
import { many } from "../../base/text.ts";
import { toBase64 } from "../../base/bytes.ts";
import { formatEndpoint } from "../../base/ip.ts";
import type { Analysis } from "../../capture/analysis.ts";
import { examine, introduce, type SessionReport } from "../../capture/doctor.ts";
import type { KeyLog, KeyLogProblem } from "../../capture/keylog.ts";
import { formatTime } from "../../capture/moment.ts";
import { timestampOf } from "../../capture/replay.ts";
import { missing, type Session, type UdpEndpoint, type Way } from "../../capture/session.ts";

export type Totals = { readonly transport: number; readonly decrypted: number; readonly unauthenticated: number; readonly keepalives: number };
export type Result = {
  readonly path: string;
  /** The file of keys that was given. */
  readonly keys: string | undefined;
  readonly analysis: Analysis;
  readonly problems: readonly (KeyLogProblem & { readonly file: string })[];
};

const WAYS: readonly Way[] = ["toResponder", "toInitiator"];
const sum = (sessions: readonly Session[], what: "transport" | "decrypted" | "unauthenticated" | "keepalives"): number =>
  sessions.reduce((n, s) => n + WAYS.reduce((m, w) => m + s.counts[w][what], 0), 0);
export const totalsOf = (sessions: readonly Session[]): Totals => ({
  transport: sum(sessions, "transport"),
  decrypted: sum(sessions, "decrypted"),
  unauthenticated: sum(sessions, "unauthenticated"),
  keepalives: sum(sessions, "keepalives"),
});

const where = (e: UdpEndpoint | undefined): string => (e ? formatEndpoint(e.ip, e.port) : "?");

export function resultJson(r: Result): unknown {
  const side = (e: UdpEndpoint | undefined, key: Uint8Array | undefined, index: number | undefined): unknown => ({
    endpoint: e ? formatEndpoint(e.ip, e.port) : null,
    publicKey: key ? toBase64(key) : null,
    name: (key && r.analysis.secrets.static(key)?.name) ?? null,
    index: index === undefined ? null : `0x${index.toString(16).padStart(8, "0")}`,
  });
  return {
    file: r.path,
    packets: r.analysis.facts.packets,
    ...totalsOf(r.analysis.sessions),
    sessions: r.analysis.sessions.map((s) => {
      const report = examine(s, r.analysis.secrets);
      return {
        session: s.number,
        initiator: side(s.initiator, s.initiatorStatic, s.initiatorIndex),
        responder: side(s.responder, s.responderStatic, s.responderIndex),
        handshake: {
          initiation: s.initiation?.frame ?? null,
          response: s.response?.frame ?? null,
          cookieReply: s.cookieReply ?? null,
          ok: s.answered?.kind === "open",
          timestamp: s.begun?.timestamp ? formatTime(timestampOf(s.begun.timestamp)) : null,
          roundTripSeconds:
            s.initiation?.time !== undefined && s.response?.time !== undefined ? Number(s.response.time - s.initiation.time) / 1e9 : null,
        },
        ...totalsOf([s]),
        failed: s.counts.toResponder.failed + s.counts.toInitiator.failed,
        duplicates: s.counts.toResponder.duplicates + s.counts.toInitiator.duplicates,
        missing: Number(missing(s.counts.toResponder) + missing(s.counts.toInitiator)),
        opened: report.opened,
        diagnosis: report.diagnosis ?? null,
        warnings: report.warnings,
      };
    }),
    keys: introduce(r.analysis.secrets, r.analysis.sessions),
    keyProblems: r.problems,
    damage: r.analysis.facts.damage,
    notes: r.analysis.facts.notes,
  };
}

type Problem = Result["problems"][number];

/** Lines of key logs that cannot be used, or that Wireshark would not use. `keys`: the file of keys that was given. */
export const problemsOf = (keys: string | undefined, logs: readonly KeyLog[], analysis: Analysis): Problem[] => [
  ...logs.flatMap((log) => log.problems.map((p) => ({ ...p, file: keys ?? "the keys" }))),
  ...analysis.keyProblems.map((p) => ({ ...p, file: "the capture's own key log" })),
];

export const problemText = (p: Problem): string =>
  `${p.file} line ${p.line}: ${p.why}${p.ours === "taken" ? " (taken here)" : "; the line is left out"}`;

/** The report as lines. */
export function resultLines(r: Result): string[] {
  const { sessions } = r.analysis;
  const t = totalsOf(sessions);
  const lines = [
    `${r.path}: ${many(r.analysis.facts.packets, "packet")}, ${many(sessions.length, "WireGuard session")}, ${many(t.transport, "data packet")} ` +
      `(and ${many(t.keepalives, "keepalive")}), ${t.decrypted} opened${t.unauthenticated > 0 ? `, the beginning of ${t.unauthenticated} cut ones` : ""}`,
    "",
  ];
  const keys = introduce(r.analysis.secrets, sessions);
  lines.push(
    "Keys at hand",
    ...(keys.length > 0
      ? keys
      : [
          r.keys === undefined
            ? "none: the file holds no key block and no --keys file was given"
            : `none: there is no key in "${r.keys}", and no key block in the file`,
        ]
    ).map((k) => `  ${k}`),
  );
  for (const p of r.problems) lines.push(`  D8: ${problemText(p)}`);
  if (sessions.length === 0) lines.push("", "There is no WireGuard in this capture: nothing to decrypt.");
  // Handshakes that fail alike many times (an unreachable peer) are one paragraph.
  const groups = new Map<string, SessionReport[]>();
  for (const s of sessions) {
    const report = examine(s, r.analysis.secrets);
    const same =
      report.diagnosis?.code === "D2" && report.opened.length === 0 ? `${where(s.initiator)} ${where(s.responder)}` : `session ${s.number}`;
    groups.set(same, [...(groups.get(same) ?? []), report]);
  }
  for (const group of groups.values()) lines.push("", ...sessionLines(group));
  if (r.analysis.fragments > 0)
    lines.push("", `D10: ${many(r.analysis.fragments, "IP fragment")}: a WireGuard packet in fragments opens only when all of them were captured.`);
  return lines;
}

function sessionLines(group: readonly SessionReport[]): string[] {
  const { session: s, opened, diagnosis, warnings } = group[0]!;
  const frames = [s.initiation?.frame, s.response?.frame].filter((f) => f !== undefined);
  const counts = totalsOf([s]);
  const head =
    group.length > 1
      ? `Sessions ${group.map((g) => g.session.number).join(", ")}: ${where(s.initiator)} → ${where(s.responder)}, ${group.length} initiations without a response`
      : `Session ${s.number}: ${where(s.initiator)} → ${where(s.responder)}, ` +
        (frames.length > 0 ? `handshake in packet${frames.length > 1 ? "s" : ""} ${frames.join(" and ")}, ` : "no handshake in the capture, ") +
        `${many(counts.transport, "data packet")}`;
  const lines = [head];
  for (const o of opened) lines.push(`  opened      ${o}`);
  if (diagnosis) {
    const left = counts.transport - counts.decrypted - counts.unauthenticated;
    if (group.length === 1 && left > 0) lines.push(`  not opened  ${left} of ${many(counts.transport, "data packet")}`);
    lines.push(`  why (${diagnosis.code})    ${diagnosis.why}`.replace(/\)\s+/, ") ".padEnd(5)), `  needed      ${diagnosis.needs}`);
  }
  for (const w of warnings) lines.push(`  look        ${w}`);
  return lines;
}
