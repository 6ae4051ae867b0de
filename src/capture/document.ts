// A capture to look around in: bytes come in, an index and the sessions are kept, packets are read again when they are to be seen (section 8.4).
//
//   const document = new CaptureDocument({ crypto, read: windowed(bytesOfFile) });
//   for await (const piece of file) document.learn(piece);
//   document.learned();
//   for await (const piece of file) document.open(piece);
//   document.opened();
//   document.look(41).tree; document.sessions; document.search("icmp"); while (document.searchOn(enough)) …;
//
// It is for who shows a capture: `tortie view` on a terminal, a page in a browser. Who wants each packet once uses analyse().
import { Analysis, type AnalysisOptions } from "./analysis.ts";
import { displayFilter } from "./display/index.ts";
import { type Context, Dissector } from "./dissect.ts";
import type { Labels } from "./fields/scope.ts";
import type { Facts } from "./facts.ts";
import { type KeyLog, type KeyLogProblem, keyLogOf, parseKeyLog } from "./keylog.ts";
import { classOf, type PacketClass } from "./packetclass.ts";
import { PacketIndex, type ReadBytes } from "./packetindex.ts";
import type { CapturedPacket, CaptureEvent } from "./packet.ts";
import { CaptureReader } from "./reader.ts";
import type { Secrets } from "./secrets.ts";
import type { Session } from "./session.ts";
import type { EachPacket } from "./tracker.ts";
import type { TrackedPacket } from "./tracked.ts";
import { formatIp } from "../base/ip.ts";
import { Look } from "./look.ts";
import { Marks } from "./marks.ts";
import { Matches, type Search } from "./matches.ts";
import { looksInside, Scan } from "./scan.ts";

/** What a CaptureDocument works with. */
export type DocumentOptions = Omit<AnalysisOptions, "data"> & {
  /** The bytes that learn() and open() are given, at any place: windowed() makes of it what single packets are read from fast. */
  readonly read: ReadBytes;
  /** After damage go on at the next block or record that is whole. @default false */
  readonly salvage?: boolean;
  /** Names of pods and nodes, for filters and trees. */
  readonly labels?: Labels;
  /** Whether an address is a pod's: its packets outside of a tunnel are of the class "plaintext". */
  readonly isPod?: (ip: Uint8Array) => boolean;
  /** Is given each packet once, in its turn, while the capture is opened: for conversations and the like. What it answers does not matter. */
  readonly each?: EachPacket;
};

/** Packets that were looked at last: more than any screen has rows. */
const MAX_LOOKS = 512;
/** How far before its last fragment the first one of an IP packet is looked for, in packets. */
const FRAGMENTS_WITHIN = 256;

/** A capture whose packets are had by number, from 0, in any order. Memory: 18 bytes a packet, and the sessions. */
export class CaptureDocument {
  readonly #options: DocumentOptions;
  readonly #analysis: Analysis;
  readonly #index: PacketIndex;
  readonly #marks = new Marks();
  readonly #learner: CaptureReader;
  readonly #reader: CaptureReader;
  readonly #looks = new Map<number, Look>();
  /** The first pass is over: what comes now is new to the file. */
  #grows = false;
  #names: ReadonlyMap<string, string> | undefined;
  #named = 0;
  /** Of the capture that open() took. */
  #bytes = 0;
  #filter: (Search & { readonly scan: Scan; readonly looksInside: boolean; isStale: boolean }) | undefined;

  constructor(options: DocumentOptions) {
    this.#options = options;
    this.#analysis = new Analysis(options);
    this.#index = new PacketIndex(options.read);
    this.#learner = new CaptureReader({ salvage: options.salvage ?? false });
    this.#reader = new CaptureReader({ salvage: options.salvage ?? false });
  }

