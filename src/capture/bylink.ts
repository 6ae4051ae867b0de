// A capture of several link types is written as several files, one a link type, since libpcap opens no other, nor one whose interfaces have different snap
// lengths (section 4.5). Wireshark opens them together, merged by time.
import { linkName } from "../packet/link.ts";
import { MAX_PACKET, type NameRecord, type SecretsBlock, type SectionTexts } from "./packet.ts";
import { type CaptureWriter, type NewInterface, type NewPacket, type NewStatistics, PcapngWriter, type Sink } from "./writer.ts";

/** Gives where a file goes. The suffix is "" for the first one, "-raw" or the like for the others. */
export type OpenFile = (suffix: string) => Sink;

export type ByLinkOptions = {
  /** What each file says of its origin. */
  readonly section?: SectionTexts;
  /** What each interface says of its snap length. @default the most that a packet can have */
  readonly snaplen?: number;
  /** One file with all the same, for where there can be but one. @default false */
  readonly together?: boolean;
};

/** What the name of a file with packets of this link type has in addition: "-linux-sll2". */
export const suffixOf = (link: number): string => `-${linkName(link).toLowerCase().replaceAll("_", "-")}`;

/** Used as a PcapngWriter is. Keys and names go into every file, also into those that begin later. */
export class ByLink implements CaptureWriter {
  readonly #open: OpenFile;
  readonly #options: ByLinkOptions;
  readonly #writers = new Map<number | undefined, PcapngWriter>();
  readonly #places: { readonly writer: PcapngWriter; readonly iface: number }[] = [];
  readonly #front: ((writer: PcapngWriter) => void)[] = [];

  /** Opens the first file at once, so that there is one whatever comes. */
  constructor(open: OpenFile, options: ByLinkOptions = {}) {
    this.#open = open;
    this.#options = options;
    this.#writers.set(undefined, new PcapngWriter(open(""), options.section));
  }

  addInterface(i: NewInterface): number {
    const writer = this.#writerOf(i.link);
    const iface = writer.addInterface({ ...i, snaplen: this.#options.snaplen || MAX_PACKET });
    return this.#places.push({ writer, iface }) - 1;
  }
  packet(iface: number, p: NewPacket): void {
    const place = this.#places[iface]!;
    place.writer.packet(place.iface, p);
  }
  secrets(s: SecretsBlock): void {
    this.#inAll((writer) => writer.secrets(s));
  }
  names(records: readonly NameRecord[]): void {
    this.#inAll((writer) => writer.names(records));
  }
  statistics(iface: number, time: bigint, s: NewStatistics): void {
    const place = this.#places[iface]!;
    place.writer.statistics(place.iface, time, s);
  }

  #inAll(write: (writer: PcapngWriter) => void): void {
    this.#front.push(write);
    for (const writer of new Set(this.#writers.values())) write(writer);
  }

  #writerOf(link: number): PcapngWriter {
    const known = this.#writers.get(link);
    if (known) return known;
    // The first link type has the file that is already open.
    const first = this.#writers.get(undefined)!;
    const writer = this.#options.together || this.#writers.size === 1 ? first : new PcapngWriter(this.#open(suffixOf(link)), this.#options.section);
    if (writer !== first) for (const write of this.#front) write(writer);
    this.#writers.set(link, writer);
    return writer;
  }
}
