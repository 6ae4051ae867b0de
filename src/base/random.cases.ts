// Repeatable randomness for fuzzers and long runs: whoever starts one prints the seed, so that a failure can be had again.

/** mulberry32: uniform in [0, 1). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** What fuzzers draw. */
export class Dice {
  readonly random: () => number;
  constructor(random: () => number) {
    this.random = random;
  }
  /** 0 .. n - 1. */
  below(n: number): number {
    return Math.floor(this.random() * n);
  }
  chance(probability: number): boolean {
    return this.random() < probability;
  }
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }
  bytes(length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(length).map(() => this.below(256));
  }
  /** Cut, lengthened, and with some bytes changed: to extremes as often as to noise. `to`: what a changed byte may become. */
  mutated(bytes: Uint8Array, to: readonly number[] = [0, 1, 0x7f, 0x80, 0xff]): Uint8Array<ArrayBuffer> {
    let out = bytes.slice();
    if (this.chance(0.1)) out = out.slice(0, this.below(out.length + 1));
    if (this.chance(0.05)) out = new Uint8Array([...out, ...this.bytes(this.below(40))]);
    if (this.chance(0.1) && out.length > 0) {
      // A piece of it again, elsewhere.
      const from = this.below(out.length);
      out.copyWithin(this.below(out.length), from, from + this.below(64));
    }
    for (let changes = this.below(6); changes > 0 && out.length > 0; changes--) {
      const at = this.below(out.length);
      const way = this.below(3);
      out[at] = way === 0 ? this.pick(to) : way === 1 ? this.below(256) : out[at]! ^ (1 << this.below(8));
    }
    return out;
  }
}

/** One fuzzer: `run` tries one input and throws when something does not hold. */
export type Fuzzer = { readonly name: string; readonly start: (dice: Dice) => () => void | Promise<void> };

/** Runs a fuzzer until `enough`; how many inputs it tried. What it throws names the seed and the run. */
export async function fuzz(fuzzer: Fuzzer, seed: number, enough: (runs: number) => boolean): Promise<number> {
  const run = fuzzer.start(new Dice(randomOf(seed)));
  let runs = 0;
  for (; !enough(runs); runs++) {
    try {
      await run();
    } catch (cause) {
      throw new Error(`${fuzzer.name}: seed ${seed}, run ${runs}: ${String(cause)}`, { cause });
    }
  }
  return runs;
}

/** A bound in time; at least one run. */
export function forAWhile(milliseconds: number): (runs: number) => boolean {
  const end = performance.now() + milliseconds;
  return (runs) => runs > 0 && performance.now() >= end;
}
