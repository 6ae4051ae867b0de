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
// The second and third are stamps in the peer's row, which the data half sets and clears as packets go by; this file looks at them on each tick.
import { KEEPALIVE_TIMEOUT, MAX_HANDSHAKE_ATTEMPTS, NEW_HANDSHAKE_TIME, REKEY_TIMEOUT, ZERO_KEYS_TIME } from "./constants.ts";
import type { Moment } from "./effect.ts";
import type { Exchange } from "./exchange.ts";
import type { Keypairs } from "./keypairs.ts";
import type { PeerState } from "./peer.ts";
import { clearSource } from "./roaming.ts";
import { Ask, Row, since, stamp, type Tables, Want } from "./tables.ts";

export class Timers {
  readonly #t: Tables;
  readonly #exchange: Exchange;
  readonly #keypairs: Keypairs;

  constructor(tables: Tables, exchange: Exchange, keypairs: Keypairs) {
    this.#t = tables;
    this.#exchange = exchange;
    this.#keypairs = keypairs;
  }

  /** Does what is due for the peer. */
  run(peer: PeerState, at: Moment): void {
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
