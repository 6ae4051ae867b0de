// A WireGuard session as a capture shows it: two handshake messages, two directions of data, and what became of them (section 2.4, ours).
// Sessions stand for themselves here; peers.ts says which follow one another, alarms.ts what is wrong with them.
import type { Ip } from "../base/ip.ts";
import type { InitiationMessage, ResponseMessage } from "./message.ts";
import { type ReplayedInitiation, type ReplayedResponse, timestampOf } from "./replay.ts";

/** `ip`: 4 or 16 bytes. */
export type UdpEndpoint = { readonly ip: Ip; readonly port: number };
/** A handshake message at its place in the capture. */
export type Seen<M> = {
  readonly message: M;
  readonly frame: number;
  /** Nanoseconds since 1970. */
  readonly time: bigint | undefined;
  readonly src: UdpEndpoint;
  readonly dst: UdpEndpoint;
  /** Whom it is for: the static public key under which its mac1 verifies. Known once it belongs to a session. */
  addressee?: Uint8Array | undefined;
};

/** Data messages of one direction. Keepalives are counted for themselves, never among `transport`. */
export type DirectionCounts = {
  transport: number;
  keepalives: number;
  /** Opened, tag verified. */
  decrypted: number;
  /** Opened without a tag because the packet was cut: nothing vouches for them. */
  unauthenticated: number;
  /** Keys are known, yet the tag does not verify. */
  failed: number;
  /** The same packet at another place (interface, vantage point), or twice in one moment. Counted in `transport` or `keepalives` too, as the next two are. */
  duplicates: number;
  /** The same message once more at the same place, in another packet or more than a moment later: somebody sent it again. */
  replays: number;
  /** Another message with a counter that was used: a nonce used twice, or a forged message. */
  conflicts: number;
  /** Payload bytes: messages without header and tag, padding included. */
  bytes: number;
  /** Counters; exact up to 2^53. */
  lowest: number | undefined;
  highest: number | undefined;
  /** Messages that came after one with a higher counter, and how far behind the farthest was. */
  reordered: number;
  reorderDistance: number;
  /** So far behind that receivers refuse them (REPLAY_WINDOW). */
  late: number;
  /** Times that counters were skipped, and the widest. What comes late closes a gap in missing(), not here. */
  gaps: number;
  widestGap: { readonly counters: number; readonly frame: number } | undefined;
  /** After the session's end (REJECT_AFTER): receivers refuse them. */
  stale: number;
  firstFrame: number | undefined;
  lastFrame: number | undefined;
  firstTime: bigint | undefined;
  lastTime: bigint | undefined;
  /** Of keepalives: from the first to the last. */
  firstKeepalive: bigint | undefined;
  lastKeepalive: bigint | undefined;
};
export const emptyCounts = (): DirectionCounts => ({
  transport: 0,
  keepalives: 0,
  decrypted: 0,
  unauthenticated: 0,
  failed: 0,
  duplicates: 0,
  replays: 0,
  conflicts: 0,
  bytes: 0,
  lowest: undefined,
  highest: undefined,
  reordered: 0,
  reorderDistance: 0,
  late: 0,
  gaps: 0,
  widestGap: undefined,
  stale: 0,
  firstFrame: undefined,
  lastFrame: undefined,
  firstTime: undefined,
  lastTime: undefined,
  firstKeepalive: undefined,
  lastKeepalive: undefined,
});

/** The direction of data. */
export type Way = "toResponder" | "toInitiator";
export const WAYS: readonly Way[] = ["toResponder", "toInitiator"];

/** A side sends from elsewhere. `proven`: by a tag; without keys it is only what the index says. */
export type Roaming = {
  readonly side: "initiator" | "responder";
  readonly frame: number;
  readonly time: bigint | undefined;
  readonly from: UdpEndpoint;
  readonly to: UdpEndpoint;
  readonly proven: boolean;
};

