// calicoctl's tables: cells at least 5 wide, 3 spaces between, the last cell padded too, a blank line at the end.

const MINIMUM = 5;
const PADDING = 3;

/** The text of one table; `rows[0]` are the headings. */
export function tableOf(rows: readonly (readonly string[])[]): string {
  const width = (rows[0] ?? []).map((_, i) => Math.max(MINIMUM, Math.max(...rows.map((r) => r[i]!.length)) + PADDING));
  const line = (row: readonly string[]): string => row.map((cell, i) => cell + " ".repeat(width[i]! - cell.length)).join("");
  return `${rows.map((r) => `${line(r)}\n`).join("")}\n`;
}
