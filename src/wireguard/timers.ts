// The five timers of each peer (whitepaper section 6; names are the kernel's):
//
// | timer | armed by | when it expires |
// |---|---|---|
// | retransmit handshake | initiation sent: 5 s + jitter | the next attempt, or giving up after 20 initiations |
// | send keepalive | data received, nothing sent since: 10 s | keepalive; again when more data had come |
// | new handshake | data sent, nothing heard since: 15 s + jitter | initiation |
// | zero key material | session derived: 540 s | all keys are wiped |
// | persistent keepalive | anything sent or received: the interval | keepalive |
//
// The second and third are stamps in the peer's row, which the data half sets and clears as packets go by; a tick looks at the peers that agenda.ts names.
import { Agenda } from "./agenda.ts";
import { KEEPALIVE_TIMEOUT, MAX_HANDSHAKE_ATTEMPTS, NEW_HANDSHAKE_TIME, REKEY_TIMEOUT, ZERO_KEYS_TIME } from "./constants.ts";
import type { Moment } from "./effect.ts";
import type { Exchange } from "./exchange.ts";
import type { Keypairs } from "./keypairs.ts";
import { note } from "./noted.ts";
import type { PeerState } from "./peer.ts";
import { clearSource } from "./roaming.ts";
import { Ask, Row, since, stamp, type Tables, Want } from "./tables.ts";

export class Timers {
  readonly #t: Tables;
  readonly #exchange: Exchange;
  readonly #keypairs: Keypairs;
  readonly #agenda: Agenda;
  /** By slot. */
  readonly #peers: (PeerState | undefined)[] = [];

