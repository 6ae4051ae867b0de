// Captures of any size in bounded memory, their WireGuard opened wherever keys and handshakes stand in the file: two passes over the same events.
//
//   const analysis = await analyse(() => readEvents(path), { crypto, logs: [await readKeys("wg.keys")] }, (t) => print(linesOf(t)));
//   analysis.sessions; analysis.secrets; analysis.facts;
//
// The first pass learns: key blocks anywhere in the file, and handshakes; the second opens: it gives each packet to a callback, in order, and forgets it.
// `Analysis` is the same by hand, for who has the events otherwise; a live capture has one pass only and is given keys as they come:
//
//   const analysis = new Analysis({ crypto, live: true });
//   analysis.open(events, each); analysis.addKeys(log, each); … analysis.finish(each);
import type { Crypto } from "../wireguard/crypto.ts";
import { type Facts, FactsCollector } from "./facts.ts";
import { type KeyLog, KeyLogReader } from "./keylog.ts";
import { type CapturedPacket, type CaptureEvent, type SecretsBlock, SECRETS_WIREGUARD } from "./packet.ts";
import { Secrets } from "./secrets.ts";
import type { Session } from "./session.ts";
import { type TrackedPacket, Tracker } from "./tracker.ts";
import { fromUtf8 } from "../base/bytes.ts";

export type AnalysisOptions = {
  readonly crypto: Crypto;
  /** Key logs from elsewhere; they go before those in the capture. */
  readonly logs?: readonly KeyLog[];
  /** Names and public keys that are known beforehand: called once, before the first packet. */
  readonly prepare?: (secrets: Secrets) => void;
  /** One pass over a capture that has no end: the oldest sessions are forgotten, and only so much of what no key opens is kept for keys to come. */
  readonly live?: boolean;
  /** "count": sessions are followed and counted, no data is opened. @default "open" */
  readonly data?: "open" | "count";
  readonly vxlanPorts?: readonly number[];
  readonly genevePorts?: readonly number[];
};

/**
 * Takes a packet, in the order of the capture. The packet, and what was opened of it, share memory that is used again: what is kept longer than the call
 * is to be copied. `false` ends the analysis.
 */
export type EachPacket = (t: TrackedPacket) => boolean | void;

/** The events of a capture in runs, as a reader yields them, from the beginning at every call. */
export type Source = () => AsyncIterable<readonly CaptureEvent[]>;

/** Both passes over a capture. Throws what the source throws. */
export async function analyse(source: Source, options: AnalysisOptions, each?: EachPacket): Promise<Analysis> {
  const analysis = new Analysis(options);
  for await (const events of source()) analysis.learn(events);
  for await (const events of source()) if (!analysis.open(events, each)) break;
  analysis.finish(each);
  return analysis;
}

/** Handshake messages that the first pass keeps; each has at most 148 bytes. */
const MAX_HANDSHAKES = 131_072;

export class Analysis {
  readonly secrets: Secrets;
  /** What stands in the capture beside packets. Of a file: whole after the first pass. */
  readonly facts: Facts;
  readonly #facts = new FactsCollector();
  readonly #keys = new KeyLogReader();
  readonly #tracker: Tracker;
  #handshakes: CapturedPacket[] = [];
  #pass: 1 | 2 = 1;
  #stopped = false;

  constructor(options: AnalysisOptions) {
    this.secrets = new Secrets(options.crypto);
    this.facts = this.#facts;
    for (const log of options.logs ?? []) this.secrets.add(log);
    options.prepare?.(this.secrets);
    this.#tracker = new Tracker(options.crypto, this.secrets, { ...options, keep: false });
    if (options.live) this.#pass = 2;
  }

  /** In the order of their first sight. */
  get sessions(): readonly Session[] {
    return this.#tracker.sessions;
  }
  /** IP fragments whose company is not in the capture. */
  get fragments(): number {
    return this.#tracker.fragments;
  }
  /** Sessions beyond the limit, which are not followed. */
  get untracked(): number {
    return this.#tracker.untracked;
  }
  /** What is odd in the key blocks of the capture. */
  get keyProblems(): KeyLog["problems"] {
    return this.#keys.log.problems;
  }

  /** First pass: keys, names and handshakes. Call for all events before the first open(). */
  learn(events: Iterable<CaptureEvent>): void {
    for (const e of events) {
      this.#facts.add(e);
      if (e.kind === "secrets") this.#secret(e.secrets);
      else if (e.kind === "packet" && this.#handshakes.length < MAX_HANDSHAKES && this.#tracker.isHandshake(e.packet))
        this.#handshakes.push({ ...e.packet, data: new Uint8Array(e.packet.data) });
    }
  }

  /** Second pass, or the only one of a live capture: each packet to the callback. False when the callback ended it. */
  open(events: Iterable<CaptureEvent>, each?: EachPacket): boolean {
    this.#learned();
    for (const e of events) {
      if (this.#stopped) break;
      if (e.kind === "packet") {
        if (this.#tracker.options.live) this.#facts.add(e);
        if (each?.(this.#tracker.add(e.packet)) === false) this.#stopped = true;
      } else if (this.#tracker.options.live) {
        this.#facts.add(e);
        if (e.kind === "secrets") this.#secret(e.secrets);
      }
    }
    return !this.#stopped;
  }

  /** Keys that come while a capture is live; packets that they open, of those that are still kept, go to the callback once more, opened. */
  addKeys(log: KeyLog, _each?: EachPacket): void {
    this.secrets.add(log);
  }

  /** Call after the last packet. */
  finish(_each?: EachPacket): void {
    this.#learned();
    this.#tracker.finish();
  }

  #secret(block: SecretsBlock): void {
    if (block.type !== SECRETS_WIREGUARD) return;
    const reader = this.#keys;
    reader.add(fromUtf8(block.data));
  }
  #learned(): void {
    if (this.#pass === 2) return;
    this.#pass = 2;
    this.secrets.add(this.#keys.log);
    for (const p of this.#handshakes) this.#tracker.learn(p);
    this.#handshakes = [];
  }
}
