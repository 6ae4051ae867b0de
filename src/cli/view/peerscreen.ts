// The peers: what each end of a pair sent, lost and repeated over all sessions of the two, and their handshakes.
import { peerPairs } from "../../capture/peers.ts";
import { ENDS, endName, endpointText, handshakes, roundTrips, sentBy } from "../inspect/peers.ts";
import { span as duration } from "../inspect/columns.ts";
import { alarmsOf } from "../../capture/alarms.ts";
import { many } from "../../base/text.ts";
import { bodyRows } from "./layout.ts";
import type { State } from "./state.ts";
import { fit, type Line, sentence, span, wrap } from "./text.ts";
import type { World } from "./world.ts";

/** Pairs that are shown at most. */
const MAX_PAIRS = 2000;

export function peerLines(state: State, world: World): Line[] {
  const lines = allLines(state.size.columns, world);
  const rows = bodyRows(state);
  const top = Math.max(0, Math.min(state.peers, lines.length - rows));
  return lines.slice(top, top + rows);
}

function allLines(columns: number, world: World): Line[] {
  const pairs = peerPairs(world.sessions);
  if (pairs.length === 0) return [[span("  No WireGuard session has been seen", { dim: true })]];
  const name = Math.max(16, Math.min(46, columns - 57));
  const row = (who: string, numbers: readonly string[]): string =>
    `  ${fit(who, name)} ${numbers.map((n, i) => fit(n, i === 1 ? 13 : 9, "right")).join(" ")}`;
  const lines: Line[] = [[span(row("From", ["Packets", "Bytes", "Lost", "Keepalive", "Clock"]), { bold: true })]];
  for (const pair of pairs.slice(0, MAX_PAIRS)) {
    const { ok, failed, cookies } = handshakes(pair);
    const rtt = roundTrips(pair);
    const [a, b] = pair.ends.map((e) => endName(world.secrets, e));
    const parts = [
      many(pair.sessions.length, "session"),
      `handshakes ${ok} ok, ${failed} unanswered`,
      cookies > 0 ? many(cookies, "cookie") : "",
      rtt.median === undefined ? "" : `round trip ${duration(rtt.median)}`,
    ];
    lines.push([span(fit(` ${a} ⇄ ${b}`, columns), { bold: true })]);
    for (const t of wrap(parts.filter(Boolean).join(", "), columns - 3, 2)) lines.push([span(`  ${t}`)]);
    for (const end of ENDS) {
      const s = sentBy(pair, end);
      const numbers = [String(s.packets), String(s.bytes), String(s.lost), String(s.keepalives), duration(s.skew)];
      lines.push([span(row(endpointText(pair.ends[end].endpoint), numbers), s.lost > 0 ? { color: "orange" } : undefined)]);
    }
    for (const x of alarmsOf(pair)) for (const t of wrap(`! ${sentence(x.text)}`, columns - 3, 2)) lines.push([span(`  ${t}`, { color: "orange" })]);
    lines.push([]);
  }
  if (pairs.length > MAX_PAIRS) lines.push([span(`  … and ${pairs.length - MAX_PAIRS} pairs more: tortie inspect -z peers`, { dim: true })]);
  return lines;
}
