// Captures of any size in bounded memory, their WireGuard opened wherever keys and handshakes stand in the file: two passes over the same events.
//
//   const analysis = await analyse(() => readEvents(path), { crypto, logs: [await readKeys("wg.keys")] }, (t) => print(linesOf(t)));
//   analysis.sessions; analysis.secrets; analysis.facts;
//
// The first pass learns: key blocks anywhere in the file, and handshakes; the second opens: it gives each packet to a callback, in order, and forgets it.
// `Analysis` is the same by hand, for who has the events otherwise; a live capture has one pass only and is given keys as they come:
//
//   const analysis = new Analysis({ crypto, live: true });
//   analysis.open(events, each); analysis.addKeys(log, each); … analysis.end();
import type { Crypto } from "../wireguard/crypto.ts";
import { type Facts, FactsCollector } from "./facts.ts";
import { type KeyLog, type KeyLogProblem, KeyLogReader, keyLogText } from "./keylog.ts";
import type { HandshakeMessage } from "./message.ts";
import type { BatchOpener } from "./opener.ts";
import { type CapturedPacket, type CaptureEvent, type SecretsBlock, SECRETS_WIREGUARD } from "./packet.ts";
import type { Rescan } from "./rescan.ts";
import { Secrets } from "./secrets.ts";
import { type DirectionCounts, type Seen, type Session, WAYS } from "./session.ts";
import type { TrackedPacket } from "./tracked.ts";
import { type EachPacket, Tracker } from "./tracker.ts";

/** What analyse() and Analysis work with. */
export type AnalysisOptions = {
  readonly crypto: Crypto;
  /** Key logs from elsewhere; they go before those in the capture. */
  readonly logs?: readonly KeyLog[];
  /** Names and public keys that are known beforehand: called once, before the first packet. */
  readonly prepare?: (secrets: Secrets) => void;
  /** One pass over a capture that has no end: the oldest sessions are forgotten, and only so much of what no key opens is kept for keys to come. */
  readonly live?: boolean;
  /** "count": sessions are followed and counted and no data is opened, for which one pass does. @default "open" */
  readonly data?: "open" | "count";
  /** Opens data faster than `crypto` does, one message after the other. */
  readonly opener?: BatchOpener;
  readonly vxlanPorts?: readonly number[];
  readonly genevePorts?: readonly number[];
};

/** The events of a capture in runs, as a reader yields them, from the beginning at every call. */
export type Source = () => AsyncIterable<readonly CaptureEvent[]>;

/** What survey() works with: its opener is made when there is something to open. */
export type SurveyOptions = Omit<AnalysisOptions, "opener"> & { readonly opener?: () => Promise<BatchOpener> };

export type { EachPacket } from "./tracker.ts";

/** The passes over a capture: two, or one where that does. Throws what the source throws. */
export async function analyse(source: Source, options: AnalysisOptions, each?: EachPacket): Promise<Analysis> {
  const analysis = new Analysis(options);
  if (!options.live && options.data !== "count") for await (const events of source()) analysis.learn(events);
  for await (const events of source()) if (!analysis.open(events, each)) break;
  analysis.end();
  return analysis;
}

/**
 * The same with as few passes as give the same: one where no key opens anything, or where nobody wants packets, and keys and handshakes stand before the
 * data, as they do in most captures. Where something stood behind what it would have opened, or what it belongs to, the passes begin anew.
 * `data: "count"` says that no key is known beforehand. The callback is given packets only where there are keys.
 */
export async function survey(source: Source, { opener, ...options }: SurveyOptions, each?: EachPacket): Promise<Analysis> {
  const counts = options.data === "count";
  const opening = async (): Promise<AnalysisOptions> => ({ ...options, data: "open", ...(opener ? { opener: await opener() } : {}) });
  if (!each || counts) {
    const analysis = new Analysis(counts ? options : await opening());
    for await (const events of source()) analysis.open(events);
    analysis.end();
    if (analysis.isInOrder) return analysis;
  }
  return analyse(source, await opening(), each);
}

/** Handshake messages that the first pass keeps: two of each session. What comes after them is met in the second pass, in its turn. */
const MAX_HANDSHAKES = 24_576;
/** Packets of a live capture, and their bytes, that are kept for keys that are still to come. */
const MAX_KEPT = 8192;
const MAX_KEPT_BYTES = 8 << 20;

/** One capture's analysis, by hand: learn() every event, then open() every event, then end(); live: open() and addKeys() as things come. Throws nothing. */
export class Analysis {
  readonly secrets: Secrets;
  /** What stands in the capture beside packets. Of a file: whole after the first pass. */
  readonly facts: Facts;
  readonly #facts = new FactsCollector();
  readonly #keys = new KeyLogReader();
  readonly #tracker: Tracker;
  readonly #live: boolean;
  readonly #counts: boolean;
  /** Of the first pass, while it lasts; undefined also when there is none. */
  #handshakes: Seen<HandshakeMessage>[] | undefined;
  #onlyPass = true;
  #kept: TrackedPacket[] = [];
  #keptBytes = 0;

