// What is wrong between two peers, as far as a capture shows it without any key (section 8.1): words for a person, codes for programs.
import { REJECT_AFTER_NS, REPLAY_WINDOW } from "./traffic.ts";
import { formatClock } from "./moment.ts";
import { initiatorOf, type PeerPair } from "./peers.ts";
import { timestampOf } from "./replay.ts";
import { type DirectionCounts, type Session, spanOf, WAYS } from "./session.ts";

/** What is wrong; `text` of the alarm explains it. */
export type AlarmCode =
  | "stale-data"
  | "no-rekey"
  | "handshake-storm"
  | "one-way-handshakes"
  | "responses-lost"
  | "clock-back"
  | "nonce-reuse"
  | "replay"
  | "late";
/** `sessions`: their numbers; `frame`: where to look, from 1; `text`: a sentence for a person. */
export type Alarm = { readonly code: AlarmCode; readonly sessions: readonly number[]; readonly frame: number | undefined; readonly text: string };

/** A session is renewed by its initiator after 120 s of use; 165 s is the responder's own limit (REJECT_AFTER - KEEPALIVE - REKEY_TIMEOUT). */
const RENEWED_BY_NS = 165_000_000_000n;
/** Unanswered initiations in a row that are no accident any more: 15 s. */
const STORM = 4;
/** More initiations of one side in a second than a peer makes in 5 s. */
const FLOOD_PER_SECOND = 5;

/** All alarms of a pair, by kind. */
export function alarmsOf(pair: PeerPair): Alarm[] {
  return [...pair.sessions.flatMap(ofTraffic), ...ofRenewal(pair), ...ofHandshakes(pair), ...ofClock(pair)];
}

function ofTraffic(s: Session): Alarm[] {
  const out: Alarm[] = [];
  const sum = (of: (c: DirectionCounts) => number): number => WAYS.reduce((n, w) => n + of(s.counts[w]), 0);
  const say = (code: AlarmCode, n: number, text: string): void => {
    const frame = WAYS.map((w) => s.counts[w].lastFrame).find((f) => f !== undefined);
    if (n > 0) out.push({ code, sessions: [s.number], frame, text: `session ${s.number}: ${text}` });
  };
  const stale = sum((c) => c.stale);
  say("stale-data", stale, `${messages(stale)} on it after ${seconds(REJECT_AFTER_NS)}, its end: receivers drop them`);
  const conflicts = sum((c) => c.conflicts);
  say(
    "nonce-reuse",
    conflicts,
    `${messages(conflicts)} with a counter that another message had: a nonce used twice (a state restored from a copy), or forgeries`,
  );
  const replays = sum((c) => c.replays);
  say(
    "replay",
    replays,
    `${messages(replays)} seen once more at the same place, as another packet or later: replayed by somebody, or two captures with different clocks in one interface`,
  );
  const late = sum((c) => c.late);
  say("late", late, `${messages(late)} more than ${REPLAY_WINDOW} counters behind the newest: receivers refuse them`);
  return out;
}

function ofRenewal(pair: PeerPair): Alarm[] {
  const out: Alarm[] = [];
  for (const { session } of pair.chain) {
    const began = session.response?.time;
    const { end } = spanOf(session);
    if (began === undefined || end === undefined || end - began <= RENEWED_BY_NS) continue;
    const tried = pair.sessions.some((s) => s.initiation?.time !== undefined && s.initiation.time > began && s.initiation.time <= end);
    if (tried) continue;
    const text = `session ${session.number}: still in use after ${seconds(end - began)}, and nobody began another handshake: peers do so after 120 s`;
    out.push({ code: "no-rekey", sessions: [session.number], frame: session.response!.frame, text });
  }
  return out;
}

function ofHandshakes(pair: PeerPair): Alarm[] {
  const out: Alarm[] = [];
  const answered = pair.attempts.some((a) => a.answered);
  for (const { sessions, answered: reply } of pair.attempts) {
    const [first, last] = [sessions[0]!.initiation!, sessions.at(-1)!.initiation!];
    const numbers = sessions.map((s) => s.number);
    const span = first.time === undefined || last.time === undefined ? undefined : last.time - first.time;
    const times = `${sessions.length} initiations${span === undefined ? "" : ` in ${seconds(span)}`}`;
    const isFlood = span !== undefined && sessions.length > STORM && sessions.length > FLOOD_PER_SECOND * Math.max(1, Number(span) / 1e9);
    if (isFlood || (sessions.length >= STORM && !reply)) {
      const why = isFlood
        ? "more than a peer makes: a flood, or several peers behind one address"
        : "none of them was answered: the peer is not reachable";
      out.push({ code: "handshake-storm", sessions: numbers, frame: first.frame, text: `${times} from packet ${first.frame} on, ${why}` });
    } else if (!reply && !answered) {
      const text = `${times} without any response (packet ${first.frame}): a firewall or NAT on the way, nothing that listens, or a key that the other side does not know`;
      out.push({ code: "one-way-handshakes", sessions: numbers, frame: first.frame, text });
    }
  }
  // Responses that lead to nothing: the initiator tries again although it was answered, and never uses the session.
  const lost = pair.sessions.filter((s, i) => {
    const next = pair.sessions[i + 1];
    if (!s.response || !next?.initiation || initiatorOf(pair, next) !== initiatorOf(pair, s)) return false;
    return s.counts.toResponder.firstFrame === undefined && isRetry(s, next);
  });
  if (lost.length >= 2) {
    const text = `${lost.length} responses that did not end the initiator's trying (from packet ${lost[0]!.response!.frame} on): they do not arrive, or do not authenticate (another pre-shared key)`;
    out.push({ code: "responses-lost", sessions: lost.map((s) => s.number), frame: lost[0]!.response!.frame, text });
  }
  return out;
}
const isRetry = (s: Session, next: Session): boolean => {
  const [a, b] = [s.initiation?.time, next.initiation?.time];
  return a !== undefined && b !== undefined && b - a < 7_000_000_000n;
};

/** A responder takes no initiation whose timestamp is not newer than the last: a clock that went back locks a peer out. */
function ofClock(pair: PeerPair): Alarm[] {
  const out: Alarm[] = [];
  const newest: [bigint | undefined, bigint | undefined] = [undefined, undefined];
  for (const s of pair.sessions) {
    if (!s.begun?.timestamp) continue;
    const side = initiatorOf(pair, s);
    const sent = timestampOf(s.begun.timestamp);
    const before = newest[side];
    if (before !== undefined && sent < before) {
      const text =
        `session ${s.number}: its initiator's clock (${formatClock(sent)}) is ${seconds(before - sent)} behind its earlier initiation: ` +
        `a restart with a wrong clock, and the responder ignores it until the clock has caught up`;
      out.push({ code: "clock-back", sessions: [s.number], frame: s.initiation!.frame, text });
    } else newest[side] = sent;
  }
  return out;
}

const messages = (n: number): string => `${n} ${n === 1 ? "message" : "messages"}`;
const seconds = (ns: bigint): string => `${Number(ns / 1_000_000n) / 1000} s`;
