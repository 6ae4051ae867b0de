// The datagram in a frame that may hold WireGuard: whole, or put together from IP fragments.
import { decode, type DecodeOptions } from "../packet/decode.ts";
import { UdpFinder } from "../packet/finder.ts";
import type { Layer } from "../packet/layer.ts";
import { LINK_RAW } from "../packet/link.ts";
import { fragmentOf, Reassembler } from "../packet/reassemble.ts";
import { Data, DATA_HEADER, KEEPALIVE_LENGTH, MessageType, readU32 } from "../wireguard/messages.ts";
import type { CapturedPacket } from "./packet.ts";
import { type Datagram as Decoded, datagramOf } from "./split.ts";
import { Ends } from "./tracked.ts";

/** Payload from `at` to `end` in `frame`, of which `length` bytes were on the wire. */
export type Datagram = { readonly frame: Uint8Array; readonly at: number; readonly end: number; readonly length: number; readonly ends: Ends };

export class Datagrams {
  /** Of the last packet, where the full decoder was asked; and the IP packet that was put together when it was the last fragment. */
  layers: readonly Layer[] | undefined;
  put: Uint8Array | undefined;
  readonly #options: DecodeOptions;
  readonly #lost: (receiver: number) => void;
  readonly #finder: UdpFinder;
  #reassembler: Reassembler;
  #fragments = 0;

  /** `lost` is told the receiver index of a data message of which fragments are missing. */
  constructor(options: DecodeOptions, lost: (receiver: number) => void) {
    this.#options = options;
    this.#lost = lost;
    this.#finder = new UdpFinder(options);
    this.#reassembler = this.#newReassembler();
  }

  /** Fragments whose company is missing. */
  get fragments(): number {
    return this.#fragments + this.#reassembler.waiting;
  }

  /** What looks like a WireGuard message in a packet: messageIn() has the last word on handshakes. */
  find(packet: CapturedPacket): Datagram | undefined {
    this.layers = this.put = undefined;
    const frame = packet.data;
    const f = this.#finder;
    const finding = f.find(frame, packet.iface.link);
    if (finding === "none") return undefined;
    if (finding === "ask") return this.#ask(packet);
    if (!isMessage(frame, f.payload, f.end, f.length)) return undefined;
    const ends = new Ends(frame, f.src, f.dst, f.addressLength, f.srcPort, f.dstPort);
    return { frame, at: f.payload, end: f.end, length: f.length, ends };
  }
  #ask(packet: CapturedPacket): Datagram | undefined {
    const layers = decode(packet.data, packet.iface.link, this.#options);
    this.layers = layers;
    const fragment = fragmentOf(layers);
    if (!fragment) return asDatagram(packet.data, datagramOf(packet.data, layers));
    this.put = this.#reassembler.add(packet.data, layers, fragment);
    return this.put && asDatagram(this.put, datagramOf(this.put, decode(this.put, LINK_RAW, this.#options)));
  }

  /** Another pass over the same packets begins. */
  startOver(): void {
    this.#reassembler = this.#newReassembler();
  }
  /** Nothing more comes. */
  end(): void {
    this.#fragments += this.#reassembler.waiting;
    this.#reassembler.end();
  }
  #newReassembler(): Reassembler {
    return new Reassembler((first) => {
      // UDP's header, then the message's.
      if (first.length >= 8 + DATA_HEADER && first[8] === MessageType.DATA) this.#lost(readU32(first, 8 + Data.RECEIVER));
    });
  }
}

export const isHandshake = (d: Datagram): boolean => d.frame[d.at] !== MessageType.DATA;

function isMessage(b: Uint8Array, at: number, end: number, length: number): boolean {
  const type = b[at]!;
  if (end - at < DATA_HEADER || type < 1 || type > 4) return false;
  if (type !== MessageType.DATA) return true;
  return (b[at + 1]! | b[at + 2]! | b[at + 3]!) === 0 && length >= KEEPALIVE_LENGTH;
}
function asDatagram(frame: Uint8Array, d: Decoded | undefined): Datagram | undefined {
  if (!d) return undefined;
  const at = d.udp.at + 8;
  const end = at + d.payload.length;
  if (!isMessage(frame, at, end, d.length)) return undefined;
  const isV4 = d.ip.kind === "ipv4";
  const ends = new Ends(frame, d.ip.at + (isV4 ? 12 : 8), d.ip.at + (isV4 ? 16 : 24), isV4 ? 4 : 16, d.udp.srcPort, d.udp.dstPort);
  return { frame, at, end, length: d.length, ends };
}
