// The tree of the chosen packet, and its bytes.
import { bytesPerRow, contentRows, type Rect } from "./layout.ts";
import type { BytesPane, Look } from "../../capture/look.ts";
import { topFor } from "./scroll.ts";
import type { State } from "./state.ts";
import { fitLine, type Line, type Span, span } from "./text.ts";
import { type TreeRow, treeRows } from "./treerows.ts";

export function treeLines(state: State, look: Look, rect: Rect): Line[] {
  const rows = treeRows(look.tree, state.unfolded);
  const page = contentRows(state, "tree");
  const cursor = Math.min(state.tree.cursor, rows.length - 1);
  const top = topFor({ cursor, top: state.tree.top }, rows.length, page);
  return rows.slice(top, top + page).map((r, i) => {
    const fold = r.children ? (r.unfolded ? "▾ " : "▸ ") : "  ";
    const style = r.depth === 0 ? { bold: true } : undefined;
    const isCursor = top + i === cursor && state.pane === "tree";
    return fitLine([span(`${"  ".repeat(r.depth)}${fold}${r.node.text}`, style)], rect.columns, isCursor ? { reverse: true } : undefined);
  });
}

/** The row of the tree whose bytes are marked. */
export function markedRow(state: State, look: Look): TreeRow | undefined {
  if (state.pane !== "tree") return undefined;
  const rows = treeRows(look.tree, state.unfolded);
  return rows[Math.min(state.tree.cursor, rows.length - 1)];
}

/** Which bytes are shown, from which row on, and what of them is marked: those of the chosen node go before the tab that was chosen by hand. */
export function hexView(state: State, look: Look, rect: Rect): { panes: readonly BytesPane[]; tab: number; top: number; from: number; to: number } {
  const { panes } = look;
  const node = markedRow(state, look)?.node;
  const marked = node?.at === undefined ? -1 : panes.findIndex((p) => p.name === (node.pane ?? "Frame"));
  const tab = marked >= 0 ? marked : Math.min(state.hex.tab, panes.length - 1);
  const [from, to] = marked >= 0 ? [node!.at!, node!.at! + (node!.length ?? 0)] : [0, 0];
  const perRow = bytesPerRow(rect.columns);
  const lines = Math.ceil(panes[tab]!.bytes.length / perRow);
  const page = contentRows(state, "hex");
  const wanted = marked >= 0 && to > from ? Math.floor(from / perRow) - 1 : tab === state.hex.tab ? state.hex.top : 0;
  return { panes, tab, top: Math.max(0, Math.min(wanted, lines - page)), from, to };
}

export function hexLines(state: State, look: Look, rect: Rect): Line[] {
  const { panes, tab, top, from, to } = hexView(state, look, rect);
  const { bytes } = panes[tab]!;
  const perRow = bytesPerRow(rect.columns);
  const lines: Line[] = [];
  for (let row = top; row < top + contentRows(state, "hex") && row * perRow < bytes.length; row++)
    lines.push(fitLine(hexLine(bytes, row * perRow, perRow, from, to), rect.columns));
  return lines;
}

export function hexLine(bytes: Uint8Array, at: number, perRow: number, from: number, to: number): Line {
  const end = Math.min(at + perRow, bytes.length);
  const hex: Span[] = [];
  const text: Span[] = [];
  for (let i = at; i < at + perRow; i++) {
    const isMarked = i >= from && i < to && i < end;
    const style = isMarked ? { reverse: true } : undefined;
    const gap = i === at ? "" : i - at === 8 ? "  " : " ";
    hex.push(span(gap, isMarked && i > from && i > at ? style : undefined));
    hex.push(span(i < end ? bytes[i]!.toString(16).padStart(2, "0") : "  ", style));
    if (i < end) text.push(span(bytes[i]! >= 32 && bytes[i]! < 127 ? String.fromCharCode(bytes[i]!) : ".", style));
  }
  return [span(`${at.toString(16).padStart(4, "0")}  `, { dim: true }), ...hex, span("  "), ...text];
}
