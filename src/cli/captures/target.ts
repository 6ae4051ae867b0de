// Where a live capture goes: into files (recorder.ts) or onto the screen (printer.ts).
import type { Tapped } from "./tap.ts";

export interface Target {
  /** Packets that were taken. */
  readonly count: number;
  /** Handshake records that came. */
  readonly handshakes: number;
  /** Sessions whose packets and keys both came. */
  readonly opened: number;
  /** Nobody wants more: the reader is gone, or there are files enough. */
  readonly done: boolean;
  keys(text: string): void;
  packet(t: Tapped, now: number): void;
  batchEnd(): void;
  tick(now: number): void;
  /** Says what was counted so far, where there is a place for it. */
  report(): void;
  end(): void;
}
