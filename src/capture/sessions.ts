// All sessions of a capture, and which of them a message belongs to (section 2.4, ours). A session is one handshake: the initiator's index and ephemeral
// key. Messages are matched by index and confirmed by proof: addresses need not match where a tag verifies (NAT, two vantage points).
import { equal, toHex } from "../base/bytes.ts";
import { compareIp, formatEndpoint } from "../base/ip.ts";
import type { Crypto } from "../wireguard/crypto.ts";
import { Cookie, Initiation, Response } from "../wireguard/messages.ts";
import { type CookieMessage, type HandshakeMessage, type InitiationMessage, mac1Of, mac2Of, type ResponseMessage } from "./message.ts";
import { openCookie, replayInitiation, replayResponse } from "./replay.ts";
import type { Secrets } from "./secrets.ts";
import { hasData, newSession, type Seen, type Session, type UdpEndpoint, type Way } from "./session.ts";

/** A session that a data message may belong to, and the way it would go. */
export type Candidate = { readonly session: Session; readonly way: Way };

/** Some 4 KB each, at worst. */
const MAX_SESSIONS = 12_288;
const MAX_LIVE_SESSIONS = 4096;
/** A cookie is used for two minutes: the last few that the capture shows are enough. */
const MAX_COOKIES = 16;

export class Sessions {
  readonly all: Session[] = [];
  /** Messages of sessions beyond the limit are not followed. */
  untracked = 0;
  /** Order or endpoints decided where only keys could be sure: a response before its initiation, several initiations that it may answer, data before both. */
  isAmbiguous = false;
  readonly #crypto: Crypto;
  readonly #secrets: Secrets;
  readonly #live: boolean;
  readonly #byHandshake = new Map<string, Session>();
  readonly #byIndex = new Map<number, Candidate[]>();
  /** Latest session without a handshake of two endpoints, of which only one way was seen. */
  readonly #oneWay = new Map<string, Session>();
  readonly #cookies: Uint8Array[] = [];
  #count = 0;

  constructor(crypto: Crypto, secrets: Secrets, live: boolean) {
    this.#crypto = crypto;
    this.#secrets = secrets;
    this.#live = live;
  }

  /** The message at the frame where it was seen first is no repetition. What a session keeps of it is copied. */
  initiation(seen: Seen<InitiationMessage>): Session | undefined {
    const id = handshakeId(seen.message);
    const known = this.#byHandshake.get(id);
    if (known) {
      if (known.initiation!.frame !== seen.frame) known.repeats++;
      return known;
    }
    if (this.isFull) return void this.untracked++;
    const m = kept(seen);
    // A response may stand before its initiation: two captures merged, two rings.
    const answered = this.#with(m.message.sender).find((s) => !s.initiation && s.response && s.initiator && sameEndpoint(s.initiator, m.src));
    if (answered) this.isAmbiguous = true;
    const s = answered ?? this.#new();
    if (!s) return undefined;
    this.#byHandshake.set(id, s);
    s.initiation = m;
    s.initiator ??= m.src;
    s.responder ??= m.dst;
    if (!answered) {
      s.initiatorIndex = m.message.sender;
      this.#index(m.message.sender, { session: s, way: "toInitiator" });
    }
    this.#replayInitiation(s, m);
    if (s.response) this.#replayResponse(s, s.response);
    return s;
  }

