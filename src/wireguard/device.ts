// The control half: who the peers are, and what happens when. It owns the peers and the tables' configuration; the handshakes are in exchange.ts, the
// timers in timers.ts.
import { equal, isZero, toHex, wipe } from "../base/bytes.ts";
import type { Cidr } from "../base/cidr.ts";
import { AllowedIps } from "./allowedips.ts";
import type { Crypto } from "./crypto.ts";
import { type DropReason, DROPS } from "./drop.ts";
import type { Effect, Moment } from "./effect.ts";
import { TortieError } from "../base/errors.ts";
import { type HandOverParts, NAMES, peerSnapshot, restorePeer } from "./handover.ts";
import type { DeviceSnapshot } from "./snapshot.ts";
import { type Endpoint, ENDPOINT_WORDS, writeEndpoint } from "./endpoint.ts";
import { Exchange } from "./exchange.ts";
import { Keypairs, type SessionKeys } from "./keypairs.ts";
import { clamp } from "./noise.ts";
import { note } from "./noted.ts";
import { type Peer, PeerState } from "./peer.ts";
import { Reclaimer } from "./reclaim.ts";
import { handshakesWaiting } from "./rings.ts";
import { clearSource, writeLocked } from "./roaming.ts";
import { keep } from "./secret.ts";
import { Secrets } from "./secrets.ts";
import { Head, Row, rowOf, type Tables, Want } from "./tables.ts";
import { Timers } from "./timers.ts";
import { clearTraffic, dropped } from "./traffic.ts";
import { Indices } from "./indices.ts";
import { isUnreachableLeft, takeUnreachable } from "./unreachable.ts";

/** Milliseconds between two messages to the host about packets that went nowhere. */
const UNREACHABLE_INTERVAL = 20;

/** Every event takes its moment, also where nothing depends on it yet. */
export class Device {
  #lastUnreachable = -Infinity;
  readonly #t: Tables;
  readonly #crypto: Crypto;
  readonly #peers = new Map<string, PeerState>();
  /** Rows that were used and are free again, and how many were ever used: those after them are free too. */
  readonly #freeSlots: number[] = [];
  #usedSlots = 0;
  readonly #reclaimer: Reclaimer;
  readonly #allowedIps: AllowedIps;
  readonly #keypairs: Keypairs;
  readonly #indices: Indices<PeerState>;
  readonly #exchange: Exchange;
  readonly #timers: Timers;
  readonly #secrets: Secrets;

  /** `tables`: after initTables(). `secrets`: where keys are kept. @default memory of their own, which nothing locks */
  constructor(tables: Tables, crypto: Crypto, secrets: Secrets = new Secrets(tables.limits)) {
    this.#t = tables;
    this.#crypto = crypto;
    this.#secrets = secrets;
    this.#reclaimer = new Reclaimer(tables);
    this.#indices = new Indices(tables, crypto);
    this.#allowedIps = new AllowedIps(tables, this.#reclaimer);
    this.#keypairs = new Keypairs(tables, this.#indices, this.#reclaimer);
    this.#exchange = new Exchange({ tables, crypto, secrets, peers: this.#peers, indices: this.#indices, keypairs: this.#keypairs });
    this.#timers = new Timers(tables, this.#exchange, this.#keypairs);
  }

