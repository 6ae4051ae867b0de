// Tables of -z: what became of sessions, peers, and messages. Each table is columns over rows, as text and as JSON.
import { TortieError } from "../../base/errors.ts";
import type { Analysis } from "../../capture/analysis.ts";
import type { Marks } from "../../capture/marks.ts";
import { lossTable } from "./loss.ts";
import { peersTable } from "./peers.ts";
import { sessionsTable } from "./sessions.ts";
import { timelineTable } from "./timeline.ts";

/** A table of -z: its lines at a width, and the same as data. */
export type Statistics = {
  readonly lines: (a: Analysis, width: number, marks: Marks) => string[];
  readonly json: (a: Analysis, marks: Marks) => unknown;
  /** It shows marks, for which every packet is looked at. */
  readonly marked?: boolean;
};
const TABLES: Readonly<Record<string, Statistics>> = { sessions: sessionsTable, peers: peersTable, timeline: timelineTable, loss: lossTable };

/** "sessions", or as tshark would have it "wg,sessions". Throws TortieError. */
export function statisticsOf(name: string): Statistics {
  const found = TABLES[name.replace(/^(wg|wireguard),/, "")];
  if (!found) throw new TortieError(`Cannot count "${name}"`, { hint: `-z takes one of ${Object.keys(TABLES).join(", ")}.` });
  return found;
}
export const statisticsLines = (s: Statistics, a: Analysis, width: number, marks: Marks): string[] =>
  a.sessions.length === 0 ? ["There is no WireGuard in this capture."] : s.lines(a, Math.max(60, width), marks);
export const statisticsJson = (s: Statistics, a: Analysis, marks: Marks): unknown => s.json(a, marks);
