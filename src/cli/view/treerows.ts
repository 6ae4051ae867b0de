// The tree as rows: what is unfolded, and which bytes a row stands for.
import type { TreeNode } from "../../capture/tree.ts";

export type TreeRow = {
  readonly node: TreeNode;
  readonly depth: number;
  readonly path: string;
  readonly children: boolean;
  readonly unfolded: boolean;
};

/** A node's name among its kin, the same in other packets. */
const nameOf = (n: TreeNode): string => n.field ?? n.text.split(/[:,[(]/, 1)[0]!;

export function treeRows(nodes: readonly TreeNode[], unfolded: ReadonlySet<string>, depth = 0, above = ""): TreeRow[] {
  return nodes.flatMap((node) => {
    if (node.hidden) return [];
    const path = above === "" ? nameOf(node) : `${above}/${nameOf(node)}`;
    const children = node.children?.some((c) => !c.hidden) ?? false;
    const open = children && unfolded.has(path);
    const row = { node, depth, path, children, unfolded: open };
    return open ? [row, ...treeRows(node.children!, unfolded, depth + 1, path)] : [row];
  });
}

/** Row of the node that holds the one in row `i`. */
export function parentRow(rows: readonly TreeRow[], i: number): number {
  const depth = rows[i]?.depth ?? 0;
  for (let at = i - 1; at >= 0; at--) if (rows[at]!.depth < depth) return at;
  return i;
}
