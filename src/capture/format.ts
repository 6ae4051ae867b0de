// What the parsers of pcap and pcapng are to the reader.
import type { CaptureEvent } from "./packet.ts";

/** A file of nothing but oddities must not fill memory with words about them. */
const MAX_REMARKS = 1000;

/** What was found, in the order of the file. */
export class Findings {
  /** Packets are wanted; without them a file is read for what else stands in it. */
  readonly packets: boolean;
  #events: CaptureEvent[] = [];
  #remarks = 0;

  constructor(packets: boolean) {
    this.packets = packets;
  }

  add(event: CaptureEvent): void {
    this.#events.push(event);
  }
  note(offset: number, what: string): void {
    if (++this.#remarks <= MAX_REMARKS) this.add({ kind: "note", note: { offset, what } });
  }
  damage(offset: number, block: string, reason: string): void {
    if (++this.#remarks <= MAX_REMARKS) this.add({ kind: "damage", damage: { offset, block, reason } });
  }
  /** All since the last call. */
  take(): CaptureEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }
}

/** Bytes at hand: `bytes[0]` stands at `base` in the file. `final`: nothing comes after them. */
export type Piece = { readonly bytes: Uint8Array; readonly view: DataView; readonly base: number; readonly final: boolean };

/** One file format. */
export interface Format {
  /** Reads all that stands whole in a piece from `at` on; the result is where it stopped. */
  read(piece: Piece, at: number, found: Findings): number;
  /** So many bytes must be at hand, from where it stopped, before there is more to read. */
  readonly need: number;
  /** Nothing more is read, whatever comes. */
  readonly stopped: boolean;
}
