// What a timeline shows of single packets: handshakes, cookies, keepalives, gaps. Bounded: of a long capture the first so many.
import { isKeepalive } from "./message.ts";
import { type Session, type Way, WAYS } from "./session.ts";
import type { TrackedPacket } from "./tracked.ts";

/** "gap": counters were skipped. */
export type MarkKind = "initiation" | "response" | "cookie" | "keepalive" | "gap";
/** `time`: nanoseconds since 1970. */
export type Mark = { readonly kind: MarkKind; readonly time: bigint };

const MAX_MARKS = 100_000;
const HANDSHAKES = { 1: "initiation", 2: "response", 3: "cookie" } as const;

/** Collects marks packet by packet; at most 100,000, the first ones. */
export class Marks {
  readonly #sessions = new Map<number, Mark[]>();
  #count = 0;
  readonly #gaps = new WeakMap<Session, Record<Way, number>>();

  /** Takes a packet in its turn, when the counts of its session include it. */
  note(t: TrackedPacket): void {
    const { time } = t.packet;
    if (time === undefined || this.#count >= MAX_MARKS) return;
    for (const { message: m, session, way } of t.messages) {
      if (!session) continue;
      if (m.type !== 4) this.#add(HANDSHAKES[m.type], session, time);
      else {
        if (isKeepalive(m)) this.#add("keepalive", session, time);
        if (way && this.#skipped(session, way)) this.#add("gap", session, time);
      }
    }
  }
  /** Of a session, by its number, in the order of the capture. */
  of(session: number): readonly Mark[] {
    return this.#sessions.get(session) ?? [];
  }
  #add(kind: MarkKind, session: Session, time: bigint): void {
    let marks = this.#sessions.get(session.number);
    if (!marks) this.#sessions.set(session.number, (marks = []));
    marks.push({ kind, time });
    this.#count++;
  }
  #skipped(s: Session, way: Way): boolean {
    let known = this.#gaps.get(s);
    if (!known) this.#gaps.set(s, (known = Object.fromEntries(WAYS.map((w) => [w, 0])) as Record<Way, number>));
    const isNew = s.counts[way].gaps > known[way];
    known[way] = s.counts[way].gaps;
    return isNew;
  }
}
