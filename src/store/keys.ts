// The keys of a store in order: a list of short sorted lists, so that a key goes in or out by moving a few hundred others, also among 100,000, and keys
// are counted without being visited. Keys are compared by their UTF-16 units, which for the characters of names is the order of their bytes.

export const byOrder = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Keys in a list before it is cut in two. */
const MOST = 512;

export class SortedKeys {
  /** None of them empty, but the only one. */
  readonly #runs: string[][] = [];

  constructor(keys: Iterable<string>) {
    const sorted = [...keys].toSorted(byOrder);
    for (let i = 0; i < sorted.length; i += MOST / 2) this.#runs.push(sorted.slice(i, i + MOST / 2));
    if (this.#runs.length === 0) this.#runs.push([]);
  }

  /** Adds a key that is not there. */
  add(key: string): void {
    const at = this.#runOf(key);
    const run = this.#runs[at]!;
    run.splice(
      countWhile(run, (k) => k < key),
      0,
      key,
    );
    if (run.length > MOST) this.#runs.splice(at + 1, 0, run.splice(MOST / 2));
  }

  /** Removes a key that is there. */
  delete(key: string): void {
    const at = this.#runOf(key);
    const run = this.#runs[at]!;
    run.splice(
      countWhile(run, (k) => k < key),
      1,
    );
    if (run.length === 0 && this.#runs.length > 1) this.#runs.splice(at, 1);
  }

  /** The keys behind those for which `before` holds. Nothing may be added or removed meanwhile. */
  *from(before: (key: string) => boolean): Generator<string> {
    for (let r = this.#wholeRuns(before); r < this.#runs.length; r++) {
      const run = this.#runs[r]!;
      for (let i = countWhile(run, before); i < run.length; i++) yield run[i]!;
    }
  }

  /** How many keys come first for which `holds` holds: as everywhere here, it must hold for no key behind one for which it does not. */
  count(holds: (key: string) => boolean): number {
    const whole = this.#wholeRuns(holds);
    let n = 0;
    for (let r = 0; r < whole; r++) n += this.#runs[r]!.length;
    return n + (whole < this.#runs.length ? countWhile(this.#runs[whole]!, holds) : 0);
  }

  /** How many lists come first for all of whose keys `holds` holds. */
  #wholeRuns(holds: (key: string) => boolean): number {
    return countWhile(this.#runs, (run) => run.length > 0 && holds(run.at(-1)!));
  }

  /** The list in which `key` is, or belongs. */
  #runOf(key: string): number {
    return Math.max(0, countWhile(this.#runs, (run) => run.length > 0 && run[0]! <= key) - 1);
  }
}

/** How many items at the front of a list hold, when none does behind the first that does not: by halving. */
export function countWhile<T>(list: readonly T[], holds: (item: T) => boolean): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(list[middle]!)) low = middle + 1;
    else high = middle;
  }
  return low;
}
