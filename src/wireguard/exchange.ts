// Handshakes: what is sent and what happens to handshake messages that arrive (whitepaper sections 5.4.2 to 5.4.5 and 5.4.7). A message changes nothing
// until it is authenticated; the one place of each change is marked "commit".
import { equal, isZero, toHex, wipe } from "../base/bytes.ts";
import {
  CROSSING_TIME,
  INITIATION_INTERVAL,
  LOADED_BUDGET,
  LOADED_HANDSHAKE_COST,
  LOADED_REPLIES,
  RECEIVE_BUDGET,
  REKEY_TIMEOUT,
  TIMER_JITTER,
  UNDER_LOAD_TIME,
  ZERO_KEYS_TIME,
} from "./constants.ts";
import { CookieChecker, cookieReceiver } from "./cookie.ts";
import type { Crypto } from "./crypto.ts";
import { Drop, DROPS } from "./drop.ts";
import type { Effect, Moment } from "./effect.ts";
import { type Endpoint, readEndpoint } from "./endpoint.ts";
import { makeInitiation, makeResponse, openInitiation, openResponse, openTimestamp, type TransportKeys } from "./handshake.ts";
import type { Indices } from "./indices.ts";
import type { Keypairs } from "./keypairs.ts";
import { Initiation, MAC_LENGTH, MessageType, readU32, Response } from "./messages.ts";
import { generate, type Pair, PROLOGUE, type Start, start, Transcript } from "./noise.ts";
import { note } from "./noted.ts";
import type { PeerState } from "./peer.ts";
import { RateLimiter } from "./ratelimit.ts";
import { firstHandshake, handshakesWaiting, pushWant, releaseHandshake } from "./rings.ts";
import { learnEndpoint } from "./roaming.ts";
import { keep } from "./secret.ts";
import { type SecretCrypto, wiping } from "./secretcrypto.ts";
import type { Secrets } from "./secrets.ts";
import { Ask, Cell, Head, Row, type Tables, Want } from "./tables.ts";
import { compareStamps, Stamps } from "./tai64n.ts";

type Parts = {
  readonly tables: Tables;
  readonly crypto: Crypto;
  readonly secrets: Secrets;
  readonly peers: ReadonlyMap<string, PeerState>;
  readonly indices: Indices<PeerState>;
  readonly keypairs: Keypairs;
};

export class Exchange {
  keylog = false;
  /** Dropped handshake messages by reason. */
  readonly drops: number[] = DROPS.map(() => 0);
  readonly #p: Parts;
  readonly #start: Start;
  readonly #secret: SecretCrypto;
  /** The message of the moment is worked on in these. */
  readonly #transcript: Transcript;
  readonly #keys: TransportKeys;
  readonly #limiter = new RateLimiter();
  readonly #stamps = new Stamps();
  #identity: Pair | undefined;
  #checker: CookieChecker | undefined;
  #loadedUntil = -Infinity;
  /** What is left of this call's budgets. */
  #budget = 0;
  #replies = 0;
  #effects: Effect[] = [];
  #wake = false;

  constructor(parts: Parts) {
    this.#p = parts;
    const { crypto, secrets } = parts;
    this.#start = start(crypto, PROLOGUE);
    this.#secret = crypto.inPlace?.(secrets.scratch) ?? wiping(crypto);
    this.#transcript = new Transcript(this.#secret, secrets.cells);
    this.#keys = { send: secrets.cells.first, receive: secrets.cells.second };
  }
  get identity(): Pair | undefined {
    return this.#identity;
  }
  get up(): boolean {
    return this.#p.tables.i32[this.#p.tables.head + Head.UP] === 1;
  }

