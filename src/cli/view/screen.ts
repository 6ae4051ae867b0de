// The whole screen: as many lines as it has rows, each as wide as it is.
import { auditLines } from "./auditscreen.ts";
import { conversationLines } from "./conversationscreen.ts";
import { doctorLines } from "./doctorscreen.ts";
import { helpLines } from "./helpscreen.ts";
import { bodyRows, layoutOf, type Rect } from "./layout.ts";
import { listLines } from "./listpane.ts";
import { chosen, rowsOf } from "./rows.ts";
import { peerLines } from "./peerscreen.ts";
import { sessionLines } from "./sessionscreen.ts";
import { PANES, type PaneName, type State } from "./state.ts";
import { streamLines } from "./streamscreen.ts";
import { clip, fit, fitLine, type Line, type Span, span, widthOf } from "./text.ts";
import { timelineLines } from "./timelinescreen.ts";
import { hexLines, hexView, treeLines } from "./treepane.ts";
import type { World } from "./world.ts";

export function screen(state: State, world: World): Line[] {
  const { columns, rows } = state.size;
  const body = rows > 2 ? bodyOf(state, world) : [];
  const lines = [titleLine(state, world), ...Array.from({ length: bodyRows(state) }, (_, i) => body[i] ?? []), statusLine(state, world)];
  return lines.slice(0, rows).map((l) => fitLine(l, columns));
}

/** Column of the caret in the last line, where something is being typed. */
export function caretOf(state: State): number | undefined {
  const { prompt } = state;
  if (!prompt) return undefined;
  const { label, from } = promptView(state);
  return Math.min(state.size.columns - 1, label.length + widthOf(prompt.text.slice(from, prompt.caret)));
}

function bodyOf(state: State, world: World): Line[] {
  switch (state.view) {
    case "packets":
      return packetsBody(state, world);
    case "sessions":
      return sessionLines(state, world);
    case "conversations":
      return conversationLines(state, world);
    case "stream":
      return streamLines(state, world);
    case "peers":
      return peerLines(state, world);
    case "audit":
      return auditLines(state, world);
    case "timeline":
      return timelineLines(state, world);
    case "doctor":
      return doctorLines(state, world);
    case "help":
      return helpLines(state);
  }
}

const count = (n: number): string => String(n).replaceAll(/\B(?=(\d{3})+$)/g, ",");
const packets = (n: number): string => `${count(n)} ${n === 1 ? "packet" : "packets"}`;

/** What is always seen: the name, how far opening has come, rates and losses. What tells of losses goes before the name. */
function titleLine(state: State, world: World): Line {
  const { columns } = state.size;
  const { rates, dropped, progress, facts } = world;
  const right: string[] = [];
  if (progress) right.push(progressText(progress.what, progress.done, progress.total));
  if (rates) right.push(`${count(Math.round(rates.packets))} pkt/s`, bitsText(rates.bytes * 8));
  if (dropped !== undefined) right.push(`${count(dropped)} dropped`);
  if (facts.damage.length > 0) right.push("damaged");
  const tail = right.length > 0 ? ` ${right.join("  ")} ` : " ";
  const n = world.sessions.length;
  const views = {
    packets: "",
    sessions: "sessions: ",
    conversations: "conversations: ",
    stream: "stream: ",
    peers: "peers: ",
    audit: "audit: ",
    timeline: "timeline: ",
    doctor: "doctor: ",
    help: "help: ",
  };
  const head = ` ${views[state.view]}${world.name}  ${packets(world.length)}, ${n} ${n === 1 ? "session" : "sessions"}`;
  return [
    span(fit(head, Math.max(0, columns - widthOf(tail))), { reverse: true, bold: true }),
    span(clip(tail, columns), { reverse: true, bold: (dropped ?? 0) > 0 }),
  ];
}

const percent = (done: number, total: number): number => Math.floor((100 * done) / Math.max(1, total));
const BAR = 10;
function progressText(what: string, done: number, total: number | undefined): string {
  if (total === undefined) return `${what} …`;
  const full = Math.min(BAR, Math.round((BAR * done) / Math.max(1, total)));
  return `${what} ${"█".repeat(full)}${"░".repeat(BAR - full)} ${Math.min(99, percent(done, total))} %`;
}
function bitsText(bits: number): string {
  const units = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"];
  let unit = 0;
  for (; bits >= 1000 && unit < units.length - 1; unit++) bits /= 1000;
  return `${bits < 10 && unit > 0 ? bits.toFixed(1) : Math.round(bits)} ${units[unit]}`;
}

function packetsBody(state: State, world: World): Line[] {
  const layout = layoutOf(state);
  const lines: Span[][] = Array.from({ length: bodyRows(state) }, () => []);
  for (const pane of PANES) {
    const rect = layout[pane];
    if (!rect) continue;
    const content = [ruleOf(pane, state, world, rect), ...contentOf(pane, state, world, rect)];
    for (let i = 0; i < rect.rows; i++) {
      const line = lines[rect.row - 1 + i]!;
      if (rect.column > 0) line.push(span("│", { dim: true }));
      line.push(...fitLine(content[i] ?? [], rect.columns));
    }
  }
  return lines;
}

