// Every wire layout, length and limit of WireGuard's four messages (whitepaper section 5.4). All integers are little-endian; offsets and lengths are in
// bytes. The first four bytes, a type and three zero bytes, are compared as one u32.

export const MessageType = { INITIATION: 1, RESPONSE: 2, COOKIE: 3, DATA: 4 } as const;

export const KEY_LENGTH = 32;
export const TAG_LENGTH = 16;
export const MAC_LENGTH = 16;
export const TIMESTAMP_LENGTH = 12;
export const XNONCE_LENGTH = 24;

export const Initiation = { SENDER: 4, EPHEMERAL: 8, STATIC: 40, TIMESTAMP: 88, MAC1: 116, MAC2: 132, LENGTH: 148 } as const;
export const Response = { SENDER: 4, RECEIVER: 8, EPHEMERAL: 12, EMPTY: 44, MAC1: 60, MAC2: 76, LENGTH: 92 } as const;
export const Cookie = { RECEIVER: 4, NONCE: 8, SEALED: 32, LENGTH: 64 } as const;
export const Data = { RECEIVER: 4, COUNTER: 8, PAYLOAD: 16 } as const;

/** Length of a data message's header. */
export const DATA_HEADER = 16;
/** A data message without payload: a keepalive. Nothing shorter is a data message. */
export const KEEPALIVE_LENGTH = 32;
/** What a data message is longer than its (padded) inner packet. */
export const DATA_OVERHEAD: number = DATA_HEADER + TAG_LENGTH;
/** Inner packets are padded with zeros to a multiple of this. */
export const PADDING = 16;

/** Reads a little-endian u32. */
export const readU32 = (b: Uint8Array, at: number): number => (b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24)) >>> 0;

/** Writes a little-endian u32. */
export function writeU32(b: Uint8Array, at: number, value: number): void {
  b[at] = value;
  b[at + 1] = value >>> 8;
  b[at + 2] = value >>> 16;
  b[at + 3] = value >>> 24;
}
