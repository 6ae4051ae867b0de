// Follows WireGuard sessions through a capture, packet by packet, and opens what the secrets at hand open (sections 2.4, 1.7, 5.4).
// Sessions are found by receiver index and confirmed by trial: addresses need not match when a tag verifies (NAT, two vantage points).
import { equal, toHex } from "../base/bytes.ts";
import { compareIp } from "../base/ip.ts";
import { decode, decodeIp } from "../packet/decode.ts";
import type { Layer } from "../packet/layer.ts";
import { fragmentOf, Reassembler } from "../packet/reassemble.ts";
import type { Crypto } from "../wireguard/crypto.ts";
import { Cookie, DATA_HEADER, KEEPALIVE_LENGTH } from "../wireguard/messages.ts";
import {
  type CookieMessage,
  type DataMessage,
  type InitiationMessage,
  isKeepalive,
  mac1Of,
  mac2Of,
  parseMessage,
  type ResponseMessage,
  splitSegments,
  type WireGuardMessage,
} from "./message.ts";
import type { CapturedPacket } from "./packet.ts";
import { datagramOf } from "./split.ts";
import { openMessage, type Opened } from "./opened.ts";
import { openCookie, replayInitiation, replayResponse } from "./replay.ts";
import type { Secrets } from "./secrets.ts";
import { newSession, type Seen, type Session, type UdpEndpoint, type Way } from "./session.ts";

export type { Opened } from "./opened.ts";
export type Failure = "no key" | "bad tag" | "cut";
export type TrackedMessage = {
  readonly message: WireGuardMessage;
  readonly src: UdpEndpoint;
  readonly dst: UdpEndpoint;
  session: Session | undefined;
  way: Way | undefined;
  opened: Opened | undefined;
  /** Why a data message was not opened. */
  failure: Failure | undefined;
  /** The receiver's static public key, by mac1. */
  readonly addressee: Uint8Array | undefined;
  /** mac2 verified under a cookie that the capture shows. */
  readonly mac2Ok: boolean;
};
export type TrackedPacket = {
  readonly packet: CapturedPacket;
  /** Of the frame. */
  readonly layers: readonly Layer[];
  /** When this was the last fragment: the IP packet put together, which `messages` are from. */
  readonly whole: { readonly bytes: Uint8Array; readonly layers: readonly Layer[] } | undefined;
  readonly messages: readonly TrackedMessage[];
  /** True when one captured packet held several messages (segmentation offload). */
  readonly split: boolean;
};

export type TrackerOptions = {
  /**
   * The capture has no end: data that no key opens is not kept to be tried again, and the oldest sessions are forgotten. @default false
   */
  live?: boolean;
  /** Data that no key opens is kept to be tried again by finish(). @default true, but for a live capture */
  keep?: boolean;
  vxlanPorts?: readonly number[];
  genevePorts?: readonly number[];
};

const MAX_SESSIONS = 65_536;
const MAX_LIVE_SESSIONS = 4096;
const RECENT = 4096;

export class Tracker {
  readonly sessions: Session[] = [];
  /** Messages of sessions beyond the limit are not followed. */
  untracked = 0;
  readonly #crypto: Crypto;
  readonly #secrets: Secrets;
  readonly options: TrackerOptions;
  readonly #reassembler = new Reassembler();
  readonly #byHandshake = new Map<string, Session>();
  readonly #byIndex = new Map<number, Session[]>();
  readonly #recent = new Map<string, number>();
  #unopened: TrackedMessage[] = [];
  #count = 0;
  #learning = false;

  constructor(crypto: Crypto, secrets: Secrets, options: TrackerOptions = {}) {
    this.#crypto = crypto;
    this.#secrets = secrets;
    this.options = options;
  }

  /** IP fragments that still wait for their company: what is in them cannot be opened. */
  get fragments(): number {
    return this.#reassembler.waiting;
  }

  /** True for what learn() is to be given. */
  isHandshake(packet: CapturedPacket): boolean {
    const layers = decode(packet.data, packet.iface.link, this.options);
    const found = datagramOf(packet.data, layers);
    const type = (found && parseMessage(found.payload, found.length)?.type) ?? 4;
    return type < 4;
  }

  /** Takes a handshake message before its turn, so that what is sealed under its keys opens wherever it stands. */
  learn(packet: CapturedPacket): void {
    this.#learning = true;
    this.add(packet);
    this.#learning = false;
  }

