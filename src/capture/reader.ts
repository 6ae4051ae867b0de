// Reads a capture that comes in pieces: finds out the format by its first bytes (never by the name), then hands on to pcap.ts or pcapng.ts.
// Never throws on what is in the file: damage is an event, and what was read before it stays read (specs: rule "a damaged file gives what could be read").
import { concat } from "../base/bytes.ts";
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
import type { Format } from "./format.ts";
import { pcapFormat } from "./pcap.ts";
import { pcapngFormat } from "./pcapng.ts";

export type ReaderOptions = {
  /** Go on after damage at the next block or record that looks sound. @default false */
  salvage?: boolean;
};

/** A file of nothing but oddities must not fill memory with words about them. */
const MAX_REMARKS = 1000;

const NAMED_MAGICS: Readonly<Record<number, string>> = {
  0xa12b3c4d: "a pcap variant of an experimental libpcap",
  0xa1b234cd: "pcap with the header of Kuznetsov's patch",
  0xa1b2c3cb: "AIX nanosecond pcap",
  0x1f8b: "gzip",
};

export class CaptureReader {
  readonly #salvage: boolean;
  #pending: Uint8Array[] = [];
  #have = 0;
  #need = 4;
  #offset = 0;
  #format: Format | undefined;
  #stopped = false;
  #remarks = 0;

  constructor(options: ReaderOptions = {}) {
    this.#salvage = options.salvage ?? false;
  }

  /** True after damage that ended the reading: more bytes change nothing. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** What the next bytes of the file say. Packets share memory with the chunk. */
  push(chunk: Uint8Array): CaptureEvent[] {
    if (this.#stopped) return [];
    // A plain view: what a Buffer's methods share and copy differs from what the rest of us expects of bytes.
    this.#pending.push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length));
    this.#have += chunk.length;
    return this.#have < this.#need ? [] : this.#run(false);
  }

  /** Call once, after the last push. */
  end(): CaptureEvent[] {
    return this.#stopped ? [] : this.#run(true);
  }

  #run(final: boolean): CaptureEvent[] {
    const events: CaptureEvent[] = [];
    const emit = (event: CaptureEvent): void => {
      if ((event.kind === "note" || event.kind === "damage") && ++this.#remarks > MAX_REMARKS) return;
      events.push(event);
    };
    const buffer = this.#pending.length === 1 ? this.#pending[0]! : concat(...this.#pending);
    let at = 0;
    while (!this.#stopped) {
      const left = buffer.length - at;
      if (!this.#format) {
        if (left < 4 && !final) {
          this.#need = 4;
          break;
        }
        this.#format = this.#sniff(buffer, emit);
        if (!this.#format) break;
      }
      if (final && left === 0) break;
      const step = this.#format.step(buffer, at, this.#offset, final, emit);
      if (step.kind === "stop") this.#stopped = true;
      else if (step.kind === "need") {
        this.#need = step.bytes;
        break;
      } else {
        at += step.bytes;
        this.#offset += step.bytes;
      }
    }
    if (this.#stopped || final) {
      this.#stopped = true;
      this.#pending = [];
    } else {
      const rest = buffer.subarray(at);
      this.#pending = rest.length > 0 ? [rest] : [];
      this.#have = rest.length;
    }
    return events;
  }

  #sniff(buffer: Uint8Array, emit: (event: CaptureEvent) => void): Format | undefined {
    const refuse = (reason: string): undefined => {
      emit({ kind: "damage", damage: { offset: 0, block: "file header", reason } });
      this.#stopped = true;
      return undefined;
    };
    if (buffer.length === 0) return refuse("empty file");
    if (buffer.length < 4) return refuse("not a capture file: shorter than any magic number");
    const v = new DataView(buffer.buffer, buffer.byteOffset, 4);
    const magic = v.getUint32(0);
    if (magic === 0x0a0d0d0a) return pcapngFormat(this.#salvage);
    for (const littleEndian of [false, true]) {
      const found = pcapFormat(v.getUint32(0, littleEndian), littleEndian, this.#salvage);
      if (found) return found;
    }
    const name = NAMED_MAGICS[magic] ?? NAMED_MAGICS[v.getUint32(0, true)] ?? NAMED_MAGICS[magic >>> 16];
    return refuse(
      name
        ? `${name} is not read here`
        : `not a capture file: it starts with ${magic.toString(16).padStart(8, "0")}, no magic number of pcap or pcapng`,
    );
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
