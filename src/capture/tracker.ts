// Takes a capture packet by packet: finds the WireGuard in it, follows its sessions, and opens what the secrets at hand open (sections 2.4, 1.7, 5.4).
// Data is opened in batches: packets wait until the batch is full, and are then handed over in order.
import { equal } from "../base/bytes.ts";
import type { DecodeOptions } from "../packet/decode.ts";
import type { Crypto } from "../wireguard/crypto.ts";
import { Data, DATA_HEADER, DATA_OVERHEAD, readU32 } from "../wireguard/messages.ts";
import { type Datagram, Datagrams, isHandshake } from "./datagram.ts";
import { DataMessage, type HandshakeMessage, isKeepalive, LARGEST_FRAME, messageIn, segmentSize } from "./message.ts";
import { Opened } from "./opened.ts";
import { type BatchOpener, oneByOne, openMessage } from "./opener.ts";
import type { CapturedPacket } from "./packet.ts";
import { Rescan } from "./rescan.ts";
import type { Secrets } from "./secrets.ts";
import type { DirectionCounts, Seen, Session } from "./session.ts";
import { copied, Sessions } from "./sessions.ts";
import { TrackedMessage, TrackedPacket } from "./tracked.ts";
import { noteOpened, Traffic } from "./traffic.ts";

export type { Opened } from "./opened.ts";
export type { Failure, TrackedMessage, TrackedPacket } from "./tracked.ts";

export type TrackerOptions = DecodeOptions & {
  /** The capture has no end: the oldest sessions are forgotten. @default false */
  readonly live?: boolean;
  /** Data is opened. @default true */
  readonly open?: boolean;
  /** @default one by one, with the crypto */
  readonly opener?: BatchOpener;
};

/** Takes a packet in its turn. `false` ends the analysis. */
export type EachPacket = (t: TrackedPacket) => boolean | void;

/** Packets that wait at most while a batch fills, most of them without data. */
const MAX_WAITING = 1024;

/** Follows the sessions of a capture, packet by packet; Analysis does it in the right order. */
export class Tracker {
  readonly table: Sessions;
  readonly #options: TrackerOptions;
  readonly #crypto: Crypto;
  readonly #secrets: Secrets;
  readonly #opener: BatchOpener;
  readonly #datagrams: Datagrams;
  /** For packets that are looked at once more. */
  readonly #again: Datagrams;
  readonly #traffic = new Traffic();
  #waiting: TrackedPacket[] = [];
  /** What is in the opener's batch, in its order. */
  #staged: Staged[] = [];

