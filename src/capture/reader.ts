// Reads a capture that comes in pieces: finds out the format by its first bytes (never by the name), then hands on to pcap.ts or pcapng.ts.
// Never throws on what is in the file: damage is an event, and what was read before it stays read (specs: rule "a damaged file gives what could be read").
import { concat } from "../base/bytes.ts";
import { Findings, type Format } from "./format.ts";
import { formatOf } from "./magic.ts";
import type {
  CaptureEvent,
  CapturedPacket,
  CaptureFormat,
  CaptureInterface,
  CaptureStatistics,
  Damage,
  NameRecord,
  Note,
  SecretsBlock,
} from "./packet.ts";

/** How damage is taken. */
export type ReaderOptions = {
  /** Go on after damage at the next block or record that looks sound. @default false */
  salvage?: boolean;
  /** false: packets are counted and passed over, for who asks only what else a file holds. @default true */
  packets?: boolean;
};

const MAGIC = 4;
/** What is damaged when it is not the capture but what it is packed into. */
export const CONTAINER = "container";

/** Reads a capture piece by piece: push() and end() answer with events. Never throws on what is in the file. */
export class CaptureReader {
  readonly #salvage: boolean;
  readonly #found: Findings;
  #format: Format | undefined;
  /** Copies of what was not enough to go on with. */
  #pending: Uint8Array[] = [];
  #have = 0;
  /** Of the next byte to read. */
  #offset = 0;
  #stopped = false;

  constructor(options: ReaderOptions = {}) {
    this.#salvage = options.salvage ?? false;
    this.#found = new Findings(options.packets ?? true);
  }

  /** True after damage that ended the reading: more bytes change nothing. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** What the next bytes of the file say. Packets share memory with the chunk, which must not change as long as they are used. */
  push(chunk: Uint8Array): CaptureEvent[] {
    // A plain view: what a Buffer's methods share and copy differs from what the rest of us expects of bytes.
    const bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
    let at = 0;
    // What began in an earlier chunk is joined with no more of this one than it needs, so that the rest is read where it stands.
    while (this.#have > 0 && !this.#stopped) {
      const missing = (this.#format?.need ?? MAGIC) - this.#have;
      this.#keep(bytes.subarray(at, at + missing));
      if (at + missing > bytes.length) return this.#found.take();
      at += missing;
      const joined = concat(...this.#pending);
      const left = joined.length - this.#read(joined, 0, false);
      const inChunk = left <= at;
      if (inChunk) at -= left;
      this.#pending = inChunk ? [] : [joined.subarray(joined.length - left)];
      this.#have = inChunk ? 0 : left;
    }
    if (!this.#stopped) this.#keep(bytes.subarray(this.#read(bytes, at, false)));
    return this.#found.take();
  }

  /** Call once, after the last push. */
  end(): CaptureEvent[] {
    if (!this.#stopped) this.#read(concat(...this.#pending), 0, true);
    return this.#close();
  }

  /** Call instead of end() when no more can be had of the file, and why: what is at hand is read, then there is a damage. */
  broken(reason: string): CaptureEvent[] {
    if (!this.#stopped) {
      this.#read(concat(...this.#pending), 0, false);
      this.#found.damage(this.#offset, CONTAINER, reason);
    }
    return this.#close();
  }

  #keep(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#pending.push(bytes.slice());
    this.#have += bytes.length;
  }

  #close(): CaptureEvent[] {
    this.#stopped = true;
    this.#pending = [];
    return this.#found.take();
  }

  /** Reads `bytes` from `at` on; gives where it stopped. */
  #read(bytes: Uint8Array, at: number, final: boolean): number {
    if (!this.#format) {
      if (bytes.length - at < MAGIC && !final) return at;
      const format = formatOf(bytes.subarray(at), this.#salvage);
      if (typeof format === "string") {
        this.#found.damage(0, "file header", format);
        this.#stopped = true;
        return bytes.length;
      }
      this.#format = format;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const end = this.#format.read({ bytes, view, base: this.#offset - at, final }, at, this.#found);
    this.#offset += end - at;
    this.#stopped = this.#format.stopped;
    return end;
  }
}

/** A whole capture in memory. */
export type CaptureFile = {
  readonly format: CaptureFormat | undefined;
  readonly interfaces: readonly CaptureInterface[];
  readonly packets: readonly CapturedPacket[];
  /** Secrets of the whole file, wherever they stand in it. */
  readonly secrets: readonly SecretsBlock[];
  /** Where each secrets block stands: the number of packets before it. */
  readonly secretsAfter: readonly number[];
  readonly names: readonly NameRecord[];
  readonly statistics: readonly CaptureStatistics[];
  readonly notes: readonly Note[];
  readonly damage: readonly Damage[];
};

/** Collects the events of a reader, or of several readers of one file. */
export function collect(events: Iterable<CaptureEvent>): CaptureFile {
  let format: CaptureFormat | undefined;
  const interfaces: CaptureInterface[] = [];
  const packets: CapturedPacket[] = [];
  const secrets: SecretsBlock[] = [];
  const secretsAfter: number[] = [];
  const names: NameRecord[] = [];
  const statistics: CaptureStatistics[] = [];
  const notes: Note[] = [];
  const damage: Damage[] = [];
  for (const e of events) {
    if (e.kind === "section") format ??= e.format;
    else if (e.kind === "interface") interfaces.push(e.iface);
    else if (e.kind === "packet") packets.push(e.packet);
    else if (e.kind === "secrets") {
      secrets.push(e.secrets);
      secretsAfter.push(packets.length);
    } else if (e.kind === "names") names.push(...e.names);
    else if (e.kind === "statistics") statistics.push(e.statistics);
    else if (e.kind === "note") notes.push(e.note);
    else damage.push(e.damage);
  }
  return { format, interfaces, packets, secrets, secretsAfter, names, statistics, notes, damage };
}

/** Reads bytes that are all at hand. */
export function readCapture(bytes: Uint8Array, options: ReaderOptions = {}): CaptureFile {
  const reader = new CaptureReader(options);
  const events = reader.push(bytes);
  return collect([...events, ...reader.end()]);
}
