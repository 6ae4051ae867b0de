// The timeline: a lane for each session under its pair of peers, from the first packet of the capture on the left to the last on the right.
import { formatEndpoint } from "../../base/ip.ts";
import { peerPairs, type PeerEnd, type PeerPair } from "../../capture/peers.ts";
import { type Session, spanOf } from "../../capture/session.ts";
import { bodyRows } from "./layout.ts";
import type { Mark, MarkKind } from "../../capture/marks.ts";
import { dataOf } from "./sessionscreen.ts";
import type { State } from "./state.ts";
import { fit, fitLine, type Line, type Span, span, type Style } from "./text.ts";
import type { World } from "./world.ts";

const LABEL = 10;
/** Lanes that are drawn at most. */
const MAX_LANES = 5000;

const MARKS: Readonly<Record<MarkKind, { readonly sign: string; readonly style: Style; readonly rank: number; readonly what: string }>> = {
  gap: { sign: "x", style: { color: "red", bold: true }, rank: 5, what: "counters skipped" },
  initiation: { sign: "I", style: { color: "blue", bold: true }, rank: 4, what: "initiation" },
  response: { sign: "R", style: { color: "blue", bold: true }, rank: 3, what: "response" },
  cookie: { sign: "C", style: { color: "orange", bold: true }, rank: 2, what: "cookie" },
  keepalive: { sign: "∙", style: { color: "grey" }, rank: 1, what: "keepalive" },
};

export function timelineLines(state: State, world: World): Line[] {
  const { columns } = state.size;
  const { first, last } = world.facts;
  if (world.sessions.length === 0) return [[span("  No WireGuard session has been seen", { dim: true })]];
  if (first === undefined || last === undefined) return [[span("  The packets of this capture have no time", { dim: true })]];
  const width = Math.max(10, columns - LABEL - 1);
  const cell = (t: bigint): number =>
    last === first ? 0 : Math.max(0, Math.min(width - 1, Math.floor((Number(t - first) / Number(last - first)) * width)));
  const body: Line[] = [];
  let lanes = 0;
  for (const pair of peerPairs(world.sessions)) {
    if (lanes >= MAX_LANES) break;
    body.push([span(` ${headingOf(pair, world)}`, { bold: true })]);
    for (const s of pair.sessions) {
      if (++lanes > MAX_LANES) {
        body.push([span(`  … only the first ${MAX_LANES} sessions are drawn`, { dim: true })]);
        break;
      }
      body.push([span(fit(`#${s.number}`, LABEL - 1, "right"), { dim: true }), span(" "), ...laneOf(s, world.marks.of(s.number), cell, width)]);
    }
  }
  const rows = bodyRows(state) - 2;
  const top = Math.max(0, Math.min(state.timeline, body.length - rows));
  return [axis(Number(last - first) / 1e9, width), ...body.slice(top, top + rows).map((l) => fitLine(l, columns)), legend(columns)];
}

function headingOf(pair: PeerPair, world: World): string {
  const end = (e: PeerEnd): string =>
    (e.publicKey && world.secrets.static(e.publicKey)?.name) || (e.endpoint ? formatEndpoint(e.endpoint.ip, e.endpoint.port) : "?");
  const n = pair.sessions.length;
  const retries = pair.attempts.reduce((sum, a) => sum + a.sessions.length - (a.answered ? 1 : 0), 0);
  return `${end(pair.ends[0])} ⇄ ${end(pair.ends[1])}: ${n} ${n === 1 ? "session" : "sessions"}${retries > 0 ? `, ${retries} initiations without an answer` : ""}`;
}

function laneOf(s: Session, marks: readonly Mark[], cell: (t: bigint) => number, width: number): Line {
  const cells: { sign: string; style: Style; rank: number }[] = Array.from({ length: width }, () => ({ sign: " ", style: {}, rank: -1 }));
  const { start, end } = spanOf(s);
  const bar = dataOf(s).opened > 0 ? { sign: "━", style: { color: "green" as const }, rank: 0 } : { sign: "─", style: { dim: true }, rank: 0 };
  if (start !== undefined && end !== undefined) for (let i = cell(start); i <= cell(end); i++) cells[i] = bar;
  for (const m of marks) {
    const to = MARKS[m.kind];
    let at = cell(m.time);
    // The response comes within a millisecond: it stands beside its initiation.
    if (m.kind === "response" && cells[at]!.rank === MARKS.initiation.rank && at + 1 < width) at++;
    if (to.rank > cells[at]!.rank) cells[at] = to;
  }
  const line: Span[] = [];
  for (const c of cells) line.push(span(c.sign, c.style));
  return line;
}

function axis(seconds: number, width: number): Line {
  const digits = seconds < 10 ? 3 : seconds < 1000 ? 1 : 0;
  const ticks = Math.max(1, Math.floor(width / 18));
  let text = "";
  for (let i = 0; i < ticks; i++)
    text += fit(`|${((seconds * i) / ticks).toFixed(digits)} s`, Math.floor((width * (i + 1)) / ticks) - Math.floor((width * i) / ticks));
  return [span(" ".repeat(LABEL)), span(text, { dim: true })];
}

const legend = (columns: number): Line => {
  const line: Span[] = [span(" ")];
  for (const m of Object.values(MARKS)) line.push(span(m.sign, m.style), span(` ${m.what}  `, { dim: true }));
  line.push(span("━", { color: "green" }), span(" opened  ", { dim: true }), span("─ sealed", { dim: true }));
  return fitLine(line, columns);
};