  constructor(crypto: Crypto, secrets: Secrets, options: TrackerOptions = {}) {
    this.#crypto = crypto;
    this.#secrets = secrets;
    this.#options = options;
    this.#opener = options.opener ?? oneByOne(crypto);
    this.table = new Sessions(crypto, secrets, options.live ?? false);
    this.#again = new Datagrams(options, () => {});
    this.#datagrams = new Datagrams(options, (receiver) => {
      const [c] = this.table.candidates(receiver);
      if (c) c.session.incomplete++;
    });
  }

  get sessions(): readonly Session[] {
    return this.table.all;
  }
  /** IP fragments whose company is missing: what is in them cannot be opened. */
  get fragments(): number {
    return this.#datagrams.fragments;
  }
  /** Call after the last packet: messages of which fragments are missing are entered into their sessions. */
  end(): void {
    this.#datagrams.end();
  }

  /** The handshake message in a packet, in memory of its own; undefined for every other packet. */
  handshakeIn(packet: CapturedPacket): Seen<HandshakeMessage> | undefined {
    const found = this.#datagrams.find(packet);
    const m = found && isHandshake(found) ? handshakeOf({ ...found, frame: found.frame.slice() }, packet) : undefined;
    return m && { ...m, src: copied(m.src), dst: copied(m.dst) };
  }
  /** Takes all handshake messages of a capture before its packets come. Initiations first: a response may stand before its own where captures were merged. */
  learn(all: readonly Seen<HandshakeMessage>[]): void {
    for (const isInitiation of [true, false]) for (const m of all) if ((m.message.type === 1) === isInitiation) this.#follow(m);
    this.#datagrams.startOver();
    this.table.startOver();
  }

  /** Takes the next packet of the capture; it goes to `each` when its turn has come, at flush() the latest. False when `each` said so. */
  take(packet: CapturedPacket, each: EachPacket): boolean {
    return this.#takeDatagram(packet, this.#datagrams.find(packet), each);
  }

  /** take() for whom only the sessions matter: nothing is opened or handed over. */
  count(packet: CapturedPacket): void {
    const found = this.#datagrams.find(packet);
    if (!found) return;
    if (!isHandshake(found) && segmentSize(found.frame, found.at, found.end) === 0) {
      const m = new DataMessage(found.frame, found.at, found.end, found.length);
      const known = this.table.candidates(m.receiver);
      if (known.length === 1) return void this.#traffic.note(m, found.ends, known[0]!, packet, undefined);
    }
    this.#takeDatagram(packet, found, ignore);
  }

  #takeDatagram(packet: CapturedPacket, found: Datagram | undefined, each: EachPacket): boolean {
    const { layers, put } = this.#datagrams;
    let messages = NO_MESSAGES;
    if (found) {
      if (isHandshake(found)) messages = this.#handshake(found, packet);
      else {
        const size = this.#sizeOf(found);
        const parts = size === 0 ? 1 : Math.ceil((found.end - found.at) / size);
        if (this.#staged.length + parts > this.#opener.capacity && !this.flush(each)) return false;
        messages = this.#data(found, size, packet);
      }
    }
    this.#waiting.push(new TrackedPacket(packet, messages, this.#options, layers, put));
    return this.#staged.length === 0 || this.#waiting.length >= MAX_WAITING ? this.flush(each) : true;
  }
  /** Size of the segments of a datagram, 0 when it is one message. Of what fits a frame that is asked only when its tag is wrong. */
  #sizeOf(d: Datagram): number {
    const isUsual = d.end - d.at === d.length && d.length <= LARGEST_FRAME;
    return isUsual && this.#keyFor(readU32(d.frame, d.at + Data.RECEIVER)) ? 0 : segmentSize(d.frame, d.at, d.end);
  }
  #keyFor(receiver: number): boolean {
    if (this.#options.open === false) return false;
    const known = this.table.candidates(receiver);
    return known.length === 1 && known[0]!.session.keys[known[0]!.way] !== undefined;
  }

  /** Opens what is in the batch and hands over the packets that wait. False when `each` said so: then the rest is not handed over. */
  flush(each: EachPacket): boolean {
    const [waiting, staged] = [this.#waiting, this.#staged];
    if (staged.length > 0) this.#opener.run();
    this.#waiting = [];
    this.#staged = [];
    let next = 0;
    let more = true;
    for (const t of waiting) {
      for (const m of t.messages) {
        if (m.message.type !== 4) continue;
        const isStaged = staged[next]?.message === m;
        const key = isStaged ? staged[next]!.key : undefined;
        if (isStaged && this.#opener.opened(next)) this.#open(m, m.message, next, key!);
        if (isStaged) next++;
        const parts = isStaged && !m.opened && t.messages.length === 1 ? this.#partsOf(m, m.message, t.packet) : undefined;
        if (parts) t.messages = parts;
        else this.#settle(m, m.message, t.packet, key);
      }
      if (more && each(t) === false) more = false;
      for (const m of t.messages) m.opened?.release();
    }
    return more;
  }

  /** take() and flush() of one packet, which may be kept. */
  add(packet: CapturedPacket): TrackedPacket {
    let result: TrackedPacket | undefined;
    const keep: EachPacket = (t) => {
      for (const m of t.messages) m.opened?.keep();
      result = t;
    };
    this.take(packet, keep);
    this.flush(keep);
    return result!;
  }

  /** Tries data again that no key opened, because keys have come. True when some of it opened now; the packet must have memory of its own. */
  retry(t: TrackedPacket): boolean {
    let found = false;
    for (const m of t.messages) {
      if (m.message.type !== 4 || m.opened) continue;
      const [session, way, failure] = [m.session, m.way, m.failure];
      this.#try(m, m.message, t.packet, undefined);
      const opened = m.opened as Opened | undefined;
      if (!opened) continue;
      found = true;
      opened.keep();
      const c = m.session!.counts[m.way!];
      if (session && way && session !== m.session && this.sessions.includes(session)) moveCount(m.message, session.counts[way], c);
      if (session && way && failure === "bad tag") session.counts[way].failed--;
      noteOpened(c, opened.authenticated, isKeepalive(m.message));
    }
    return found;
  }

  /**
   * A packet once more, some time after its turn: what it is found to be with the keys that are known by now. Nothing is counted, and it may be kept.
   * `before`: packets that may hold the other fragments of its IP packet.
   */
  look(packet: CapturedPacket, before: Iterable<CapturedPacket> = []): TrackedPacket {
    const again = this.#again;
    again.startOver();
    for (const p of before) again.find(p);
    const found = again.find(packet);
    const { layers, put } = again;
    const messages = found ? this.#messagesAgain(found, packet) : NO_MESSAGES;
    for (const m of messages) m.opened?.keep();
    return new TrackedPacket(packet, messages, this.#options, layers, put);
  }
  /** All packets once more: see Rescan. */
  rescan(opens: boolean): Rescan {
    const tools = {
      options: this.#options,
      opener: this.#opener,
      candidates: (receiver: number) => this.table.candidates(receiver),
      sessionKeys: (receiver: number) => this.#secrets.sessionKeys(receiver),
      messages: (found: Datagram, packet: CapturedPacket) => this.#messagesAgain(found, packet),
    };
    return new Rescan(tools, opens);
  }
  #messagesAgain(found: Datagram, packet: CapturedPacket): TrackedMessage[] {
    return isHandshake(found) ? this.#handshakeAgain(found, packet) : this.#dataAgain(found, packet);
  }
  #handshakeAgain(found: Datagram, packet: CapturedPacket): TrackedMessage[] {
    const seen = handshakeOf(found, packet);
    if (!seen) return [];
    const { message } = seen;
    const session = this.table.sessionOf(message, packet.number);
    const t = Object.assign(new TrackedMessage(message, found.ends), { session });
    return [
      message.type === 3 ? t : Object.assign(t, { addressee: this.#secrets.addressee(message)?.publicKey, mac2Ok: this.table.mac2Ok(message) }),
    ];
  }
  #dataAgain({ frame, at, end, length, ends }: Datagram, packet: CapturedPacket): TrackedMessage[] {
    const part = (from: number, to: number, size: number): TrackedMessage => {
      const m = new DataMessage(frame, from, to, size);
      const t = new TrackedMessage(m, ends);
      const [c] = this.table.ranked(m.receiver, packet.number, t.dst);
      Object.assign(t, { session: c?.session, way: c?.way });
      if (this.#options.open !== false) this.#try(t, m, packet, undefined);
      return t;
    };
    const whole = part(at, end, length);
    const size = whole.opened ? 0 : segmentSize(frame, at, end);
    if (size === 0) return [whole];
    const parts: TrackedMessage[] = [];
    for (let from = at; from < end; from += size) {
      const to = Math.min(from + size, end);
      parts.push(part(from, to, to === end ? length - (from - at) : size));
    }
    return parts;
  }

  #handshake(found: Datagram, packet: CapturedPacket): TrackedMessage[] {
    const seen = handshakeOf(found, packet);
    if (!seen) return [];
    const { message } = seen;
    const t = new TrackedMessage(message, found.ends);
    t.session = this.#follow(seen);
    if (message.type === 3) return [t];
    const first = message.type === 1 ? t.session?.initiation : t.session?.response;
    // Who that is was found out when the session was: of many static keys each costs a hash.
    const isKnown = first && equal(first.message.bytes, message.bytes);
    t.addressee = isKnown ? first.addressee : t.session && this.#secrets.addressee(message)?.publicKey;
    t.mac2Ok = this.table.mac2Ok(message);
    return [t];
  }
  #follow(m: Seen<HandshakeMessage>): Session | undefined {
    const { message } = m;
    if (message.type === 1) return this.table.initiation({ ...m, message });
    return message.type === 2 ? this.table.response({ ...m, message }) : this.table.cookie(message, m.frame, m.dst);
  }

  #data(found: Datagram, size: number, packet: CapturedPacket): TrackedMessage[] {
    const { frame, end, ends } = found;
    const messages: TrackedMessage[] = [];
    const step = size === 0 ? end - found.at : size;
    for (let at = found.at; at < end; at += step) {
      const to = Math.min(at + step, end);
      const isLast = to === end;
      const m = new DataMessage(frame, at, to, isLast ? found.length - (at - found.at) : step);
      messages.push(this.#stage(new TrackedMessage(m, ends), m, packet));
    }
    return messages;
  }

  /** Finds the message's session, and stages it for opening when there is a key for it. */
  #stage(t: TrackedMessage, m: DataMessage, packet: CapturedPacket): TrackedMessage {
    const known = this.table.candidates(m.receiver);
    const c = known.length === 1 ? known[0] : known.length > 1 ? this.table.ranked(m.receiver, packet.number, t.dst)[0] : undefined;
    const chosen = c ?? this.table.headless(m.receiver, t.src, t.dst);
    if (!chosen) return t;
    t.session = chosen.session;
    t.way = chosen.way;
    if (this.#options.open === false || m.captured < m.length || m.length > this.#opener.longest) return t;
    const key = chosen.session.keys[chosen.way] ?? this.#secrets.sessionKeys(m.receiver)[0];
    if (!key || this.#staged.length >= this.#opener.capacity) return t;
    this.#opener.add(key, m.frame, m.at, m.end);
    this.#staged.push({ message: t, key });
    return t;
  }

  #open(t: TrackedMessage, m: DataMessage, i: number, key: Uint8Array): void {
    const total = m.length - DATA_OVERHEAD;
    t.opened = new Opened(this.#opener.memory(i), this.#opener.at(i), total, total, true);
    t.session!.keys[t.way!] ??= key;
  }
  /** The messages of a super-datagram that looked like one message, settled. */
  #partsOf(t: TrackedMessage, m: DataMessage, packet: CapturedPacket): TrackedMessage[] | undefined {
    const size = segmentSize(m.frame, m.at, m.end);
    if (size === 0) return undefined;
    const parts: TrackedMessage[] = [];
    for (let at = m.at; at < m.end; at += size) {
      const part = new DataMessage(m.frame, at, Math.min(at + size, m.end), Math.min(size, m.end - at));
      const tracked = Object.assign(new TrackedMessage(part, t.ends), { session: t.session, way: t.way });
      this.#settle(tracked, part, packet, undefined);
      parts.push(tracked);
    }
    return parts;
  }

  /** What became of a message. `failed`: a key that was tried in vain, unless it is opened. */
  #settle(t: TrackedMessage, m: DataMessage, packet: CapturedPacket, failed: Uint8Array | undefined): void {
    if (!t.session || !t.way) return;
    if (!t.opened && this.#options.open !== false) this.#try(t, m, packet, failed);
    const candidate = { session: t.session, way: t.way };
    t.sight = this.#traffic.note(m, t.ends, candidate, packet, t.opened ?? (t.failure === "bad tag" ? "failed" : undefined));
  }

  /** Tries every key of every session that the message may belong to, but the one that failed already. */
  #try(t: TrackedMessage, m: DataMessage, packet: CapturedPacket, failed: Uint8Array | undefined): void {
    let tried = failed !== undefined;
    const known = this.table.candidates(m.receiver);
    for (const { session, way } of known.length > 1 ? this.table.ranked(m.receiver, packet.number, t.dst) : known) {
      for (const key of [session.keys[way], ...this.#secrets.sessionKeys(m.receiver)]) {
        if (!key || key === failed) continue;
        tried = true;
        t.opened = openMessage(this.#crypto, key, m);
        if (!t.opened) continue;
        session.keys[way] ??= key;
        t.session = session;
        t.way = way;
        t.failure = undefined;
        return;
      }
    }
    t.failure = !tried ? "no key" : m.captured <= DATA_HEADER ? "cut" : "bad tag";
  }
}

type Staged = { readonly message: TrackedMessage; readonly key: Uint8Array };
const NO_MESSAGES: readonly TrackedMessage[] = [];
const ignore: EachPacket = () => {};

/** The handshake message in a datagram. */
function handshakeOf(found: Datagram, packet: CapturedPacket): Seen<HandshakeMessage> | undefined {
  const message = messageIn(found.frame, found.at, found.end, found.length);
  if (!message || message.type === 4) return undefined;
  return { message, frame: packet.number, time: packet.time, src: found.ends.src, dst: found.ends.dst };
}
/** Takes a message from the counts of one direction to another's. */
function moveCount(m: DataMessage, from: DirectionCounts, to: DirectionCounts): void {
  const field = isKeepalive(m) ? "keepalives" : "transport";
  from[field]--;
  to[field]++;
  from.bytes -= m.length - DATA_OVERHEAD;
  to.bytes += m.length - DATA_OVERHEAD;
}
