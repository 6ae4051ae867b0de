// A WireGuard session as a capture shows it: two handshake messages, two directions of data, and what became of them (section 2.4, ours).
import type { Ip } from "../base/ip.ts";
import type { InitiationMessage, ResponseMessage } from "./message.ts";
import type { ReplayedInitiation, ReplayedResponse } from "./replay.ts";

export type UdpEndpoint = { readonly ip: Ip; readonly port: number };
/** A handshake message at its place in the capture. */
export type Seen<M> = {
  readonly message: M;
  readonly frame: number;
  readonly time: bigint | undefined;
  readonly src: UdpEndpoint;
  readonly dst: UdpEndpoint;
};

/** Data messages of one direction. Keepalives are counted for themselves, never among `transport`. */
export type DirectionCounts = {
  transport: number;
  keepalives: number;
  /** Opened, tag verified. */
  decrypted: number;
  /** Opened without a tag because the packet was cut: nothing vouches for them. */
  unauthenticated: number;
  /** Keys are known, yet the tag does not verify. */
  failed: number;
  /** The same message again (another interface, or a replay on the wire). */
  duplicates: number;
  /** Payload bytes: message without header and tag, padding included. */
  bytes: number;
  lowest: bigint | undefined;
  highest: bigint | undefined;
  firstFrame: number | undefined;
  lastFrame: number | undefined;
};
export const emptyCounts = (): DirectionCounts => ({
  transport: 0,
  keepalives: 0,
  decrypted: 0,
  unauthenticated: 0,
  failed: 0,
  duplicates: 0,
  bytes: 0,
  lowest: undefined,
  highest: undefined,
  firstFrame: undefined,
  lastFrame: undefined,
});

export type Way = "toResponder" | "toInitiator";

export type Session = {
  /** wg.stream: 0 for the first. */
  readonly number: number;
  initiation: Seen<InitiationMessage> | undefined;
  response: Seen<ResponseMessage> | undefined;
  /** Frame of a cookie reply that answered the initiation or the response. */
  cookieReply: number | undefined;
  cookie: Uint8Array | undefined;
  /** Index that the initiator chose: the receiver index of data to it. */
  initiatorIndex: number | undefined;
  responderIndex: number | undefined;
  initiator: UdpEndpoint | undefined;
  responder: UdpEndpoint | undefined;
  /** Static public keys, as far as mac1 or the replay tells them. */
  initiatorStatic: Uint8Array | undefined;
  responderStatic: Uint8Array | undefined;
  begun: ReplayedInitiation | undefined;
  answered: ReplayedResponse | undefined;
  /** Keys of each direction: of the handshake, or session keys by index. */
  readonly keys: Record<Way, Uint8Array | undefined>;
  readonly counts: Record<Way, DirectionCounts>;
  /** Frames that repeat the initiation or the response bit by bit. */
  repeats: number;
};

export const newSession = (number: number): Session => ({
  number,
  initiation: undefined,
  response: undefined,
  cookieReply: undefined,
  cookie: undefined,
  initiatorIndex: undefined,
  responderIndex: undefined,
  initiator: undefined,
  responder: undefined,
  initiatorStatic: undefined,
  responderStatic: undefined,
  begun: undefined,
  answered: undefined,
  keys: { toResponder: undefined, toInitiator: undefined },
  counts: { toResponder: emptyCounts(), toInitiator: emptyCounts() },
  repeats: 0,
});

/** Messages missing between the lowest and the highest counter seen: lost before the tap, or by it. */
export function missing(c: DirectionCounts): bigint {
  if (c.lowest === undefined || c.highest === undefined) return 0n;
  const seen = BigInt(c.transport + c.keepalives - c.duplicates);
  const span = c.highest - c.lowest + 1n;
  return span > seen ? span - seen : 0n;
}