  /** The effects since the last call. */
  take(): Effect[] {
    const effects = this.#effects;
    if (this.#wake) effects.push({ kind: "wake" });
    this.#effects = [];
    this.#wake = false;
    return effects;
  }
  want(peer: PeerState, bits: number): void {
    pushWant(this.#p.tables, peer.slot, bits);
    this.#wake = true;
  }
  gaveUp(peer: PeerState): void {
    this.#effects.push({ kind: "gave-up", peer: peer.publicKey });
  }
  /** Uniform in 0 .. 333 ms. */
  jitter(): number {
    const four = new Uint8Array(4);
    this.#p.crypto.random(four);
    return (readU32(four, 0) / 2 ** 32) * TIMER_JITTER;
  }

  /** The private key, which is copied; zeros or undefined: none. */
  setIdentity(key: Uint8Array | undefined): void {
    const { crypto, secrets } = this.#p;
    const { privateKey, cookieSecret } = secrets.cells;
    this.#checker?.wipe();
    privateKey.fill(0);
    this.#identity = undefined;
    this.#checker = undefined;
    if (key && !isZero(key)) {
      privateKey.set(key);
      this.#identity = { private: privateKey, public: new Uint8Array(32) };
      this.#secret.publicKey(this.#identity.public, privateKey);
      this.#checker = new CookieChecker(crypto, this.#identity.public, cookieSecret);
    }
    for (const peer of this.#p.peers.values()) {
      this.forget(peer);
      this.introduce(peer);
    }
  }
  /** Precomputes what a peer's handshakes need. `known`: the DH of the static keys, when somebody has computed it before. */
  introduce(peer: PeerState, known?: Uint8Array): void {
    const { shared } = peer.cells;
    wipe(shared);
    if (known) shared.set(known);
    const there = known !== undefined || (this.#identity !== undefined && this.#secret.dh(shared, this.#identity.private, peer.publicKey));
    peer.ss = there ? shared : undefined;
    peer.jitter = this.jitter();
  }
  /** Ends the peer's handshake that is under way; the next may start at once. */
  forget(peer: PeerState): void {
    this.#endInitiation(peer);
    peer.lastHandshakeSent = -Infinity;
  }

  /** Sends an initiation, unless one was sent in the last 5 s (`force`: even then; the same again within 1 s). A retry counts towards giving up. */
  initiate(peer: PeerState, { now, wall }: Moment, how: { retry: boolean; force?: boolean }): void {
    if (!how.retry) peer.attempts = 0;
    const local = this.#identity;
    const to = peer.endpoint();
    if (!local || !peer.ss || !to || !this.up) return;
    if (how.force !== true && now - peer.lastHandshakeSent < REKEY_TIMEOUT) return;
    if (peer.initiator && peer.initiation && now - peer.lastInitiationSent < CROSSING_TIME) {
      // Forced while one is on its way: a second one within 20 ms would be refused, and the response to the first dropped.
      this.#logKeys(local, peer, peer.initiator.ephemeral);
      return this.#sendTo(peer, to, peer.initiation, now);
    }
    this.#endInitiation(peer);
    peer.lastStamp = this.#stamps.next(wall, peer.lastStamp);
    const index = this.#p.indices.allocate(peer);
    const ephemeral = generate(this.#p.crypto, this.#secret, peer.cells.ephemeral);
    const message = makeInitiation(this.#transcript, this.#start, {
      index,
      local,
      ephemeral,
      remote: peer.publicKey,
      ss: peer.ss,
      timestamp: peer.lastStamp,
    });
    if (!message) return this.#p.indices.release(index);
    this.#transcript.save(peer.cells);
    this.#transcript.wipe();
    peer.cookies.fill(message, now);
    peer.initiator = { index, ephemeral, saved: peer.cells };
    peer.initiation = message;
    peer.lastInitiationSent = now;
    peer.retransmit = now;
    this.#logKeys(local, peer, ephemeral);
    this.#sendTo(peer, to, message, now);
  }

  /** There are so many handshake messages that their senders must prove their addresses. */
  loaded(now: number): boolean {
    return now < this.#loadedUntil;
  }
  /** Handles what waits in the ring, up to a budget. */
  receive(at: Moment): void {
    const t = this.#p.tables;
    const waiting = handshakesWaiting(t);
    // An eighth full: from now on senders must prove their address before we calculate for them.
    if (waiting >= t.limits.handshakeCells / 8) this.#loadedUntil = at.now + UNDER_LOAD_TIME;
    const loaded = this.loaded(at.now);
    this.#budget = loaded ? LOADED_BUDGET : RECEIVE_BUDGET;
    this.#replies = LOADED_REPLIES;
    for (let i = waiting; i > 0 && this.#budget > 0; i--) {
      const cell = firstHandshake(t);
      // The cheapest check first. A flood does not keep those waiting who have a cookie.
      if (loaded && this.#replies === 0 && isBareInitiation(t, cell)) {
        releaseHandshake(t);
        this.drops[Drop.COOKIE_DEMANDED]!++;
        continue;
      }
      this.#budget--;
      const message = t.u8.slice(4 * (cell + Cell.MESSAGE), 4 * (cell + Cell.MESSAGE) + t.i32[cell + Cell.LENGTH]!);
      const from = readEndpoint(t.u8, t.u32, 4 * (cell + Cell.ENDPOINT));
      const reason = from ? this.#handle(message, from, cell + Cell.ENDPOINT, at) : Drop.MALFORMED;
      releaseHandshake(t);
      if (reason !== 0) this.drops[reason]!++;
    }
  }
  /** First data arrived under the session that the peer started. */
  confirmed(peer: PeerState, at: Moment): void {
    this.#p.keypairs.sweep(peer.slot);
    this.#complete(peer, at, false);
  }

  // 0, or why it was dropped.
  #handle(message: Uint8Array, from: Endpoint, record: number, at: Moment): number {
    if (!this.up) return Drop.DEVICE_DOWN;
    if (!this.#identity || !this.#checker) return Drop.NO_PRIVATE_KEY;
    const type = readU32(message, 0);
    if (type === MessageType.COOKIE) return this.#cookie(message, at);
    if (!this.#checker.mac1Valid(message)) return Drop.BAD_MAC1;
    if (this.loaded(at.now)) {
      if (!this.#checker.mac2Valid(message, from, at.now)) {
        if (this.#replies > 0) {
          this.#replies--;
          this.#effects.push({ kind: "send", to: from, message: this.#checker.reply(message, from, at.now) });
        }
        return Drop.COOKIE_DEMANDED;
      }
      if (!this.#limiter.allow(from.ip, at.now)) return Drop.RATE_LIMITED;
      this.#budget -= LOADED_HANDSHAKE_COST;
    }
    const reason =
      type === MessageType.INITIATION ? this.#initiation(this.#identity, message, record, at) : this.#response(this.#identity, message, record, at);
    // Whatever came of it, and however far it went.
    this.#transcript.wipe();
    wipe(this.#keys.send, this.#keys.receive, this.#p.secrets.cells.ephemeral);
    return reason;
  }

  #cookie(message: Uint8Array, at: Moment): number {
    const peer = this.#p.indices.owner(cookieReceiver(message));
    const outcome = peer?.cookies.consume(message, at.now) ?? "unexpected";
    return outcome === "taken" ? 0 : outcome === "bad" ? Drop.BAD_COOKIE : Drop.UNEXPECTED_COOKIE;
  }

  #initiation(local: Pair, message: Uint8Array, record: number, at: Moment): number {
    const { crypto, peers, indices, keypairs, secrets, tables } = this.#p;
    const opened = openInitiation(this.#transcript, this.#start, local, message);
    if (!opened) return Drop.BAD_INITIATION;
    const peer = peers.get(toHex(opened.remote));
    if (!peer?.ss) return Drop.UNKNOWN_PEER;
    const stamp = openTimestamp(this.#transcript, peer.ss, message);
    if (!stamp) return Drop.BAD_INITIATION;
    if (compareStamps(stamp, peer.greatestStamp) <= 0) return Drop.REPLAYED_INITIATION;
    if (at.now - peer.lastInitiationReceived < INITIATION_INTERVAL) return Drop.INITIATION_FLOOD;
    // Commit: it is genuine and new.
    peer.greatestStamp = stamp;
    peer.lastInitiationReceived = at.now;
    this.#received(peer, message.length, record, at);
    const to = readEndpoint(tables.u8, tables.u32, 4 * record)!;
    if (peer.initiator && peer.initiation && at.now - peer.lastInitiationSent < CROSSING_TIME && lower(local.public, peer.publicKey)) {
      // The two crossed, and ours wins. If it was lost, the other side would wait 5 s for nothing: it gets the same message again.
      this.#sendTo(peer, to, peer.initiation, at.now);
      return Drop.CROSSED_INITIATION;
    }
    const ephemeral = generate(crypto, this.#secret, secrets.cells.ephemeral);
    const index = indices.allocate(peer);
    const response = makeResponse(this.#transcript, opened, { index, ephemeral, psk: peer.cells.presharedKey }, this.#keys);
    const installed = response && keypairs.install(peer.slot, this.#keys, { local: index, remote: opened.sender, initiator: false, now: at.now });
    if (!installed) {
      indices.release(index);
      return response ? Drop.NO_SLOT : Drop.BAD_INITIATION;
    }
    peer.cookies.fill(response, at.now);
    peer.zeroKeys = at.now + ZERO_KEYS_TIME;
    // Our own initiation gives way, but a response to it is still welcome: a peer that does not know our rule may have let it win.
    this.#logKeys(local, peer, ephemeral);
    this.#sendTo(peer, to, response, at.now);
    return 0;
  }

  #response(local: Pair, message: Uint8Array, record: number, at: Moment): number {
    const peer = this.#p.indices.owner(readU32(message, Response.RECEIVER));
    const initiator = peer?.initiator;
    if (!peer || !initiator || initiator.index !== readU32(message, Response.RECEIVER)) return Drop.UNEXPECTED_RESPONSE;
    if (!openResponse(this.#transcript, initiator, { local, psk: peer.cells.presharedKey }, message, this.#keys)) return Drop.BAD_RESPONSE;
    // Commit. The index goes from the handshake to the keypair.
    const remote = readU32(message, Response.SENDER);
    if (!this.#p.keypairs.install(peer.slot, this.#keys, { local: initiator.index, remote, initiator: true, now: at.now })) return Drop.NO_SLOT;
    peer.initiator = undefined;
    this.#received(peer, message.length, record, at);
    peer.zeroKeys = at.now + ZERO_KEYS_TIME;
    this.#complete(peer, at, true);
    // What waits, or a keepalive: it proves to the responder that we have the keys.
    this.want(peer, Want.KEEPALIVE);
    return 0;
  }

  #complete(peer: PeerState, at: Moment, initiator: boolean): void {
    this.#endInitiation(peer);
    peer.retransmit = Infinity;
    peer.attempts = 0;
    peer.lastHandshake = Math.max(peer.lastHandshake, at.wall);
    Atomics.and(this.#p.tables.i32, peer.row + Row.ASKS, ~Ask.HANDSHAKE);
    this.#effects.push({ kind: "established", peer: peer.publicKey, initiator });
  }
  #endInitiation(peer: PeerState): void {
    if (peer.initiator) this.#p.indices.release(peer.initiator.index);
    wipe(peer.cells.ephemeral, peer.cells.chain, peer.cells.hash);
    peer.initiator = undefined;
    peer.initiation = undefined;
  }
  // Any handshake message of the peer is a sign of life.
  #received(peer: PeerState, bytes: number, record: number, at: Moment): void {
    peer.handshakeRxBytes += bytes;
    peer.lastTraversal = at.now;
    note(this.#p.tables, peer.slot);
    learnEndpoint(this.#p.tables, peer.slot, record);
    Atomics.store(this.#p.tables.i32, peer.row + Row.FIRST_DATA_SENT, 0);
  }
  #sendTo(peer: PeerState, to: Endpoint, message: Uint8Array, now: number): void {
    peer.handshakeTxBytes += message.length;
    peer.lastHandshakeSent = now;
    peer.lastTraversal = now;
    note(this.#p.tables, peer.slot);
    // The timer runs from the last message of any kind: within 5 s of one, a retransmission would be held back, and there would be no other.
    if (peer.retransmit !== Infinity) peer.retransmit = now + REKEY_TIMEOUT + this.jitter();
    Atomics.store(this.#p.tables.i32, peer.row + Row.FIRST_DATA_RECEIVED, 0);
    this.#effects.push({ kind: "send", to, message, peer: peer.publicKey });
  }
  #logKeys(local: Pair, peer: PeerState, ephemeral: Pair): void {
    if (!this.keylog) return;
    this.#effects.push({
      kind: "keylog",
      record: {
        localStaticPrivate: keep(local.private),
        remoteStaticPublic: peer.publicKey,
        localEphemeralPrivate: keep(ephemeral.private),
        presharedKey: keep(peer.cells.presharedKey),
      },
    });
  }
}

const MAC2_WORD = Initiation.MAC2 / 4;
/** An initiation without mac2: its sender has no cookie. */
const isBareInitiation = (t: Tables, cell: number): boolean => {
  const at = cell + Cell.MESSAGE;
  if (t.i32[cell + Cell.LENGTH] !== Initiation.LENGTH || t.u32[at] !== MessageType.INITIATION) return false;
  let any = 0;
  for (let i = 0; i < MAC_LENGTH / 4; i++) any |= t.i32[at + MAC2_WORD + i]!;
  return any === 0;
};

/** Bytewise. */
function lower(a: Uint8Array, b: Uint8Array): boolean {
  if (equal(a, b)) return false;
  const i = a.findIndex((x, n) => x !== b[n]);
  return a[i]! < b[i]!;
}
