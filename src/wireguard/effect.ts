// What the control half answers: things for the runtime to do, in this order.
import type { Endpoint } from "./endpoint.ts";

/** The four keys that open one session (Wireshark's key log). Copies, 32 bytes each: the receiver wipes them after use. */
export type KeylogRecord = {
  readonly localStaticPrivate: Uint8Array;
  readonly remoteStaticPublic: Uint8Array;
  readonly localEphemeralPrivate: Uint8Array;
  /** Zeros when there is none. */
  readonly presharedKey: Uint8Array;
};

export type Effect =
  /** Send a handshake message (types 1 to 3) as one datagram. A failure needs no report: the timers see to it. `public key`: absent for cookies. */
  | { readonly kind: "send"; readonly to: Endpoint; readonly message: Uint8Array; readonly peer?: Uint8Array | undefined }
  /** Wake the data thread if it waits: DataHalf.work() has something. At most one per answer, always last. */
  | { readonly kind: "wake" }
  /** An ICMP message to be handed to the host as if it had come through the tunnel: a packet of its went nowhere. */
  | { readonly kind: "unreachable"; readonly packet: Uint8Array }
  /** Only while `keylog` is on. Always before the send of the handshake message that it belongs to. */
  | { readonly kind: "keylog"; readonly record: KeylogRecord }
  /** A session is up (both ends have proved it). For logs and tests. `peer`: its public key. */
  | { readonly kind: "established"; readonly peer: Uint8Array; readonly initiator: boolean }
  /** 20 initiations went unanswered; what was staged is dropped. */
  | { readonly kind: "gave-up"; readonly peer: Uint8Array };

/** When something happens. */
export type Moment = {
  /** Milliseconds that only grow and count suspend (CLOCK_BOOTTIME), fractions allowed. The low 32 bits must be what the data half is given. */
  readonly now: number;
  /** Milliseconds since 1970. */
  readonly wall: number;
};
