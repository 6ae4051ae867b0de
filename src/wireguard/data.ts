// The data half: what happens to each packet (whitepaper sections 5.4.6 and 6), without allocation: arguments are byte offsets into the tables' memory,
// results are numbers and the fields of the object that are named beside each function.
import { KEEPALIVE_LENGTH, DATA_HEADER, Data, DATA_OVERHEAD, Cookie, Initiation, MessageType, Response } from "./messages.ts";
import { REJECT_AFTER_TIME, REKEY_AFTER_MESSAGES_HI, REKEY_AFTER_TIME, REKEY_AFTER_TIME_RECEIVING } from "./constants.ts";
import type { PacketCrypto } from "./crypto.ts";
import { Drop } from "./drop.ts";
import { EndpointRecord } from "./endpoint.ts";
import { innerLength, Ip4, IP4_HEADER, Ip6, IP6_HEADER, paddingOf } from "./inner.ts";
import { lookup4, lookup6 } from "./lookup.ts";
import { acceptCounter, exhausted } from "./replay.ts";
import { nextWanting, pushHandshake } from "./rings.ts";
import { clearSource, copyEndpoint, learnEndpoint } from "./roaming.ts";
import { freeSlot, stage, takeStaged } from "./staged.ts";
import { lockKeypairs, unlockKeypairs } from "./lock.ts";
import { Ask, Head, Keypair, keypairOf, Row, rowOf, since, Staged, stamp, type Tables, Usable, Want } from "./tables.ts";

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

/** Asks of one peer that are closer together than this (ms) wake the control half once. */
const ASK_INTERVAL = 20;

export class DataHalf {
  /** Results of the last call. Offsets in bytes. */
  peer = -1;
  messageAt = 0;
  messageLength = 0;
  packetAt = 0;
  packetLength = 0;
  endpointVersion = -1;

  readonly #t: Tables;
  readonly #crypto: PacketCrypto;
  readonly #opened: number;
  readonly #epoch: number;
  /** Peers whose session was confirmed in this round: their staged packets are due. */
  readonly #confirmed: Int32Array;
  #confirmedCount = 0;
  /** The peer whose staged packets work() is sending, and whether that is for the passive keepalive timer. */
  #flushing = -1;
  #again = false;

  /**
   * `opened`: where received packets are opened: SEND_HEADROOM, then room for the longest. `thread`: 0 .. DATA_THREADS - 1, for the epoch. All calls of one DataHalf are on one thread, and today there is one DataHalf a device.
   */
  constructor(tables: Tables, crypto: PacketCrypto, opened: number, thread = 0) {
    this.#t = tables;
    this.#opened = opened;
    this.#crypto = crypto;
    this.#epoch = tables.head + Head.EPOCH + thread;
    this.#confirmed = new Int32Array(tables.limits.peers);
  }