  /** Packets so far. */
  get length(): number {
    return this.#index.length;
  }
  /** What stands beside the packets: interfaces, names, counters, damage. */
  get facts(): Facts {
    return this.#analysis.facts;
  }
  /** By their number. */
  get sessions(): readonly Session[] {
    return this.#analysis.sessions;
  }
  /** All keys at hand: for examine(). */
  get secrets(): Secrets {
    return this.#analysis.secrets;
  }
  /** Odd lines of key logs, those given and those in the capture. */
  get problems(): readonly KeyLogProblem[] {
    return [...(this.#options.logs ?? []).flatMap((log) => log.problems), ...this.#analysis.keyProblems];
  }
  /** For a timeline: handshakes, cookies, keepalives, gaps, by session. */
  get marks(): Marks {
    return this.#marks;
  }
  /** The filter at work, and what it has found so far. */
  get filter(): Search | undefined {
    return this.#filter;
  }
  /** To colour it by. */
  classOf(i: number): PacketClass {
    return this.#index.classOf(i);
  }
  /** Nanoseconds since 1970. */
  time(i: number): bigint | undefined {
    return this.#index.time(i);
  }

  /** First pass over a file, piece by piece: keys and handshakes. Without it, as on a live capture, keys open what comes after them. */
  learn(chunk: Uint8Array): void {
    this.#analysis.learn(this.#learner.push(chunk));
  }
  /** The end of the first pass. `why`: the file could not be read to its end. */
  learned(why?: string): void {
    this.#analysis.learn(why === undefined ? this.#learner.end() : this.#learner.broken(why));
  }
  /** Second pass, or the only one; packets can be looked at from now on. */
  open(chunk: Uint8Array): void {
    const events = this.#reader.push(chunk);
    this.#bytes += chunk.length;
    this.#index.add(events);
    if (this.#grows) this.#analysis.learn(events);
    this.#analysis.open(events, this.#each);
    if (this.#grows && events.some((e) => e.kind === "secrets")) this.addKeys(keyLogOf(secretsIn(events)) ?? parseKeyLog(""));
  }
  /** The end of the second pass. A file that grows may be given to open() on. */
  opened(): void {
    this.#analysis.end();
    this.#grows = !this.#options.live;
  }
  /** More keys: they open what comes, what is looked at from now on, and the last packets that waited for them. */
  addKeys(log: KeyLog): void {
    this.#analysis.addKeys(log, this.#each);
    this.#looks.clear();
    if (this.#filter) this.#filter.isStale = this.#filter.looksInside;
  }
  readonly #each: EachPacket = (t) => {
    this.#index.classify(t.packet.number - 1, classOf(t, this.#options.isPod), t.isPut);
    this.#marks.note(t);
    this.#options.each?.(t);
  };

  /** The packet, read again. Throws RangeError beyond `length`; of a file that was changed the packet is empty, and says so. */
  look(i: number): Look {
    const known = this.#looks.get(i);
    if (known) return known;
    const look = new Look(this.#tracked(i), this.#context(i));
    // Keys that came since its turn may have opened it.
    this.#index.classify(i, classOf(look.tracked, this.#options.isPod), look.tracked.isPut);
    this.#looks.set(i, look);
    if (this.#looks.size > MAX_LOOKS) this.#looks.delete(this.#looks.keys().next().value!);
    return look;
  }
  #tracked(i: number): TrackedPacket {
    const packet = this.#index.packet(i) ?? missing(i);
    const before: CapturedPacket[] = [];
    if (this.#index.isPut(i)) for (let j = Math.max(0, i - FRAGMENTS_WITHIN); j < i; j++) before.push(this.#index.packet(j) ?? missing(j));
    return this.#analysis.look(packet, before);
  }
  /** What a packet is seen beside: the one before it, names, keys. */
  #context(i: number): Context {
    const { names, format, first } = this.facts;
    if (names.length !== this.#named) {
      this.#named = names.length;
      this.#names = new Map(names.filter((n) => n.names.length > 0).map((n) => [formatIp(n.ip), n.names[0]!]));
    }
    const previous = i > 0 ? this.time(i - 1) : undefined;
    const section = format === "pcapng" ? 1 : undefined;
    return { secrets: this.secrets, first, previous, shown: previous, section, names: this.#names, labels: this.#options.labels };
  }

  /** The filter that is searched for from now on; an empty one shows everything. Throws TortieError. */
  search(text: string): void {
    this.#filter = undefined;
    if (text === "") return;
    const { test, flows, fields } = displayFilter(text);
    const { names, format } = this.facts;
    const { labels } = this.#options;
    const dissector = new Dissector({ secrets: this.secrets, flows, names, pcapng: format === "pcapng", ...(labels ? { labels } : {}) });
    const matches = new Matches();
    const inside = looksInside(fields);
    const scan = this.walk(inside, (t) => {
      const d = dissector.add(t);
      if (!test(d)) return;
      dissector.show(d);
      matches.push(t.packet.number - 1);
    });
    this.#filter = {
      text,
      matches,
      scan,
      looksInside: inside,
      isStale: false,
      get done() {
        return scan.done;
      },
      get stopped() {
        return scan.stopped;
      },
    };
  }
  stopSearch(): void {
    if (this.#filter) this.#filter.scan.stopped = true;
  }
  /** All packets from the first one on, to `each` in their order, as scan.on() is called; also those that come later. `opens`: what keys open is opened. */
  walk(opens: boolean, each: (t: TrackedPacket) => void): Scan {
    return new Scan(this.#options.read, () => this.#bytes, this.#analysis.rescan(opens), this.#options.salvage ?? false, each);
  }
  /** Searches on until `enough` says so, which is asked now and then. False when there is nothing to do. */
  searchOn(enough: () => boolean = () => false): boolean {
    const filter = this.#filter;
    if (!filter) return false;
    if (filter.scan.on(enough)) return true;
    // Keys came: more may match. Not before it is through, or keys that come often would never let it be.
    if (!filter.isStale || filter.stopped) return false;
    this.search(filter.text);
    return true;
  }
}

const secretsIn = (events: readonly CaptureEvent[]): { type: number; data: Uint8Array }[] =>
  events.flatMap((e) => (e.kind === "secrets" ? [e.secrets] : []));

/** What stands for a packet whose bytes are gone. */
const missing = (i: number): CapturedPacket => ({
  number: i + 1,
  iface: { id: 0, link: 1, snaplen: 0, fcsLength: 0, comments: [] },
  time: undefined,
  data: new Uint8Array(),
  originalLength: 0,
  comments: ["The file was changed since it was opened: this packet is no longer there"],
});
