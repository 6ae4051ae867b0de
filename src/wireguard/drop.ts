// Why a packet was dropped: a closed set, each with a counter. The position in the list is the reason's number; data functions return it negated.

export const DROPS = [
  "none",
  // From the TUN (data half).
  "device_down",
  "inner_malformed",
  "no_peer",
  "no_endpoint",
  "routing_loop",
  "staged_overflow",
  "staged_full",
  "staged_purged",
  "too_long",
  "send_failed",
  // From the socket (data half).
  "malformed",
  "truncated",
  "unknown_index",
  "keypair_expired",
  "bad_tag",
  "replayed",
  "received_inner_malformed",
  "source_not_allowed",
  "handshake_queue_full",
  // Handshake messages (control half).
  "no_private_key",
  "bad_mac1",
  "cookie_demanded",
  "rate_limited",
  "bad_initiation",
  "unknown_peer",
  "replayed_initiation",
  "initiation_flood",
  "crossed_initiation",
  "unexpected_response",
  "bad_response",
  "unexpected_cookie",
  "bad_cookie",
  "no_slot",
] as const;

export type DropReason = (typeof DROPS)[number];

type Numbers = { readonly [R in Uppercase<DropReason>]: number };

/** Number of each reason: Drop.NO_PEER is 3. */
export const Drop: Numbers = Object.fromEntries(DROPS.map((name, number) => [name.toUpperCase(), number])) as Numbers;

/** Reasons that the data half counts per peer are below this number. */
export const DATA_DROPS: number = Drop.NO_PRIVATE_KEY;
