// What keys do: a state and a key give the next state, and what is to be done beyond it.
import { flowsOf, keyOf } from "../../capture/packetflow.ts";
import { displayFilter } from "../../capture/display/index.ts";
import { messageOf } from "../../base/errors.ts";
import { chosenConversation, conversationRows, followKeyOf } from "./conversationscreen.ts";
import { bodyRows, bytesPerRow, contentRows, layoutOf, nextPane } from "./layout.ts";
import { filterOfConversation, filterOfNode, filterOfPacket, filterOfSession } from "./filters.ts";
import { goal } from "./goto.ts";
import { edited } from "./prompt.ts";
import { chosen, rowsOf } from "./rows.ts";
import { moved, topFor } from "./scroll.ts";
import { sessionRows } from "./sessionscreen.ts";
import type { State, ViewName } from "./state.ts";
import { parentRow, treeRows } from "./treerows.ts";
import type { World } from "./world.ts";

/** `name` as node:readline has it ("up", "tab", "a"); `text`: what it would type. */
export type Key = { readonly name: string; readonly text: string; readonly ctrl?: boolean; readonly shift?: boolean };

export type Action =
  | { readonly kind: "quit" | "suspend" | "redraw" | "interrupt" }
  | { readonly kind: "copy"; readonly text: string }
  /** A stream, by flowKey(). */
  | { readonly kind: "follow"; readonly key: string }
  /** An empty text: no filter. */
  | { readonly kind: "filter"; readonly text: string };
export type Step = { readonly state: State; readonly action?: Action | undefined };

const say = (state: State, text: string, isError = false): State => ({ ...state, message: { text, isError } });

export function press(before: State, key: Key, world: World): Step {
  const state = before.message ? { ...before, message: undefined } : before;
  if (key.ctrl) {
    if (key.name === "c") return state.prompt ? { state: { ...state, prompt: undefined } } : { state, action: { kind: "quit" } };
    if (key.name === "z") return { state, action: { kind: "suspend" } };
    if (key.name === "l") return { state, action: { kind: "redraw" } };
  }
  if (state.prompt) return inPrompt(state, key, world);
  return anywhere(state, key, world) ?? inView(state, key, world);
}

function anywhere(state: State, key: Key, world: World): Step | undefined {
  switch (key.text) {
    case "q":
      return state.view === "help" ? { state: { ...state, view: state.before } } : { state, action: { kind: "quit" } };
    case "?":
      return { state: toggled(state, "help") };
    case "s":
      return { state: toggled(state, "sessions") };
    case "c":
      return { state: toggled(state, "conversations") };
    case "a":
      return { state: toggled(state, "audit") };
    case "P":
      return { state: toggled(state, "peers") };
    case "F":
      return followed(state, world);
    case "t":
      return { state: toggled(state, "timeline") };
    case "d":
      return { state: toggled(state, "doctor") };
    case "p":
      return { state: { ...state, view: "packets" } };
    case "/": {
      const text = world.filter?.text ?? "";
      return { state: { ...state, view: "packets", prompt: { kind: "filter", text, caret: text.length, error: undefined, past: -1 } } };
    }
    case "g":
      return { state: { ...state, view: "packets", prompt: { kind: "goto", text: "", caret: 0, error: undefined, past: -1 } } };
    case "f":
      return { state: { ...state, view: "packets", follow: !state.follow, packet: chosen(state, world) ?? 0 } };
    default:
      return key.name === "escape" ? escaped(state, world) : undefined;
  }
}

/** The stream of the chosen packet or conversation; seen before, it is shown or left. */
function followed(state: State, world: World): Step {
  if (state.view === "stream") return { state: { ...state, view: state.before } };
  const inTable = state.view === "conversations";
  const c = inTable ? chosenConversation(state, world) : undefined;
  const at = inTable ? undefined : chosen(state, world);
  const flow = at === undefined ? undefined : flowsOf(world.look(at).tracked)[0];
  const key = c ? followKeyOf(c) : flow && keyOf(flow);
  if (key === undefined)
    return { state: say(state, "There is no stream to follow: only what TCP or UDP carries, inside of WireGuard what keys open") };
  return { state: { ...state, view: "stream", before: inTable ? "conversations" : "packets", stream: 0 }, action: { kind: "follow", key } };
}
const toggled = (state: State, view: ViewName): State =>
  state.view === view ? { ...state, view: view === "help" ? state.before : "packets" } : { ...state, view, before: state.view, help: 0 };

