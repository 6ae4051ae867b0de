// Where decode() stands in a frame: the layers so far, and what comes next. One a frame, changed in place: frames are many.
import type { DataLayer, Layer } from "./layer.ts";

export type Why = NonNullable<DataLayer["why"]>;
/** What a number names: a link layer, an EtherType, an IP protocol. "data": nothing is known of the rest; "nothing": nothing follows. */
export type Next = "link" | "ethertype" | "protocol" | "data" | "nothing";

export class Walk {
  readonly layers: Layer[] = [];
  next: Next = "link";
  number: number;
  /** The next layer's bytes. */
  at = 0;
  end: number;
  why: Why | undefined = undefined;
  /** Encapsulations that were entered. */
  depth = 0;

  constructor(link: number, end: number) {
    this.number = link;
    this.end = end;
  }
  go(next: Next, number: number, at: number, end: number): void {
    this.next = next;
    this.number = number;
    this.at = at;
    this.end = end;
  }
  data(at: number, end: number, why?: Why): void {
    this.go("data", 0, at, end);
    this.why = why;
  }
  stop(): void {
    this.next = "nothing";
  }
}

/** Big-endian. */
export const u16 = (b: Uint8Array, at: number): number => (b[at]! << 8) | b[at + 1]!;
export const u32 = (b: Uint8Array, at: number): number => ((b[at]! << 24) | (b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!) >>> 0;