  /** Takes the next packet of the capture. */
  add(packet: CapturedPacket): TrackedPacket {
    const layers = decode(packet.data, packet.iface.link, this.options);
    let whole: TrackedPacket["whole"];
    if (fragmentOf(layers)) {
      const bytes = this.#reassembler.add(packet.data, layers);
      if (bytes) whole = { bytes, layers: decodeIp(bytes, this.options) };
    }
    const found = datagramOf(whole?.bytes ?? packet.data, whole?.layers ?? layers);
    if (!found) return { packet, layers, whole, messages: [], split: false };
    const parts = splitSegments(found.payload);
    const messages: TrackedMessage[] = [];
    for (const [i, part] of parts.entries()) {
      const length = parts.length === 1 ? found.length : part.length;
      const message = parseMessage(part, i === parts.length - 1 && parts.length > 1 ? found.length - sumLengths(parts, i) : length);
      if (message) messages.push(this.#message(message, packet, found.src, found.dst));
    }
    return { packet, layers, whole, messages, split: messages.length > 1 };
  }

  /** Call after the last packet: tries once more what came before its handshake in the file. The result is what opened now. */
  finish(): TrackedMessage[] {
    const again = this.#unopened;
    this.#unopened = [];
    return again.filter((t) => {
      const m = t.message as DataMessage;
      const c = t.session && t.way ? t.session.counts[t.way] : undefined;
      const opened = this.#open(m, this.#candidates(m, t.dst));
      if (!opened) return false;
      if (t.failure === "bad tag" && c) c.failed--;
      if (t.session !== opened.session && c) move(m, c, opened.session.counts[opened.way]);
      Object.assign(t, opened, { failure: undefined });
      count(opened.opened, opened.session, opened.way, isKeepalive(m));
      return true;
    });
  }

  #message(message: WireGuardMessage, packet: CapturedPacket, src: UdpEndpoint, dst: UdpEndpoint): TrackedMessage {
    const base: TrackedMessage = {
      message,
      src,
      dst,
      session: undefined,
      way: undefined,
      opened: undefined,
      failure: undefined,
      addressee: message.type <= 2 ? this.#secrets.addressee(message as InitiationMessage | ResponseMessage)?.publicKey : undefined,
      mac2Ok: message.type <= 2 ? this.#mac2(message as InitiationMessage | ResponseMessage) : false,
    };
    const seen = <M extends WireGuardMessage>(m: M): Seen<M> => ({ message: m, frame: packet.number, time: packet.time, src, dst });
    if (message.type === 1) base.session = this.#initiation(seen(message), base.addressee);
    else if (message.type === 2) base.session = this.#response(seen(message), base.addressee);
    else if (message.type === 3) base.session = this.#cookie(message, packet.number, dst);
    else this.#data(base, message, packet.number);
    return base;
  }