/** One step back: out of a view, a zoom, a search that is under way, a filter. */
function escaped(state: State, world: World): Step {
  if (state.view !== "packets") return { state: { ...state, view: state.view === "help" || state.view === "stream" ? state.before : "packets" } };
  if (world.filter && !world.filter.stopped && world.filter.done < world.length && !world.rates)
    return { state: say(state, "The search was stopped: the list has what it found. Esc again shows all packets"), action: { kind: "interrupt" } };
  if (world.filter) return { state: { ...state, packet: chosen(state, world) ?? 0 }, action: { kind: "filter", text: "" } };
  return { state: state.zoom ? { ...state, zoom: false } : { ...state, pane: "list" } };
}

function inPrompt(state: State, key: Key, world: World): Step {
  const prompt = state.prompt!;
  if (key.name === "escape") return { state: { ...state, prompt: undefined } };
  if (key.name !== "return" && key.name !== "enter") return { state: { ...state, prompt: edited(prompt, key, state.history) } };
  const text = prompt.text.trim();
  if (prompt.kind === "goto") {
    if (text === "") return { state: { ...state, prompt: undefined } };
    const to = goal(text, world);
    return typeof to === "string"
      ? { state: { ...state, prompt: { ...prompt, error: to } } }
      : { state: kept({ ...state, prompt: undefined, follow: false, packet: to }, world) };
  }
  try {
    displayFilter(text);
  } catch (e) {
    return { state: { ...state, prompt: { ...prompt, error: messageOf(e).replace(/^Cannot use the display filter: /, "") } } };
  }
  const history = text === "" ? state.history : [text, ...state.history.filter((h) => h !== text)];
  return {
    state: { ...state, packet: chosen(state, world) ?? state.packet, prompt: undefined, history, only: true },
    action: { kind: "filter", text },
  };
}

function inView(state: State, key: Key, world: World): Step {
  const page = bodyRows(state);
  switch (state.view) {
    case "packets":
      return inPackets(state, key, world);
    case "sessions": {
      const all = world.sessions;
      const s = all[Math.min(state.sessions.cursor, all.length - 1)];
      if (s && (key.name === "return" || key.text === "y")) return withFilter(state, key, filterOfSession(s));
      const rows = sessionRows(state, world);
      const cursor = moved(state.sessions.cursor, key.name, all.length, rows);
      return {
        state: cursor === undefined ? state : { ...state, sessions: { cursor, top: topFor({ ...state.sessions, cursor }, all.length, rows) } },
      };
    }
    case "conversations": {
      const c = chosenConversation(state, world);
      if (c && (key.name === "return" || key.text === "y")) return withFilter(state, key, filterOfConversation(c));
      const { conversations: scroll } = state;
      const rows = conversationRows(state);
      const { length } = world.conversations.list();
      const cursor = moved(scroll.cursor, key.name, length, rows);
      return { state: cursor === undefined ? state : { ...state, conversations: { cursor, top: topFor({ ...scroll, cursor }, length, rows) } } };
    }
    case "stream":
    case "peers":
    case "audit":
    case "timeline":
    case "doctor":
    case "help": {
      // The end is where the drawing stops: it knows how many lines there are.
      if (state.view === "stream" && key.text === "x") return { state: { ...state, streamAsBytes: !state.streamAsBytes, stream: 0 } };
      const top = moved(state[state.view], key.name, Number.MAX_SAFE_INTEGER, page);
      return { state: top === undefined ? state : { ...state, [state.view]: top } };
    }
  }
}

/** Enter shows the packets, y copies the filter. */
const withFilter = (state: State, key: Key, text: string): Step =>
  key.text === "y"
    ? { state, action: { kind: "copy", text } }
    : { state: { ...state, view: "packets", only: true, history: [text, ...state.history] }, action: { kind: "filter", text } };

function inPackets(state: State, key: Key, world: World): Step {
  if (key.name === "tab" || key.name === "backtab")
    return { state: { ...state, pane: nextPane(state.pane, key.shift || key.name === "backtab" ? -1 : 1) } };
  switch (key.text) {
    case "z":
      return { state: { ...state, zoom: !state.zoom } };
    case "o":
      return { state: { ...state, outer: !state.outer } };
    case "v":
      if (!world.filter) return { state: say(state, "There is no filter: / sets one") };
      return { state: kept({ ...state, only: !state.only, packet: chosen(state, world) ?? 0 }, world) };
    case "n":
      return { state: toMatch(state, 1, world) };
    case "N":
      return { state: toMatch(state, -1, world) };
    case "y":
      return copied(state, world);
    default:
      return state.pane === "list" ? inList(state, key, world) : state.pane === "tree" ? inTree(state, key, world) : inHex(state, key, world);
  }
}

