// The way in: datagrams become inner packets, or handshake messages for the control half. The order of the checks is the kernel's; nothing changes before
// the message is authenticated. Several are opened at once: source(), offer() each, open(), settle() each.
import { ask } from "./ask.ts";
import { REJECT_AFTER_TIME, REKEY_AFTER_TIME_RECEIVING } from "./constants.ts";
import type { Opener } from "./crypto.ts";
import { Done } from "./done.ts";
import { Drop } from "./drop.ts";
import { innerLength, Ip4, Ip6 } from "./inner.ts";
import { lock, lockKeypairs, unlock, unlockKeypairs } from "./lock.ts";
import { lookup4, lookup6 } from "./lookup.ts";
import { Cookie, Data, DATA_HEADER, DATA_OVERHEAD, Initiation, KEEPALIVE_LENGTH, MessageType, Response } from "./messages.ts";
import { note } from "./noted.ts";
import { acceptCounter, exhausted, seenCounter } from "./replay.ts";
import { handshakesFull, pushHandshake } from "./rings.ts";
import { learnEndpoint } from "./roaming.ts";
import type { Sender } from "./sender.ts";
import { Ask, coarseOf, Head, Keypair, keypairOf, Row, rowOf, since, stamp, type Tables, Traffic, Usable } from "./tables.ts";
import { countDrop, trafficOf } from "./traffic.ts";

/** What opening clobbers before a datagram's payload (16 of it are the message's header), and before the opened packet. */
export const OPEN_ROOM = 64;
/** Room after the place of an opened packet. */
export const OPEN_TAIL = 64;

export class Receiver {
  /** Results of the last call. Offsets in bytes. */
  peer = -1;
  packetAt = 0;
  packetLength = 0;

  readonly #t: Tables;
  readonly #opener: Opener;
  readonly #sender: Sender;
  readonly #thread: number;
  readonly #shared: boolean;
  /**
   * Writes the endpoint record that source() named, when somebody wants to know: of most datagrams of a flood nobody does. Not set: it is written already.
   */
  origin: () => void = () => {};
  /** Word index of the endpoint record of the datagrams that come, and whether origin() was asked for it. */
  #from = 0;
  #asked = false;
  /** Messages that were offered: where each is opened to, its length, its counter (two halves). */
  readonly #to: Int32Array;
  readonly #lengths: Int32Array;
  readonly #los: Int32Array;
  readonly #his: Int32Array;
  #offered = 0;
  /**
   * The session of the data messages since source(), whose checks need not be made for each that arrived together: its index as an i32 with `#known`, its
   * keypair (number, and word index) and its age, and its peer; and whether one of them was authentic, so that what one has to do is done.
   */
  #known = false;
  #index = 0;
  #slot = 0;
  #keypair = 0;
  #age = 0;
  #owner = -1;
  #done = false;
  /** The source address that was looked up last, for the same reason; version 0: none. */
  #version = 0;
  #address0 = 0;
  #address1 = 0;
  #address2 = 0;
  #address3 = 0;

  /** `shared`: other threads receive too. */
  constructor(tables: Tables, opener: Opener, sender: Sender, thread: number, shared: boolean) {
    this.#t = tables;
    this.#opener = opener;
    this.#to = new Int32Array(opener.capacity);
    this.#lengths = new Int32Array(opener.capacity);
    this.#los = new Int32Array(opener.capacity);
    this.#his = new Int32Array(opener.capacity);
    this.#sender = sender;
    this.#thread = thread;
    this.#shared = shared;
  }

  /** The datagrams of the next calls came from the endpoint record (endpoint.ts) at `from`, a multiple of 4. Not while some are offered. */
  source(from: number): void {
    this.#from = from >>> 2;
    this.#asked = false;
    this.#known = false;
    this.#version = 0;
  }

