// What the agent makes in the kernel is written down first: after any end of the agent the next one knows what to take away.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

export type Entries = { readonly interfaces: readonly string[]; readonly tables: readonly number[] };
const EMPTY: Entries = { interfaces: [], tables: [] };

export class Ledger {
  readonly #file: string;
  #entries: Entries;

  constructor(file: string) {
    this.#file = file;
    this.#entries = load(file);
  }

  get entries(): Entries {
    return this.#entries;
  }
  /** Before something is made. */
  add(interfaceName: string, table: number): void {
    const { interfaces, tables } = this.#entries;
    this.#write({ interfaces: [...new Set([...interfaces, interfaceName])], tables: [...new Set([...tables, table])] });
  }
  /** After everything else was taken away. */
  keepOnly(interfaces: readonly string[], tables: readonly number[]): void {
    this.#write({ interfaces: [...interfaces], tables: [...tables] });
  }

  #write(entries: Entries): void {
    if (JSON.stringify(entries) === JSON.stringify(this.#entries)) return;
    mkdirSync(dirname(this.#file), { recursive: true, mode: 0o700 });
    writeFileSync(`${this.#file}.new`, JSON.stringify(entries), { mode: 0o600 });
    renameSync(`${this.#file}.new`, this.#file);
    this.#entries = entries;
  }
}

function load(file: string): Entries {
  try {
    const { interfaces, tables } = JSON.parse(readFileSync(file, "utf8")) as Entries;
    return {
      interfaces: interfaces.filter((i) => typeof i === "string"),
      tables: tables.filter((t) => Number.isInteger(t) && t > 0 && (t < 253 || t > 255)),
    };
  } catch {
    return EMPTY;
  }
}