  #new(): Session | undefined {
    if (this.sessions.length >= (this.options.live ? MAX_LIVE_SESSIONS : MAX_SESSIONS)) {
      if (!this.options.live) return void this.untracked++;
      this.#forget(this.sessions.shift()!);
    }
    const s = newSession(this.#count++);
    this.sessions.push(s);
    return s;
  }
  #forget(s: Session): void {
    if (s.initiation) this.#byHandshake.delete(handshakeId(s.initiation.message));
    for (const index of [s.initiatorIndex, s.responderIndex]) {
      if (index === undefined) continue;
      const left = (this.#byIndex.get(index) ?? []).filter((x) => x !== s);
      if (left.length > 0) this.#byIndex.set(index, left);
      else this.#byIndex.delete(index);
    }
  }
  #index(index: number, s: Session): void {
    const list = this.#byIndex.get(index);
    if (list) list.unshift(s);
    else this.#byIndex.set(index, [s]);
  }

  #initiation(m: Seen<InitiationMessage>, addressee: Uint8Array | undefined): Session | undefined {
    const id = handshakeId(m.message);
    const again = this.#byHandshake.get(id);
    if (again) {
      if (!this.#learning && again.initiation!.frame !== m.frame) again.repeats++;
      return again;
    }
    const s = this.#new();
    if (!s) return undefined;
    this.#byHandshake.set(id, s);
    s.initiation = m;
    s.initiatorIndex = m.message.sender;
    s.initiator = m.src;
    s.responder = m.dst;
    s.begun = replayInitiation(this.#crypto, m.message, this.#secrets);
    s.responderStatic = s.begun?.responder.publicKey ?? addressee;
    s.initiatorStatic = s.begun?.initiatorStatic;
    this.#index(m.message.sender, s);
    return s;
  }

  #response(m: Seen<ResponseMessage>, addressee: Uint8Array | undefined): Session | undefined {
    const candidates = (this.#byIndex.get(m.message.receiver) ?? []).filter((s) => s.initiatorIndex === m.message.receiver);
    const again = candidates.find((s) => s.response && equal(s.response.message.ephemeral, m.message.ephemeral));
    if (again) {
      if (!this.#learning && again.response!.frame !== m.frame) again.repeats++;
      return again;
    }
    // A response that authenticates belongs to its initiation whatever the addresses say; without keys the newest with fitting addresses is taken.
    const replayed = (s: Session): Session["answered"] =>
      s.initiation && s.begun ? replayResponse(this.#crypto, s.initiation.message, s.begun, m.message, this.#secrets) : undefined;
    const free = candidates.filter((s) => !s.response);
    const s =
      free.find((c) => replayed(c)?.kind === "open") ?? free.find((c) => c.initiator && sameEndpoint(c.initiator, m.dst)) ?? free[0] ?? this.#new();
    if (!s) return undefined;
    s.response = m;
    s.responderIndex = m.message.sender;
    s.initiatorIndex ??= m.message.receiver;
    s.initiator = m.dst;
    s.responder = m.src;
    s.initiatorStatic ??= addressee;
    s.answered = replayed(s);
    if (s.answered?.kind === "open") Object.assign(s.keys, s.answered.keys);
    if (!s.initiation) this.#index(m.message.receiver, s);
    this.#index(m.message.sender, s);
    return s;
  }

  #cookie(m: CookieMessage, frame: number, dst: UdpEndpoint): Session | undefined {
    const list = this.#byIndex.get(m.receiver) ?? [];
    for (const s of list) {
      const asked = s.initiatorIndex === m.receiver ? s.initiation?.message : s.response?.message;
      const sender = s.initiatorIndex === m.receiver ? s.responderStatic : s.initiatorStatic;
      const mac1 = asked && mac1Of(asked);
      if (!mac1 || m.bytes.length < Cookie.LENGTH) continue;
      const from = sender ? [sender] : this.#secrets.statics().map((k) => k.publicKey);
      for (const key of from) {
        const cookie = openCookie(
          this.#crypto,
          m.bytes.subarray(Cookie.SEALED, Cookie.LENGTH),
          m.bytes.subarray(Cookie.NONCE, Cookie.SEALED),
          key,
          mac1,
        );
        if (!cookie) continue;
        s.cookieReply = frame;
        s.cookie = cookie;
        return s;
      }
    }
    const s = list.find((x) => x.initiator && sameEndpoint(x.initiator, dst)) ?? list[0];
    if (s) s.cookieReply ??= frame;
    return s;
  }

  #mac2(m: InitiationMessage | ResponseMessage): boolean {
    const mac2 = mac2Of(m);
    if (!mac2 || mac2.every((b) => b === 0)) return false;
    const at = m.type === 1 ? 132 : 76;
    // A cookie is used for two minutes: the last few that the capture shows are enough.
    const cookies = this.sessions.filter((s) => s.cookie).slice(-16);
    return cookies.some((s) => equal(this.#crypto.mac(s.cookie!, m.bytes.subarray(0, at)), mac2));
  }

  #data(t: TrackedMessage, m: DataMessage, frame: number): void {
    const known = this.#candidates(m, t.dst);
    const candidates = known.length > 0 ? known : [this.#headless(m, t)].filter((c) => c !== undefined);
    const opened = this.#open(m, candidates);
    const chosen = opened ?? candidates[0];
    if (!chosen) return;
    const { session, way } = chosen;
    t.session = session;
    t.way = way;
    const c = session.counts[way];
    if (this.#isRepeat(m, session, way)) c.duplicates++;
    if (isKeepalive(m)) c.keepalives++;
    else c.transport++;
    c.bytes += m.length - KEEPALIVE_LENGTH;
    if (c.lowest === undefined || m.counter < c.lowest) c.lowest = m.counter;
    if (c.highest === undefined || m.counter > c.highest) c.highest = m.counter;
    c.firstFrame ??= frame;
    c.lastFrame = frame;
    if (opened) {
      t.opened = opened.opened;
      count(opened.opened, session, way, isKeepalive(m));
      // Roaming: whoever sends what authenticates is there now.
      if (opened.opened.authenticated) session[way === "toResponder" ? "initiator" : "responder"] = t.src;
      return;
    }
    const hasKey = session.keys[way] !== undefined;
    t.failure = !hasKey ? "no key" : m.bytes.length <= DATA_HEADER ? "cut" : "bad tag";
    if (t.failure === "bad tag") c.failed++;
    if (this.options.keep ?? !this.options.live) this.#unopened.push(t);
  }

  /** Sessions that the message may belong to, likeliest first. */
  #candidates(m: DataMessage, dst: UdpEndpoint): { session: Session; way: Way }[] {
    const list = (this.#byIndex.get(m.receiver) ?? []).map((session) => ({
      session,
      way: wayOf(session, m.receiver, dst),
    }));
    const score = (c: { session: Session; way: Way }): number => {
      const at = c.way === "toResponder" ? c.session.responder : c.session.initiator;
      return (c.session.response ? 2 : 0) + (at && sameEndpoint(at, dst) ? 1 : 0);
    };
    return list.length < 2 ? list : list.sort((a, b) => score(b) - score(a));
  }

  #open(m: DataMessage, candidates: readonly { session: Session; way: Way }[]): { session: Session; way: Way; opened: Opened } | undefined {
    if (m.bytes.length <= DATA_HEADER) return undefined;
    for (const c of candidates) {
      const keys = [c.session.keys[c.way], ...this.#secrets.sessionKeys(m.receiver)];
      for (const key of keys) {
        const opened = key && openMessage(this.#crypto, key, m);
        if (!opened) continue;
        c.session.keys[c.way] ??= key;
        return { ...c, opened };
      }
    }
    return undefined;
  }

  /** A session of which the capture shows no handshake: known by its receiver indexes and the two endpoints. */
  #headless(m: DataMessage, t: TrackedMessage): { session: Session; way: Way } | undefined {
    const opposite = this.sessions.findLast(
      (s) =>
        !s.initiation &&
        !s.response &&
        s.initiatorIndex === undefined &&
        s.initiator &&
        sameEndpoint(s.initiator, t.dst) &&
        s.responder &&
        sameEndpoint(s.responder, t.src),
    );
    if (opposite) {
      opposite.initiatorIndex = m.receiver;
      this.#index(m.receiver, opposite);
      return { session: opposite, way: "toInitiator" };
    }
    const s = this.#new();
    if (!s) return undefined;
    s.responderIndex = m.receiver;
    s.initiator = t.src;
    s.responder = t.dst;
    this.#index(m.receiver, s);
    return { session: s, way: "toResponder" };
  }

  #isRepeat(m: DataMessage, s: Session, way: Way): boolean {
    const id = `${s.number} ${way === "toResponder" ? 1 : 0} ${m.counter}`;
    const mark = m.bytes.length >= 20 ? new DataView(m.bytes.buffer, m.bytes.byteOffset).getUint32(16) : 0;
    const before = this.#recent.get(id);
    if (before === mark) return true;
    if (this.#recent.size >= RECENT) this.#recent.delete(this.#recent.keys().next().value!);
    this.#recent.set(id, mark);
    return false;
  }
}

