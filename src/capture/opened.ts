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
  #plain: Uint8Array | undefined;
  #bytes: Uint8Array | undefined;
  #layers: readonly Layer[] | undefined;

  /** `plain`: what was opened, of a text of `total` bytes. It may be memory that is used again: release() comes before that. */
  constructor(plain: Uint8Array, total: number, authenticated: boolean) {
    const length = ipLength(plain, total);
    this.length = Math.min(length, plain.length);
    this.padding = total - length;
    this.authenticated = authenticated;
    this.#plain = plain;
  }
  /** The inner IP packet, a copy. Ask for it, or for the layers, while the packet is being handed over: later throws RangeError. */
  get bytes(): Uint8Array {
    if (this.#bytes) return this.#bytes;
    if (!this.#plain) throw new RangeError("The inner packet was not asked for while it was at hand");
    return (this.#bytes = this.#plain.slice(0, this.length));
  }
  get layers(): readonly Layer[] {
    return (this.#layers ??= this.length > 0 ? decodeIp(this.bytes) : []);
  }
  /** The packet is kept beyond its turn. */
  keep(): void {
    void this.bytes;
  }
  release(): void {
    this.#plain = undefined;
  }
}

/** Length of the IP packet at the start of a plaintext, from its own header; the rest is padding. */
export function ipLength(plain: Uint8Array, total: number): number {
  if (total >= 20 && plain.length >= 4 && plain[0]! >> 4 === 4) return Math.min(total, (plain[2]! << 8) | plain[3]!);
  if (total >= 40 && plain.length >= 6 && plain[0]! >> 4 === 6) return Math.min(total, 40 + ((plain[4]! << 8) | plain[5]!));
  return total;
}
/** Without a tag only the look of it tells: an IP header whose length fits. */
export function looksLikeIp(plain: Uint8Array, total: number): boolean {
  const version = plain.length > 0 ? plain[0]! >> 4 : 0;
  if (version === 4) return plain.length >= 20 && (plain[0]! & 15) >= 5 && ipLength(plain, total) >= 20 && total - ipLength(plain, total) < 16;
  return version === 6 && plain.length >= 6 && total - ipLength(plain, total) < 16;
}
