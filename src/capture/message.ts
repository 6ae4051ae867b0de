// Recognises WireGuard messages among UDP payloads, as Wireshark's heuristic does (section 2.7), and reads their fields. Layouts: wireguard/messages.ts.
// Lengths are those on the wire; the bytes may be fewer, because captures cut packets.
import { equal } from "../base/bytes.ts";
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
export type DataMessage = Common & { readonly type: 4; readonly receiver: number; readonly counter: bigint };
export type WireGuardMessage = InitiationMessage | ResponseMessage | CookieMessage | DataMessage;

/** The names that Wireshark gives. */
export const MESSAGE_NAMES: Readonly<Record<1 | 2 | 3 | 4, string>> = {
  1: "Handshake Initiation",
  2: "Handshake Response",
  3: "Cookie Reply",
  4: "Transport Data",
};

/** A message, or undefined when the payload is none. `length`: bytes on the wire, when fewer were captured. */
export function parseMessage(bytes: Uint8Array, length: number = bytes.length): WireGuardMessage | undefined {
  if (bytes.length < 16) return undefined;
  const type = bytes[0]!;
  const reserved = bytes[1]! | bytes[2]! | bytes[3]!;
  if (type === MessageType.INITIATION && length === Initiation.LENGTH && bytes.length >= Initiation.STATIC)
    return { type: 1, bytes, length, sender: readU32(bytes, Initiation.SENDER), ephemeral: bytes.subarray(Initiation.EPHEMERAL, Initiation.STATIC) };
  if (type === MessageType.RESPONSE && length === Response.LENGTH && bytes.length >= Response.EMPTY) {
    const ephemeral = bytes.subarray(Response.EPHEMERAL, Response.EMPTY);
    return { type: 2, bytes, length, sender: readU32(bytes, Response.SENDER), receiver: readU32(bytes, Response.RECEIVER), ephemeral };
  }
  if (type === MessageType.COOKIE && length === Cookie.LENGTH && reserved === 0)
    return { type: 3, bytes, length, receiver: readU32(bytes, Cookie.RECEIVER) };
  if (type === MessageType.DATA && length >= KEEPALIVE_LENGTH && reserved === 0) {
    const counter = BigInt(readU32(bytes, Data.COUNTER)) | (BigInt(readU32(bytes, Data.COUNTER + 4)) << 32n);
    return { type: 4, bytes, length, receiver: readU32(bytes, Data.RECEIVER), counter };
  }
  return undefined;
}

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
 * The messages in one captured "datagram": more than one when the sender left the cutting to the network card (UDP_SEGMENT) and the capture saw it
 * before. The next message is where the same eight bytes of type and receiver stand again, with the next counter (section 5.4). An equal counter is
 * taken too: it is a fault of the sender that is worth to be seen, and eight equal bytes are no accident.
 */
export function splitSegments(bytes: Uint8Array): Uint8Array[] {
  if (bytes.length < 2 * KEEPALIVE_LENGTH || bytes[0] !== MessageType.DATA) return [bytes];
  const head = bytes.subarray(0, 8);
  const follows = (at: number, before: number): boolean => {
    if (at + KEEPALIVE_LENGTH > bytes.length || !equal(bytes.subarray(at, at + 8), head)) return false;
    const step = counterAt(bytes, at) - counterAt(bytes, before);
    return step === 1n || step === 0n;
  };
  let size = 0;
  for (let at = KEEPALIVE_LENGTH; at + KEEPALIVE_LENGTH <= bytes.length && size === 0; at++) {
    if (bytes[at] === MessageType.DATA && bytes[at + 4] === bytes[4] && follows(at, 0)) size = at;
  }
  if (size === 0) return [bytes];
  const parts: Uint8Array[] = [];
  let at = 0;
  for (; follows(at + size, at); at += size) parts.push(bytes.subarray(at, at + size));
  const rest = bytes.subarray(at);
  // All but the last have the same size; anything else is no super-datagram.
  return rest.length > size ? [bytes] : [...parts, rest];
}
const counterAt = (b: Uint8Array, at: number): bigint => BigInt(readU32(b, at + 8)) | (BigInt(readU32(b, at + 12)) << 32n);
