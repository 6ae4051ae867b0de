// `-z loss`: for each session and direction what the counters tell of messages that were lost, doubled, out of order, or played again.
import { many } from "../../base/text.ts";
import type { Analysis } from "../../capture/analysis.ts";
import { type DirectionCounts, distinct, missing, type Session, type Way, WAYS } from "../../capture/session.ts";
import { columns } from "./columns.ts";
import { nameOf } from "./sessions.ts";
import type { Statistics } from "./statistics.ts";

type Line = { readonly session: Session; readonly way: Way; readonly counts: DirectionCounts };
const linesOf = (a: Analysis): Line[] =>
  a.sessions.flatMap((session) =>
    WAYS.map((way) => ({ session, way, counts: session.counts[way] })).filter(({ counts: c }) => c.transport + c.keepalives > 0),
  );
const percent = (part: number, of: number): string => (of === 0 ? "0.00 %" : `${((100 * part) / of).toFixed(2)} %`);

export const lossTable: Statistics = {
  lines: (a) => {
    const rows = linesOf(a).map(({ session: s, way, counts: c }) => {
      const ends = [nameOf(a.secrets, s.initiatorStatic, s.initiator), nameOf(a.secrets, s.responderStatic, s.responder)];
      const seen = distinct(c);
      return [
        String(s.number),
        way === "toResponder" ? `${ends[0]} → ${ends[1]}` : `${ends[1]} → ${ends[0]}`,
        c.lowest === undefined ? "-" : `${c.lowest}..${c.highest}`,
        String(seen),
        String(missing(c)),
        percent(missing(c), seen + missing(c)),
        c.widestGap ? `${c.widestGap.counters} at ${c.widestGap.frame}` : "-",
        String(c.duplicates),
        c.reordered === 0 ? "0" : `${c.reordered} (by ${c.reorderDistance})`,
        String(c.replays),
        String(c.late + c.stale),
        String(c.failed),
      ];
    });
    const head = ["session", "direction", "counters", "seen", "lost", "share", "widest gap", "copies", "reordered", "replayed", "refused", "bad tag"];
    const odd = linesOf(a).filter(({ counts: c }) => c.conflicts > 0);
    return [
      ...columns(head, rows),
      "",
      "lost: counters that no message in the capture has: lost before the tap, or by it. A message that was seen at two places is a copy, not a replay.",
      "refused: so late, or so long after the session's end, that the receiver drops it.",
      ...odd.map(
        ({ session: s, counts: c }) =>
          `Session ${s.number}: ${many(c.conflicts, "message")} with a counter that another one had: a nonce was used twice, or somebody forges.`,
      ),
    ];
  },
  json: (a) => ({
    directions: linesOf(a).map(({ session: s, way, counts: c }) => ({
      session: s.number,
      way,
      lowest: c.lowest ?? null,
      highest: c.highest ?? null,
      seen: distinct(c),
      lost: missing(c),
      gaps: c.gaps,
      widestGap: c.widestGap ?? null,
      duplicates: c.duplicates,
      reordered: c.reordered,
      reorderDistance: c.reorderDistance,
      replayed: c.replays,
      conflicts: c.conflicts,
      late: c.late,
      stale: c.stale,
      badTags: c.failed,
    })),
  }),
};
