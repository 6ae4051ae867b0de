// What a search has found: numbers of packets, in little memory.

/** The packets that a display filter matches, as far as it has come. */
export type Search = {
  readonly text: string;
  /** Numbers of packets, ascending. */
  readonly matches: Matches;
  /** Packets that were looked at. */
  readonly done: number;
  readonly stopped: boolean;
};

/** Ascending numbers in little memory. */
export class Matches {
  #numbers = new Uint32Array(1024);
  length = 0;

  push(n: number): void {
    if (this.length === this.#numbers.length) {
      const more = new Uint32Array(this.length * 2);
      more.set(this.#numbers);
      this.#numbers = more;
    }
    this.#numbers[this.length++] = n;
  }
  at(i: number): number | undefined {
    return i < this.length ? this.#numbers[i] : undefined;
  }
  /** Place of the first number that is not below `n`. */
  place(n: number): number {
    let [low, high] = [0, this.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#numbers[middle]! < n) low = middle + 1;
      else high = middle;
    }
    return low;
  }
  has(n: number): boolean {
    return this.at(this.place(n)) === n;
  }
}
