// What the viewer shows, as its model sees it: a capture whose packets are had by number, and the filter that is at work. document.ts is the real one.
import type { Facts } from "../../capture/facts.ts";
import type { KeyLogProblem } from "../../capture/keylog.ts";
import type { PacketClass } from "../../capture/packetclass.ts";
import type { Secrets } from "../../capture/secrets.ts";
import type { Session } from "../../capture/session.ts";
import type { Look } from "./look.ts";
import type { Marks } from "../../capture/marks.ts";

export type Progress = { readonly what: string; readonly done: number; readonly total: number | undefined };
export type Rates = { readonly packets: number; readonly bytes: number };

export interface World {
  /** File or interfaces. */
  readonly name: string;
  /** Packets so far; numbers here start at 0. */
  readonly length: number;
  look(packet: number): Look;
  classOf(packet: number): PacketClass;
  time(packet: number): bigint | undefined;
  readonly facts: Facts;
  readonly sessions: readonly Session[];
  readonly secrets: Secrets;
  readonly problems: readonly KeyLogProblem[];
  readonly marks: Marks;
  /** Opening is under way. */
  readonly progress: Progress | undefined;
  /** Of what is still coming; undefined for a file that is read. */
  readonly rates: Rates | undefined;
  /** Packets that the capture lost; undefined where nobody counts. */
  readonly dropped: number | undefined;
  readonly filter: Filter | undefined;
}

/** The packets that a display filter matches, as far as it has come. */
export type Filter = {
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
