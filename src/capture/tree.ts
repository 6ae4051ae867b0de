// The tree of a packet: nodes with Wireshark's field names, values as tshark -T fields prints them, and where the bytes are (sections 2.6, 8.2).

export type TreeNode = {
  /** The line a person reads. */
  readonly text: string;
  /** Display filter name. */
  readonly field?: string;
  /** As `tshark -T fields` prints it. */
  readonly value?: string;
  /** The bytes it stands for: pane ("frame" or "inner"), first byte, length. */
  readonly pane?: Pane;
  readonly at?: number;
  readonly length?: number;
  readonly children?: readonly TreeNode[];
};
export type Pane = "frame" | "inner";

export const node = (text: string, children: readonly TreeNode[] = []): TreeNode => (children.length > 0 ? { text, children } : { text });
/** A field whose line is "Label: shown" (shown is the value when not given). */
export const field = (
  name: string,
  label: string,
  value: string | number | bigint | boolean,
  shown: string = String(value),
  children: readonly TreeNode[] = [],
): TreeNode => ({
  text: `${label}: ${shown}`,
  field: name,
  value: typeof value === "boolean" ? (value ? "1" : "0") : String(value),
  ...(children.length > 0 ? { children } : {}),
});

/** The tree as lines of text, two blanks a level. */
export function treeLines(nodes: readonly TreeNode[], depth = 0): string[] {
  return nodes.flatMap((n) => [`${"    ".repeat(depth)}${n.text}`, ...treeLines(n.children ?? [], depth + 1)]);
}
