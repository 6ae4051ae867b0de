// The memory that the control half and the data half share: one block that never moves (in production a shared WebAssembly.Memory, in tests a plain
// ArrayBuffer). This file owns its layout and nothing else. Offsets of regions are absolute bytes in the buffer; offsets within rows are words (4
// bytes) unless they say bytes. A word has one writer, or is changed with Atomics; who writes is said beside it (C: control, D: data, C+D: both).
import { DATA_DROPS, DROPS } from "./drop.ts";
import { ENDPOINT_WORDS } from "./endpoint.ts";

/** Sizes, fixed at start. Memory that is never touched costs nothing. */
export type Limits = {
  readonly peers: number;
  /** Nodes of the allowed-IPs trie: at most two per prefix. */
  readonly trieNodes: number;
  /** Packets that can wait for sessions, all peers together. */
  readonly stagedSlots: number;
  /** The longest inner packet that can wait. */
  readonly stagedBytes: number;
  /** Cells of the ring that carries handshake messages to the control half; from an eighth full on we are under load. */
  readonly handshakeCells: number;
};

export const DEFAULT_LIMITS: Limits = { peers: 65_536, trieNodes: 524_288, stagedSlots: 1024, stagedBytes: 9216, handshakeCells: 1024 };

/** The head of the tables. */
export const Head = {
  /** D: spin locks between data threads: around the staging lists, and around writing to the ring of handshake messages. */
  STAGED_LOCK: 0,
  HANDSHAKE_LOCK: 1,
  /** C: counted up after every change of a trie: what lookup.ts remembers is from before. */
  TRIES: 2,
  /** C: roots of the two tries: node number, 0: empty. */
  ROOT4: 4,
  ROOT6: 5,
  /** C: the interface's MTU, for padding; 0: not known. */
  MTU: 6,
  /** C: 1 while the interface is up. */
  UP: 7,
  /** D, Atomics: counted up whenever there is something for Device.tick() or Device.receive() that should not wait for the next tick. */
  SIGNAL: 8,
  /** Ring of handshake messages: D writes the tail, C the head; both count up for ever. */
  HANDSHAKE_HEAD: 9,
  HANDSHAKE_TAIL: 10,
  /** Ring of peers with wants for the data half: C writes the tail, D the head. */
  DIRTY_HEAD: 11,
  DIRTY_TAIL: 12,
  /** D: free staging slots: first of the list (slot + 1), 0: none; and how many slots were ever used (those after them are free too, and untouched). */
  STAGED_FREE: 13,
  STAGED_USED: 14,
  /** C: the UDP port that we send from; 0: not known. */
  PORT: 15,
  /** D: odd while a data thread works, even while it waits; one word a thread. What was unpublished may be freed once each has moved or is even. */
  EPOCH: 32, // .. 39
  WORDS: 64,
} as const;
/** Most data threads. */
export const DATA_THREADS = 8;

/** A peer's row. */
export const Row = {
  /** C: 1: in use. */
  STATE: 0,
  /** C+D: spin lock around changes of the three keypair words. */
  LOCK: 1,
  /** C+D: keypair row + 1, 0: none. */
  CURRENT: 2,
  PREVIOUS: 3,
  NEXT: 4,
  /** C sets bits, D takes them: Want.*. */
  WANTS: 5,
  /** D sets bits, C takes them: Ask.*. */
  ASKS: 6,
  /** Stamps: low 32 bits of the clock's milliseconds, 0: none (a stamp that would be 0 is 1). */
  /** First data sent since anything authenticated was received. D sets; D and C clear. */
  FIRST_DATA_SENT: 7,
  /** First data received since anything authenticated was sent. D sets; D and C clear. */
  FIRST_DATA_RECEIVED: 8,
  /** More data was received after that. */
  NEED_ANOTHER: 9,
  /** Last authenticated data message (also keepalive) sent and received. D. */
  LAST_SENT: 10,
  LAST_RECEIVED: 11,
  /** D: staged packets: first and last slot + 1, number. */
  STAGED_FIRST: 12,
  STAGED_LAST: 13,
  STAGED_COUNT: 14,
  /** D: stamp of the last time that Ask.HANDSHAKE raised the signal. */
  ASKED: 15,
  /** C+D: odd while the endpoint is being written. Even and unchanged: a socket address made from it is still good. */
  ENDPOINT_VERSION: 16,
  ENDPOINT: 17, // .. 28, see endpoint.ts
  WORDS: 32,
} as const;

/** A peer's counters, one row for each data thread (D; traffic.ts sums them up): float64 ones first, then u32 drops by reason (drop.ts, the data half's). */
export const Traffic = { RX_BYTES: 0, TX_BYTES: 1, RX_PACKETS: 2, TX_PACKETS: 3, DROPS: 8, WORDS: 32 } as const;

