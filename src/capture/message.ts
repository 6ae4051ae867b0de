// Recognises WireGuard messages among UDP payloads, as Wireshark's heuristic does (section 2.7), and reads their fields. Layouts: wireguard/messages.ts.
// Lengths are those on the wire; the bytes may be fewer, because captures cut packets.
import { Cookie, Data, DATA_OVERHEAD, Initiation, KEEPALIVE_LENGTH, MAC_LENGTH, MessageType, readU32, Response } from "../wireguard/messages.ts";

type Common = {
  /** What was captured of the message. */
  readonly bytes: Uint8Array;
  /** Length on the wire. */
  readonly length: number;
};
export type InitiationMessage = Common & { readonly type: 1; readonly sender: number; readonly ephemeral: Uint8Array };
export type ResponseMessage = Common & { readonly type: 2; readonly sender: number; readonly receiver: number; readonly ephemeral: Uint8Array };
export type CookieMessage = Common & { readonly type: 3; readonly receiver: number };
/** Data messages are most of a capture: their fields are read when they are asked for. */
export class DataMessage implements Common {
  readonly type = 4;
  declare readonly length: number;
  declare readonly receiver: number;
  declare readonly frame: Uint8Array;
  declare readonly at: number;
  declare readonly end: number;

  /** `at` to `end`: what `frame` holds of the message, of which the header is whole. `length`: bytes on the wire. */
  constructor(frame: Uint8Array, at: number, end: number, length: number) {
    this.frame = frame;
    this.at = at;
    this.end = end;
    this.length = length;
    this.receiver = readU32(frame, at + Data.RECEIVER);
  }
  /** The same message in a copy of its frame. */
  in(frame: Uint8Array): DataMessage {
    return new DataMessage(frame, this.at, this.end, this.length);
  }
  get captured(): number {
    return this.end - this.at;
  }
  get bytes(): Uint8Array {
    return this.frame.subarray(this.at, this.end);
  }
  get counter(): bigint {
    return BigInt(readU32(this.frame, this.at + Data.COUNTER)) | (BigInt(readU32(this.frame, this.at + Data.COUNTER + 4)) << 32n);
  }
  /** The counter as a number: exact up to 2^53. */
  get count(): number {
    return readU32(this.frame, this.at + Data.COUNTER) + readU32(this.frame, this.at + Data.COUNTER + 4) * 4_294_967_296;
  }
  /** A word of the tag that tells messages with one counter apart; 0 when the tag was cut off. */
  get mark(): number {
    return this.captured === this.length ? readU32(this.frame, this.end - 4) : 0;
  }
}
export type HandshakeMessage = InitiationMessage | ResponseMessage | CookieMessage;
/** A message as captured; it may be cut. */
export type WireGuardMessage = InitiationMessage | ResponseMessage | CookieMessage | DataMessage;

/** The names that Wireshark gives. */
export const MESSAGE_NAMES: Readonly<Record<1 | 2 | 3 | 4, string>> = {
  1: "Handshake Initiation",
  2: "Handshake Response",
  3: "Cookie Reply",
  4: "Transport Data",
};

/** A message, or undefined when the payload is none. `length`: bytes on the wire, when fewer were captured. */
export const parseMessage = (bytes: Uint8Array, length: number = bytes.length): WireGuardMessage | undefined =>
  messageIn(bytes, 0, bytes.length, length);

/** parseMessage() of the payload that stands in `frame` from `at` to `end`. */
export function messageIn(frame: Uint8Array, at: number, end: number, length: number): WireGuardMessage | undefined {
  if (end - at < 16) return undefined;
  const type = frame[at]!;
  const reserved = frame[at + 1]! | frame[at + 2]! | frame[at + 3]!;
  if (type === MessageType.DATA) return length >= KEEPALIVE_LENGTH && reserved === 0 ? new DataMessage(frame, at, end, length) : undefined;
  const bytes = frame.subarray(at, end);
  if (type === MessageType.INITIATION && length === Initiation.LENGTH && bytes.length >= Initiation.STATIC)
    return { type: 1, bytes, length, sender: readU32(bytes, Initiation.SENDER), ephemeral: bytes.subarray(Initiation.EPHEMERAL, Initiation.STATIC) };
  if (type === MessageType.RESPONSE && length === Response.LENGTH && bytes.length >= Response.EMPTY) {
    const ephemeral = bytes.subarray(Response.EPHEMERAL, Response.EMPTY);
    return { type: 2, bytes, length, sender: readU32(bytes, Response.SENDER), receiver: readU32(bytes, Response.RECEIVER), ephemeral };
  }
  if (type === MessageType.COOKIE && length === Cookie.LENGTH && reserved === 0)
    return { type: 3, bytes, length, receiver: readU32(bytes, Cookie.RECEIVER) };
  return undefined;
}