  response(seen: Seen<ResponseMessage>): Session | undefined {
    const id = responseId(seen.message);
    const known = this.#byHandshake.get(id);
    if (known) {
      if (known.response!.frame !== seen.frame) known.repeats++;
      return known;
    }
    const m = kept(seen);
    const free = this.#with(m.message.receiver).filter((s) => s.initiatorIndex === m.message.receiver && !s.response);
    if (free.length > 1) this.isAmbiguous = true;
    const s =
      free.find((c) => this.#answer(c, m.message)?.kind === "open") ??
      free.find((c) => c.initiator && sameEndpoint(c.initiator, m.dst)) ??
      free[0] ??
      this.#new();
    if (!s) return undefined;
    this.#byHandshake.set(id, s);
    s.response = m;
    s.responderIndex = m.message.sender;
    s.initiator = m.dst;
    s.responder = m.src;
    if (s.initiatorIndex === undefined) {
      s.initiatorIndex = m.message.receiver;
      this.#index(m.message.receiver, { session: s, way: "toInitiator" });
    }
    this.#absorb(s);
    this.#index(m.message.sender, { session: s, way: "toResponder" });
    this.#replayResponse(s, m);
    return s;
  }

  /** Data of a session came before its handshake: what was counted without it is the session's. */
  #absorb(s: Session): void {
    const ofIndexes = [s.responderIndex, s.initiatorIndex].flatMap((i) => (i === undefined ? [] : this.#with(i)));
    for (const early of new Set(ofIndexes)) {
      if (early === s || early.initiation || early.response || !isBetween(early, s)) continue;
      this.isAmbiguous = true;
      const counted: readonly [number | undefined, Session["counts"][Way]][] = [
        [early.responderIndex, early.counts.toResponder],
        [early.initiatorIndex, early.counts.toInitiator],
      ];
      for (const [index, counts] of counted) {
        if (index === s.responderIndex) Object.assign(s.counts.toResponder, counts);
        else if (index === s.initiatorIndex) Object.assign(s.counts.toInitiator, counts);
      }
      this.#forget(early);
      this.all.splice(this.all.indexOf(early), 1);
    }
  }

  cookie(m: CookieMessage, frame: number, dst: UdpEndpoint): Session | undefined {
    const list = this.#with(m.receiver);
    for (const s of list) {
      const ofInitiation = s.initiatorIndex === m.receiver;
      const asked = ofInitiation ? s.initiation?.message : s.response?.message;
      const sender = ofInitiation ? s.responderStatic : s.initiatorStatic;
      const mac1 = asked && mac1Of(asked);
      if (!mac1 || m.bytes.length < Cookie.LENGTH) continue;
      const [nonce, sealed] = [m.bytes.subarray(Cookie.NONCE, Cookie.SEALED), m.bytes.subarray(Cookie.SEALED, Cookie.LENGTH)];
      for (const key of sender ? [sender] : this.#secrets.statics().map((k) => k.publicKey)) {
        const cookie = openCookie(this.#crypto, sealed, nonce, key, mac1);
        if (!cookie) continue;
        s.cookieReply = frame;
        s.cookie = cookie;
        if (!this.#cookies.some((c) => equal(c, cookie)) && this.#cookies.push(cookie) > MAX_COOKIES) this.#cookies.shift();
        return s;
      }
    }
    const s = list.find((x) => x.initiator && sameEndpoint(x.initiator, dst)) ?? list[0];
    if (s) s.cookieReply ??= frame;
    return s;
  }

  /** The session that a handshake message was found to belong to; nothing is changed. */
  sessionOf(m: HandshakeMessage, frame: number): Session | undefined {
    if (m.type === 1) return this.#byHandshake.get(handshakeId(m));
    const known = this.#with(m.receiver);
    if (m.type === 3) return known.find((s) => s.cookieReply === frame) ?? known[0];
    return known.find((s) => s.response && equal(s.response.message.ephemeral, m.ephemeral));
  }

  /** True when mac2 verifies under a cookie that the capture showed. */
  mac2Ok(m: InitiationMessage | ResponseMessage): boolean {
    const mac2 = mac2Of(m);
    if (!mac2 || mac2.every((b) => b === 0)) return false;
    const covered = m.bytes.subarray(0, m.type === 1 ? Initiation.MAC2 : Response.MAC2);
    return this.#cookies.some((c) => equal(this.#crypto.mac(c, covered), mac2));
  }

  /** Sessions that a data message with this receiver index may belong to; most often one. */
  candidates(receiver: number): readonly Candidate[] {
    return this.#byIndex.get(receiver) ?? NONE;
  }

  /** The same, likeliest first, for a message at this frame with this destination. */
  ranked(receiver: number, frame: number, dst: UdpEndpoint): readonly Candidate[] {
    const score = ({ session: s, way }: Candidate): number => {
      const at = way === "toResponder" ? s.responder : s.initiator;
      const before = (s.response ?? s.initiation)?.frame ?? 0;
      return (s.response ? 4 : 0) + (before <= frame ? 2 : 0) + (at && sameEndpoint(at, dst) ? 1 : 0);
    };
    return [...this.candidates(receiver)].sort((a, b) => score(b) - score(a) || b.session.number - a.session.number);
  }

  /** A session of which the capture shows no handshake: known by its receiver indexes and the two endpoints. */
  headless(receiver: number, src: UdpEndpoint, dst: UdpEndpoint): Candidate | undefined {
    const opposite = `${endpointId(dst)} ${endpointId(src)}`;
    const other = this.#oneWay.get(opposite);
    if (other) {
      this.#oneWay.delete(opposite);
      other.initiatorIndex = receiver;
      return this.#index(receiver, { session: other, way: "toInitiator" });
    }
    const s = this.#new();
    if (!s) return undefined;
    s.responderIndex = receiver;
    s.initiator = copied(src);
    s.responder = copied(dst);
    this.#oneWay.set(`${endpointId(src)} ${endpointId(dst)}`, s);
    return this.#index(receiver, { session: s, way: "toResponder" });
  }

  /** Replays handshakes again that did not open: keys have come. */
  reconsider(): void {
    for (const s of this.all) {
      if (s.answered?.kind === "open") continue;
      if (s.initiation && !s.begun?.state) this.#replayInitiation(s, s.initiation);
      if (s.response) this.#replayResponse(s, s.response);
    }
  }
  /** What is told by another pass over the same messages is told from the beginning. */
  startOver(): void {
    this.#cookies.length = 0;
    this.untracked = 0;
    for (const s of this.all) s.repeats = 0;
  }

  /** Everything that the secrets at hand tell of a message. */
  #replayInitiation(s: Session, m: Seen<InitiationMessage>): void {
    const addressee = this.#secrets.addressee(m.message);
    m.addressee = addressee?.publicKey;
    s.begun = replayInitiation(this.#crypto, m.message, this.#secrets, addressee);
    s.responderStatic = s.begun?.responder.publicKey ?? m.addressee;
    s.initiatorStatic = s.begun?.initiatorStatic ?? s.initiatorStatic;
  }
  #replayResponse(s: Session, m: Seen<ResponseMessage>): void {
    m.addressee ??= this.#secrets.addressee(m.message)?.publicKey;
    s.initiatorStatic = s.begun?.initiatorStatic ?? m.addressee;
    s.answered = this.#answer(s, m.message);
    if (s.answered?.kind === "open") Object.assign(s.keys, s.answered.keys);
  }
  #answer(s: Session, m: ResponseMessage): Session["answered"] {
    return s.initiation && s.begun ? replayResponse(this.#crypto, s.initiation.message, s.begun, m, this.#secrets) : undefined;
  }

  /** No session more is followed. */
  get isFull(): boolean {
    return !this.#live && this.all.length >= MAX_SESSIONS;
  }
  #new(): Session | undefined {
    if (this.isFull) return void this.untracked++;
    if (this.#live && this.all.length >= MAX_LIVE_SESSIONS) {
      // What somebody made up goes before what stands.
      const idle = this.all.findIndex((s) => !s.response && !hasData(s));
      this.#forget(this.all.splice(Math.max(0, idle), 1)[0]!);
    }
    const s = newSession(this.#count++);
    this.all.push(s);
    return s;
  }
  #forget(s: Session): void {
    if (s.initiation) this.#byHandshake.delete(handshakeId(s.initiation.message));
    if (s.response) this.#byHandshake.delete(responseId(s.response.message));
    if (s.initiator && s.responder) this.#oneWay.delete(`${endpointId(s.initiator)} ${endpointId(s.responder)}`);
    this.#unindex(s.initiatorIndex, s);
    this.#unindex(s.responderIndex, s);
  }
  #with(index: number): Session[] {
    return [...new Set(this.candidates(index).map((c) => c.session))];
  }
  #index(index: number, c: Candidate): Candidate {
    const list = this.#byIndex.get(index);
    if (list) {
      if (list.unshift(c) > MAX_CANDIDATES) list.pop();
    } else this.#byIndex.set(index, [c]);
    return c;
  }
  #unindex(index: number | undefined, s: Session): void {
    if (index === undefined) return;
    const left = this.candidates(index).filter((c) => c.session !== s);
    if (left.length > 0) this.#byIndex.set(index, left);
    else this.#byIndex.delete(index);
  }
}

