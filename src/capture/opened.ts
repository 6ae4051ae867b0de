// An inner packet: what a data message held.
import { decodeIp } from "../packet/decode.ts";
import type { Layer } from "../packet/layer.ts";

export class Opened {
  /** Bytes of the inner IP packet at hand, without padding; 0 for a keepalive. */
  readonly length: number;
  /** False when the captured packet was cut, so that no tag could be checked. */
  readonly authenticated: boolean;
  /** Zero bytes that stood after the packet. */
  readonly padding: number;
  #memory: Uint8Array | undefined;
  readonly #at: number;
  #bytes: Uint8Array | undefined;
  #layers: readonly Layer[] | undefined;

  /** `have` bytes at `at`, of a text of `total`. The memory may be used again: release() comes before that. */
  constructor(memory: Uint8Array, at: number, have: number, total: number, authenticated: boolean) {
    const length = ipLength(memory, at, have, total);
    this.length = Math.min(length, have);
    this.padding = total - length;
    this.authenticated = authenticated;
    this.#memory = memory;
    this.#at = at;
  }
  /** The inner IP packet, a copy. Ask for it, or for the layers, while the packet is being handed over: later throws RangeError. */
  get bytes(): Uint8Array {
    if (this.#bytes) return this.#bytes;
    if (!this.#memory) throw new RangeError("The inner packet was not asked for while it was at hand");
    // Of memory that is shared with others slice() gives the same: no reader of packets should meet that.
    return (this.#bytes = new Uint8Array(this.#memory.subarray(this.#at, this.#at + this.length)));
  }
  get layers(): readonly Layer[] {
    return (this.#layers ??= this.length > 0 ? decodeIp(this.bytes) : []);
  }
  /** The packet is kept beyond its turn. */
  keep(): void {
    void this.bytes;
  }
  release(): void {
    this.#memory = undefined;
  }
}

/** Length of the IP packet at the start of a plaintext, from its own header; the rest is padding. */
function ipLength(b: Uint8Array, at: number, have: number, total: number): number {
  const version = have > 0 ? b[at]! >> 4 : 0;
  if (version === 4 && total >= 20 && have >= 4) return Math.min(total, (b[at + 2]! << 8) | b[at + 3]!);
  if (version === 6 && total >= 40 && have >= 6) return Math.min(total, 40 + ((b[at + 4]! << 8) | b[at + 5]!));
  return total;
}
/** Without a tag only the look of it tells: an IP header whose length fits. */
export function looksLikeIp(plain: Uint8Array, total: number): boolean {
  const version = plain.length > 0 ? plain[0]! >> 4 : 0;
  const length = ipLength(plain, 0, plain.length, total);
  if (version === 4) return plain.length >= 20 && (plain[0]! & 15) >= 5 && length >= 20 && total - length < 16;
  return version === 6 && plain.length >= 6 && total - length < 16;
}
