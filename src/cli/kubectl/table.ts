// The server's Table on a terminal, as kubectl lays it out: columns at least 6 wide, 3 spaces between, the last one not padded.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables

export type Cell = string | number | boolean | null | string[];
export type Table = {
  kind: "Table";
  metadata?: { resourceVersion?: string; continue?: string };
  columnDefinitions?: { name: string; type: string; priority: number }[] | null;
  rows?: { cells: Cell[]; object?: { metadata?: { name?: string; namespace?: string; resourceVersion?: string } } }[] | null;
};

const MINIMUM = 6;
const PADDING = 3;

// A cell from elsewhere must not steer the terminal.
const printable = (cell: Cell | undefined): string =>
  (cell === null || cell === undefined ? "" : String(cell)).split("\n", 1)[0]!.replace(/[\u0000-\u001f\u007f-\u009f]/g, "?"); // oxlint-disable-line no-control-regex

export type TableOptions = { wide: boolean; namespace: boolean; headers: boolean; prefix?: string };

/** Prints tables of one kind; remembers the widths, so that the rows of a watch stay in line. */
export class TablePrinter {
  readonly #options: TableOptions;
  #columns: number[] = [];
  #names: string[] = [];
  #widths: number[] = [];
  #headersPrinted = false;

  constructor(options: TableOptions) {
    this.#options = options;
  }

  print(table: Table): string {
    if (table.columnDefinitions) {
      const columns = table.columnDefinitions.map((c, i) => ({ ...c, i })).filter((c) => c.priority === 0 || this.#options.wide);
      this.#columns = columns.map((c) => c.i);
      this.#names = columns.map((c) => c.name.toUpperCase());
    }
    const { namespace, prefix = "" } = this.#options;
    const rows = (table.rows ?? []).map((r) => {
      const cells = this.#columns.map((i, at) => (at === 0 ? prefix : "") + printable(r.cells[i]));
      return namespace ? [r.object?.metadata?.namespace ?? "", ...cells] : cells;
    });
    if (this.#options.headers && !this.#headersPrinted && rows.length > 0) {
      rows.unshift(namespace ? ["NAMESPACE", ...this.#names] : this.#names);
      this.#headersPrinted = true;
    }
    for (const row of rows) for (const [i, cell] of row.entries()) this.#widths[i] = Math.max(this.#widths[i] ?? MINIMUM, cell.length + PADDING);
    return rows.map((row) => `${row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(this.#widths[i]!))).join("")}\n`).join("");
  }
}