/** A data message without a packet. */
export const isKeepalive = (m: WireGuardMessage): boolean => m.type === 4 && m.length === KEEPALIVE_LENGTH;

/** mac1 of a handshake message; undefined when it was cut off. */
export function mac1Of(m: InitiationMessage | ResponseMessage): Uint8Array | undefined {
  const at = m.type === 1 ? Initiation.MAC1 : Response.MAC1;
  return m.bytes.length >= at + MAC_LENGTH ? m.bytes.subarray(at, at + MAC_LENGTH) : undefined;
}
export function mac2Of(m: InitiationMessage | ResponseMessage): Uint8Array | undefined {
  const at = m.type === 1 ? Initiation.MAC2 : Response.MAC2;
  return m.bytes.length >= at + MAC_LENGTH ? m.bytes.subarray(at, at + MAC_LENGTH) : undefined;
}
/** The bytes that mac1 covers, the reserved ones taken as zero. */
export function underMac1(m: InitiationMessage | ResponseMessage): Uint8Array {
  const covered = new Uint8Array(m.bytes.subarray(0, m.type === 1 ? Initiation.MAC1 : Response.MAC1));
  covered.fill(0, 1, 4);
  return covered;
}

const hex8 = (n: number): string => `0x${n.toString(16).toUpperCase().padStart(8, "0")}`;
/** Wireshark's Info column. */
export function infoOf(m: WireGuardMessage): string {
  const name = isKeepalive(m) ? "Keepalive" : MESSAGE_NAMES[m.type];
  const sender = m.type === 1 || m.type === 2 ? `, sender=${hex8(m.sender)}` : "";
  const receiver = m.type === 1 ? "" : `, receiver=${hex8(m.receiver)}`;
  const data = m.type === 4 ? `, counter=${m.counter}${isKeepalive(m) ? "" : `, datalen=${m.length - DATA_OVERHEAD}`}` : "";
  return name + sender + receiver + data;
}

/**
 * The size of the messages in one captured "datagram" when it holds several, because the sender left the cutting to the network card (UDP_SEGMENT) and
 * the capture saw it before; 0 when it holds one. The next message is where the same eight bytes of type and receiver stand again, with the next counter
 * (section 5.4). An equal counter is taken too: it is a fault of the sender that is worth to be seen, and eight equal bytes are no accident.
 *
 * Messages are padded to 16 bytes, unless that would exceed the tunnel's MTU: other sizes are looked for only where a full message can end.
 */
export function segmentSize(b: Uint8Array, at: number, end: number): number {
  const length = end - at;
  if (length < 2 * KEEPALIVE_LENGTH || b[at] !== MessageType.DATA) return 0;
  const first = b[at + 4]!;
  const last = length - KEEPALIVE_LENGTH;
  const full = length > LARGEST_FRAME ? SMALLEST_MTU + DATA_OVERHEAD : USUAL_MTU + DATA_OVERHEAD;
  for (let size = KEEPALIVE_LENGTH; size <= last; size += size >= full ? 1 : PADDING) {
    if (b[at + size] === MessageType.DATA && b[at + size + 4] === first && follows(b, at, at + size) && isRegular(b, at, end, size)) return size;
  }
  return 0;
}
const PADDING = 16;
/** Least MTUs of IPv4 and IPv6: multiples of 16, as the loop above needs it. */
const SMALLEST_MTU = 576;
const USUAL_MTU = 1280;
/** UDP payload that fits an Ethernet frame. */
export const LARGEST_FRAME: number = 1500 - 28;

/** The same type and receiver stand at `next` as at `at`, and the next counter. */
function follows(b: Uint8Array, at: number, next: number): boolean {
  for (let i = 0; i < 8; i++) if (b[at + i] !== b[next + i]) return false;
  const step = counterAt(b, next) - counterAt(b, at);
  return step === 1n || step === 0n;
}
/** All but the last have the same size; anything else is no super-datagram. */
function isRegular(b: Uint8Array, at: number, end: number, size: number): boolean {
  let from = at;
  while (from + size + KEEPALIVE_LENGTH <= end && follows(b, from, from + size)) from += size;
  return end - from <= size;
}
const counterAt = (b: Uint8Array, at: number): bigint => BigInt(readU32(b, at + 8)) | (BigInt(readU32(b, at + 12)) << 32n);

/** The messages in one captured "datagram"; see segmentSize(). */
export function splitSegments(bytes: Uint8Array): Uint8Array[] {
  const size = segmentSize(bytes, 0, bytes.length);
  if (size === 0) return [bytes];
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}
