// Inner packets, merged or not, into the TUN.
import type { TunSink } from "../offload/index.ts";
import { EINVAL } from "../sys/errno.ts";
import { errno } from "../sys/ffi.ts";
import { Gather } from "../sys/gather.ts";
import type { Slab } from "../sys/slab.ts";

export class TunWriter implements TunSink {
  readonly #gather: Gather;
  readonly #fault: () => void;
  /** -1: none. */
  fd = -1;
  /** Writes that the TUN did not take. */
  refused = 0;

  /** `fault` is called when the kernel does not take a merged packet. */
  constructor(slab: Slab, pieces: number, fault: () => void) {
    this.#gather = new Gather(slab, pieces);
    this.#fault = fault;
  }

  write(at: Int32Array, length: Int32Array, n: number): void {
    for (let i = 0; i < n; i++) this.#gather.put(i, at[i]!, length[i]!);
    if (this.#gather.write(this.fd, n) >= 0) return;
    this.refused += n;
    // Some kernels' check of the header is broken (6.1.x, 6.6.44, 6.10.3). What was merged is lost, and nothing is merged any more.
    if (n > 1 && errno() === EINVAL) this.#fault();
  }
}
