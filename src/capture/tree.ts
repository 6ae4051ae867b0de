// The tree of a packet, made of rows: lines as `tshark -V` prints them, and where the bytes of each are (sections 2.6, 8.2).
import type { Pane, Part } from "./fields/part.ts";
import { inOrder } from "./fields/registry.ts";
import { formatValue, type Row, textOf, type Value } from "./fields/row.ts";

/** A line of a packet's tree, and what hangs below it. */
export type TreeNode = {
  /** The line a person reads. */
  readonly text: string;
  /** Display filter name; a protocol's for the first line of a layer. */
  readonly field?: string;
  /** As `tshark -T json` prints it; absent when the field has no value of its own. */
  readonly value?: string;
  /** Of a truth and a time, what it is (ns since 1970). */
  readonly flag?: boolean;
  readonly moment?: bigint;
  /** Not shown in the tree, but in filters, fields and JSON. */
  readonly hidden?: boolean;
  /** The bytes it stands for. */
  readonly pane?: Pane;
  readonly at?: number;
  readonly length?: number;
  readonly children?: readonly TreeNode[];
};

/** The layers of a packet as trees; nested ones hang in their parents. */
export function treeOf(parts: readonly Part[]): TreeNode[] {
  const children = new Map<Part, TreeNode[]>();
  const top: TreeNode[] = [];
  for (const p of parts) {
    const below = rowNodes(p.protocol.rows, p, false);
    const node: TreeNode = { text: p.protocol.title(p), field: p.protocol.name, pane: p.pane, at: p.at, length: p.length, children: below };
    children.set(p, below);
    const above = p.parent && children.get(p.parent);
    (above ?? top).push(node);
  }
  return top;
}

function rowNodes(rows: readonly Row[], p: Part, sort: boolean): TreeNode[] {
  const out: TreeNode[] = [];
  eachRow(rows, p, sort, (row, at) => {
    const node = rowNode(row, at);
    if (node) out.push(node);
  });
  return out;
}

function rowNode(row: Row, p: Part): TreeNode | undefined {
  const value = row.read(p);
  if (value === undefined) return undefined;
  const children = row.rows && row.rows.length > 0 ? rowNodes(row.rows, p, row.inOrder ?? false) : [];
  const line = lineOf(row, value, p);
  const place = typeof row.place === "function" ? row.place(p) : row.place;
  return {
    text: row.mode === "generated" ? `[${line}]` : line,
    ...(row.name === "" ? {} : { field: row.name }),
    ...(row.type === "none" ? {} : { value: formatValue(row, value) }),
    ...(typeof value === "boolean" ? { flag: value } : {}),
    ...(row.type === "time" && row.name !== "frame.time_epoch" ? { moment: value as bigint } : {}),
    ...(row.mode === "hidden" ? { hidden: true } : {}),
    ...(place ? { pane: row.pane ?? p.pane, at: row.pane ? place[0] : p.at + place[0], length: place[1] } : {}),
    ...(children.length > 0 ? { children } : {}),
  };
}

function lineOf(row: Row, value: Value, p: Part): string {
  if (row.line) return row.line(value as never, p);
  if (row.type === "none") return row.label;
  return `${row.label}: ${row.shown ? row.shown(value as never, p) : textOf(row, value)}`;
}

/** The tree as lines of text, four blanks a level. */
export function treeLines(nodes: readonly TreeNode[], depth = 0): string[] {
  return nodes.flatMap((n) => (n.hidden ? [] : [`${"    ".repeat(depth)}${n.text}`, ...treeLines(n.children ?? [], depth + 1)]));
}

/** The same lines of layers, without making their nodes: where every packet is printed. */
export function partLines(parts: readonly Part[]): string[] {
  const below = new Map<Part, Part[]>();
  const top: Part[] = [];
  for (const p of parts) {
    ((p.parent && below.get(p.parent)) ?? top).push(p);
    below.set(p, []);
  }
  const out: string[] = [];
  const layer = (p: Part, indent: string): void => {
    out.push(indent + p.protocol.title(p));
    rowLines(p.protocol.rows, p, false, `${indent}    `, out);
    for (const inner of below.get(p)!) layer(inner, `${indent}    `);
  };
  for (const p of top) layer(p, "");
  return out;
}

function rowLines(rows: readonly Row[], p: Part, sort: boolean, indent: string, out: string[]): void {
  eachRow(rows, p, sort, (row, at) => {
    if (row.mode === "hidden") return;
    const value = row.read(at);
    if (value === undefined) return;
    const line = lineOf(row, value, at);
    out.push(row.mode === "generated" ? `${indent}[${line}]` : indent + line);
    if (row.rows && row.rows.length > 0) rowLines(row.rows, at, row.inOrder ?? false, `${indent}    `, out);
  });
}

/** Each row with the part it stands in: once for each that it names. */
function eachRow(rows: readonly Row[], p: Part, sort: boolean, visit: (row: Row, at: Part) => void): void {
  if (!sort) {
    for (const row of rows) {
      if (row.each) for (const at of row.each(p)) visit(row, at);
      else visit(row, p);
    }
    return;
  }
  const ways = rows.map((row) => ({ row }));
  for (const { at, way } of inOrder(ways, p, true)) visit(way.row, at);
}
