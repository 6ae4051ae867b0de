// The doctor: what the keys at hand are, and for each session what opened, why the rest does not, and what is odd.
import { alarmsOf } from "../../capture/alarms.ts";
import { examine, introduce } from "../../capture/doctor.ts";
import { formatEndpoint } from "../../base/ip.ts";
import { peerPairs } from "../../capture/peers.ts";
import type { Session } from "../../capture/session.ts";
import { bodyRows } from "./layout.ts";
import { dataOf } from "./sessionscreen.ts";
import type { State } from "./state.ts";
import { type Line, sentence, span, type Style, wrap } from "./text.ts";
import type { World } from "./world.ts";

/** Sessions that are explained one by one. */
const MAX_SESSIONS = 500;

export function doctorLines(state: State, world: World): Line[] {
  const lines = allLines(world, state.size.columns);
  const rows = bodyRows(state);
  const top = Math.max(0, Math.min(state.doctor, lines.length - rows));
  return lines.slice(top, top + rows);
}

function allLines(world: World, columns: number): Line[] {
  const lines: Line[] = [];
  const say = (text: string, style?: Style, indent = 2): void => {
    for (const t of wrap(text, columns - indent - 1, 2)) lines.push([span(" ".repeat(indent) + t, style)]);
  };
  const { secrets, sessions } = world;
  lines.push([span(" Keys", { bold: true })]);
  const keys = introduce(secrets, sessions);
  for (const k of keys) say(k);
  if (keys.length === 0) say("There are no keys: neither in the file nor by --keys FILE. What is inside of the data stays hidden.");
  for (const p of world.problems) say(`Line ${p.line} of the keys was ${p.ours}: ${p.why}.`, { color: "orange" });
  for (const d of world.facts.damage) say(`The file is damaged at byte ${d.offset}, ${d.block}: ${d.reason}.`, { color: "red" });
  const alarms = peerPairs(sessions).flatMap(alarmsOf);
  if (alarms.length > 0) lines.push([], [span(" Alarms", { bold: true })]);
  for (const a of alarms.slice(0, MAX_SESSIONS)) say(`! ${sentence(a.text)}`, { color: "orange" });
  if (sessions.length === 0) lines.push([], [span("  No WireGuard session has been seen", { dim: true })]);
  for (const s of sessions.slice(0, MAX_SESSIONS)) sessionLines(s, world, lines, say);
  if (sessions.length > MAX_SESSIONS) lines.push([], [span(`  … and ${sessions.length - MAX_SESSIONS} sessions more; s shows each`, { dim: true })]);
  return lines;
}

function sessionLines(s: Session, world: World, lines: Line[], say: (text: string, style?: Style, indent?: number) => void): void {
  const { opened, diagnosis, warnings } = examine(s, world.secrets);
  const at = (e: Session["initiator"]): string => (e ? formatEndpoint(e.ip, e.port) : "?");
  const { data } = dataOf(s);
  lines.push([], [span(` Session ${s.number}`, { bold: true }), span(`  ${at(s.initiator)} ⇄ ${at(s.responder)}, ${data} data packets`)]);
  for (const o of opened) say(`✓ ${o}`, { color: "green" });
  if (diagnosis) {
    say(`✗ ${diagnosis.code}: ${sentence(diagnosis.why)}`, { color: "orange" });
    say(`Needed: ${diagnosis.needs}`, undefined, 4);
  } else if (opened.length === 0) say("Nothing is hidden: there is no data.");
  for (const w of warnings) say(`! ${w}`, { color: "red" });
}
