// A walk through all packets of the capture, in slices of time, that goes on as the capture grows: for filters, flows, streams.
import { field } from "./fields/registry.ts";
import type { ReadBytes } from "./packetindex.ts";
import { CaptureReader } from "./reader.ts";
import type { Rescan } from "./rescan.ts";
import type { TrackedPacket } from "./tracked.ts";

/** Bytes that are read at a time: a slice of time is some of these. */
const PIECE = 64 << 10;

/** Made by CaptureDocument.walk(). */
export class Scan {
  readonly #read: ReadBytes;
  readonly #size: () => number;
  readonly #rescan: Rescan;
  readonly #reader: CaptureReader;
  readonly #each: (t: TrackedPacket) => void;
  #at = 0;
  /** Packets that were looked at. */
  done = 0;
  stopped = false;

  /** `size`: bytes of the capture that are there by now. */
  constructor(read: ReadBytes, size: () => number, rescan: Rescan, salvage: boolean, each: (t: TrackedPacket) => void) {
    this.#read = read;
    this.#size = size;
    this.#rescan = rescan;
    this.#reader = new CaptureReader({ salvage });
    this.#each = each;
  }

  /** There is nothing to do. */
  get isDone(): boolean {
    return this.stopped || this.#at >= this.#size();
  }

  /** Goes on until `enough` says so, or to the end of what is there. False when there is nothing to do. */
  on(enough: () => boolean): boolean {
    if (this.isDone) return false;
    const to = this.#size();
    const each = (t: TrackedPacket): void => {
      this.#each(t);
      this.done++;
    };
    do {
      // A copy: packets share memory with their piece, and the reader keeps what is cut at its end.
      const bytes = this.#read(this.#at, Math.min(PIECE, to - this.#at)).slice();
      if (bytes.length === 0) {
        // The file was cut since.
        this.stopped = true;
        break;
      }
      this.#at += bytes.length;
      for (const e of this.#reader.push(bytes)) if (e.kind === "packet") this.#rescan.take(e.packet, each);
      this.#rescan.flush(each);
    } while (this.#at < to && !enough());
    return true;
  }
}

/** Of the frame and of WireGuard, and yet told only by what keys open. */
const OPENED_FIELDS: ReadonlySet<string> = new Set([
  "frame.protocols",
  "wg.decryption_error",
  "wg.session.failure",
  "wg.session.authenticated",
  "wg.session.padding",
]);
/** Whether fields may have values in inner packets, or by them: then a search has to open data. */
export const looksInside = (fields: Iterable<string>): boolean =>
  [...fields].some((name) => OPENED_FIELDS.has(name) || [...(field(name)?.ways.keys() ?? ["?"])].some((p) => p !== "frame" && p !== "wg"));