const NONE: readonly Candidate[] = [];
/** Made-up handshakes may all have one index: the latest so many are tried. */
const MAX_CANDIDATES = 16;

const handshakeId = (m: InitiationMessage): string => `${m.sender} ${toHex(m.ephemeral)}`;
const responseId = (m: ResponseMessage): string => `${m.receiver} ${toHex(m.ephemeral)} again`;
const endpointId = (e: UdpEndpoint): string => formatEndpoint(e.ip, e.port);
export const sameEndpoint = (a: UdpEndpoint, b: UdpEndpoint): boolean => a.port === b.port && compareIp(a.ip, b.ip) === 0;

/** The same two endpoints, whichever way. */
function isBetween(a: Session, b: Session): boolean {
  if (!a.initiator || !a.responder || !b.initiator || !b.responder) return false;
  const same = sameEndpoint(a.initiator, b.initiator) && sameEndpoint(a.responder, b.responder);
  return same || (sameEndpoint(a.initiator, b.responder) && sameEndpoint(a.responder, b.initiator));
}

/** Packets share memory with the chunk they came in. */
export const copied = (e: UdpEndpoint): UdpEndpoint => ({ ip: new Uint8Array(e.ip), port: e.port });
/** In memory of its own. */
export function kept<M extends InitiationMessage | ResponseMessage>(m: Seen<M>): Seen<M> {
  const bytes = new Uint8Array(m.message.bytes);
  const at = m.message.type === 1 ? Initiation.EPHEMERAL : Response.EPHEMERAL;
  return { ...m, message: { ...m.message, bytes, ephemeral: bytes.subarray(at, at + 32) }, src: copied(m.src), dst: copied(m.dst) };
}