  /** While true, `keylog` effects are answered. */
  get keylog(): boolean {
    return this.#exchange.keylog;
  }
  set keylog(on: boolean) {
    this.#exchange.keylog = on;
  }
  /** 32 bytes among the secrets where a key may be made up that is on its way in; who uses them wipes them. */
  get keyCell(): Uint8Array {
    return this.#secrets.cells.incoming;
  }
  /** 32 bytes, or undefined: none set. */
  get publicKey(): Uint8Array | undefined {
    return this.#exchange.identity?.public;
  }
  /** A copy of the (clamped) private key, which the caller wipes. */
  privateKey(): Uint8Array | undefined {
    const key = this.#exchange.identity?.private;
    return key && keep(key);
  }
  /** Sets the private key (clamped here; zeros: none). A peer with this very key is removed. Sessions go on receiving; the next packet out starts anew. */
  setPrivateKey(key: Uint8Array, _at: Moment): Effect[] {
    const fresh = this.#secrets.cells.ephemeral;
    fresh.set(key);
    if (!isZero(fresh)) clamp(fresh);
    const same = equal(this.#secrets.cells.privateKey, fresh);
    if (!same) this.#exchange.setIdentity(fresh);
    wipe(fresh);
    if (same) return [];
    const own = this.#exchange.identity;
    const ourselves = own && this.#peers.get(toHex(own.public));
    if (ourselves) this.#remove(ourselves);
    for (const peer of this.#peers.values()) {
      this.#keypairs.stopSending(peer.slot);
      // Who keeps a way open does so from the moment it has a key.
      this.#exchange.want(peer, this.#exchange.up && peer.persistentKeepalive > 0 ? Want.KEEPALIVE : Want.FLUSH);
    }
    return this.#exchange.take();
  }

  /** Copies of the keys of all sessions with a peer, for a key log; the caller wipes them. */
  sessionKeys(peer: Peer): SessionKeys[] {
    return this.#keypairs.keys((peer as PeerState).slot);
  }
  /** In the order in which they were added. */
  peers(): Iterable<Peer> {
    return this.#peers.values();
  }
  peer(publicKey: Uint8Array): Peer | undefined {
    return this.#peers.get(toHex(publicKey));
  }
  /** A new peer; the one there is; undefined when the key is our own; "full". */
  addPeer(publicKey: Uint8Array): Peer | undefined | "full" {
    return this.#add(publicKey);
  }
  #add(publicKey: Uint8Array, shared?: Uint8Array): PeerState | undefined | "full" {
    const known = this.#peers.get(toHex(publicKey));
    if (known) return known;
    const own = this.#exchange.identity?.public;
    if (own && equal(own, publicKey)) return undefined;
    this.#reclaimer.collect();
    const slot = this.#freeSlots.pop() ?? this.#usedSlots;
    if (slot === this.#t.limits.peers) return "full";
    if (slot === this.#usedSlots) this.#usedSlots++;
    const cells = this.#secrets.peer(slot);
    const peer = new PeerState(this.#crypto, this.#t, { publicKey: publicKey.slice(), slot, cells, allowedIps: this.#allowedIps });
    const row = rowOf(this.#t, slot);
    // The endpoint's version goes on counting: who cached an address of this row's last owner must notice.
    const version = this.#t.i32[row + Row.ENDPOINT_VERSION]!;
    this.#t.i32.fill(0, row, row + Row.WORDS);
    clearTraffic(this.#t, slot);
    Atomics.store(this.#t.i32, row + Row.ENDPOINT_VERSION, version);
    Atomics.store(this.#t.i32, row + Row.STATE, 1);
    this.#exchange.introduce(peer, shared);
    this.#peers.set(toHex(publicKey), peer);
    this.#timers.add(peer);
    return peer;
  }
  removePeer(peer: Peer, _at: Moment): Effect[] {
    this.#remove(peer as PeerState);
    return this.#exchange.take();
  }
  /** For the next handshake. Zeros: none. */
  setPresharedKey(peer: Peer, key: Uint8Array): void {
    (peer as PeerState).cells.presharedKey.set(key);
  }
  setEndpoint(peer: Peer, endpoint: Endpoint): void {
    writeLocked(this.#t, peer.slot, (at) => writeEndpoint(this.#t.u8, this.#t.u32, at, endpoint));
  }
  /** Seconds, 0: off. From 0 to n a keepalive is sent at once when the device is up. */
  setPersistentKeepalive(peer: Peer, seconds: number, at: Moment): Effect[] {
    const state = peer as PeerState;
    const on = state.persistentKeepalive === 0 && seconds > 0 && this.#exchange.up;
    state.persistentKeepalive = seconds;
    if (on) {
      state.lastTraversal = at.now;
      this.#exchange.want(state, Want.KEEPALIVE);
    }
    note(this.#t, state.slot);
    return this.#exchange.take();
  }
  /** Adds or takes over the prefix. False: no room. */
  addAllowedIp(peer: Peer, prefix: Cidr): boolean {
    return this.#allowedIps.add(peer.slot, prefix);
  }
  /** Removes the prefix if it is exactly this peer's. */
  removeAllowedIp(peer: Peer, prefix: Cidr): void {
    this.#allowedIps.remove(peer.slot, prefix);
  }
  clearAllowedIps(peer: Peer): void {
    this.#allowedIps.clear(peer.slot);
  }
  /** After a peer was configured: sends what is staged. */
  configured(peer: Peer, _at: Moment): Effect[] {
    if (this.#exchange.up) this.#exchange.want(peer as PeerState, Want.FLUSH);
    return this.#exchange.take();
  }
  /** The inner MTU, for padding. */
  setMtu(mtu: number): void {
    Atomics.store(this.#t.i32, this.#t.head + Head.MTU, mtu);
  }
  /** The UDP port that messages leave from: those that come back from the TUN are known by it. */
  setPort(port: number): void {
    Atomics.store(this.#t.i32, this.#t.head + Head.PORT, port);
  }
  /** The kernel's routes or addresses changed, or fwmark or port did: forget the cached source of every peer, or of those whose endpoint is `stale`. */
  clearSources(stale: (endpoint: Endpoint) => boolean = () => true): void {
    for (const peer of this.#peers.values()) {
      const endpoint = peer.endpoint();
      if (endpoint?.source && stale(endpoint)) clearSource(this.#t, peer.slot);
    }
  }

  up(at: Moment): Effect[] {
    if (this.#exchange.up) return [];
    Atomics.store(this.#t.i32, this.#t.head + Head.UP, 1);
    for (const peer of this.#peers.values()) {
      peer.lastTraversal = at.now;
      note(this.#t, peer.slot);
      this.#exchange.want(peer, peer.persistentKeepalive > 0 ? Want.KEEPALIVE : Want.FLUSH);
    }
    return this.#exchange.take();
  }
  down(_at: Moment): Effect[] {
    Atomics.store(this.#t.i32, this.#t.head + Head.UP, 0);
    for (const peer of this.#peers.values()) this.#silence(peer);
    return this.#exchange.take();
  }
  /** Timers and what the data half asks for: every 10 to 25 ms while up, and when Head.SIGNAL changed. */
  tick(at: Moment): Effect[] {
    this.#reclaimer.collect();
    this.#timers.tick(at);
    const told = this.#unreachable(at);
    return told ? [told, ...this.#exchange.take()] : this.#exchange.take();
  }
  /** Handles queued handshake messages: when Head.SIGNAL changed. Call again while `backlog` is true: at once, or after a pause while `loaded`. */
  receive(at: Moment): Effect[] {
    this.#exchange.receive(at);
    return this.#exchange.take();
  }
  /** Handshake messages come faster than they can be answered: a call every few ms bounds what they cost, and loses nobody who has a cookie. */
  loaded(at: Moment): boolean {
    return this.#exchange.loaded(at.now);
  }
  /** There are more handshake messages than one receive() takes. */
  get backlog(): boolean {
    return handshakesWaiting(this.#t) > 0;
  }
  /**
   * A fresh initiation now, whatever the rate limit; while one younger than 1 s waits for its response, that one again. Nothing when there is no
   * endpoint, no key, or the device is down.
   */
  forceHandshake(peer: Peer, at: Moment): Effect[] {
    this.#exchange.initiate(peer as PeerState, at, { retry: false, force: true });
    return this.#exchange.take();
  }
  /** Drops so far by reason, both halves. */
  drops(): Record<DropReason, number> {
    return Object.fromEntries(DROPS.map((name, i) => [name, dropped(this.#t, i) + this.#exchange.drops[i]!])) as Record<DropReason, number>;
  }
  /** The indices that messages to us may bear, each with its peer; those of handshakes too. */
  indices(): Iterable<readonly [index: number, peer: Peer]> {
    return this.#indices;
  }
  /** How many indices there have ever been: the same number, no new one. */
  get indicesMade(): number {
    return this.#indices.made;
  }
  /** What is held in the tables, for leak checks. */
  usage(): { peers: number; keypairs: number; indices: number; nodes: number; waiting: number } {
    this.#reclaimer.collect();
    return {
      peers: this.#usedSlots - this.#freeSlots.length,
      keypairs: this.#keypairs.inUse,
      indices: this.#indices.size,
      nodes: this.#allowedIps.nodesInUse,
      waiting: this.#reclaimer.waiting,
    };
  }
  /** All there is to know, for a successor; every secret too: the caller wipes it (wipeSnapshot()). Only while the data half has stopped. */
  snapshot(): DeviceSnapshot {
    return {
      privateKey: this.privateKey(),
      up: this.#exchange.up,
      mtu: this.#t.i32[this.#t.head + Head.MTU]!,
      drops: Object.entries(this.drops()).map(([name, count]) => ({ name, count })),
      names: NAMES,
      peers: Array.from(this.#peers.values(), (peer) => peerSnapshot(this.#handOver(), peer)),
    };
  }
  /** Makes a new device what another one was. Only before the data half has started. Throws TortieError when something has no room. */
  restore(from: DeviceSnapshot, at: Moment): void {
    if (from.privateKey) this.setPrivateKey(from.privateKey, at);
    for (const p of from.peers) {
      const peer = this.#add(p.publicKey, p.shared);
      if (peer === undefined || peer === "full") throw new TortieError("Cannot take over a device: its peers have no room here");
      restorePeer(this.#handOver(), peer, p, from.names);
    }
    for (const { name, count } of from.drops) {
      const reason = (DROPS as readonly string[]).indexOf(name);
      if (reason > 0) this.#exchange.drops[reason]! += count;
    }
    this.setMtu(from.mtu);
    Atomics.store(this.#t.i32, this.#t.head + Head.UP, from.up ? 1 : 0);
  }
  #handOver(): HandOverParts {
    return { tables: this.#t, keypairs: this.#keypairs, indices: this.#indices, allowedIps: this.#allowedIps };
  }
  /** Wipes every secret. The device is of no use afterwards; the data half must have stopped. */
  close(): void {
    for (const peer of this.#peers.values()) this.#silence(peer);
    this.#exchange.setIdentity(undefined);
    this.#keypairs.wipe();
    this.#secrets.wipe();
  }

  // While the place is not taken, the data half leaves nothing more there: that is the limit.
  #unreachable(at: Moment): Effect | undefined {
    if (!isUnreachableLeft(this.#t) || at.now - this.#lastUnreachable < UNREACHABLE_INTERVAL) return undefined;
    this.#lastUnreachable = at.now;
    const packet = takeUnreachable(this.#t);
    return packet && { kind: "unreachable", packet };
  }
  #remove(peer: PeerState): void {
    const row = rowOf(this.#t, peer.slot);
    Atomics.store(this.#t.i32, row + Row.STATE, 0);
    this.#allowedIps.clear(peer.slot);
    this.#silence(peer);
    this.#timers.remove(peer);
    peer.wipe();
    this.#peers.delete(toHex(peer.publicKey));
    writeLocked(this.#t, peer.slot, (at) => this.#t.u8.fill(0, at, at + 4 * ENDPOINT_WORDS));
    // The data half empties its staging list first.
    this.#reclaimer.retire(() => {
      if (Atomics.load(this.#t.i32, row + Row.WANTS) !== 0) return false;
      if (Atomics.load(this.#t.i32, row + Row.STAGED_COUNT) !== 0) {
        // Another thread was about to stage a packet when the list was emptied.
        this.#exchange.want(peer, Want.PURGE);
        return false;
      }
      return this.#freeSlots.push(peer.slot) > 0;
    });
  }
  // No timer, no session, nothing staged.
  #silence(peer: PeerState): void {
    this.#timers.stop(peer);
    this.#exchange.forget(peer);
    this.#keypairs.clear(peer.slot);
    this.#exchange.want(peer, Want.PURGE);
  }
}
