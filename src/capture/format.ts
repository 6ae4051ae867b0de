// What the parsers of pcap and pcapng are to the reader.
import type { CaptureEvent } from "./packet.ts";

/** What a file format's parser does with the bytes at hand. */
export type Step =
  /** `bytes` were used; call again. */
  | { readonly kind: "used"; readonly bytes: number }
  /** At least `bytes` must be at hand for the next step. */
  | { readonly kind: "need"; readonly bytes: number }
  /** Stop for good. */
  | { readonly kind: "stop" };

/** One file format. `step` looks at `buffer` from `at`, whose offset in the file is `offset`, and emits what it found. */
export interface Format {
  step(buffer: Uint8Array, at: number, offset: number, final: boolean, emit: (event: CaptureEvent) => void): Step;
}
