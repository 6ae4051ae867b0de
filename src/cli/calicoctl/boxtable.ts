// Tables in boxes, as `ipam show` and `node status` print them: headings in capitals and centred, numbers to the right, the rest to the left.

const isNumber = (cell: string): boolean => /^-?[0-9]+(\.[0-9]+)?%?$/.test(cell);

function centred(text: string, width: number): string {
  const left = Math.floor((width - text.length) / 2);
  return " ".repeat(left) + text + " ".repeat(width - text.length - left);
}

/** The text of a table, with its last newline. */
export function boxTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((h, i) => Math.max(h.length, ...rows.map((r) => r[i]!.length)));
  const rule = `+${widths.map((w) => "-".repeat(w + 2)).join("+")}+\n`;
  const line = (cells: readonly string[], pad: (cell: string, width: number) => string): string =>
    `|${cells.map((c, i) => ` ${pad(c, widths[i]!)} `).join("|")}|\n`;
  const body = rows.map((r) => line(r, (c, w) => (isNumber(c) ? c.padStart(w) : c.padEnd(w))));
  return rule + line(headings, (h, w) => centred(h.toUpperCase(), w)) + rule + body.join("") + (rows.length > 0 ? rule : "");
}