/** What the control half wants of the data half for a peer. */
export const Want = {
  /** Send what is staged. */
  FLUSH: 1,
  /** Send what is staged, or a keepalive when nothing is. */
  KEEPALIVE: 2,
  /** Drop what is staged. */
  PURGE: 4,
  /** The passive keepalive timer expired: as KEEPALIVE; its timer starts again when more data had come. */
  PASSIVE: 8,
} as const;

/** What the data half asks of the control half for a peer. */
export const Ask = {
  /** A handshake: no usable session to send with, or it is due for renewal. */
  HANDSHAKE: 1,
  /** First data under `next` arrived: the handshake is complete, `next` is current. */
  CONFIRMED: 2,
  /** The session came up while a packet was being staged: Want.FLUSH, please. */
  FLUSH: 4,
} as const;

/** A packet that went nowhere: 0 free, 1 being filled (D), 2 full (C takes it and frees the place); how many of its first bytes are here. */
export const Unreachable = { STATE: 0, LENGTH: 1, PACKET: 4, WORDS: 36, PACKET_BYTES: 128 } as const;

/** A keypair's row. Filled by C before it is published in the index table and the peer's row. */
export const Keypair = {
  /** C+D, Atomics: bits of Usable.*; 0: free or dead. */
  USABLE: 0,
  PEER: 1,
  /** The index that the other side puts in `receiver` of messages to us, and ours to it. */
  LOCAL: 2,
  REMOTE: 3,
  /** Low 32 bits of the clock's milliseconds. */
  CREATED: 4,
  /** 1: we made the first message of its handshake. */
  INITIATOR: 5,
  /** D: the next counter to send. The one place that hands out counters is sender.ts. */
  SEND_LO: 6,
  SEND_HI: 7,
  /** D: 1: the renewal on receiving has been asked for. */
  RENEWAL_ASKED: 8,
  /** D: spin locks between data threads: around SEND_*, and around the replay window. */
  SEND_LOCK: 9,
  REPLAY_LOCK: 10,
  SEND_KEY: 16, // 8 words
  RECEIVE_KEY: 24, // 8 words
  /** D: replay window: greatest counter received + 1 (two halves), then the ring. See replay.ts. */
  REPLAY: 32, // 2 words
  RING: 48, // 256 words
  WORDS: 320,
} as const;
export const Usable = { SENDING: 1, RECEIVING: 2 } as const;

/** A node of an allowed-IPs trie. */
export const Node = {
  /** Address bits, most significant word first; IPv4 uses the first word. */
  BITS: 0,
  /** (peer + 1) << 8 | prefix length; peer + 1 = 0: a branch only. */
  META: 4,
  /** Children for next bit 0 and 1; 0: none. */
  CHILD: 5,
  /** C only: parent << 1 | which child; the root's parent is 0. */
  PARENT: 7,
  WORDS: 8,
} as const;

/** A cell of the handshake ring: endpoint record, length of the message, the message. */
export const Cell = { ENDPOINT: 0, LENGTH: 12, MESSAGE: 16, WORDS: 64 } as const;

/** A staging slot: link (slot + 1), length of the packet, then (bytes) the packet. */
export const Staged = { NEXT: 0, LENGTH: 1, PACKET_BYTES: 16 } as const;

/** Of lookup.ts: 4096 IPv4 addresses of 4 words each and 2048 IPv6 ones of 8. */
export const RECENT_WORDS = 32_768;

/** Keypair rows for one peer: previous, current, next, and one that waits to be freed. */
const KEYPAIRS_A_PEER = 4;

/** Views of the buffer and offsets of the regions. Every thread makes its own over the same memory. */
export type Tables = {
  readonly limits: Limits;
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  /** This thread's own: what it looked up last (lookup.ts). */
  readonly recent: Int32Array;
  /** Word index of the head. */
  readonly head: number;
  /** Word index of the first row of each region. */
  readonly peers: number;
  readonly traffic: number;
  readonly keypairs: number;
  readonly indices: number;
  /** Byte offset of the counts of published indices by their low 16 bits. */
  readonly coarse: number;
  readonly nodes: number;
  readonly dirty: number;
  readonly noted: number;
  readonly cells: number;
  /** Word index of the one place for a packet that went nowhere. */
  readonly unreachable: number;
  readonly staged: number;
  /** Number of keypair rows; of entries of the index table (a power of two); of the dirty ring (a power of two). */
  readonly keypairCount: number;
  readonly indexCount: number;
  readonly dirtyCount: number;
  /** Words from one staging slot to the next. */
  readonly stagedWords: number;
  /** Float64 index of the data half's drop counters by reason, thread after thread. */
  readonly drops: number;
  /** Byte offset of the first byte after the tables. */
  readonly end: number;
};

