// The results of the packet path.

/** What became of a packet. Negative: dropped, the reason is DROPS[-code]. */
export const Done = {
  /** Nothing (more) to do. */
  NOTHING: 0,
  /** A message to send: `peer`, `messageAt`, `messageLength` of the sender. */
  SEALED: 1,
  /** Waits for a session; a handshake has been asked for if one is needed. */
  STAGED: 2,
  /** An inner packet to write to the TUN: `peer`, `packetAt`, `packetLength` of the receiver. */
  DELIVER: 3,
  /** A keepalive was received. */
  KEEPALIVE: 4,
  /** A handshake message went to the control half. */
  QUEUED: 5,
  /** There is a session: seal(). */
  READY: 6,
  /** There is none: stage(). */
  WAIT: 7,
  /** A data message that is to be opened: open(), then settle(). */
  OFFERED: 8,
  /** Not taken yet: first open() and settle() what was offered. */
  BUSY: 9,
} as const;
