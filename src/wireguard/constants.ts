// The numbers of the protocol. The first part is WireGuard's and may not be tuned (whitepaper section 6.1, and the kernel's messages.h for what the
// paper leaves open); the second part is ours. Times are in milliseconds.

// --- Specification ---

/** 2^60, as the upper half of a 64-bit counter: from here the sender asks for a new session. */
export const REKEY_AFTER_MESSAGES_HI = 0x1000_0000;
/** 2^64 - 8130 (the kernel's limit, so that the replay window never wraps): nothing is sent or accepted from here. Upper and lower half. */
export const REJECT_AFTER_MESSAGES_HI = 0xffff_ffff;
export const REJECT_AFTER_MESSAGES_LO: number = 0x1_0000_0000 - 8130;
export const REKEY_AFTER_TIME = 120_000;
export const REJECT_AFTER_TIME = 180_000;
export const REKEY_ATTEMPT_TIME = 90_000;
export const REKEY_TIMEOUT = 5_000;
export const KEEPALIVE_TIMEOUT = 10_000;
export const COOKIE_SECRET_TIME = 120_000;
/** A cookie is used a little shorter than its maker knows it. */
export const COOKIE_LATENCY = 5_000;

/** 18: with the first and the last, 20 initiations are sent in vain before giving up. */
export const MAX_HANDSHAKE_ATTEMPTS: number = REKEY_ATTEMPT_TIME / REKEY_TIMEOUT;
/** The initiator of a session renews it on receiving when it would not outlive the next silence. Once per session. */
export const REKEY_AFTER_TIME_RECEIVING: number = REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT;
/** Data sent, nothing heard for so long: a new handshake. */
export const NEW_HANDSHAKE_TIME: number = KEEPALIVE_TIMEOUT + REKEY_TIMEOUT;
/** No new session for so long: all keys are wiped. */
export const ZERO_KEYS_TIME: number = 3 * REJECT_AFTER_TIME;
/** Uniform jitter on the retransmission and new-handshake timers. */
export const TIMER_JITTER = 333;
/** Initiations of one peer closer together than this are refused. */
export const INITIATION_INTERVAL = 20;
/** Packets that wait for a session, per peer; beyond, the oldest is dropped. */
export const MAX_STAGED = 128;
/** Counters that may arrive out of order. */
export const REPLAY_WINDOW = 8128;
/** Bits in the replay ring: the window and one 64-bit word that is being cleared. */
export const REPLAY_BITS = 8192;
/** Handshake messages of one source under load: 20 a second, 5 at once. */
export const HANDSHAKES_PER_SECOND = 20;
export const HANDSHAKE_BURST = 5;

// --- Ours ---

/** Load is remembered for so long after the queue was last an eighth full. */
export const UNDER_LOAD_TIME = 1_000;
/** Initiations crossed: the side with the lower public key ignores the other's while its own is younger than this. */
export const CROSSING_TIME = 1_000;
/** Sources that the rate limiter tracks; more are denied. */
export const MAX_LIMITED_SOURCES = 16_384;
/** Handshake messages handled in one call of Device.receive(): some 100 ms of curve operations at worst. */
export const RECEIVE_BUDGET = 256;
/**
 * Under load, in one call: messages whose macs are computed, 2 µs each, one that starts a handshake counting for as many as it takes the time of; and
 * cookies that are handed out. What is beyond waits, or, when it would only be one more demand for a cookie, is dropped unread.
 */
export const LOADED_BUDGET = 256;
export const LOADED_HANDSHAKE_COST = 16;
export const LOADED_REPLIES = 64;