/** Entries of the coarse table. */
const COARSE = 65_536;

const powerOfTwo = (n: number): number => 2 ** Math.ceil(Math.log2(n));

function layout(offset: number, limits: Limits): Omit<Tables, "u8" | "u32" | "i32" | "f64" | "recent"> {
  let at = Math.ceil(offset / 64) * 16;
  const take = (words: number): number => {
    const start = at;
    at = Math.ceil((at + words) / 16) * 16;
    return start;
  };
  const keypairCount = limits.peers * KEYPAIRS_A_PEER;
  const indexCount = powerOfTwo(4 * (keypairCount + limits.peers));
  const dirtyCount = powerOfTwo(limits.peers + 1);
  const stagedWords = Math.ceil((Staged.PACKET_BYTES + limits.stagedBytes) / 64) * 16;
  return {
    limits,
    head: take(Head.WORDS),
    drops: take(2 * DROPS.length * DATA_THREADS) / 2,
    peers: take(limits.peers * Row.WORDS),
    traffic: take(limits.peers * DATA_THREADS * Traffic.WORDS),
    keypairs: take(keypairCount * Keypair.WORDS),
    indices: take(indexCount),
    coarse: 4 * take(COARSE / 4),
    // Node 0 is "none".
    nodes: take((limits.trieNodes + 1) * Node.WORDS),
    dirty: take(dirtyCount),
    noted: take(Math.ceil(limits.peers / 32)),
    cells: take(limits.handshakeCells * Cell.WORDS),
    unreachable: take(Unreachable.WORDS),
    staged: take(limits.stagedSlots * stagedWords),
    keypairCount,
    indexCount,
    dirtyCount,
    stagedWords,
    end: at * 4,
  };
}

/** Bytes that tables with these limits take, from a start that is a multiple of 64. */
export const tablesSize = (limits: Limits = DEFAULT_LIMITS): number => layout(0, limits).end;

/**
 * Views of tables in `buffer` from byte `offset` on (rounded up to a multiple of 64). It changes nothing: the memory is zero at first, or was laid out by
 * another thread with the same offset and limits; the control half calls initTables() once.
 */
export function createTables(buffer: ArrayBufferLike, offset = 0, limits: Limits = DEFAULT_LIMITS): Tables {
  const l = layout(offset, limits);
  if (l.end > buffer.byteLength) throw new RangeError(`Cannot lay out tables: they need ${l.end} bytes, the memory has ${buffer.byteLength}`);
  return {
    ...l,
    u8: new Uint8Array(buffer),
    u32: new Uint32Array(buffer, 0, Math.floor(buffer.byteLength / 4)),
    i32: new Int32Array(buffer, 0, Math.floor(buffer.byteLength / 4)),
    f64: new Float64Array(buffer, 0, Math.floor(buffer.byteLength / 8)),
    recent: new Int32Array(RECENT_WORDS),
  };
}

/** Zeroes the head. Once, before either half is made. */
export function initTables(t: Tables): void {
  t.i32.fill(0, t.head, t.head + Head.WORDS);
}

/** Byte offset of the count of published indices that share this one's low bits; 0: there is none. Saturates at 255. */
export const coarseOf = (t: Tables, index: number): number => t.coarse + (index & (COARSE - 1));
/** Word index of a peer's row. */
export const rowOf = (t: Tables, peer: number): number => t.peers + peer * Row.WORDS;
/** Byte offset of a peer's endpoint record: read it by copyEndpoint(), never directly. */
export const endpointAt = (t: Tables, peer: number): number => 4 * (rowOf(t, peer) + Row.ENDPOINT);
/** The bytes where the transport keys are: offset and length. */
export const keypairBytes = (t: Tables): { readonly at: number; readonly bytes: number } => ({
  at: 4 * t.keypairs,
  bytes: 4 * t.keypairCount * Keypair.WORDS,
});
/** Word index of a keypair's row. */
export const keypairOf = (t: Tables, keypair: number): number => t.keypairs + keypair * Keypair.WORDS;

/** The clock's milliseconds as a stamp. */
export const stamp = (now: number): number => now | 0 || 1;
/**
 * Milliseconds from stamp to stamp; good for 49 days. Another thread's clock may have been read a little later than ours: that is a negative time. More than
 * a minute of it is no clock but a stamp of weeks ago.
 */
export function since(earlier: number, now: number): number {
  const passed = (now - earlier) | 0;
  return passed < -60_000 ? 0x7fff_ffff : passed;
}

// Rows must hold what they promise.
if (Traffic.DROPS + DATA_DROPS > Traffic.WORDS || Row.ENDPOINT + ENDPOINT_WORDS > Row.WORDS) throw new RangeError("peer row overlaps");
