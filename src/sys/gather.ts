// One packet for a file descriptor from pieces that lie apart (writev(2)): a merged packet goes to the TUN with nothing copied.
import { bind } from "./ffi.ts";
import { IOVEC } from "./msghdr.ts";
import type { Slab } from "./slab.ts";

const writev = bind("intptr_t writev(int, uintptr_t, int)");

/** Pieces in one call (UIO_MAXIOV). */
const MOST = 1024;

export class Gather {
  readonly #slab: Slab;
  readonly #iovecs: number;
  readonly #address: number;

  /** For up to `pieces` pieces. */
  constructor(slab: Slab, pieces: number) {
    if (pieces > MOST) throw new RangeError(`Cannot gather ${pieces} pieces: ${MOST} are the most`);
    this.#slab = slab;
    this.#iovecs = slab.take(pieces * IOVEC, 64);
    this.#address = slab.base + this.#iovecs;
    slab.u8.fill(0, this.#iovecs, this.#iovecs + pieces * IOVEC);
  }

  /** Piece `i` is the `bytes` bytes at slab offset `at`. */
  put(i: number, at: number, bytes: number): void {
    const v = this.#iovecs + i * IOVEC;
    this.#slab.point(v, at);
    this.#slab.u32[(v + 8) >>> 2] = bytes;
  }

  /** Writes the first `n` pieces: what was written, or -1 (errno). */
  write(fd: number, n: number): number {
    return writev(fd, this.#address, n);
  }
}
