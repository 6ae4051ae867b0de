// A packet of a capture as the analysis hands it over: its WireGuard messages, whose session they are, and what was opened of them.
import type { Ip } from "../base/ip.ts";
import { decode, decodeIp, type DecodeOptions } from "../packet/decode.ts";
import type { Layer } from "../packet/layer.ts";
import type { WireGuardMessage } from "./message.ts";
import type { Opened } from "./opened.ts";
import type { CapturedPacket } from "./packet.ts";
import type { Session, UdpEndpoint, Way } from "./session.ts";
import type { Sight } from "./traffic.ts";

/** Why data is not opened. "cut": nothing of it was captured. */
export type Failure = "no key" | "bad tag" | "cut";

/** Source and destination of a datagram, by their places in its frame. */
export class Ends {
  declare readonly frame: Uint8Array;
  declare readonly srcAt: number;
  declare readonly dstAt: number;
  declare readonly addressLength: number;
  declare readonly srcPort: number;
  declare readonly dstPort: number;

  constructor(frame: Uint8Array, srcAt: number, dstAt: number, addressLength: number, srcPort: number, dstPort: number) {
    this.frame = frame;
    this.srcAt = srcAt;
    this.dstAt = dstAt;
    this.addressLength = addressLength;
    this.srcPort = srcPort;
    this.dstPort = dstPort;
  }
  get src(): UdpEndpoint {
    return { ip: this.frame.subarray(this.srcAt, this.srcAt + this.addressLength), port: this.srcPort };
  }
  get dst(): UdpEndpoint {
    return { ip: this.frame.subarray(this.dstAt, this.dstAt + this.addressLength), port: this.dstPort };
  }
  isFrom(e: UdpEndpoint): boolean {
    return e.port === this.srcPort && this.#isAt(this.srcAt, e.ip);
  }
  /** A number that differs where the source does, most often. */
  get mark(): number {
    const end = this.srcAt + this.addressLength;
    return (this.srcPort << 16) ^ (this.frame[end - 1]! << 8) ^ this.frame[end - 2]! ^ (this.frame[end - 3]! << 16);
  }
  #isAt(at: number, ip: Ip): boolean {
    if (ip.length !== this.addressLength) return false;
    for (let i = 0; i < ip.length; i++) if (ip[i] !== this.frame[at + i]) return false;
    return true;
  }
}

/** A WireGuard message of a packet: its session, its direction, what it held. */
export class TrackedMessage {
  declare readonly message: WireGuardMessage;
  declare readonly ends: Ends;
  session: Session | undefined;
  way: Way | undefined;
  opened: Opened | undefined;
  /** Why a data message was not opened; undefined also when nobody tried. */
  failure: Failure | undefined;
  /** Of a data message when its turn comes: whether it was there before. undefined when it has no session, when its tag is wrong, or when looked at again. */
  sight: Sight | undefined;
  /** The receiver's static public key, by mac1. */
  addressee: Uint8Array | undefined;
  /** mac2 verified under a cookie that the capture shows. */
  mac2Ok = false;

  constructor(message: WireGuardMessage, ends: Ends) {
    this.message = message;
    this.ends = ends;
  }
  /** The same message in a copy of its frame. */
  in(frame: Uint8Array): TrackedMessage {
    const e = this.ends;
    const ends = new Ends(frame, e.srcAt, e.dstAt, e.addressLength, e.srcPort, e.dstPort);
    return Object.assign(new TrackedMessage(this.message.type === 4 ? this.message.in(frame) : this.message, ends), {
      session: this.session,
      way: this.way,
      opened: this.opened,
      failure: this.failure,
      sight: this.sight,
      addressee: this.addressee,
      mac2Ok: this.mac2Ok,
    });
  }
  get src(): UdpEndpoint {
    return this.ends.src;
  }
  get dst(): UdpEndpoint {
    return this.ends.dst;
  }
}

/** A packet with its WireGuard messages, most often one or none. Shares memory as its packet does: copy() what you keep. */
export class TrackedPacket {
  declare readonly packet: CapturedPacket;
  declare messages: readonly TrackedMessage[];
  readonly #options: DecodeOptions;
  readonly #put: Uint8Array | undefined;
  #layers: readonly Layer[] | undefined;
  #whole: { readonly bytes: Uint8Array; readonly layers: readonly Layer[] } | undefined;

  /** `put`: the IP packet that was put together when this was its last fragment. */
  constructor(packet: CapturedPacket, messages: readonly TrackedMessage[], options: DecodeOptions, layers?: readonly Layer[], put?: Uint8Array) {
    this.packet = packet;
    this.messages = messages;
    this.#options = options;
    this.#layers = layers;
    this.#put = put;
  }
  /** Of the frame; decoded when they are asked for. */
  get layers(): readonly Layer[] {
    return (this.#layers ??= decode(this.packet.data, this.packet.iface.link, this.#options));
  }
  /** When this was the last fragment: the IP packet put together, which `messages` are from. */
  get whole(): { readonly bytes: Uint8Array; readonly layers: readonly Layer[] } | undefined {
    if (this.#put) this.#whole ??= { bytes: this.#put, layers: decodeIp(this.#put, this.#options) };
    return this.#whole;
  }
  /** True when `whole` is there, which is not decoded for the question. */
  get isPut(): boolean {
    return this.#put !== undefined;
  }
  /** The same in memory of its own, which may be kept. */
  copy(): TrackedPacket {
    const data = this.packet.data.slice();
    const messages = this.messages.map((m) => m.in(this.#put ?? data));
    return new TrackedPacket({ ...this.packet, data }, messages, this.#options, undefined, this.#put);
  }
  /** True when one captured packet held several messages (segmentation offload). */
  get split(): boolean {
    return this.messages.length > 1;
  }
}
