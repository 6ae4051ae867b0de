// Where the panes are on a screen of any size. Rows and columns start at 0; each pane has a rule with its title above its content.
import { PANES, type PaneName, type State } from "./state.ts";

export type Rect = { readonly row: number; readonly column: number; readonly rows: number; readonly columns: number };
export type Layout = Partial<Record<PaneName, Rect>>;

/** Columns of sixteen bytes: offset, hex, characters. */
export const HEX_COLUMNS = 71;
/** Bytes of a row, as many as there is room for. */
export const bytesPerRow = (columns: number): number => (columns >= HEX_COLUMNS ? 16 : columns >= 39 ? 8 : 4);
const WIDE = 132;
/** Fewer rows hold one pane. */
const LEAST_ROWS = 15;

/** Rows between the title above and the line of keys below. */
export const bodyRows = (state: State): number => Math.max(0, state.size.rows - 2);

export function layoutOf(state: State): Layout {
  const { columns } = state.size;
  const rows = bodyRows(state);
  const whole = { row: 1, column: 0, rows, columns };
  if (state.zoom || rows < LEAST_ROWS) return { [state.pane]: whole };
  const list = Math.max(6, Math.round(rows * (columns >= WIDE ? 0.5 : 0.45)));
  const rest = rows - list;
  if (columns >= WIDE) {
    const right = HEX_COLUMNS + 2;
    return {
      list: { ...whole, rows: list },
      tree: { row: 1 + list, column: 0, rows: rest, columns: columns - right - 1 },
      hex: { row: 1 + list, column: columns - right, rows: rest, columns: right },
    };
  }
  const tree = Math.ceil(rest / 2);
  return {
    list: { ...whole, rows: list },
    tree: { ...whole, row: 1 + list, rows: tree },
    hex: { ...whole, row: 1 + list + tree, rows: rest - tree },
  };
}

/** Rows of content of a pane: without its rule, and the list without its heading. */
export function contentRows(state: State, pane: PaneName): number {
  const rect = layoutOf(state)[pane];
  return rect ? Math.max(1, rect.rows - (pane === "list" ? 2 : 1)) : 1;
}

export const nextPane = (pane: PaneName, by: 1 | -1): PaneName => PANES[(PANES.indexOf(pane) + by + PANES.length) % PANES.length]!;
