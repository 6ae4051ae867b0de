// Single packets from a file that is read in larger pieces: who scrolls, or searches, asks for what lies side by side.
import type { ReadBytes } from "./packetindex.ts";

const WINDOW = 256 << 10;
/** Of the window: what lies before the place that was asked for, for who goes backwards. */
const BEHIND = 32 << 10;

/**
 * The same bytes by fewer calls of `read`: a window of 256 KiB is kept, and what lies in it is not read again. In a worker of a browser:
 *
 *   const reader = new FileReaderSync();
 *   windowed((offset, length) => new Uint8Array(reader.readAsArrayBuffer(file.slice(offset, offset + length))));
 *
 * Throws what `read` throws.
 */
export function windowed(read: ReadBytes): ReadBytes {
  let from = 0;
  let bytes = new Uint8Array();
  return (offset, length) => {
    if (offset < from || offset + length > from + bytes.length) {
      if (length > WINDOW - BEHIND) return read(offset, length);
      from = Math.max(0, offset - BEHIND);
      bytes = read(from, WINDOW) as Uint8Array<ArrayBuffer>;
    }
    return bytes.subarray(Math.min(offset - from, bytes.length), Math.min(offset - from + length, bytes.length));
  };
}
