// Puts IP fragments together again (RFC 791, RFC 8200 4.5). Bounded: the oldest unfinished packet goes first.
import { concat, toHex } from "../base/bytes.ts";
import type { Fragment6Layer, IpLayer, Layer } from "./layer.ts";

/** A fragment's place: offset in the payload, whether more follow, and what makes packets differ. */
type Piece = {
  readonly key: string;
  readonly offset: number;
  readonly more: boolean;
  readonly at: number;
  readonly end: number;
  readonly protocol: number;
};
type Fragment = Piece & { readonly index: number };
type Parts = { readonly pieces: Map<number, Uint8Array>; header: Uint8Array | undefined; total: number | undefined; have: number };

const MAX_PACKETS = 256;
const MAX_PAYLOAD = 65_535;
const MAX_PIECES = 128;

/** The innermost fragment among a frame's layers, or undefined when the frame is none. `index` is where its IP layer stands. */
export function fragmentOf(layers: readonly Layer[]): Fragment | undefined {
  // What an ICMP error quotes is no fragment on its way.
  const quote = layers.findIndex((l) => l.kind === "quote");
  for (let i = (quote < 0 ? layers.length : quote) - 1; i >= 0; i--) {
    const l = layers[i]!;
    if (l.kind === "ipv4" && (l.moreFragments || l.fragmentOffset > 0)) {
      return { ...piece(l, l.id, l.protocol, l.fragmentOffset, l.moreFragments, l.at + l.length), index: i };
    }
    if (l.kind === "fragment" && (l.moreFragments || l.fragmentOffset > 0)) {
      const index = layers.findLastIndex((x, n) => n < i && x.kind === "ipv6");
      const outer = layers[index];
      if (outer?.kind === "ipv6") return { ...fragment6(outer, l), index };
    }
  }
  return undefined;
}

const piece = (ip: IpLayer, id: number, protocol: number, offset: number, more: boolean, at: number): Piece => ({
  key: `${toHex(ip.src)} ${toHex(ip.dst)} ${id} ${protocol}`,
  offset,
  more,
  at,
  end: ip.end,
  protocol,
});
const fragment6 = (ip: IpLayer, f: Fragment6Layer): Piece => piece(ip, f.id, f.nextHeader, f.fragmentOffset, f.moreFragments, f.at + f.length);

export class Reassembler {
  readonly #packets = new Map<string, Parts>();
  readonly #lost: (first: Uint8Array) => void;

  /** `lost` is given the first fragment's payload of a packet that is given up. */
  constructor(lost: (first: Uint8Array) => void = () => {}) {
    this.#lost = lost;
  }

  /** Fragments that wait for others. */
  get waiting(): number {
    let n = 0;
    for (const p of this.#packets.values()) n += p.pieces.size;
    return n;
  }

  /** Nothing more comes: what waits is given up. */
  end(): void {
    for (const key of this.#packets.keys()) this.#giveUp(key);
  }
  #giveUp(key: string): void {
    const first = this.#packets.get(key)?.pieces.get(0);
    this.#packets.delete(key);
    if (first) this.#lost(first);
  }

  /** Takes a frame that is a fragment; the result is the whole IP packet (header of the first fragment, corrected) when this was the last piece. */
  add(bytes: Uint8Array, layers: readonly Layer[], f: Fragment | undefined = fragmentOf(layers)): Uint8Array | undefined {
    if (!f) return undefined;
    const ip = layers[f.index] as IpLayer;
    let p = this.#packets.get(f.key);
    if (!p) {
      const oldest = this.#packets.size >= MAX_PACKETS ? this.#packets.keys().next().value : undefined;
      if (oldest !== undefined) this.#giveUp(oldest);
      p = { pieces: new Map(), header: undefined, total: undefined, have: 0 };
      this.#packets.set(f.key, p);
    }
    const data = new Uint8Array(bytes.subarray(f.at, f.end));
    if (p.pieces.has(f.offset)) return undefined;
    if (f.offset + data.length > MAX_PAYLOAD || p.pieces.size >= MAX_PIECES) return void this.#packets.delete(f.key);
    p.pieces.set(f.offset, data);
    p.have += data.length;
    if (f.offset === 0) p.header = new Uint8Array(bytes.subarray(ip.at, ip.at + ip.length));
    if (!f.more) p.total = f.offset + data.length;
    if (p.total === undefined || !p.header || p.have < p.total) return undefined;
    this.#packets.delete(f.key);
    const payload = new Uint8Array(p.total);
    let reached = 0;
    for (const offset of [...p.pieces.keys()].sort((a, b) => a - b)) {
      if (offset > reached) return undefined;
      const part = p.pieces.get(offset)!.subarray(0, Math.max(0, p.total - offset));
      payload.set(part, offset);
      reached = Math.max(reached, offset + part.length);
    }
    if (reached < p.total) return undefined;
    const v = new DataView(p.header.buffer);
    if (ip.kind === "ipv4") {
      v.setUint16(2, p.header.length + payload.length);
      v.setUint16(6, 0);
    } else {
      v.setUint16(4, payload.length);
      v.setUint8(6, f.protocol);
    }
    return concat(p.header, payload);
  }
}
