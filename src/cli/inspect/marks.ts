// What a timeline marks within sessions: keepalives, and where counters were skipped. Collected in passing, bounded.
import { isKeepalive } from "../../capture/message.ts";
import type { Way } from "../../capture/session.ts";
import type { TrackedPacket } from "../../capture/tracked.ts";

export type SessionMarks = { readonly keepalives: bigint[]; readonly gaps: bigint[]; readonly highest: Partial<Record<Way, number>> };

/** More than any terminal has columns; the rest of a long session's is left out. */
const MAX_MARKS = 4096;

export class Marks {
  readonly #sessions = new Map<number, SessionMarks>();

  of(session: number): SessionMarks {
    return this.#sessions.get(session) ?? NONE;
  }
  readonly packet = (t: TrackedPacket): void => {
    const { time } = t.packet;
    if (time === undefined) return;
    for (const { message: m, session, way, failure } of t.messages) {
      if (m.type !== 4 || !session || !way || failure === "bad tag") continue;
      let marks = this.#sessions.get(session.number);
      if (!marks) this.#sessions.set(session.number, (marks = { keepalives: [], gaps: [], highest: {} }));
      const highest = marks.highest[way];
      if (highest !== undefined && m.count > highest + 1 && marks.gaps.length < MAX_MARKS) marks.gaps.push(time);
      if (highest === undefined || m.count > highest) marks.highest[way] = m.count;
      if (isKeepalive(m) && marks.keepalives.length < MAX_MARKS) marks.keepalives.push(time);
    }
  };
}
const NONE: SessionMarks = { keepalives: [], gaps: [], highest: {} };