const handshakeId = (m: InitiationMessage): string => `${m.sender} ${toHex(m.ephemeral)}`;
const sumLengths = (parts: readonly Uint8Array[], n: number): number => parts.slice(0, n).reduce((sum, p) => sum + p.length, 0);
const sameEndpoint = (a: UdpEndpoint, b: UdpEndpoint): boolean => a.port === b.port && compareIp(a.ip, b.ip) === 0;

/** Both sides may have chosen the same index: then the destination decides. */
function wayOf(s: Session, receiver: number, dst: UdpEndpoint): Way {
  if (s.responderIndex !== receiver) return "toInitiator";
  if (s.initiatorIndex !== receiver) return "toResponder";
  return s.responder && sameEndpoint(s.responder, dst) ? "toResponder" : "toInitiator";
}

function count(opened: Opened, session: Session, way: Way, keepalive: boolean): void {
  if (keepalive) return;
  if (opened.authenticated) session.counts[way].decrypted++;
  else session.counts[way].unauthenticated++;
}
function move(m: DataMessage, from: Session["counts"][Way], to: Session["counts"][Way]): void {
  const field = isKeepalive(m) ? "keepalives" : "transport";
  from[field]--;
  to[field]++;
  from.bytes -= m.length - KEEPALIVE_LENGTH;
  to.bytes += m.length - KEEPALIVE_LENGTH;
}
