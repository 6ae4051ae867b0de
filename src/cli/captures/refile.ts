// A capture file written again, as far as a filter lets it through: `tortie capture -r FILE -w OUT`, and what tcpdump calls -r and -w. Each link type has files
// of its own, since libpcap opens none of two; in each of them the files go on as -C, -G and -W say.
import { TortieError } from "../../base/errors.ts";
import { many } from "../../base/text.ts";
import { suffixOf } from "../../capture/bylink.ts";
import { packetFilter } from "../../capture/filter/index.ts";
import type { CapturedPacket, CaptureInterface, CaptureStatistics, Damage, NameRecord, SecretsBlock } from "../../capture/packet.ts";
import { type CaptureWriter, PcapngWriter, PcapWriter } from "../../capture/writer.ts";
import { linkName } from "../../packet/link.ts";
import { readEvents } from "./file.ts";
import { OutputFile, refuseSame } from "./output.ts";
import { suffixed } from "./outputs.ts";
import { Rotation, type RotationOptions } from "./rotation.ts";

export type RefileOptions = {
  readonly from: string;
  /** "-" is standard output. */
  readonly to: string;
  readonly format: "pcap" | "pcapng";
  readonly filter: string;
  /** Bytes kept of a packet. */
  readonly snaplen: number;
  /** Packets written at most. */
  readonly count?: number | undefined;
  readonly rotation?: RotationOptions;
  /** Of a pcap. @default as precise as what is read */
  readonly nanoseconds?: boolean;
  /** Told each link type that there is. */
  readonly link?: (iface: CaptureInterface) => void;
};
export type Refiled = { readonly packets: number; readonly files: readonly string[]; readonly keys: boolean; readonly damage: readonly Damage[] };

/** Bytes that a block has beside its packet, about. */
const BLOCK_BYTES = 60;

/** Throws TortieError: for what makes no sense together, before anything is written. */
export async function refile(o: RefileOptions): Promise<Refiled> {
  await refuseSame(o.from, o.to);
  if (o.to === "-" && o.format === "pcap") await refuseSeveral(o.from);
  const known: Known = { nanoseconds: o.nanoseconds ?? false, interfaces: [], secrets: [], names: [], statistics: [] };
  const series = new Map<number, Series>();
  const filters = new Map<number, (data: Uint8Array, length: number) => boolean>();
  const damage: Damage[] = [];
  const files: string[] = [];
  const of = (link: number): Series => {
    // All in one where there can be but one; pcapng holds several link types.
    const key = o.to === "-" ? 0 : link;
    const made = series.get(key);
    if (made) return made;
    const name = series.size === 0 ? o.to : suffixed(o.to, suffixOf(link));
    const one = new Series(name, o.to === "-" ? undefined : link, known, o, (path) => files.push(path));
    series.set(key, one);
    return one;
  };
  new Rotation(o.to, o.rotation ?? {});
  let packets = 0;
  try {
    reading: for await (const events of readEvents(o.from, { progress: false })) {
      for (const e of events) {
        if (e.kind === "section") known.nanoseconds = o.nanoseconds ?? e.format !== "pcap";
        else if (e.kind === "damage") damage.push(e.damage);
        else if (e.kind === "secrets") tell(known.secrets, { ...e.secrets, data: e.secrets.data.slice() }, (w, s) => w.secrets(s));
        else if (e.kind === "names") tell(known.names, e.names, (w, n) => w.names(n));
        else if (e.kind === "statistics") known.statistics.push(e.statistics);
        else if (e.kind === "interface") {
          const { link } = e.iface;
          if (!filters.has(link)) {
            filters.set(link, o.filter === "" ? () => true : packetFilter(o.filter, link));
            o.link?.(e.iface);
          }
          known.interfaces.push(e.iface);
        } else if (e.kind === "packet") {
          const p = e.packet;
          if (!filters.get(p.iface.link)!(p.data, p.originalLength) || !of(p.iface.link).packet(p)) continue;
          if (++packets === o.count) break reading;
        }
      }
    }
    // A file of no packet is one that tcpdump opens.
    const [first] = known.interfaces;
    if (first && series.size === 0) of(first.link).begin(0);
    for (const s of series.values()) s.end();
  } finally {
    for (const s of series.values()) s.close();
  }
  return { packets, files, keys: o.format === "pcapng" && known.secrets.length > 0, damage };

  function tell<T>(list: T[], one: T, write: (writer: PcapngWriter, one: T) => void): void {
    list.push(one);
    for (const s of series.values()) s.tell((w) => write(w, one));
  }
}

