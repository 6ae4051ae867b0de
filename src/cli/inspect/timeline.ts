// `-z timeline`: lanes of time for each pair of peers: marks of handshakes and retries, a bar for each session, dots of keepalives, gaps.
import { formatClock, formatTime } from "../../capture/moment.ts";
import { initiatorOf, type PeerPair, peerPairs } from "../../capture/peers.ts";
import { type Session, spanOf, WAYS } from "../../capture/session.ts";
import type { MarkKind, Marks } from "../../capture/marks.ts";
import { endName } from "./peers.ts";
import type { Statistics } from "./statistics.ts";

/** What happened at a time; later marks cover earlier ones in one cell. */
type Mark = { readonly time: bigint; readonly sign: string };

const LABEL = 14;
const LEGEND = [
  "> initiation of the first-named side, < of the other; x not answered (a retry may follow); c answered with a cookie; r a response alone; = session with data; - session idle;",
  ". keepalive; ! counters missing; | the last that was seen of the session",
];

export const timelineTable: Statistics = {
  marked: true,
  lines: (a, width, marks) => {
    const all = a.sessions.map(spanOf);
    const start = extreme(
      all.map((s) => s.start),
      (x, y) => x < y,
    );
    const end = extreme(
      all.map((s) => s.end),
      (x, y) => x > y,
    );
    if (start === undefined || end === undefined) return ["The packets of this capture have no times."];
    const cells = Math.max(20, width - LABEL);
    const scale = { start, length: end > start ? end - start : 1n, cells };
    const lanes = peerPairs(a.sessions).flatMap((pair) => [
      "",
      `${endName(a.secrets, pair.ends[0])} and ${endName(a.secrets, pair.ends[1])}`,
      lane("  handshakes", handshakeMarks(pair), scale),
      ...rows(pair).map((r) => sessionLane(r, scale, marks)),
    ]);
    return [`${" ".repeat(LABEL)}${ruler(scale)}`, ...lanes, "", ...LEGEND];
  },
  json: (a, marks) => ({
    pairs: peerPairs(a.sessions).map((pair) => ({
      ends: pair.ends.map((e) => endName(a.secrets, e)),
      attempts: pair.attempts.map((t) => ({
        initiator: t.initiator,
        initiations: t.sessions.map((s) => ({ session: s.number, frame: s.initiation?.frame ?? null, time: timeOf(s.initiation?.time) })),
        answered: t.answered?.number ?? null,
      })),
      sessions: pair.chain.map(({ session, replaces }) => {
        const { start, end } = spanOf(session);
        return {
          session: session.number,
          start: timeOf(start),
          end: timeOf(end),
          replaces: replaces?.number ?? null,
          keepalives: timesOf(session, marks, "keepalive").map(timeOf),
          gaps: timesOf(session, marks, "gap").map(timeOf),
        };
      }),
    })),
  }),
};
const timeOf = (t: bigint | undefined): string | null => (t === undefined ? null : formatTime(t));

type Scale = { readonly start: bigint; readonly length: bigint; readonly cells: number };
const cellOf = (t: bigint, s: Scale): number => Math.max(0, Math.min(s.cells - 1, Number(((t - s.start) * BigInt(s.cells - 1)) / s.length)));

function lane(label: string, marks: readonly Mark[], scale: Scale): string {
  const cells = Array.from({ length: scale.cells }, () => " ");
  for (const m of marks) cells[cellOf(m.time, scale)] = m.sign;
  return `${label.slice(0, LABEL - 1).padEnd(LABEL)}${cells.join("")}`.trimEnd();
}

function handshakeMarks(pair: PeerPair): Mark[] {
  const marks: Mark[] = [];
  for (const s of pair.sessions) {
    const began = s.initiation?.time;
    if (began !== undefined)
      marks.push({ time: began, sign: s.response ? (initiatorOf(pair, s) === 0 ? ">" : "<") : s.cookieReply === undefined ? "x" : "c" });
    else if (s.response?.time !== undefined) marks.push({ time: s.response.time, sign: "r" });
  }
  return marks.sort((x, y) => (x.time < y.time ? -1 : 1));
}

/** Sessions that stood, each in a row of its own: the first so many. */
const rows = (pair: PeerPair): Session[] => pair.chain.map((c) => c.session).slice(0, MAX_ROWS);
const MAX_ROWS = 40;

const timesOf = (s: Session, marks: Marks, kind: MarkKind): bigint[] =>
  marks
    .of(s.number)
    .filter((m) => m.kind === kind)
    .map((m) => m.time);

function sessionLane(s: Session, scale: Scale, marks: Marks): string {
  const { start, end } = spanOf(s);
  if (start === undefined || end === undefined) return `  session ${s.number}: no times`;
  const cells = Array.from({ length: scale.cells }, () => " ");
  const [from, to] = [cellOf(start, scale), cellOf(end, scale)];
  cells.fill("-", from, to + 1);
  for (const w of WAYS) {
    const c = s.counts[w];
    if (c.firstTime !== undefined && c.lastTime !== undefined && c.transport > 0)
      cells.fill("=", cellOf(c.firstTime, scale), cellOf(c.lastTime, scale) + 1);
  }
  const [keepalives, gaps] = [timesOf(s, marks, "keepalive"), timesOf(s, marks, "gap")];
  for (const t of keepalives) cells[cellOf(t, scale)] = ".";
  for (const t of gaps) cells[cellOf(t, scale)] = "!";
  cells[to] = "|";
  return `${`  session ${s.number}`.padEnd(LABEL)}${cells.join("")}`.trimEnd();
}

function ruler(s: Scale): string {
  const left = formatClock(s.start).slice(0, 12);
  const right = formatClock(s.start + s.length).slice(0, 12);
  const length = `${(Number(s.length) / 1e9).toFixed(1)} s`;
  const rest = s.cells - left.length - right.length - length.length;
  return rest < 4 ? left : `${left}${" ".repeat(Math.floor(rest / 2))}${length}${" ".repeat(Math.ceil(rest / 2))}${right}`;
}
function extreme(times: readonly (bigint | undefined)[], better: (x: bigint, y: bigint) => boolean): bigint | undefined {
  let best: bigint | undefined;
  for (const t of times) if (t !== undefined && (best === undefined || better(t, best))) best = t;
  return best;
}
