// The packets of a capture once more, in their order, after the sessions are known: for who searches through all of them. Nothing is counted.
// Data is opened in batches, or not at all where what is asked for lies outside of it.
import type { DecodeOptions } from "../packet/decode.ts";
import { Data, DATA_OVERHEAD, readU32 } from "../wireguard/messages.ts";
import { type Datagram, Datagrams, isHandshake } from "./datagram.ts";
import { DataMessage, segmentSize } from "./message.ts";
import { Opened } from "./opened.ts";
import type { BatchOpener } from "./opener.ts";
import type { CapturedPacket } from "./packet.ts";
import type { Candidate } from "./sessions.ts";
import { TrackedMessage, TrackedPacket } from "./tracked.ts";
import type { EachPacket } from "./tracker.ts";

/** What a Tracker lends it. */
export type RescanTools = {
  readonly options: DecodeOptions;
  readonly opener: BatchOpener;
  /** Whose session a receiver index is; several where that is not sure. */
  readonly candidates: (receiver: number) => readonly Candidate[];
  readonly sessionKeys: (receiver: number) => readonly Uint8Array[];
  /** What a datagram is found to be, one key after the other. */
  readonly messages: (found: Datagram, packet: CapturedPacket) => readonly TrackedMessage[];
};

/** Packets that wait at most while a batch fills. */
const MAX_WAITING = 1024;

type Staged = { readonly of: TrackedPacket; readonly message: TrackedMessage; readonly found: Datagram };

/** take() every packet from the first one on; flush() before their memory is used again. */
export class Rescan {
  readonly #tools: RescanTools;
  readonly #opens: boolean;
  readonly #datagrams: Datagrams;
  #waiting: TrackedPacket[] = [];
  #staged: Staged[] = [];

  /** `opens`: data is opened. */
  constructor(tools: RescanTools, opens: boolean) {
    this.#tools = tools;
    this.#opens = opens;
    this.#datagrams = new Datagrams(tools.options, () => {});
  }

  /** The packet goes to `each` when its turn has come, at flush() the latest; its inner packets are there for the length of that call. */
  take(packet: CapturedPacket, each: EachPacket): void {
    const found = this.#datagrams.find(packet);
    const { layers, put } = this.#datagrams;
    const message = found && this.#only(found);
    const key = message && this.#opens ? this.#keyOf(message) : undefined;
    const messages = !found ? [] : message && (key || !this.#opens) ? [message] : this.#tools.messages(found, packet);
    const tracked = new TrackedPacket(packet, messages, this.#tools.options, layers, put);
    if (key && found) {
      this.#tools.opener.add(key, found.frame, found.at, found.end);
      this.#staged.push({ of: tracked, message: message!, found });
    }
    this.#waiting.push(tracked);
    if (this.#staged.length === 0 || this.#staged.length >= this.#tools.opener.capacity || this.#waiting.length >= MAX_WAITING) this.flush(each);
  }

  /** Opens what is in the batch and hands over the packets that wait. */
  flush(each: EachPacket): void {
    const [waiting, staged] = [this.#waiting, this.#staged];
    this.#waiting = [];
    this.#staged = [];
    const { opener } = this.#tools;
    if (staged.length > 0) opener.run();
    staged.forEach(({ of, message, found }, i) => {
      const total = found.length - DATA_OVERHEAD;
      if (opener.opened(i)) message.opened = new Opened(opener.memory(i), opener.at(i), total, total, true);
      else of.messages = this.#tools.messages(found, of.packet);
    });
    for (const t of waiting) {
      each(t);
      for (const m of t.messages) m.opened?.release();
    }
  }

  /** The data message in a datagram that is one message of one session; undefined where that takes a closer look. */
  #only(d: Datagram): TrackedMessage | undefined {
    if (isHandshake(d)) return undefined;
    const known = this.#tools.candidates(readU32(d.frame, d.at + Data.RECEIVER));
    if (known.length !== 1 || segmentSize(d.frame, d.at, d.end) !== 0) return undefined;
    const t = new TrackedMessage(new DataMessage(d.frame, d.at, d.end, d.length), d.ends);
    t.session = known[0]!.session;
    t.way = known[0]!.way;
    return t;
  }
  #keyOf({ message: m, session, way }: TrackedMessage): Uint8Array | undefined {
    if (m.type !== 4 || m.captured < m.length || m.length > this.#tools.opener.longest) return undefined;
    return session!.keys[way!] ?? this.#tools.sessionKeys(m.receiver)[0];
  }
}
