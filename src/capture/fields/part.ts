// What a packet's fields are read from: one part a layer (or an element in it, as an option), with its place in the bytes.
import type { Layer } from "../../packet/layer.ts";
import type { TrackedMessage } from "../tracked.ts";
import type { Flow } from "../flows.ts";
import type { Protocol } from "./row.ts";
import type { Scope } from "./scope.ts";

/** Bytes that fields lie in: the frame, an IP packet put together from fragments, what keys opened of message `message` (0 the first). */
export type Pane = "Frame" | "Reassembled" | "Decrypted Static" | "Decrypted Timestamp" | "Decrypted Packet";

const NONE: readonly Part[] = [];

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

  constructor(o: {
    protocol: Protocol;
    bytes: Uint8Array;
    at: number;
    length: number;
    end: number;
    scope: Scope;
    parent?: Part | undefined;
    layer?: Layer | undefined;
    message?: TrackedMessage | undefined;
    pane?: Pane | undefined;
    quoted?: boolean;
    note?: string;
  }) {
    this.protocol = o.protocol;
    this.bytes = o.bytes;
    this.at = o.at;
    this.length = o.length;
    this.end = Math.min(o.end, o.bytes.length);
    this.scope = o.scope;
    this.parent = o.parent;
    this.layer = o.layer;
    this.message = o.message;
    this.pane = o.pane ?? "Frame";
    this.quoted = o.quoted ?? false;
    this.note = o.note;
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
    const { protocol, bytes, scope, layer, message, pane, quoted } = this;
    const at = this.at + offset;
    return new Part({ protocol, bytes, at, length, end: Math.min(this.end, at + length), scope, parent: this, layer, message, pane, quoted });
  }
  remark(note: string): Part {
    const { protocol, bytes, at, scope, pane } = this;
    return new Part({ protocol, bytes, at, length: 0, end: at, scope, parent: this, pane, note });
  }
}
