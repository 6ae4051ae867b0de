// The data half: what happens to each packet, without allocation: arguments are byte offsets into the tables' memory, results are numbers and the fields
// of the object that are named beside each function.
import type { PacketCrypto } from "./crypto.ts";
import type { Tables } from "./tables.ts";

/** What became of a packet. Negative: dropped, the reason is DROPS[-code]. */
export const Done = {
  /** Nothing (more) to do. */
  NOTHING: 0,
  /** A message to send: `peer`, `messageAt`, `messageLength`. */
  SEAL: 1,
  /** Waits for a session; a handshake has been asked for if one is needed. */
  STAGED: 2,
  /** An inner packet to write to the TUN: `peer`, `packetAt`, `packetLength`. */
  DELIVER: 3,
  /** A keepalive was received. */
  KEEPALIVE: 4,
  /** A handshake message went to the control half. */
  QUEUED: 5,
} as const;

/** Room before an inner packet for send() … */
export const SEND_HEADROOM = 64;
/** … and after it: padding, tag, and what sealing clobbers. */
export const SEND_TAILROOM = 48;

export class DataHalf {
  /** Results of the last call. Offsets in bytes. */
  peer = -1;
  messageAt = 0;
  messageLength = 0;
  packetAt = 0;
  packetLength = 0;

  /** `thread`: 0 .. DATA_THREADS - 1, for the epoch. All calls of one DataHalf are on one thread, and today there is one DataHalf a device. */
  constructor(_tables: Tables, _crypto: PacketCrypto, _thread = 0) {
    throw new Error("not yet");
  }
  /** Before a round of work. */
  enter(): void {
    throw new Error("not yet");
  }
  /** After it, before waiting: from here until enter() no other function may be called. */
  leave(): void {
    throw new Error("not yet");
  }
  /**
   * An inner packet from the TUN at `at`: SEAL, STAGED (copied: the memory is free again) or a drop. The message starts at `messageAt` = at - 16.
   * Needs SEND_HEADROOM before and SEND_TAILROOM after. `now`: milliseconds, an integer or the low 32 bits.
   */
  send(_at: number, _length: number, _now: number): number {
    throw new Error("not yet");
  }
  /**
   * A datagram at `at`, whose source is the endpoint record (endpoint.ts) at `from`: DELIVER, KEEPALIVE, QUEUED or a drop. Opened in place; bytes outside
   * the datagram are never changed. `at` need not be aligned; `from` is a multiple of 4.
   */
  receive(_at: number, _length: number, _from: number, _now: number): number {
    throw new Error("not yet");
  }
  /**
   * The next message that is due apart from send(): a staged packet whose session is up, or a keepalive; SEAL or NOTHING. It is made in the memory at
   * `at`, which has room for SEND_HEADROOM + the longest packet + SEND_TAILROOM. Call until NOTHING after every round of receive(), and when woken.
   */
  work(_at: number, _now: number): number {
    throw new Error("not yet");
  }
  /** Copies the endpoint of a peer to `to` (ENDPOINT_WORDS words); false: none. Its version goes to `endpointVersion`. */
  endpoint(_peer: number, _to: number): boolean {
    throw new Error("not yet");
  }
  endpointVersion = 0;
  /** The kernel refused a message: its bytes are taken off the count. */
  sendFailed(_peer: number, _bytes: number): void {
    throw new Error("not yet");
  }
  /** Sending failed because of the cached source (EINVAL, ENETUNREACH, EADDRNOTAVAIL, ENODEV): forgets it; then read the endpoint again and resend once. */
  clearSource(_peer: number): void {
    throw new Error("not yet");
  }
  /** The datagram did not fit the buffer. */
  truncated(): void {
    throw new Error("not yet");
  }
}
