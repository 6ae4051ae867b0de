// `-z peers`: each pair of peers: what went each way, handshakes, round trips, clocks, endpoints, and what is wrong between them.
import { toBase64 } from "../../base/bytes.ts";
import { formatEndpoint } from "../../base/ip.ts";
import { many } from "../../base/text.ts";
import { type Alarm, alarmsOf } from "../../capture/alarms.ts";
import { initiatorOf, type PeerEnd, type PeerPair, peerPairs, stood } from "../../capture/peers.ts";
import type { Secrets } from "../../capture/secrets.ts";
import { clockSkew, distinct, missing, roundTrip, type Roaming } from "../../capture/session.ts";
import { columns, seconds, span } from "./columns.ts";
import { nameOf } from "./sessions.ts";
import type { Statistics } from "./statistics.ts";

export const endName = (secrets: Secrets, e: PeerEnd): string => nameOf(secrets, e.publicKey, e.endpoint);

/** What one end sent, and what its clock shows. */
type Sent = {
  readonly packets: number;
  readonly bytes: number;
  readonly keepalives: number;
  readonly lost: number;
  readonly skew: bigint | undefined;
};
/** What one end sent, over all sessions of the pair. */
export function sentBy(pair: PeerPair, end: 0 | 1): Sent {
  const sum = { packets: 0, bytes: 0, keepalives: 0, lost: 0 };
  let skew: bigint | undefined;
  for (const s of pair.sessions) {
    const isInitiator = initiatorOf(pair, s) === end;
    const c = s.counts[isInitiator ? "toResponder" : "toInitiator"];
    sum.packets += distinct(c);
    sum.bytes += c.bytes;
    sum.keepalives += c.keepalives;
    sum.lost += missing(c);
    if (isInitiator) skew = clockSkew(s) ?? skew;
  }
  return { ...sum, skew };
}
const roamings = (pair: PeerPair, end: 0 | 1): Roaming[] =>
  pair.sessions.flatMap((s) => s.roamings.filter((r) => (r.side === "initiator") === (initiatorOf(pair, s) === end)));
/** Shortest and median round trip of the handshakes. */
export function roundTrips(pair: PeerPair): { readonly least: bigint | undefined; readonly median: bigint | undefined } {
  const all = pair.sessions
    .map(roundTrip)
    .filter((r) => r !== undefined)
    .sort((a, b) => (a < b ? -1 : 1));
  return { least: all[0], median: all[Math.floor(all.length / 2)] };
}
export const handshakes = (pair: PeerPair): { ok: number; failed: number; cookies: number } => ({
  ok: pair.sessions.filter((s) => s.initiation && stood(s)).length,
  failed: pair.sessions.filter((s) => s.initiation && !stood(s)).length,
  cookies: pair.sessions.filter((s) => s.cookieReply !== undefined).length,
});

export const ENDS = [0, 1] as const;
export const endpointText = (e: { ip: Uint8Array; port: number } | undefined): string => (e ? formatEndpoint(e.ip, e.port) : "-");

export const peersTable: Statistics = {
  lines: (a) =>
    peerPairs(a.sessions).flatMap((pair, i) => {
      const { ok, failed, cookies } = handshakes(pair);
      const rtt = roundTrips(pair);
      const names = pair.ends.map((e) => endName(a.secrets, e));
      const rows = ENDS.map((end) => {
        const s = sentBy(pair, end);
        return [
          names[end]!,
          endpointText(pair.ends[end].endpoint),
          String(s.packets),
          String(s.bytes),
          String(s.keepalives),
          String(s.lost),
          span(s.skew),
          String(roamings(pair, end).length),
        ];
      });
      const moves = ENDS.flatMap((end) => roamings(pair, end).map((r) => ({ r, end })));
      return [
        ...(i > 0 ? [""] : []),
        `${names[0]} and ${names[1]}: ${many(pair.sessions.length, "session")}, handshakes ${ok} ok and ${failed} without an answer${cookies > 0 ? `, ${cookies} answered with a cookie` : ""}, round trip ${span(rtt.least)} (median ${span(rtt.median)})`,
        ...columns(
          ["  from", "endpoint", "packets", "bytes", "keepalives", "lost", "clock", "roamed"],
          rows.map(([n, ...r]) => [`  ${n}`, ...r]),
        ),
        ...moves.map(
          ({ r, end }) =>
            `  roamed: ${names[end]} from ${endpointText(r.from)} to ${endpointText(r.to)} in packet ${r.frame}${r.proven ? "" : " (not proven: no key opens it)"}`,
        ),
        ...alarmsOf(pair).map((x: Alarm) => `  look: ${x.text}${x.frame === undefined ? "" : ` (packet ${x.frame})`}`),
      ];
    }),
  json: (a) => ({
    pairs: peerPairs(a.sessions).map((pair) => {
      const rtt = roundTrips(pair);
      return {
        ends: ENDS.map((end) => {
          const { skew, ...sent } = sentBy(pair, end);
          const e = pair.ends[end];
          return {
            name: (e.publicKey && a.secrets.static(e.publicKey)?.name) ?? null,
            publicKey: e.publicKey ? toBase64(e.publicKey) : null,
            endpoint: e.endpoint ? endpointText(e.endpoint) : null,
            sent,
            clockSkewSeconds: seconds(skew),
            roamings: roamings(pair, end).map((r) => ({ frame: r.frame, from: endpointText(r.from), to: endpointText(r.to), proven: r.proven })),
          };
        }),
        sessions: pair.sessions.map((s) => s.number),
        handshakes: handshakes(pair),
        roundTripSeconds: { least: seconds(rtt.least), median: seconds(rtt.median) },
        alarms: alarmsOf(pair),
      };
    }),
  }),
};