  /** Before a round of work. */
  enter(): void {
    Atomics.or(this.#t.i32, this.#epoch, 1);
  }
  /** After it, before waiting: from here until enter() no other function may be called. */
  leave(): void {
    if ((Atomics.load(this.#t.i32, this.#epoch) & 1) !== 0) Atomics.add(this.#t.i32, this.#epoch, 1);
  }

  /**
   * An inner packet from the TUN at `at`: SEAL, STAGED (copied: the memory is free again) or a drop. The message starts at `messageAt` = at - 16.
   * Needs SEND_HEADROOM before and SEND_TAILROOM after. `now`: milliseconds, an integer or the low 32 bits.
   */
  send(at: number, length: number, now: number): number {
    const t = this.#t;
    this.peer = -1;
    if (t.i32[t.head + Head.UP] === 0) return this.#drop(Drop.DEVICE_DOWN);
    const version = length < IP4_HEADER ? 0 : t.u8[at]! >>> 4;
    if (version === 4) this.peer = lookup4(t, at + Ip4.DESTINATION);
    else if (version === 6 && length >= IP6_HEADER) this.peer = lookup6(t, at + Ip6.DESTINATION);
    else return this.#drop(Drop.INNER_MALFORMED);
    if (this.peer < 0) return this.#drop(Drop.NO_PEER);
    const row = rowOf(t, this.peer);
    if (t.i32[row + Row.ENDPOINT + EndpointRecord.FAMILY] === 0) return this.#drop(Drop.NO_ENDPOINT);
    // What is staged goes first.
    const keypair = t.i32[row + Row.STAGED_COUNT] === 0 ? this.#usable(row, now) : -1;
    if (keypair >= 0) return this.#seal(row, keypair, at, length, now);
    const dropped = stage(t, this.peer, at, length);
    if (dropped !== 0) {
      const code = this.#drop(dropped);
      if (dropped !== Drop.STAGED_OVERFLOW) return code;
    }
    // The session may have come up since: work() looks again.
    if (this.#usable(row, now) >= 0) this.#confirm(this.peer);
    return Done.STAGED;
  }

  /**
   * A datagram at `at`, whose source is the endpoint record (endpoint.ts) at `from`: DELIVER, KEEPALIVE, QUEUED or a drop. Overwrites
   * SEAL_HEADROOM bytes before it; what follows is never changed. `at` need not be aligned; `from` is a multiple of 4.
   */
  receive(at: number, length: number, from: number, now: number): number {
    const t = this.#t;
    this.peer = -1;
    if (t.i32[t.head + Head.UP] === 0) return this.#drop(Drop.DEVICE_DOWN);
    if (length < KEEPALIVE_LENGTH) return this.#drop(Drop.MALFORMED);
    const type = this.#u32(at);
    if (type !== MessageType.DATA) return this.#queue(type, at, length, from);
    const index = this.#u32(at + Data.RECEIVER);
    const slot = Atomics.load(t.i32, t.indices + (index & (t.indexCount - 1))) - 1;
    const keypair = slot < 0 ? 0 : keypairOf(t, slot);
    if (slot < 0 || t.u32[keypair + Keypair.LOCAL] !== index) return this.#drop(Drop.UNKNOWN_INDEX);
    if ((Atomics.load(t.i32, keypair + Keypair.USABLE) & Usable.RECEIVING) === 0) return this.#drop(Drop.UNKNOWN_INDEX);
    const peer = t.i32[keypair + Keypair.PEER]!;
    this.peer = peer;
    const age = since(t.i32[keypair + Keypair.CREATED]!, now);
    if (age >= REJECT_AFTER_TIME || exhausted(t.u32[keypair + Keypair.REPLAY]!, t.u32[keypair + Keypair.REPLAY + 1]!)) {
      Atomics.store(t.i32, keypair + Keypair.USABLE, 0);
      return this.#drop(Drop.KEYPAIR_EXPIRED);
    }
    const plain = length - DATA_OVERHEAD;
    const opened = this.#opened + SEND_HEADROOM;
    if (!this.#crypto.open(4 * (keypair + Keypair.RECEIVE_KEY), at + Data.COUNTER, at + DATA_HEADER, opened, plain)) return this.#drop(Drop.BAD_TAG);
    if (!acceptCounter(t.u32, keypair, this.#u32(at + Data.COUNTER), this.#u32(at + Data.COUNTER + 4))) return this.#drop(Drop.REPLAYED);
    return this.#authentic(keypair, slot, opened, plain, from, now, age);
  }

  /**
   * The next message that is due apart from send(): a staged packet whose session is up, or a keepalive; SEAL or NOTHING. It is made in the memory at
   * `at`, which has room for SEND_HEADROOM + the longest packet + SEND_TAILROOM. Call until NOTHING after every round of receive(), and when woken.
   */
  work(at: number, now: number): number {
    const t = this.#t;
    for (;;) {
      if (this.#flushing < 0 && !this.#nextFlush(at)) return Done.NOTHING;
      this.peer = this.#flushing;
      const row = rowOf(t, this.peer);
      const ready = t.i32[row + Row.STAGED_COUNT] !== 0 && t.i32[row + Row.ENDPOINT + EndpointRecord.FAMILY] !== 0;
      const keypair = ready ? this.#usable(row, now) : -1;
      if (keypair < 0) {
        this.#flushing = -1;
        continue;
      }
      const slot = takeStaged(t, this.peer);
      const length = t.i32[slot + Staged.LENGTH]!;
      const packet = at + SEND_HEADROOM;
      t.u8.copyWithin(packet, 4 * slot + Staged.PACKET_BYTES, 4 * slot + Staged.PACKET_BYTES + length);
      freeSlot(t, slot);
      const code = this.#seal(row, keypair, packet, length, now);
      if (this.#again) {
        t.i32[row + Row.FIRST_DATA_RECEIVED] = stamp(now);
        this.#again = false;
      }
      return code;
    }
  }

  /** Copies the endpoint of a peer to `to` (ENDPOINT_WORDS words); false: none. Its version goes to `endpointVersion`. */
  endpoint(peer: number, to: number): boolean {
    this.endpointVersion = copyEndpoint(this.#t, peer, this.#t.i32, to >>> 2);
    return this.endpointVersion >= 0;
  }
  /** The kernel refused a message: its bytes are taken off the count. */
  sendFailed(peer: number, bytes: number): void {
    const row = rowOf(this.#t, peer);
    this.#t.f64[(row >>> 1) + Row.TX_BYTES_F64]! -= bytes;
    this.#t.f64[(row >>> 1) + Row.TX_PACKETS_F64]! -= 1;
    this.peer = peer;
    this.#drop(Drop.SEND_FAILED);
  }
  /** Sending failed because of the cached source (EINVAL, ENETUNREACH, EADDRNOTAVAIL, ENODEV): forgets it; then read the endpoint again and resend once. */
  clearSource(peer: number): void {
    clearSource(this.#t, peer);
  }
  /** The datagram did not fit the buffer. */
  truncated(): void {
    this.peer = -1;
    this.#drop(Drop.TRUNCATED);
  }

  // The keypair to send with, or -1: then a handshake has been asked for.
  #usable(row: number, now: number): number {
    const t = this.#t;
    const current = Atomics.load(t.i32, row + Row.CURRENT) - 1;
    if (current >= 0) {
      const k = keypairOf(t, current);
      if ((Atomics.load(t.i32, k + Keypair.USABLE) & Usable.SENDING) !== 0) {
        if (since(t.i32[k + Keypair.CREATED]!, now) < REJECT_AFTER_TIME && !exhausted(t.u32[k + Keypair.SEND_LO]!, t.u32[k + Keypair.SEND_HI]!))
          return k;
        Atomics.and(t.i32, k + Keypair.USABLE, ~Usable.SENDING);
      }
    }
    this.#ask(row, Ask.HANDSHAKE, now);
    return -1;
  }

  // The one place that hands out counters.
  #seal(row: number, keypair: number, at: number, length: number, now: number): number {
    const t = this.#t;
    const lo = t.u32[keypair + Keypair.SEND_LO]!;
    const hi = t.u32[keypair + Keypair.SEND_HI]!;
    t.u32[keypair + Keypair.SEND_LO] = lo + 1;
    if (lo === 0xffff_ffff) t.u32[keypair + Keypair.SEND_HI] = hi + 1;
    const padded = length + paddingOf(length, t.i32[t.head + Head.MTU]!);
    t.u8.fill(0, at + length, at + padded);
    this.#crypto.seal(4 * (keypair + Keypair.SEND_KEY), lo, hi, at, at, padded);
    this.messageAt = at - DATA_HEADER;
    this.messageLength = padded + DATA_OVERHEAD;
    this.#put32(this.messageAt, MessageType.DATA);
    this.#put32(this.messageAt + Data.RECEIVER, t.u32[keypair + Keypair.REMOTE]!);
    this.#put32(this.messageAt + Data.COUNTER, lo);
    this.#put32(this.messageAt + Data.COUNTER + 4, hi);
    t.f64[(row >>> 1) + Row.TX_BYTES_F64]! += this.messageLength;
    t.f64[(row >>> 1) + Row.TX_PACKETS_F64]! += 1;
    t.i32[row + Row.FIRST_DATA_RECEIVED] = 0;
    t.i32[row + Row.NEED_ANOTHER] = 0;
    t.i32[row + Row.LAST_SENT] = stamp(now);
    if (length > 0 && t.i32[row + Row.FIRST_DATA_SENT] === 0) t.i32[row + Row.FIRST_DATA_SENT] = stamp(now);
    if (
      hi >= REKEY_AFTER_MESSAGES_HI ||
      (t.i32[keypair + Keypair.INITIATOR] === 1 && since(t.i32[keypair + Keypair.CREATED]!, now) >= REKEY_AFTER_TIME)
    )
      this.#ask(row, Ask.HANDSHAKE, now);
    return Done.SEAL;
  }

  // After the tag and the replay window.
  #authentic(keypair: number, slot: number, at: number, length: number, from: number, now: number, age: number): number {
    const t = this.#t;
    const row = rowOf(t, this.peer);
    t.f64[(row >>> 1) + Row.RX_BYTES_F64]! += length + DATA_OVERHEAD;
    t.f64[(row >>> 1) + Row.RX_PACKETS_F64]! += 1;
    learnEndpoint(t, this.peer, from >>> 2);
    if (Atomics.load(t.i32, row + Row.NEXT) === slot + 1) this.#promote(row, slot, now);
    if (age >= REKEY_AFTER_TIME_RECEIVING && t.i32[keypair + Keypair.INITIATOR] === 1 && t.i32[keypair + Keypair.RENEWAL_ASKED] === 0) {
      t.i32[keypair + Keypair.RENEWAL_ASKED] = 1;
      this.#ask(row, Ask.HANDSHAKE, now);
    }
    t.i32[row + Row.FIRST_DATA_SENT] = 0;
    t.i32[row + Row.LAST_RECEIVED] = stamp(now);
    if (length === 0) return Done.KEEPALIVE;
    if (t.i32[row + Row.FIRST_DATA_RECEIVED] === 0) t.i32[row + Row.FIRST_DATA_RECEIVED] = stamp(now);
    else t.i32[row + Row.NEED_ANOTHER] = 1;
    const inner = innerLength(t.u8, at, length);
    if (inner === 0) return this.#drop(Drop.RECEIVED_INNER_MALFORMED);
    const owner = t.u8[at]! >>> 4 === 4 ? lookup4(t, at + Ip4.SOURCE) : lookup6(t, at + Ip6.SOURCE);
    if (owner !== this.peer) return this.#drop(Drop.SOURCE_NOT_ALLOWED);
    this.packetAt = at;
    this.packetLength = inner;
    return Done.DELIVER;
  }

  // First data under `next` proves that the initiator has it: it becomes current, and the handshake is complete. There is no previous then: the control
  // half dropped it when it made `next`.
  #promote(row: number, slot: number, now: number): void {
    const t = this.#t;
    lockKeypairs(t, row);
    const confirmed = t.i32[row + Row.NEXT] === slot + 1;
    if (confirmed) {
      Atomics.store(t.i32, row + Row.PREVIOUS, t.i32[row + Row.CURRENT]!);
      Atomics.store(t.i32, row + Row.CURRENT, slot + 1);
      Atomics.store(t.i32, row + Row.NEXT, 0);
    }
    unlockKeypairs(t, row);
    if (!confirmed) return;
    this.#ask(row, Ask.CONFIRMED, now);
    this.#confirm(this.peer);
  }

  #confirm(peer: number): void {
    if (this.#confirmedCount < this.#confirmed.length && this.#confirmed[this.#confirmedCount - 1] !== peer)
      this.#confirmed[this.#confirmedCount++] = peer;
  }

  // The next peer for work() to look at; what the control half wants of it is prepared.
  #nextFlush(at: number): boolean {
    const t = this.#t;
    if (this.#confirmedCount > 0) {
      this.#flushing = this.#confirmed[--this.#confirmedCount]!;
      this.#again = false;
      return true;
    }
    const peer = nextWanting(t);
    if (peer < 0) return false;
    const row = rowOf(t, peer);
    const wants = Atomics.exchange(t.i32, row + Row.WANTS, 0);
    this.peer = peer;
    if ((wants & Want.PURGE) !== 0) {
      for (let slot = takeStaged(t, peer); slot >= 0; slot = takeStaged(t, peer)) {
        freeSlot(t, slot);
        this.#drop(Drop.STAGED_PURGED);
      }
    }
    const keepalive = (wants & (Want.KEEPALIVE | Want.PASSIVE)) !== 0 && t.i32[t.head + Head.UP] !== 0;
    if (keepalive && t.i32[row + Row.STAGED_COUNT] === 0) stage(t, peer, at, 0);
    this.#again = (wants & Want.PASSIVE) !== 0 && t.i32[row + Row.NEED_ANOTHER] !== 0;
    this.#flushing = peer;
    return true;
  }

  #queue(type: number, at: number, length: number, from: number): number {
    const right =
      type === MessageType.INITIATION
        ? Initiation.LENGTH
        : type === MessageType.RESPONSE
          ? Response.LENGTH
          : type === MessageType.COOKIE
            ? Cookie.LENGTH
            : -1;
    if (length !== right) return this.#drop(Drop.MALFORMED);
    if (!pushHandshake(this.#t, at, length, from >>> 2)) return this.#drop(Drop.HANDSHAKE_QUEUE_FULL);
    Atomics.add(this.#t.i32, this.#t.head + Head.SIGNAL, 1);
    return Done.QUEUED;
  }

  #ask(row: number, bit: number, now: number): void {
    const t = this.#t;
    const asked = Atomics.or(t.i32, row + Row.ASKS, bit);
    if (bit === Ask.HANDSHAKE && (asked & bit) === 0) {
      const last = t.i32[row + Row.ASKED]!;
      if (last !== 0 && since(last, now) < ASK_INTERVAL) return;
      t.i32[row + Row.ASKED] = stamp(now);
    } else if ((asked & bit) !== 0) return;
    Atomics.add(t.i32, t.head + Head.SIGNAL, 1);
  }

  #drop(reason: number): number {
    const t = this.#t;
    t.f64[t.drops + reason]! += 1;
    if (this.peer >= 0) t.i32[rowOf(t, this.peer) + Row.DROPS + reason]! += 1;
    return -reason;
  }

  #u32(at: number): number {
    const b = this.#t.u8;
    return (b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24)) >>> 0;
  }
  #put32(at: number, value: number): void {
    const b = this.#t.u8;
    b[at] = value;
    b[at + 1] = value >>> 8;
    b[at + 2] = value >>> 16;
    b[at + 3] = value >>> 24;
  }
}
