// The sessions: a table, and under it what there is to say about the chosen one.
import { examine } from "../../capture/doctor.ts";
import { formatEndpoint } from "../../base/ip.ts";
import { formatTime } from "../../capture/moment.ts";
import {
  clockSkew,
  type DirectionCounts,
  hasData,
  keepaliveInterval,
  missing,
  roundTrip,
  type Session,
  spanOf,
  WAYS,
} from "../../capture/session.ts";
import { toBase64 } from "../../base/bytes.ts";
import { many } from "../../base/text.ts";
import { bodyRows } from "./layout.ts";

import { topFor } from "./scroll.ts";
import type { State } from "./state.ts";
import { fit, fitLine, type Line, sentence, span, type Style, wrap } from "./text.ts";
import type { World } from "./world.ts";

/** Rows of the table without its heading; what is left is for the chosen session. */
export const sessionRows = (state: State, world: World): number => Math.max(1, Math.min(world.sessions.length, Math.ceil(bodyRows(state) * 0.4) - 2));

/** Its data, both ways. */
export function dataOf(s: Session): { data: number; opened: number; lost: number; keepalives: number } {
  const sum = (of: (c: DirectionCounts) => number): number => WAYS.reduce((n, w) => n + of(s.counts[w]), 0);
  return {
    data: sum((c) => c.transport),
    opened: sum((c) => c.decrypted + c.unauthenticated),
    lost: sum(missing),
    keepalives: sum((c) => c.keepalives),
  };
}

const NONE = "-";
const ms = (ns: bigint | undefined): string => (ns === undefined ? NONE : `${(Number(ns) / 1e6).toFixed(Math.abs(Number(ns)) < 1e7 ? 2 : 0)} ms`);

function stateOf(s: Session, world: World): { text: string; style: Style } {
  const { diagnosis } = examine(s, world.secrets);
  if (s.initiation && !s.response) return { text: "no answer", style: { color: "orange" } };
  if (diagnosis) return { text: `sealed ${diagnosis.code}`, style: { dim: true } };
  if (dataOf(s).opened > 0 || s.answered?.kind === "open") return { text: "open", style: { color: "green" } };
  return hasData(s) ? { text: "sealed", style: { dim: true } } : { text: "no data", style: {} };
}

/** A name, an endpoint: what is known of a side. */
function sideOf(s: Session, side: "initiator" | "responder", world: World): string {
  const key = side === "initiator" ? s.initiatorStatic : s.responderStatic;
  const name = key && world.secrets.static(key)?.name;
  const at = s[side];
  return name ?? (at ? formatEndpoint(at.ip, at.port) : NONE);
}

export function sessionLines(state: State, world: World): Line[] {
  const { columns } = state.size;
  const all = world.sessions;
  if (all.length === 0) return [[span("  No WireGuard session has been seen", { dim: true })]];
  const rows = sessionRows(state, world);
  const cursor = Math.min(state.sessions.cursor, all.length - 1);
  const top = topFor({ cursor, top: state.sessions.top }, all.length, rows);
  const side = Math.max(12, Math.min(30, Math.floor((columns - 49) / 2)));
  const line = (no: string, start: string, from: string, to: string, rtt: string, opened: string, lost: string, status: string): string =>
    [
      fit(no, 4, "right"),
      fit(start, 9, "right"),
      fit(from, side),
      fit(to, side),
      fit(rtt, 7, "right"),
      fit(opened, 9, "right"),
      fit(lost, 4, "right"),
      status,
    ].join(" ");
  const lines: Line[] = [[span(fit(line("No.", "Start", "Initiator", "Responder", "RTT", "Opened", "Lost", "State"), columns), { bold: true })]];
  all.slice(top, top + rows).forEach((s, i) => {
    const { data, opened, lost } = dataOf(s);
    const { start } = spanOf(s);
    const status = stateOf(s, world);
    const when = start === undefined ? NONE : formatTime(start - (world.facts.first ?? start), 4);
    const text = line(
      String(s.number),
      when,
      sideOf(s, "initiator", world),
      sideOf(s, "responder", world),
      ms(roundTrip(s)),
      `${opened}/${data}`,
      String(lost),
      status.text,
    );
    lines.push(fitLine([span(text, status.style)], columns, top + i === cursor ? { reverse: true } : undefined));
  });
  lines.push([span("─".repeat(columns), { dim: true })]);
  lines.push(...detailOf(all[cursor]!, world, columns));
  return lines.slice(0, bodyRows(state));
}

function detailOf(s: Session, world: World, columns: number): Line[] {
  const lines: Line[] = [];
  const say = (label: string, text: string, style?: Style): void => {
    wrap(text, Math.max(10, columns - 14)).forEach((t, i) =>
      lines.push([span(fit(i === 0 ? label : "", 13, "right"), { bold: true }), span(" "), span(t, style)]),
    );
  };
  const end = (side: "initiator" | "responder"): string => {
    const key = side === "initiator" ? s.initiatorStatic : s.responderStatic;
    const at = s[side];
    const index = side === "initiator" ? s.initiatorIndex : s.responderIndex;
    return [
      at ? formatEndpoint(at.ip, at.port) : "",
      key ? [world.secrets.static(key)?.name, toBase64(key)].filter(Boolean).join(" ") : "key unknown",
      index === undefined ? "" : `index 0x${index.toString(16).padStart(8, "0")}`,
    ]
      .filter(Boolean)
      .join(", ");
  };
  say("Initiator", end("initiator"));
  say("Responder", end("responder"));
  const hand = [
    s.initiation ? `initiation in packet ${s.initiation.frame}` : "no initiation",
    s.response ? `response in packet ${s.response.frame} after ${ms(roundTrip(s))}` : "no response",
    s.repeats > 0 ? `${s.repeats} repeated` : "",
    s.cookieReply === undefined ? "" : `cookie in packet ${s.cookieReply}`,
    clockSkew(s) === undefined ? "" : `initiator's clock ${ms(clockSkew(s))} behind the capture's`,
  ];
  say("Handshake", hand.filter(Boolean).join(", "));
  for (const way of WAYS) {
    const c = s.counts[way];
    if (c.firstFrame === undefined) continue;
    const interval = keepaliveInterval(c);
    const parts = [
      `${c.transport} data, ${many(c.keepalives, "keepalive")}${interval === undefined ? "" : ` (every ${interval.toFixed(1)} s)`}, ${many(c.bytes, "byte")}`,
      `counters ${c.lowest} to ${c.highest}`,
      missing(c) > 0 ? `${missing(c)} missing` : "none missing",
      c.reordered > 0 ? `${c.reordered} out of order` : "",
      c.duplicates > 0 ? `${c.duplicates} copies` : "",
      c.replays > 0 ? `${c.replays} replayed` : "",
      c.conflicts > 0 ? `${c.conflicts} with a counter used before` : "",
    ];
    say(way === "toResponder" ? "→ responder" : "→ initiator", parts.filter(Boolean).join(", "));
  }
  for (const r of s.roamings)
    say(
      "Roamed",
      `${r.side} at packet ${r.frame}: ${formatEndpoint(r.from.ip, r.from.port)} → ${formatEndpoint(r.to.ip, r.to.port)}${r.proven ? "" : " (unproven)"}`,
    );
  const { diagnosis } = examine(s, world.secrets);
  if (diagnosis) say(diagnosis.code, sentence(diagnosis.why), { color: "orange" });
  return lines.map((l) => fitLine(l, columns));
}
