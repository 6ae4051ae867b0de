// TAI64N, the timestamp of initiations: 12 bytes, compared as bytes. The nanoseconds are whitened to multiples of 2^24 (16.8 ms), so that they tell
// nothing about our clock's drift (whitepaper section 5.1; the base 2^62 + 10 is the kernel's).
import { TIMESTAMP_LENGTH } from "./messages.ts";

/** Timestamp of wall milliseconds. */
export function tai64n(wall: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(TIMESTAMP_LENGTH);
  const view = new DataView(out.buffer);
  const seconds = Math.floor(wall / 1000);
  view.setUint32(0, 0x4000_0000 + Math.floor((seconds + 10) / 2 ** 32));
  view.setUint32(4, (seconds + 10) >>> 0);
  view.setUint32(8, Math.floor((wall - 1000 * seconds) * 1e6) & ~0xff_ffff);
  return out;
}

/** One step of the whitening later: for an initiation whose clock did not move on. */
export function nextTai64n(stamp: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = stamp.slice();
  const view = new DataView(out.buffer);
  const nanoseconds = view.getUint32(8) + 0x100_0000;
  if (nanoseconds < 1e9) view.setUint32(8, nanoseconds);
  else {
    view.setUint32(8, 0);
    const low = view.getUint32(4) + 1;
    view.setUint32(4, low);
    if (low > 0xffff_ffff) view.setUint32(0, view.getUint32(0) + 1);
  }
  return out;
}

/**
 * The timestamps of one device. They never go back, also when the wall clock does and also for a peer that was removed and added again: the other side
 * remembers the greatest it has seen, and would refuse us for as long as the clock was ahead.
 */
export class Stamps {
  #latest: Uint8Array = new Uint8Array(TIMESTAMP_LENGTH);

  /** For an initiation to a peer whose last one had `last`. */
  next(wall: number, last: Uint8Array): Uint8Array {
    const clock = tai64n(wall);
    const order = compareStamps(clock, this.#latest);
    if (order > 0) this.#latest = clock;
    else if (order < 0) this.#latest = nextTai64n(this.#latest);
    return compareStamps(this.#latest, last) > 0 ? this.#latest : nextTai64n(last);
  }
}

/** Negative, 0 or positive: a before, equal to, after b. Timestamps are no secret. */
export function compareStamps(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < TIMESTAMP_LENGTH; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}
