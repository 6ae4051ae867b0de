// `-z sessions`: each session, what was seen of it, and the doctor's first reason why it does not open.
import { many } from "../../base/text.ts";
import { toBase64 } from "../../base/bytes.ts";
import { formatEndpoint } from "../../base/ip.ts";
import type { Analysis } from "../../capture/analysis.ts";
import { examine } from "../../capture/doctor.ts";
import { formatClock, formatTime } from "../../capture/moment.ts";
import type { Secrets } from "../../capture/secrets.ts";
import { clockSkew, missing, roundTrip, type Session, spanOf, type UdpEndpoint, WAYS } from "../../capture/session.ts";
import { columns, seconds, span } from "./columns.ts";
import type { Statistics } from "./statistics.ts";

export const hexIndex = (n: number | undefined): string => (n === undefined ? "-" : `0x${n.toString(16).padStart(8, "0")}`);
/** A side by its node's name, else its endpoint. */
export function nameOf(secrets: Secrets, key: Uint8Array | undefined, e: UdpEndpoint | undefined): string {
  const name = key && secrets.static(key)?.name;
  return name ?? (e ? formatEndpoint(e.ip, e.port) : "?");
}
const sum = (s: Session, of: "transport" | "keepalives" | "decrypted" | "unauthenticated" | "bytes"): number =>
  WAYS.reduce((n, w) => n + s.counts[w][of], 0);
const lost = (s: Session): number => WAYS.reduce((n, w) => n + missing(s.counts[w]), 0);

export const sessionsTable: Statistics = {
  lines: (a) => {
    const rows = a.sessions.map((s) => {
      const { start, end } = spanOf(s);
      const opened = sum(s, "decrypted") + sum(s, "unauthenticated");
      return [
        String(s.number),
        nameOf(a.secrets, s.initiatorStatic, s.initiator),
        nameOf(a.secrets, s.responderStatic, s.responder),
        start === undefined ? "-" : formatClock(start),
        span(start === undefined || end === undefined ? undefined : end - start),
        s.initiation ? (s.response ? "yes" : s.cookieReply === undefined ? "no answer" : "cookie") : s.response ? "response" : "before",
        span(roundTrip(s)),
        String(sum(s, "transport")),
        String(sum(s, "keepalives")),
        String(lost(s)),
        String(opened),
      ];
    });
    const head = ["session", "initiator", "responder", "start", "lasted", "handshake", "rtt", "data", "keepalives", "lost", "opened"];
    return [...columns(head, rows), ...reasons(a)];
  },
  json: (a) => ({
    sessions: a.sessions.map((s) => {
      const report = examine(s, a.secrets);
      const { start, end } = spanOf(s);
      const side = (key: Uint8Array | undefined, e: UdpEndpoint | undefined, index: number | undefined): unknown => ({
        endpoint: e ? formatEndpoint(e.ip, e.port) : null,
        publicKey: key ? toBase64(key) : null,
        name: (key && a.secrets.static(key)?.name) ?? null,
        index: index === undefined ? null : hexIndex(index),
      });
      return {
        session: s.number,
        initiator: side(s.initiatorStatic, s.initiator, s.initiatorIndex),
        responder: side(s.responderStatic, s.responder, s.responderIndex),
        start: start === undefined ? null : formatTime(start),
        end: end === undefined ? null : formatTime(end),
        initiationFrame: s.initiation?.frame ?? null,
        responseFrame: s.response?.frame ?? null,
        cookieReplyFrame: s.cookieReply ?? null,
        roundTripSeconds: seconds(roundTrip(s)),
        clockSkewSeconds: seconds(clockSkew(s)),
        data: sum(s, "transport"),
        keepalives: sum(s, "keepalives"),
        bytes: sum(s, "bytes"),
        lost: lost(s),
        opened: sum(s, "decrypted"),
        openedUnauthenticated: sum(s, "unauthenticated"),
        roamed: s.roamed,
        diagnosis: report.diagnosis ?? null,
        warnings: report.warnings,
      };
    }),
  }),
};

/** The doctor's words; what is the same for several sessions but for its numbers is said once. */
function reasons(a: Analysis): string[] {
  const groups = new Map<string, { sessions: number[]; code: string; why: string; needs: string }>();
  for (const s of a.sessions) {
    const { diagnosis: d } = examine(s, a.secrets);
    if (!d) continue;
    const key = `${d.code} ${d.why.replaceAll(/[0-9]+/g, "#")}`;
    const known = groups.get(key);
    if (known) known.sessions.push(s.number);
    else groups.set(key, { sessions: [s.number], ...d });
  }
  return [...groups.values()].flatMap((g) => [
    "",
    `${g.sessions.length === 1 ? "session" : many(g.sessions.length, "session") + ":"} ${g.sessions.slice(0, 20).join(", ")}${g.sessions.length > 20 ? ", …" : ""}: not opened (${g.code}): ${g.why}`,
    `  needed: ${g.needs}`,
  ]);
}