/** A WireGuard session, as far as the capture and the keys tell. */
export type Session = {
  /** wg.stream: 0 for the first. */
  readonly number: number;
  initiation: Seen<InitiationMessage> | undefined;
  response: Seen<ResponseMessage> | undefined;
  /** Frame of a cookie reply that answered the initiation or the response. */
  cookieReply: number | undefined;
  cookie: Uint8Array | undefined;
  /** Index that the initiator chose: the receiver index of data to it. */
  initiatorIndex: number | undefined;
  responderIndex: number | undefined;
  /** Where each side sent from last. */
  initiator: UdpEndpoint | undefined;
  responder: UdpEndpoint | undefined;
  /** Static public keys, as far as mac1 or the replay tells them. */
  initiatorStatic: Uint8Array | undefined;
  responderStatic: Uint8Array | undefined;
  begun: ReplayedInitiation | undefined;
  answered: ReplayedResponse | undefined;
  /** Keys of each direction: of the handshake, or session keys by index. */
  readonly keys: Record<Way, Uint8Array | undefined>;
  readonly counts: Record<Way, DirectionCounts>;
  /** Frames that repeat the initiation or the response bit by bit. */
  repeats: number;
  /** The first MAX_ROAMINGS changes of an endpoint, and how many there were. */
  readonly roamings: Roaming[];
  roamed: number;
  /** Messages of which only some IP fragments are in the capture. */
  incomplete: number;
};
export const MAX_ROAMINGS = 64;

export const newSession = (number: number): Session => ({
  number,
  initiation: undefined,
  response: undefined,
  cookieReply: undefined,
  cookie: undefined,
  initiatorIndex: undefined,
  responderIndex: undefined,
  initiator: undefined,
  responder: undefined,
  initiatorStatic: undefined,
  responderStatic: undefined,
  begun: undefined,
  answered: undefined,
  keys: { toResponder: undefined, toInitiator: undefined },
  counts: { toResponder: emptyCounts(), toInitiator: emptyCounts() },
  repeats: 0,
  roamings: [],
  roamed: 0,
  incomplete: 0,
});

/** Different messages of a direction. */
export const distinct = (c: DirectionCounts): number => c.transport + c.keepalives - c.duplicates - c.replays - c.conflicts;

/** Messages missing between the lowest and the highest counter seen: lost before the tap, or by it. */
export function missing(c: DirectionCounts): number {
  if (c.lowest === undefined || c.highest === undefined) return 0;
  return Math.max(0, c.highest - c.lowest + 1 - distinct(c));
}

export const hasData = (s: Session): boolean => WAYS.some((w) => s.counts[w].transport + s.counts[w].keepalives > 0);

/** When it was first and last seen, ns since 1970. */
export function spanOf(s: Session): { readonly start: bigint | undefined; readonly end: bigint | undefined } {
  const counts = WAYS.map((w) => s.counts[w]);
  const times = [s.initiation?.time, s.response?.time, ...counts.flatMap((c) => [c.firstTime, c.lastTime])].filter((t) => t !== undefined);
  const by = (pick: (a: bigint, b: bigint) => bigint): bigint | undefined => (times.length > 0 ? times.reduce(pick) : undefined);
  return { start: by((a, b) => (a < b ? a : b)), end: by((a, b) => (a > b ? a : b)) };
}

/** From initiation to response, ns: the network's round trip at the initiator's tap, the responder's own time at its tap. */
export const roundTrip = (s: Session): bigint | undefined =>
  s.initiation?.time === undefined || s.response?.time === undefined ? undefined : s.response.time - s.initiation.time;

/** Capture time less the initiator's timestamp, ns: clock difference, way, and up to 17 ms because implementations round the timestamp down. */
export const clockSkew = (s: Session): bigint | undefined =>
  s.initiation?.time === undefined || !s.begun?.timestamp ? undefined : s.initiation.time - timestampOf(s.begun.timestamp);

/** Mean seconds from one keepalive to the next, from three on: 25 is a usual persistent one, 10 the passive one. */
export const keepaliveInterval = (c: DirectionCounts): number | undefined =>
  c.keepalives < 3 || c.firstKeepalive === undefined || c.lastKeepalive === undefined
    ? undefined
    : Number(c.lastKeepalive - c.firstKeepalive) / 1e9 / (c.keepalives - 1);