  /**
   * A datagram at `at`: OFFERED, BUSY, QUEUED or a drop. It will be opened to `to`, where there is room for `length` + OPEN_TAIL bytes; OPEN_ROOM bytes
   * before that and before the datagram's payload are clobbered, nothing after the datagram is: datagrams that arrived back to back are offered from the
   * first to the last. `now`: milliseconds, an integer or the low 32 bits.
   */
  offer(at: number, length: number, to: number, now: number): number {
    this.peer = -1;
    if (length < KEEPALIVE_LENGTH) return this.#drop(this.#t.i32[this.#t.head + Head.UP] === 0 ? Drop.DEVICE_DOWN : Drop.MALFORMED);
    const type = this.#word(at);
    const index = this.#word(at + Data.RECEIVER);
    if (type !== MessageType.DATA || !this.#known || index !== this.#index) {
      if (this.#offered > 0) return Done.BUSY;
      const code = this.#check(type, index, at, length, now);
      if (code !== Done.READY) return code;
    } else if (this.#offered === this.#to.length) return Done.BUSY;
    this.peer = this.#owner;
    const lo = this.#word(at + Data.COUNTER);
    const hi = this.#word(at + Data.COUNTER + 4);
    // A replay is not worth opening. What counts is the look after it.
    if (seenCounter(this.#t.u32, this.#keypair, lo >>> 0, hi >>> 0)) return this.#drop(Drop.REPLAYED);
    this.#opener.open(4 * (this.#keypair + Keypair.RECEIVE_KEY), at + Data.COUNTER, at + DATA_HEADER, to, length - DATA_OVERHEAD);
    const i = this.#offered++;
    this.#to[i] = to;
    this.#lengths[i] = length;
    this.#los[i] = lo;
    this.#his[i] = hi;
    return Done.OFFERED;
  }

  /** Opens what was offered: how many, to be settled in their order. */
  open(): number {
    const n = this.#offered;
    this.#offered = 0;
    if (n > 0) this.#opener.run();
    return n;
  }

  /** What became of the `i`th message that was offered: DELIVER, KEEPALIVE or a drop. */
  settle(i: number, now: number): number {
    const t = this.#t;
    const peer = this.#owner;
    const length = this.#lengths[i]!;
    this.peer = peer;
    if (!this.#opener.opened(i)) return this.#drop(Drop.BAD_TAG);
    if (!this.#accept(this.#los[i]! >>> 0, this.#his[i]! >>> 0)) return this.#drop(Drop.REPLAYED);
    const counters = trafficOf(t, this.#thread, peer) >>> 1;
    t.f64[counters + Traffic.RX_BYTES]! += length;
    t.f64[counters + Traffic.RX_PACKETS]! += 1;
    const row = rowOf(t, peer);
    if (!this.#done) this.#authentic(row, now);
    if (length === KEEPALIVE_LENGTH) return Done.KEEPALIVE;
    if (t.i32[row + Row.FIRST_DATA_RECEIVED] === 0) {
      t.i32[row + Row.FIRST_DATA_RECEIVED] = stamp(now);
      note(t, peer);
    } else t.i32[row + Row.NEED_ANOTHER] = 1;
    return this.#deliver(this.#to[i]!, length - DATA_OVERHEAD);
  }

  /** One datagram by itself: offered, opened and settled. DELIVER, KEEPALIVE, QUEUED or a drop. */
  receive(at: number, length: number, to: number, now: number): number {
    const code = this.offer(at, length, to, now);
    return code === Done.OFFERED && this.open() === 1 ? this.settle(0, now) : code;
  }

  // What is no data message, or the first one of its session since source(): READY when it is to be opened.
  #check(type: number, index: number, at: number, length: number, now: number): number {
    const t = this.#t;
    if (t.i32[t.head + Head.UP] === 0) return this.#drop(Drop.DEVICE_DOWN);
    if (type !== MessageType.DATA) return this.#queue(type, at, length);
    this.#known = false;
    if (t.u8[coarseOf(t, index)] === 0) return this.#drop(Drop.UNKNOWN_INDEX);
    const slot = Atomics.load(t.i32, t.indices + (index & (t.indexCount - 1))) - 1;
    const keypair = slot < 0 ? 0 : keypairOf(t, slot);
    if (slot < 0 || t.i32[keypair + Keypair.LOCAL] !== index) return this.#drop(Drop.UNKNOWN_INDEX);
    if ((Atomics.load(t.i32, keypair + Keypair.USABLE) & Usable.RECEIVING) === 0) return this.#drop(Drop.UNKNOWN_INDEX);
    this.peer = t.i32[keypair + Keypair.PEER]!;
    const age = since(t.i32[keypair + Keypair.CREATED]!, now);
    if (age >= REJECT_AFTER_TIME || exhausted(t.u32[keypair + Keypair.REPLAY]!, t.u32[keypair + Keypair.REPLAY + 1]!)) {
      Atomics.store(t.i32, keypair + Keypair.USABLE, 0);
      return this.#drop(Drop.KEYPAIR_EXPIRED);
    }
    this.#known = true;
    this.#index = index;
    this.#slot = slot;
    this.#keypair = keypair;
    this.#age = age;
    this.#owner = this.peer;
    this.#done = false;
    this.#version = 0;
    return Done.READY;
  }

  /** The datagram did not fit the buffer. */
  truncated(): void {
    this.peer = -1;
    this.#drop(Drop.TRUNCATED);
  }

  #accept(lo: number, hi: number): boolean {
    const { u32, i32 } = this.#t;
    if (!this.#shared) return acceptCounter(u32, this.#keypair, lo, hi);
    lock(i32, this.#keypair + Keypair.REPLAY_LOCK);
    const fresh = acceptCounter(u32, this.#keypair, lo, hi);
    unlock(i32, this.#keypair + Keypair.REPLAY_LOCK);
    return fresh;
  }

  // After the tag and the replay window: what one message of a session, whichever, has to do.
  #authentic(row: number, now: number): void {
    const t = this.#t;
    const keypair = this.#keypair;
    this.#done = true;
    learnEndpoint(t, this.peer, this.#origin());
    if (Atomics.load(t.i32, row + Row.NEXT) === this.#slot + 1) this.#promote(row, this.#slot, now);
    if (this.#age >= REKEY_AFTER_TIME_RECEIVING && t.i32[keypair + Keypair.INITIATOR] === 1 && t.i32[keypair + Keypair.RENEWAL_ASKED] === 0) {
      t.i32[keypair + Keypair.RENEWAL_ASKED] = 1;
      ask(t, row, Ask.HANDSHAKE, now);
    }
    t.i32[row + Row.FIRST_DATA_SENT] = 0;
    t.i32[row + Row.LAST_RECEIVED] = stamp(now);
  }

  // The opened packet at `at`: is it one, and may this peer send it?
  #deliver(at: number, length: number): number {
    const { u8 } = this.#t;
    const inner = innerLength(u8, at, length);
    if (inner === 0) return this.#drop(Drop.RECEIVED_INNER_MALFORMED);
    if (!this.#sameSource(at, u8[at]! >>> 4)) {
      const owner = u8[at]! >>> 4 === 4 ? lookup4(this.#t, at + Ip4.SOURCE) : lookup6(this.#t, at + Ip6.SOURCE);
      if (owner !== this.peer) {
        this.#version = 0;
        return this.#drop(Drop.SOURCE_NOT_ALLOWED);
      }
    }
    this.packetAt = at;
    this.packetLength = inner;
    return Done.DELIVER;
  }

  // Whether the source address is the one that was looked up last; it is noted as that.
  #sameSource(at: number, version: number): boolean {
    const source = at + (version === 4 ? Ip4.SOURCE : Ip6.SOURCE);
    const a0 = this.#word(source);
    const six = version === 6;
    const a1 = six ? this.#word(source + 4) : 0;
    const a2 = six ? this.#word(source + 8) : 0;
    const a3 = six ? this.#word(source + 12) : 0;
    if (this.#version === version && this.#address0 === a0 && this.#address1 === a1 && this.#address2 === a2 && this.#address3 === a3) return true;
    this.#version = version;
    this.#address0 = a0;
    this.#address1 = a1;
    this.#address2 = a2;
    this.#address3 = a3;
    return false;
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
    ask(t, row, Ask.CONFIRMED, now);
    if (this.#thread === 0) this.#sender.confirm(this.peer);
  }

  #queue(type: number, at: number, length: number): number {
    const t = this.#t;
    const right =
      type === MessageType.INITIATION
        ? Initiation.LENGTH
        : type === MessageType.RESPONSE
          ? Response.LENGTH
          : type === MessageType.COOKIE
            ? Cookie.LENGTH
            : -1;
    if (length !== right) return this.#drop(Drop.MALFORMED);
    if (handshakesFull(t)) return this.#drop(Drop.HANDSHAKE_QUEUE_FULL);
    const from = this.#origin();
    if (this.#shared) lock(t.i32, t.head + Head.HANDSHAKE_LOCK);
    const fits = pushHandshake(t, at, length, from);
    if (this.#shared) unlock(t.i32, t.head + Head.HANDSHAKE_LOCK);
    if (!fits) return this.#drop(Drop.HANDSHAKE_QUEUE_FULL);
    Atomics.add(t.i32, t.head + Head.SIGNAL, 1);
    return Done.QUEUED;
  }

  #origin(): number {
    if (!this.#asked) this.origin();
    this.#asked = true;
    return this.#from;
  }

  #drop(reason: number): number {
    countDrop(this.#t, this.#thread, this.peer, reason);
    return -reason;
  }
  // Little-endian, as an i32: what is compared or masked needs no unsigned number, which V8 might have to box.
  #word(at: number): number {
    if ((at & 3) === 0) return this.#t.i32[at >>> 2]!;
    const b = this.#t.u8;
    return b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24);
  }
}