  constructor(tables: Tables, exchange: Exchange, keypairs: Keypairs) {
    this.#t = tables;
    this.#exchange = exchange;
    this.#keypairs = keypairs;
    this.#agenda = new Agenda(tables);
  }
  /** From the next tick on. What changes a peer's timers notes it (noted.ts). */
  add(peer: PeerState): void {
    this.#peers[peer.slot] = peer;
    note(this.#t, peer.slot);
  }
  remove(peer: PeerState): void {
    this.#peers[peer.slot] = undefined;
    this.#agenda.forget(peer.slot);
  }
  /** Peers for which time matters at the moment. */
  get waiting(): number {
    return this.#agenda.size;
  }

  /** Does what is due. */
  tick(at: Moment): void {
    for (const slot of this.#agenda.now(at.now)) {
      const peer = this.#peers[slot];
      if (peer) this.#run(peer, at);
      this.#agenda.later(slot, peer ? this.#next(peer, at.now) : Infinity, at.now);
    }
  }

  #run(peer: PeerState, at: Moment): void {
    const asks = Atomics.load(this.#t.i32, peer.row + Row.ASKS);
    if ((asks & Ask.CONFIRMED) !== 0) {
      Atomics.and(this.#t.i32, peer.row + Row.ASKS, ~Ask.CONFIRMED);
      this.#exchange.confirmed(peer, at);
      // On the thread that saw the confirmation the staged packets are gone already; others leave them to the one that sends them.
      this.#exchange.want(peer, Want.FLUSH);
    }
    if ((asks & Ask.FLUSH) !== 0) {
      Atomics.and(this.#t.i32, peer.row + Row.ASKS, ~Ask.FLUSH);
      this.#exchange.want(peer, Want.FLUSH);
    }
    if (!this.#exchange.up) return;
    if ((Atomics.load(this.#t.i32, peer.row + Row.ASKS) & Ask.HANDSHAKE) !== 0) this.#asked(peer, at);
    if (at.now >= peer.retransmit) this.#retransmit(peer, at);
    if (this.#expired(peer.row + Row.FIRST_DATA_RECEIVED, KEEPALIVE_TIMEOUT, at.now)) this.#exchange.want(peer, Want.PASSIVE);
    if (this.#expired(peer.row + Row.FIRST_DATA_SENT, NEW_HANDSHAKE_TIME + peer.jitter, at.now)) {
      clearSource(this.#t, peer.slot);
      peer.jitter = this.#exchange.jitter();
      this.#exchange.initiate(peer, at, { retry: false });
    }
    if (at.now >= peer.zeroKeys) {
      peer.zeroKeys = Infinity;
      this.#exchange.forget(peer);
      this.#keypairs.clear(peer.slot);
    }
    if (peer.persistentKeepalive > 0) this.#persistent(peer, at);
  }
  stop(peer: PeerState): void {
    peer.retransmit = Infinity;
    peer.zeroKeys = Infinity;
    peer.attempts = 0;
    for (const word of [Row.FIRST_DATA_RECEIVED, Row.FIRST_DATA_SENT, Row.NEED_ANOTHER, Row.ASKS]) Atomics.store(this.#t.i32, peer.row + word, 0);
  }

  // When something of the peer is due next, as far as can be told now.
  #next(peer: PeerState, now: number): number {
    if (!this.#exchange.up) return Infinity;
    const { i32 } = this.#t;
    const at = (word: number): number => (i32[peer.row + word] === 0 ? Infinity : now - since(i32[peer.row + word]!, stamp(now)));
    if (Atomics.load(i32, peer.row + Row.ASKS) !== 0) return now;
    const keepalive = at(Row.FIRST_DATA_RECEIVED) + KEEPALIVE_TIMEOUT;
    const handshake = at(Row.FIRST_DATA_SENT) + NEW_HANDSHAKE_TIME + peer.jitter;
    const next = Math.min(peer.retransmit, peer.zeroKeys, keepalive, handshake);
    if (peer.persistentKeepalive === 0) return next;
    const traversals = [peer.lastTraversal, at(Row.LAST_SENT), at(Row.LAST_RECEIVED)].filter((t) => t !== Infinity);
    return Math.min(next, Math.max(...traversals) + 1000 * peer.persistentKeepalive);
  }
  // The data half wants a session. While an initiation is under way, and in the 5 s after any, the wish stands until it is met.
  #asked(peer: PeerState, at: Moment): void {
    const underway = peer.retransmit !== Infinity;
    if (underway) peer.attempts = 0;
    if (!underway && at.now - peer.lastHandshakeSent < REKEY_TIMEOUT) return;
    Atomics.and(this.#t.i32, peer.row + Row.ASKS, ~Ask.HANDSHAKE);
    if (!underway) this.#exchange.initiate(peer, at, { retry: false });
  }
  #retransmit(peer: PeerState, at: Moment): void {
    peer.retransmit = Infinity;
    if (peer.attempts > MAX_HANDSHAKE_ATTEMPTS) {
      Atomics.store(this.#t.i32, peer.row + Row.FIRST_DATA_RECEIVED, 0);
      this.#exchange.want(peer, Want.PURGE);
      if (peer.zeroKeys === Infinity) peer.zeroKeys = at.now + ZERO_KEYS_TIME;
      this.#exchange.gaveUp(peer);
      return;
    }
    peer.attempts++;
    clearSource(this.#t, peer.slot);
    this.#exchange.initiate(peer, at, { retry: true });
  }
  // A stamp that is old enough is taken; the data half may set it anew at the same time.
  #expired(word: number, after: number, now: number): boolean {
    const set = Atomics.load(this.#t.i32, word);
    return set !== 0 && since(set, stamp(now)) >= after && Atomics.compareExchange(this.#t.i32, word, set, 0) === set;
  }
  #persistent(peer: PeerState, at: Moment): void {
    const interval = 1000 * peer.persistentKeepalive;
    if (at.now - peer.lastTraversal < interval) return;
    for (const word of [Row.LAST_SENT, Row.LAST_RECEIVED]) {
      const last = this.#t.i32[peer.row + word]!;
      if (last !== 0 && since(last, stamp(at.now)) < interval) return;
    }
    peer.lastTraversal = at.now;
    this.#exchange.want(peer, Want.KEEPALIVE);
  }
}