  constructor(options: AnalysisOptions) {
    this.secrets = new Secrets(options.crypto);
    this.facts = this.#facts;
    this.#live = options.live ?? false;
    this.#counts = options.data === "count";
    for (const log of options.logs ?? []) this.secrets.add(log);
    options.prepare?.(this.secrets);
    this.#tracker = new Tracker(options.crypto, this.secrets, { ...options, open: !this.#counts });
  }

  /** False when a single pass met something too late: a key, a handshake of data that came before, or handshakes that only keys tell apart. */
  get isInOrder(): boolean {
    if (this.#counts && this.secrets.openData) return false;
    return !this.#tracker.table.isAmbiguous && this.sessions.every((s) => WAYS.every((w) => !s.keys[w] || unopened(s.counts[w]) === 0));
  }
  /** By their number. */
  get sessions(): readonly Session[] {
    return this.#tracker.sessions;
  }
  /** IP fragments whose company is not in the capture. */
  get fragments(): number {
    return this.#tracker.fragments;
  }
  /** Messages of sessions beyond the limit, which are not followed. */
  get untracked(): number {
    return this.#tracker.table.untracked;
  }
  /** What is odd in the key blocks of the capture. */
  get keyProblems(): readonly KeyLogProblem[] {
    return this.#keys.log.problems;
  }

  /** First pass: keys, names and handshakes. Call for all events before the first open(). */
  learn(events: Iterable<CaptureEvent>): void {
    this.#onlyPass = false;
    const handshakes = (this.#handshakes ??= []);
    for (const e of events) {
      this.#facts.add(e);
      if (e.kind === "secrets") this.#secret(e.secrets);
      else if (e.kind === "packet" && handshakes.length < MAX_HANDSHAKES) {
        const m = this.#tracker.handshakeIn(e.packet);
        if (m) handshakes.push(m);
      }
    }
  }

  /** Second pass, or the only one: each packet to the callback. False when the callback ended it. */
  open(events: Iterable<CaptureEvent>, each?: EachPacket): boolean {
    this.#learned();
    if (!each && (this.#counts || (!this.#onlyPass && !this.secrets.openData))) return this.#count(events);
    each ??= ignore;
    const take: EachPacket = this.#live ? (t) => this.#keep(t, each ?? ignore) : each;
    for (const e of events) {
      if (this.#onlyPass) this.#facts.add(e);
      if (e.kind === "packet") {
        if (!this.#tracker.take(e.packet, take)) return false;
      } else if (this.#onlyPass && e.kind === "secrets") {
        this.#secret(e.secrets);
        this.#retry(each);
      }
    }
    return this.#tracker.flush(take);
  }

  /** A packet once more, after open() had it: see Tracker.look(). */
  look(packet: CapturedPacket, before?: Iterable<CapturedPacket>): TrackedPacket {
    return this.#tracker.look(packet, before);
  }

  /** All packets once more, after open() had them. `opens`: their data too. */
  rescan(opens: boolean): Rescan {
    return this.#tracker.rescan(opens);
  }

  /** Call after the last packet, so that messages in fragments that never met are told. */
  end(): void {
    this.#learned();
    this.#tracker.end();
  }

  #count(events: Iterable<CaptureEvent>): true {
    for (const e of events) {
      if (this.#onlyPass) this.#facts.add(e);
      if (e.kind === "packet") this.#tracker.count(e.packet);
      else if (e.kind === "secrets" && this.#onlyPass) {
        this.#secret(e.secrets);
        this.#tracker.table.reconsider();
      }
    }
    return true;
  }

  /** Keys that come while a capture is live. Packets that they open, of those that are still kept, go to the callback once more, opened. */
  addKeys(log: KeyLog, each: EachPacket = ignore): void {
    this.secrets.add(log);
    this.#retry(each);
  }

  #secret(block: SecretsBlock): void {
    if (block.type === SECRETS_WIREGUARD) this.secrets.add(this.#keys.more(keyLogText(block.data)));
  }

  #learned(): void {
    if (this.#handshakes) this.#tracker.learn(this.#handshakes);
    this.#handshakes = undefined;
  }

  #keep(t: TrackedPacket, each: EachPacket): boolean | void {
    if (t.messages.some((m) => m.failure === "no key")) {
      this.#kept.push(t.copy());
      this.#keptBytes += t.packet.data.length;
      while (this.#kept.length > MAX_KEPT || this.#keptBytes > MAX_KEPT_BYTES) this.#keptBytes -= this.#kept.shift()!.packet.data.length;
    }
    return each(t);
  }
  #retry(each: EachPacket): void {
    this.#tracker.table.reconsider();
    const kept = this.#kept;
    this.#kept = [];
    this.#keptBytes = 0;
    for (const t of kept) {
      if (this.#tracker.retry(t)) each(t);
      else {
        this.#kept.push(t);
        this.#keptBytes += t.packet.data.length;
      }
    }
  }
}

/** Data that no key was tried with. `failed` counts keepalives too. */
const unopened = (c: DirectionCounts): number => Math.max(0, c.transport - c.decrypted - c.unauthenticated - c.failed);

const ignore: EachPacket = () => {};
