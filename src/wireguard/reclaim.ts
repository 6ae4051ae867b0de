// Frees what was unpublished from the tables once no data thread can still hold it (5.4 of the device's design: epochs). A thread's epoch word is odd while
// it works: what it could see then is free when the word has moved; a thread that rests holds nothing.
import { DATA_THREADS, Head, type Tables } from "./tables.ts";

export class Reclaimer {
  readonly #tables: Tables;
  #waiting: { readonly epochs: number[]; readonly free: () => boolean }[] = [];

  constructor(tables: Tables) {
    this.#tables = tables;
  }
  get waiting(): number {
    return this.#waiting.length;
  }
  /** `free` is called when it is safe; it may answer false to be asked again. Call after the last pointer was removed with Atomics.store. */
  retire(free: () => boolean): void {
    this.#waiting.push({ epochs: this.#epochs(), free });
    this.collect();
  }
  collect(): void {
    if (this.#waiting.length === 0) return;
    const now = this.#epochs();
    this.#waiting = this.#waiting.filter((w) => !(w.epochs.every((e, i) => e % 2 === 0 || e !== now[i]) && w.free()));
  }
  #epochs(): number[] {
    return Array.from({ length: DATA_THREADS }, (_, i) => Atomics.load(this.#tables.i32, this.#tables.head + Head.EPOCH + i));
  }
}
