// What the timeline shows of single packets: handshakes, cookies, keepalives, gaps. Bounded: of a long capture the first so many.
import { isKeepalive } from "../../capture/message.ts";
import { type Session, type Way, WAYS } from "../../capture/session.ts";
import type { TrackedPacket } from "../../capture/tracked.ts";

export type MarkKind = "initiation" | "response" | "cookie" | "keepalive" | "gap";
export type Mark = { readonly kind: MarkKind; readonly session: number; readonly time: bigint };

const MAX_MARKS = 100_000;
const HANDSHAKES = { 1: "initiation", 2: "response", 3: "cookie" } as const;

export class Marks {
  readonly all: Mark[] = [];
  readonly #gaps = new WeakMap<Session, Record<Way, number>>();

  /** Takes a packet in its turn, when the counts of its session include it. */
  note(t: TrackedPacket): void {
    const { time } = t.packet;
    if (time === undefined || this.all.length >= MAX_MARKS) return;
    for (const { message: m, session, way } of t.messages) {
      if (!session) continue;
      if (m.type !== 4) this.#add(HANDSHAKES[m.type], session, time);
      else {
        if (isKeepalive(m)) this.#add("keepalive", session, time);
        if (way && this.#skipped(session, way)) this.#add("gap", session, time);
      }
    }
  }
  #add(kind: MarkKind, session: Session, time: bigint): void {
    this.all.push({ kind, session: session.number, time });
  }
  #skipped(s: Session, way: Way): boolean {
    let known = this.#gaps.get(s);
    if (!known) this.#gaps.set(s, (known = Object.fromEntries(WAYS.map((w) => [w, 0])) as Record<Way, number>));
    const isNew = s.counts[way].gaps > known[way];
    known[way] = s.counts[way].gaps;
    return isNew;
  }
}
