// The way out: inner packets become messages for a peer, or wait for a session. Several packets of one destination (the segments of a super-packet) are
// routed once: route(), then seal() or stage() for each, then sealed(). What was sealed is a message only after run().
import { REKEY_AFTER_MESSAGES_HI, REKEY_AFTER_TIME, REJECT_AFTER_TIME } from "./constants.ts";
import { ask } from "./ask.ts";
import type { Sealer } from "./crypto.ts";
import { Done } from "./done.ts";
import { Drop } from "./drop.ts";
import { EndpointRecord } from "./endpoint.ts";
import { Ip4, IP4_HEADER, Ip6, IP6_HEADER, paddingOf } from "./inner.ts";
import { lock, unlock } from "./lock.ts";
import { lookup4, lookup6 } from "./lookup.ts";
import { isLooped } from "./looped.ts";
import { Data, DATA_HEADER, DATA_OVERHEAD, MessageType } from "./messages.ts";
import { note } from "./noted.ts";
import { sendable } from "./replay.ts";
import { nextWanting } from "./rings.ts";
import { clearSource, copyEndpoint } from "./roaming.ts";
import { freeSlot, stage, takeStaged } from "./staged.ts";
import { Ask, Head, Keypair, keypairOf, Row, rowOf, since, Staged, stamp, type Tables, Traffic, Usable, Want } from "./tables.ts";
import { countDrop, trafficOf } from "./traffic.ts";
import { leaveUnreachable } from "./unreachable.ts";

/** What seal() clobbers before a packet: the message's header is the last part of it. */
export const SEAL_ROOM = 64;
/** Room after a packet: padding, the tag, and what sealing clobbers. */
export const SEAL_TAIL = 64;

export class Sender {
  /** Results of the last call. Offsets in bytes. */
  peer = -1;
  messageAt = 0;
  messageLength = 0;
  endpointVersion = -1;

  readonly #t: Tables;
  readonly #sealer: Sealer;
  readonly #thread: number;
  readonly #shared: boolean;
  /** Messages that wait for run(): where each starts, its counter (two halves), and the receiver's index. */
  readonly #at: Int32Array;
  readonly #los: Int32Array;
  readonly #his: Int32Array;
  readonly #indices: Int32Array;
  #waiting = 0;
  /** Peers whose session was confirmed in this round: their staged packets are due. */
  readonly #confirmed: Int32Array;
  #confirmedCount = 0;
  /** The peer whose staged packets work() is sending, and whether that is for the passive keepalive timer. */
  #flushing = -1;
  #again = false;
  /** What route() chose: word index of the keypair, its next counter (two halves, as signed words), and how many are left. */
  #keypair = 0;
  #lo = 0;
  #hi = 0;
  #left = 0;
  /** Sealed since route(): messages, their bytes, and whether one was more than a keepalive. */
  #messages = 0;
  #bytes = 0;
  #data = false;

  /** `shared`: other threads send too. */
  constructor(tables: Tables, sealer: Sealer, thread: number, shared: boolean) {
    this.#t = tables;
    this.#sealer = sealer;
    this.#at = new Int32Array(sealer.capacity);
    this.#los = new Int32Array(sealer.capacity);
    this.#his = new Int32Array(sealer.capacity);
    this.#indices = new Int32Array(sealer.capacity);
    this.#thread = thread;
    this.#shared = shared;
    this.#confirmed = new Int32Array(tables.limits.peers);
  }

  /**
   * Where `count` inner packets to the destination of the one at `at` go: READY (counters are reserved for them: seal() each, then sealed()), WAIT
   * (stage() each), or a drop, counted once for each.
   */
  route(at: number, length: number, count: number, now: number): number {
    const t = this.#t;
    this.peer = -1;
    if (t.i32[t.head + Head.UP] === 0) return this.#dropAll(Drop.DEVICE_DOWN, count);
    const version = length < IP4_HEADER ? 0 : t.u8[at]! >>> 4;
    if (version === 4) this.peer = lookup4(t, at + Ip4.DESTINATION);
    else if (version === 6 && length >= IP6_HEADER) this.peer = lookup6(t, at + Ip6.DESTINATION);
    else return this.#dropAll(Drop.INNER_MALFORMED, count);
    if (this.peer < 0) return this.#goesNowhere(at, length, Drop.NO_PEER, count);
    const row = rowOf(t, this.peer);
    if (t.i32[row + Row.ENDPOINT + EndpointRecord.FAMILY] === 0) return this.#goesNowhere(at, length, Drop.NO_ENDPOINT, count);
    if (isLooped(t, row, at, length)) return this.#dropAll(Drop.ROUTING_LOOP, count);
    // What is staged goes first.
    if (t.i32[row + Row.STAGED_COUNT] !== 0) {
      this.#usable(row, now);
      return Done.WAIT;
    }
    return this.#choose(row, count, now) ? Done.READY : Done.WAIT;
  }