/** What each file says in front of its packets. */
type Known = {
  nanoseconds: boolean;
  readonly interfaces: CaptureInterface[];
  readonly secrets: SecretsBlock[];
  readonly names: (readonly NameRecord[])[];
  readonly statistics: CaptureStatistics[];
};

/** The files of one link type (undefined: of all), one after the other. */
class Series {
  readonly #link: number | undefined;
  readonly #known: Known;
  readonly #o: RefileOptions;
  readonly #opened: (path: string) => void;
  readonly #rotation: Rotation;
  #file: OutputFile | undefined;
  #writer: CaptureWriter | undefined;
  /** Numbers of interfaces in this file, by those in what is read. */
  readonly #numbers = new Map<CaptureInterface, number>();
  #done = false;

  constructor(name: string, link: number | undefined, known: Known, o: RefileOptions, opened: (path: string) => void) {
    this.#link = link;
    this.#known = known;
    this.#o = o;
    this.#opened = opened;
    this.#rotation = new Rotation(name, o.rotation ?? {});
  }

  /** False when there are files enough. */
  packet(p: CapturedPacket): boolean {
    const data = p.data.subarray(0, this.#o.snaplen);
    const now = Number((p.time ?? 0n) / 1_000_000n);
    if (this.#done) return false;
    if (!this.#file || (this.#rotation.rotates && this.#rotation.full(this.#file.size, data.length + BLOCK_BYTES, now))) this.begin(now);
    if (this.#done) return false;
    const { time, originalLength, comments, flags, direction, dropped, details } = p;
    this.#writer!.packet(this.#numberOf(p.iface), { data, time, originalLength, comments, flags, direction, dropped, details });
    return true;
  }

  /** The next file. `now`: ms since 1970, by the packets' clock. */
  begin(now: number): void {
    this.close();
    const path = this.#rotation.next(now);
    this.#done = path === undefined;
    if (path === undefined) return;
    this.#file = new OutputFile(path, { atomic: this.#rotation.rotates });
    this.#opened(path);
    const { write } = this.#file;
    const { snaplen, format } = this.#o;
    const { interfaces, nanoseconds, secrets, names } = this.#known;
    const own = interfaces.filter((i) => this.#link === undefined || i.link === this.#link);
    if (format === "pcap") {
      const { link, fcsLength } = own[0]!;
      this.#writer = new PcapWriter(write, { link, snaplen, nanoseconds, fcsLength });
      return;
    }
    const writer = new PcapngWriter(write);
    this.#writer = writer;
    this.#numbers.clear();
    for (const i of own) this.#numberOf(i);
    for (const s of secrets) writer.secrets(s);
    for (const n of names) writer.names(n);
  }
  tell(write: (writer: PcapngWriter) => void): void {
    if (this.#writer instanceof PcapngWriter) write(this.#writer);
  }

  /** libpcap opens no file whose interfaces have different snap lengths. */
  #numberOf(i: CaptureInterface): number {
    if (!(this.#writer instanceof PcapngWriter)) return 0;
    const known = this.#numbers.get(i);
    if (known !== undefined) return known;
    const number = this.#writer.addInterface({ ...i, snaplen: this.#o.snaplen });
    this.#numbers.set(i, number);
    return number;
  }

  /** Counters of the interfaces, which stand last. */
  end(): void {
    for (const s of this.#known.statistics) {
      const number = this.#numbers.get(s.iface);
      if (number !== undefined) this.tell((w) => w.statistics(number, s.time ?? 0n, s));
    }
  }
  close(): void {
    this.#file?.close();
    this.#file = this.#writer = undefined;
  }
}

async function refuseSeveral(path: string): Promise<void> {
  const links = new Set<number>();
  for await (const events of readEvents(path, { progress: false })) for (const e of events) if (e.kind === "interface") links.add(e.iface.link);
  if (links.size > 1)
    throw new TortieError(`Cannot write packets of ${many(links.size, "link type")} (${[...links].map(linkName).join(", ")}) into one pcap`, {
      hint: "pcapng holds them, or -w FILE: each link type has a file of its own then.",
    });
}
