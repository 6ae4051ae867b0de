// What a packet's fields are read from: one part a layer (or an element in it, as an option), with its place in the bytes.
import type { Layer } from "../../packet/layer.ts";
import type { TrackedMessage } from "../tracked.ts";
import type { Flow } from "../flows.ts";
import type { Protocol } from "./row.ts";
import type { Scope } from "./scope.ts";

/** Bytes that fields lie in: the frame, an IP packet put together from fragments, what keys opened of message `message` (0 the first). */
export type Pane = "Frame" | "Reassembled" | "Decrypted Static" | "Decrypted Timestamp" | "Decrypted Packet";

const NONE: readonly Part[] = [];

/** Where parts are: bytes, of which message if of one, and what is known beside them. */
export type Inside = {
  readonly bytes: Uint8Array;
  readonly scope: Scope;
  readonly pane?: Pane | undefined;
  readonly message?: TrackedMessage | undefined;
};
/** First byte, bytes of the header, one past the last byte. */
export type Place = { readonly at: number; readonly length: number; readonly end: number };

// Fields that the constructor sets are only declared: a definition before costs more than all the rest of it.
export class Part {
  declare readonly protocol: Protocol;
  declare readonly bytes: Uint8Array;
  /** First byte of the layer, bytes of its header, one past its last captured byte. */
  declare readonly at: number;
  declare readonly length: number;
  declare readonly end: number;
  declare readonly scope: Scope;
  /** What it hangs in, in the tree: what an ICMP error quotes and what an echo carries in ICMP, an element in its layer. */
  declare readonly parent: Part | undefined;
  declare readonly layer: Layer | undefined;
  /** Of a WireGuard message. */
  declare readonly message: TrackedMessage | undefined;
  declare readonly pane: Pane;
  /** Inside the packet that an ICMP error quotes. */
  declare readonly quoted: boolean;
  /** What an element says that stands in no bytes, as a comment of the file. */
  declare readonly note: string | undefined;
  /** What only the packets before this one tell; set when it is asked for (flows.ts). */
  flow: Flow | undefined = undefined;
  /** The part that carries this one: for TCP, UDP and ICMP their IP. */
  carrier: Part | undefined = undefined;
  /** Extension headers behind this IPv6 header. */
  extensions: readonly Part[] = NONE;

  /** `inside`: what all parts of the same bytes share. */
  constructor(protocol: Protocol, inside: Inside, place: Place, layer?: Layer, parent?: Part, quoted = false, note?: string) {
    this.protocol = protocol;
    this.bytes = inside.bytes;
    this.at = place.at;
    this.length = place.length;
    this.end = Math.min(place.end, inside.bytes.length);
    this.scope = inside.scope;
    this.parent = parent;
    this.layer = layer;
    this.message = inside.message;
    this.pane = inside.pane ?? "Frame";
    this.quoted = quoted;
    this.note = note;
  }

  /** `length` bytes at `offset` of this part; undefined when they were not captured. */
  bytesAt(offset: number, length: number): Uint8Array | undefined {
    const from = this.at + offset;
    return length >= 0 && from + length <= this.end ? this.bytes.subarray(from, from + length) : undefined;
  }
  /** Unsigned integer of 1 to 4 bytes, big-endian. */
  uint(offset: number, size: number): number | undefined {
    const from = this.at + offset;
    if (from + size > this.end) return undefined;
    let n = 0;
    for (let i = 0; i < size; i++) n = n * 256 + this.bytes[from + i]!;
    return n;
  }
  /** An element within this part, as an option is. */
  element(offset: number, length: number): Part {
    const at = this.at + offset;
    return new Part(this.protocol, this, { at, length, end: Math.min(this.end, at + length) }, this.layer, this, this.quoted);
  }
  remark(note: string): Part {
    const { bytes, at, scope, pane } = this;
    return new Part(this.protocol, { bytes, scope, pane }, { at, length: 0, end: at }, undefined, this, false, note);
  }
}