function contentOf(pane: PaneName, state: State, world: World, rect: Rect): Line[] {
  if (pane === "list") return listLines(state, world, rect);
  const at = chosen(state, world);
  if (at === undefined) return [];
  const look = world.look(at);
  return pane === "tree" ? treeLines(state, look, rect) : hexLines(state, look, rect);
}

/** The line above a pane: its title, where one is in it; double where the keys go. */
function ruleOf(pane: PaneName, state: State, world: World, rect: Rect): Line {
  const isActive = state.pane === pane;
  const fill = isActive ? "═" : "─";
  const style = isActive ? { bold: true } : { dim: true };
  const at = chosen(state, world);
  let title: Line = [];
  let end = "";
  if (pane === "list") {
    const rows = rowsOf(state, world);
    const { filter } = world;
    const found = filter ? `${count(filter.matches.length)} match${filter.matches.length === 1 ? "" : "es"}: ${filter.text}` : "Packets";
    const how =
      filter && filter.done < world.length
        ? filter.stopped
          ? `stopped at ${count(filter.done)}`
          : `searching ${percent(filter.done, world.length)} %, Esc stops`
        : "";
    end = [how, state.follow ? "following" : "", at === undefined ? "" : `${count(rows.row(at) + 1)} of ${count(rows.length)}`]
      .filter(Boolean)
      .join(", ");
    title = [span(clip(found, Math.max(8, rect.columns - end.length - 10)), style)];
  } else if (pane === "tree") {
    title = [span(at === undefined ? "Fields" : `Packet ${count(at + 1)}`, style)];
  } else if (at !== undefined) {
    const view = hexView(state, world.look(at), rect);
    title = view.panes.flatMap((p, i) => [
      span(i > 0 ? " " : "", style),
      span(i === view.tab ? `[${p.name}]` : ` ${p.name} `, i === view.tab ? { bold: true } : { dim: true }),
    ]);
    end = `${view.panes[view.tab]!.bytes.length} bytes`;
  }
  const width = title.reduce((n, s) => n + widthOf(s.text), 0);
  const tail = end === "" ? "" : ` ${end} ${fill}`;
  const middle = Math.max(0, rect.columns - width - widthOf(tail) - 4);
  return fitLine([span(`${fill} `, style), ...title, span(` ${fill.repeat(middle)}${fill}`, style), span(tail, style)], rect.columns);
}

function promptView(state: State): { label: string; from: number } {
  const { kind, caret } = state.prompt!;
  const label = kind === "filter" ? "Filter: " : "Go to: ";
  // The caret stays in sight.
  return { label, from: Math.max(0, caret - Math.max(4, state.size.columns - label.length - 2)) };
}

const HINTS = ["? help", "q quit", "/ filter", "Tab pane", "s sessions", "t timeline", "d doctor", "g go to", "f follow", "y copy"];
const OTHER_VIEWS = ["s sessions", "c conversations", "t timeline", "d doctor"];
const VIEW_HINTS = {
  sessions: "Enter its packets",
  conversations: "Enter its packets  F its stream",
  stream: "x as bytes",
  peers: "↑↓ scroll",
  audit: "↑↓ scroll",
  timeline: "↑↓ scroll",
  doctor: "↑↓ scroll",
  help: "↑↓ scroll",
};

function statusLine(state: State, world: World): Line {
  const { columns } = state.size;
  const { prompt, message } = state;
  if (prompt) {
    const { label, from } = promptView(state);
    if (prompt.error !== undefined) {
      const room = Math.max(10, columns - label.length - prompt.text.length - 4);
      return [span(label, { bold: true }), span(`${prompt.text.slice(from)}  `), span(clip(prompt.error, room), { color: "red", reverse: true })];
    }
    return [span(label, { bold: true }), span(prompt.text.slice(from))];
  }
  if (message) return [span(` ${message.text}`, message.isError ? { color: "red", bold: true } : { bold: true })];
  const { facts } = world;
  const damage = facts.damage.length > 0 && state.view === "packets" && state.packet >= world.length - 1 ? facts.damage[0] : undefined;
  if (damage) return [span(` Damaged at byte ${damage.offset}: ${damage.reason}`, { color: "red" })];
  const hints =
    state.view === "packets"
      ? HINTS
      : ["? help", "p packets", VIEW_HINTS[state.view], ...OTHER_VIEWS.filter((h) => !h.endsWith(state.view)), "q quit"];
  let text = "";
  for (const h of hints) if (widthOf(text) + widthOf(h) + 2 <= columns) text += ` ${h} `;
  return [span(text, { dim: true })];
}