  /**
   * After READY: the packet at `at` becomes the payload of a message, in its place: SEAL_ROOM bytes before it and SEAL_TAIL bytes after it are clobbered.
   * `messageAt` and `messageLength` hold at once, the bytes after run().
   */
  seal(at: number, length: number): void {
    const t = this.#t;
    // More than were reserved would use a counter twice.
    if (this.#left-- <= 0) throw new RangeError("sealed more packets than counters were reserved for");
    const lo = this.#lo;
    const hi = this.#hi;
    this.#lo = (lo + 1) | 0;
    if (this.#lo === 0) this.#hi = (hi + 1) | 0;
    const keypair = this.#keypair;
    const padded = length + paddingOf(length, t.i32[t.head + Head.MTU]!);
    for (let i = at + length; i < at + padded; i++) t.u8[i] = 0;
    this.#sealer.seal(4 * (keypair + Keypair.SEND_KEY), lo >>> 0, hi >>> 0, at, padded);
    this.messageAt = at - DATA_HEADER;
    this.messageLength = padded + DATA_OVERHEAD;
    this.#messages++;
    this.#bytes += this.messageLength;
    if (length > 0) this.#data = true;
    const i = this.#waiting++;
    this.#at[i] = this.messageAt;
    this.#los[i] = lo;
    this.#his[i] = hi;
    this.#indices[i] = t.i32[keypair + Keypair.REMOTE]!;
    if (this.#waiting === this.#at.length) this.run();
  }

  /** Finishes what was sealed: before the messages are sent, and before leave(). */
  run(): void {
    this.#sealer.run();
    for (let i = 0; i < this.#waiting; i++) {
      const at = this.#at[i]!;
      this.#put32(at, MessageType.DATA);
      this.#put32(at + Data.RECEIVER, this.#indices[i]!);
      this.#put32(at + Data.COUNTER, this.#los[i]!);
      this.#put32(at + Data.COUNTER + 4, this.#his[i]!);
    }
    this.#waiting = 0;
  }

  /** After the last seal(): counts, and what the timers need to know. */
  sealed(now: number): void {
    const t = this.#t;
    const row = rowOf(t, this.peer);
    const keypair = this.#keypair;
    this.#count(this.peer, this.#bytes, this.#messages);
    t.i32[row + Row.FIRST_DATA_RECEIVED] = 0;
    t.i32[row + Row.NEED_ANOTHER] = 0;
    t.i32[row + Row.LAST_SENT] = stamp(now);
    if (this.#data && t.i32[row + Row.FIRST_DATA_SENT] === 0) {
      t.i32[row + Row.FIRST_DATA_SENT] = stamp(now);
      note(t, this.peer);
    }
    this.#left = 0;
    if (
      this.#hi >>> 0 >= REKEY_AFTER_MESSAGES_HI ||
      (t.i32[keypair + Keypair.INITIATOR] === 1 && since(t.i32[keypair + Keypair.CREATED]!, now) >= REKEY_AFTER_TIME)
    )
      ask(t, row, Ask.HANDSHAKE, now);
  }

  /** After WAIT: copies the packet to the peer's list; its memory is free again. STAGED, or a drop. */
  stage(at: number, length: number, now: number): number {
    const t = this.#t;
    this.#lockStaging();
    const reason = stage(t, this.peer, at, length);
    this.#unlockStaging();
    if (reason !== 0) {
      this.#drop(reason);
      if (reason !== Drop.STAGED_OVERFLOW) return -reason;
    }
    // The session may have come up since: work() looks again.
    const row = rowOf(t, this.peer);
    if (this.#usable(row, now) >= 0) {
      if (this.#thread === 0) this.confirm(this.peer);
      else ask(t, row, Ask.FLUSH, now);
    }
    return Done.STAGED;
  }

  /** One packet: routed, then copied to `to`, sealed and run(), or staged. SEALED, STAGED or a drop. */
  send(from: number, length: number, to: number, now: number): number {
    const code = this.route(from, length, 1, now);
    if (code === Done.WAIT) return this.stage(from, length, now);
    if (code !== Done.READY) return code;
    this.#t.u8.copyWithin(to, from, from + length);
    this.#sealAlone(to, length, now);
    return Done.SEALED;
  }

  /**
   * The next message that is due apart from packets of the TUN: a staged packet whose session is up, or a keepalive; SEALED or NOTHING. Its payload is
   * made at `to`, SEAL_ROOM and SEAL_TAIL round it; it is finished. Call until NOTHING after every round of receiving, and when woken; only on thread 0.
   */
  work(to: number, now: number): number {
    const t = this.#t;
    for (;;) {
      if (this.#flushing < 0 && !this.#nextFlush()) return Done.NOTHING;
      this.peer = this.#flushing;
      const row = rowOf(t, this.peer);
      const ready = t.i32[row + Row.STAGED_COUNT] !== 0 && t.i32[row + Row.ENDPOINT + EndpointRecord.FAMILY] !== 0;
      if (!ready || !this.#choose(row, 1, now)) {
        this.#flushing = -1;
        continue;
      }
      this.#lockStaging();
      const slot = takeStaged(t, this.peer);
      this.#unlockStaging();
      if (slot < 0) continue;
      const length = t.i32[slot + Staged.LENGTH]!;
      t.u8.copyWithin(to, 4 * slot + Staged.PACKET_BYTES, 4 * slot + Staged.PACKET_BYTES + length);
      this.#free(slot);
      this.#sealAlone(to, length, now);
      if (this.#again) {
        t.i32[row + Row.FIRST_DATA_RECEIVED] = stamp(now);
        note(t, this.peer);
        this.#again = false;
      }
      return Done.SEALED;
    }
  }

  /** The peer's session was confirmed: what is staged for it is due. Only on thread 0. */
  confirm(peer: number): void {
    if (this.#confirmedCount < this.#confirmed.length && this.#confirmed[this.#confirmedCount - 1] !== peer)
      this.#confirmed[this.#confirmedCount++] = peer;
  }

  /** Copies the endpoint of a peer to `to` (ENDPOINT_WORDS words); false: none. Its version goes to `endpointVersion`. */
  endpoint(peer: number, to: number): boolean {
    this.endpointVersion = copyEndpoint(this.#t, peer, this.#t.i32, to >>> 2);
    return this.endpointVersion >= 0;
  }
  /** Whether a socket address that was made from version `version` of the peer's endpoint is still good. */
  endpointIs(peer: number, version: number): boolean {
    return (Atomics.load(this.#t.i32, rowOf(this.#t, peer) + Row.ENDPOINT_VERSION) & 0x7fff_ffff) === version;
  }
  /** The kernel refused messages: they are taken off the count. */
  sendFailed(peer: number, bytes: number, messages: number): void {
    this.#count(peer, -bytes, -messages);
    for (let i = 0; i < messages; i++) countDrop(this.#t, this.#thread, peer, Drop.SEND_FAILED);
  }
  /** Sending failed because of the cached source (EINVAL, ENETUNREACH, EADDRNOTAVAIL, ENODEV): forgets it; then read the endpoint again and resend once. */
  clearSource(peer: number): void {
    clearSource(this.#t, peer);
  }
  /** The TUN gave what is no packet, or no well-formed super-packet. */
  malformed(): void {
    this.peer = -1;
    this.#drop(Drop.INNER_MALFORMED);
  }

  #sealAlone(at: number, length: number, now: number): void {
    this.seal(at, length);
    this.sealed(now);
    this.run();
  }

  // Chooses the current keypair and reserves counters of it. False: none is usable, a handshake has been asked for.
  #choose(row: number, count: number, now: number): boolean {
    const keypair = this.#usable(row, now);
    return keypair >= 0 && this.#reserve(keypair, count);
  }
  // The keypair to send with, or -1: then a handshake has been asked for.
  #usable(row: number, now: number): number {
    const t = this.#t;
    const current = Atomics.load(t.i32, row + Row.CURRENT) - 1;
    if (current >= 0) {
      const k = keypairOf(t, current);
      if ((Atomics.load(t.i32, k + Keypair.USABLE) & Usable.SENDING) !== 0) {
        if (since(t.i32[k + Keypair.CREATED]!, now) < REJECT_AFTER_TIME && sendable(t.u32[k + Keypair.SEND_LO]!, t.u32[k + Keypair.SEND_HI]!, 1))
          return k;
        Atomics.and(t.i32, k + Keypair.USABLE, ~Usable.SENDING);
      }
    }
    ask(t, row, Ask.HANDSHAKE, now);
    return -1;
  }
  // The one place that hands out counters. They count as used from here on, whether or not something is sealed with them.
  #reserve(keypair: number, count: number): boolean {
    const { u32, i32 } = this.#t;
    if (this.#shared) lock(i32, keypair + Keypair.SEND_LOCK);
    const lo = u32[keypair + Keypair.SEND_LO]!;
    const hi = u32[keypair + Keypair.SEND_HI]!;
    const enough = sendable(lo, hi, count);
    if (enough) {
      u32[keypair + Keypair.SEND_LO] = lo + count;
      if (lo + count > 0xffff_ffff) u32[keypair + Keypair.SEND_HI] = hi + 1;
    }
    if (this.#shared) unlock(i32, keypair + Keypair.SEND_LOCK);
    this.#keypair = keypair;
    this.#lo = lo | 0;
    this.#hi = hi | 0;
    this.#left = enough ? count : 0;
    this.#messages = 0;
    this.#bytes = 0;
    this.#data = false;
    return enough;
  }

  // The next peer for work() to look at; what the control half wants of it is prepared.
  #nextFlush(): boolean {
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
    if ((wants & Want.PURGE) !== 0) this.#purge(peer);
    const keepalive = (wants & (Want.KEEPALIVE | Want.PASSIVE)) !== 0 && t.i32[t.head + Head.UP] !== 0;
    if (keepalive && t.i32[row + Row.STAGED_COUNT] === 0) {
      this.#lockStaging();
      stage(t, peer, 0, 0);
      this.#unlockStaging();
    }
    this.#again = (wants & Want.PASSIVE) !== 0 && t.i32[row + Row.NEED_ANOTHER] !== 0;
    this.#flushing = peer;
    return true;
  }
  #purge(peer: number): void {
    this.#lockStaging();
    for (let slot = takeStaged(this.#t, peer); slot >= 0; slot = takeStaged(this.#t, peer)) {
      freeSlot(this.#t, slot);
      this.#drop(Drop.STAGED_PURGED);
    }
    this.#unlockStaging();
  }
  #free(slot: number): void {
    this.#lockStaging();
    freeSlot(this.#t, slot);
    this.#unlockStaging();
  }
  #lockStaging(): void {
    if (this.#shared) lock(this.#t.i32, this.#t.head + Head.STAGED_LOCK);
  }
  #unlockStaging(): void {
    if (this.#shared) unlock(this.#t.i32, this.#t.head + Head.STAGED_LOCK);
  }

  #count(peer: number, bytes: number, messages: number): void {
    const { f64 } = this.#t;
    const at = trafficOf(this.#t, this.#thread, peer) >>> 1;
    f64[at + Traffic.TX_BYTES]! += bytes;
    f64[at + Traffic.TX_PACKETS]! += messages;
  }
  #drop(reason: number): number {
    countDrop(this.#t, this.#thread, this.peer, reason);
    return -reason;
  }
  #goesNowhere(at: number, length: number, reason: number, count: number): number {
    leaveUnreachable(this.#t, at, length);
    return this.#dropAll(reason, count);
  }
  #dropAll(reason: number, count: number): number {
    for (let i = 0; i < count; i++) this.#drop(reason);
    return -reason;
  }
  #put32(at: number, value: number): void {
    if ((at & 3) === 0) {
      this.#t.i32[at >>> 2] = value;
      return;
    }
    const b = this.#t.u8;
    b[at] = value;
    b[at + 1] = value >>> 8;
    b[at + 2] = value >>> 16;
    b[at + 3] = value >>> 24;
  }
}