/** Other matches are found around the chosen packet, in the whole list and in that of the matches alike. */
function toMatch(state: State, by: 1 | -1, world: World): State {
  const { filter } = world;
  if (!filter) return say(state, "There is no filter: / sets one, n and N go from match to match");
  const at = chosen(state, world) ?? 0;
  const { matches } = filter;
  const to = matches.at(by === 1 ? matches.place(at + 1) : matches.place(at) - 1);
  if (to === undefined) return say(state, by === 1 ? "No match after this one" : "No match before this one");
  return kept({ ...state, follow: false, packet: to }, world);
}

function copied(state: State, world: World): Step {
  const at = chosen(state, world);
  if (at === undefined) return { state };
  const look = world.look(at);
  if (state.pane !== "tree") return { state, action: { kind: "copy", text: filterOfPacket(look) } };
  const row = treeRows(look.tree, state.unfolded)[state.tree.cursor];
  const text = row && filterOfNode(row.node);
  return text === undefined ? { state: say(state, "There is no filter for this line") } : { state, action: { kind: "copy", text } };
}

function inList(state: State, key: Key, world: World): Step {
  if (key.name === "return" || key.name === "right") return { state: { ...state, pane: "tree" } };
  const rows = rowsOf(state, world);
  const row = state.follow ? rows.length - 1 : rows.row(state.packet);
  const to = moved(row, key.name, rows.length, contentRows(state, "list"));
  if (to === undefined || rows.length === 0) return { state };
  return { state: kept({ ...state, follow: state.follow && to === rows.length - 1, packet: rows.packet(to) }, world) };
}

/** The list scrolls so that the chosen packet is seen. */
export function kept(state: State, world: World): State {
  const rows = rowsOf(state, world);
  const cursor = state.follow ? rows.length - 1 : rows.row(state.packet);
  return { ...state, top: topFor({ cursor, top: state.top }, rows.length, contentRows(state, "list")) };
}

function inTree(state: State, key: Key, world: World): Step {
  const at = chosen(state, world);
  if (at === undefined) return { state };
  const rows = treeRows(world.look(at).tree, state.unfolded);
  const cursor = Math.min(state.tree.cursor, rows.length - 1);
  const row = rows[cursor]!;
  const page = contentRows(state, "tree");
  const go = (to: number): Step => ({ state: { ...state, tree: { cursor: to, top: topFor({ ...state.tree, cursor: to }, rows.length, page) } } });
  const fold = (open: boolean): Step => {
    const unfolded = new Set(state.unfolded);
    if (open) unfolded.add(row.path);
    else unfolded.delete(row.path);
    return { state: { ...state, unfolded } };
  };
  switch (key.name) {
    case "return":
      return row.children ? fold(!row.unfolded) : { state };
    case "right":
      return row.children && !row.unfolded ? fold(true) : go(Math.min(rows.length - 1, cursor + 1));
    case "left":
      return row.unfolded ? fold(false) : cursor === parentRow(rows, cursor) ? { state: { ...state, pane: "list" } } : go(parentRow(rows, cursor));
    default: {
      const to = moved(cursor, key.name, rows.length, page);
      return to === undefined ? { state } : go(to);
    }
  }
}

function inHex(state: State, key: Key, world: World): Step {
  const at = chosen(state, world);
  if (at === undefined) return { state };
  const { panes } = world.look(at);
  const tab = Math.min(state.hex.tab, panes.length - 1);
  if (key.name === "left" || key.name === "right")
    return { state: { ...state, hex: { tab: (tab + (key.name === "right" ? 1 : -1) + panes.length) % panes.length, top: 0 } } };
  const lines = Math.ceil(panes[tab]!.bytes.length / bytesPerRow(layoutOf(state).hex?.columns ?? 0));
  const top = moved(state.hex.top, key.name, lines, contentRows(state, "hex"));
  return { state: top === undefined ? state : { ...state, hex: { tab, top } } };
}
