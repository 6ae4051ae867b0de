// Rows in columns, numbers to the right, as wide as their widest cell.
const isNumber = (text: string): boolean => /^-?[\d.,]+( ?(ms|s|%|B|kB|MB|GB))?$|^-$/.test(text);

export function columns(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((h, i) => Math.max(h.length, ...rows.map((r) => (r[i] ?? "").length)));
  const right = head.map((_, i) => rows.length > 0 && rows.every((r) => isNumber(r[i] ?? "-")));
  const line = (cells: readonly string[]): string =>
    cells
      .map((c, i) => (right[i] ? c.padStart(widths[i]!) : c.padEnd(widths[i]!)))
      .join("  ")
      .trimEnd();
  return [line(head), ...rows.map(line)];
}
/** "0.6 ms", "12.3 s". */
export const span = (ns: bigint | undefined): string => {
  if (ns === undefined) return "-";
  const ms = Number(ns) / 1e6;
  return Math.abs(ms) < 1000 ? `${ms.toFixed(1)} ms` : `${(ms / 1000).toFixed(1)} s`;
};
export const seconds = (ns: bigint | undefined): number | null => (ns === undefined ? null : Number(ns) / 1e9);
