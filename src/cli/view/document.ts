// The capture that is viewed: bytes come in, an index and the sessions are kept, packets are read again when they are to be seen.
import { Analysis, type AnalysisOptions } from "../../capture/analysis.ts";
import { type DisplayFilter, displayFilter } from "../../capture/display/index.ts";
import { type Context, Dissector } from "../../capture/dissect.ts";
import type { Labels } from "../../capture/fields/scope.ts";
import type { Facts } from "../../capture/facts.ts";
import { type KeyLog, type KeyLogProblem, keyLogOf, parseKeyLog } from "../../capture/keylog.ts";
import { classOf, type PacketClass } from "../../capture/packetclass.ts";
import { PacketIndex } from "../../capture/packetindex.ts";
import type { CapturedPacket, CaptureEvent } from "../../capture/packet.ts";
import { CaptureReader } from "../../capture/reader.ts";
import type { Secrets } from "../../capture/secrets.ts";
import type { Session } from "../../capture/session.ts";
import type { EachPacket } from "../../capture/tracker.ts";
import type { TrackedPacket } from "../../capture/tracked.ts";
import { formatIp } from "../../base/ip.ts";
import { Look } from "./look.ts";
import { Marks } from "../../capture/marks.ts";
import type { ByteStore } from "./store.ts";
import { type Filter, Matches, type Progress, type Rates, type World } from "./world.ts";

export type DocumentOptions = Omit<AnalysisOptions, "data"> & {
  readonly name: string;
  readonly store: ByteStore;
  readonly salvage?: boolean;
  readonly labels?: Labels;
  readonly isPod?: (ip: Uint8Array) => boolean;
  /** Odd lines of key files. */
  readonly problems?: readonly KeyLogProblem[];
};

/** Packets that were looked at last: more than any screen has rows. */
const MAX_LOOKS = 512;
/** How far before its last fragment the first one of an IP packet is looked for, in packets. */
const FRAGMENTS_WITHIN = 256;

export class CaptureDocument implements World {
  readonly name: string;
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
  #filter: { text: string; test: DisplayFilter["test"]; dissector: Dissector; matches: Matches; done: number; stopped: boolean } | undefined;
  progress: Progress | undefined;
  rates: Rates | undefined;
  dropped: number | undefined;

  constructor(options: DocumentOptions) {
    this.name = options.name;
    this.#options = options;
    this.#analysis = new Analysis(options);
    this.#index = new PacketIndex(options.store.read);
    this.#learner = new CaptureReader({ salvage: options.salvage ?? false });
    this.#reader = new CaptureReader({ salvage: options.salvage ?? false });
  }

  get length(): number {
    return this.#index.length;
  }
  get facts(): Facts {
    return this.#analysis.facts;
  }
  get sessions(): readonly Session[] {
    return this.#analysis.sessions;
  }
  get secrets(): Secrets {
    return this.#analysis.secrets;
  }
  get problems(): readonly KeyLogProblem[] {
    return [...(this.#options.problems ?? []), ...this.#analysis.keyProblems];
  }
  get marks(): Marks {
    return this.#marks;
  }
  get filter(): Filter | undefined {
    return this.#filter;
  }
  classOf(i: number): PacketClass {
    return this.#index.classOf(i);
  }
  time(i: number): bigint | undefined {
    return this.#index.time(i);
  }

  /** First pass over a file, piece by piece: keys and handshakes. Without it, as on a live capture, keys open what comes after them. */
  learn(chunk: Uint8Array): void {
    this.#analysis.learn(this.#learner.push(chunk));
  }
  /** `why`: the file could not be read to its end. */
  learned(why?: string): void {
    this.#analysis.learn(why === undefined ? this.#learner.end() : this.#learner.broken(why));
  }
  /** Second pass, or the only one. */
  open(chunk: Uint8Array): void {
    const events = this.#reader.push(chunk);
    this.#index.add(events);
    if (this.#grows) this.#analysis.learn(events);
    this.#analysis.open(events, this.#each);
    if (this.#grows && events.some((e) => e.kind === "secrets")) this.addKeys(keyLogOf(secretsIn(events)) ?? parseKeyLog(""));
  }
  opened(): void {
    this.#analysis.end();
    this.#grows = !this.#options.live;
  }
  addKeys(log: KeyLog): void {
    this.#analysis.addKeys(log, this.#each);
    this.#looks.clear();
  }
  readonly #each: EachPacket = (t) => {
    this.#index.classify(t.packet.number - 1, classOf(t, this.#options.isPod), t.isPut);
    this.#marks.note(t);
  };

  look(i: number): Look {
    const known = this.#looks.get(i);
    if (known) return known;
    const look = new Look(this.#tracked(i), this.#context(i));
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
    const { test, flows } = displayFilter(text);
    const { names, format } = this.facts;
    const { labels } = this.#options;
    const dissector = new Dissector({ secrets: this.secrets, flows, names, pcapng: format === "pcapng", ...(labels ? { labels } : {}) });
    this.#filter = { text, test, dissector, matches: new Matches(), done: 0, stopped: false };
  }
  stopSearch(): void {
    if (this.#filter) this.#filter.stopped = true;
  }
  /** Searches on for about `ms`. False when there is nothing to do. */
  searchOn(ms: number): boolean {
    const filter = this.#filter;
    if (!filter || filter.stopped || filter.done >= this.length) return false;
    const end = performance.now() + ms;
    for (; filter.done < this.length; filter.done++) {
      if (filter.done % 16 === 0 && performance.now() > end) break;
      const d = filter.dissector.add(this.#tracked(filter.done));
      if (!filter.test(d)) continue;
      filter.dissector.show(d);
      filter.matches.push(filter.done);
    }
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
