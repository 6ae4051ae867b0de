// A capture of several link types is written as several files, one a link type, since libpcap opens no other (section 4.5); the same for snap lengths, of
// which each file says the largest. Wireshark opens them together, merged by time.
import { linkName } from "../packet/link.ts";
import { type CaptureInterface, type CaptureStatistics, MAX_PACKET, type NameRecord, type SecretsBlock, type SectionTexts } from "./packet.ts";
import { type CaptureWriter, type NewPacket, PcapngWriter, type Sink } from "./writer.ts";

/** What stands before the packets, in each of the files. */
export type Front = SectionTexts & {
  /** All that there are. Their numbers are those of packets and counters below. */
  readonly interfaces: readonly CaptureInterface[];
  readonly secrets?: readonly SecretsBlock[];
  readonly names?: readonly NameRecord[];
};

/** Gives where a file goes. The suffix is "" for the first one, "-raw" or the like for the others. */
export type OpenFile = (suffix: string) => Sink;

/** "-linux-sll2". */
const suffixOf = (link: number): string => `-${linkName(link).toLowerCase().replaceAll("_", "-")}`;

type Place = { readonly writer: PcapngWriter; readonly iface: number };

export class ByLink implements CaptureWriter {
  readonly #places = new Map<number, Place>();

  /** Opens the files and writes what stands before the packets. `together`: one file all the same, for where there can be but one. */
  constructor(open: OpenFile, front: Front, options: { together?: boolean } = {}) {
    const links = [...new Set(front.interfaces.map((i) => i.link))];
    if (options.together || links.length === 0) this.#begin(open(""), front, front.interfaces);
    else
      for (const [n, link] of links.entries()) {
        const interfaces = front.interfaces.filter((i) => i.link === link);
        const snaplen = Math.max(...interfaces.map((i) => (i.snaplen === 0 ? MAX_PACKET : i.snaplen)));
        this.#begin(
          open(n === 0 ? "" : suffixOf(link)),
          front,
          interfaces.map((i) => ({ ...i, snaplen })),
        );
      }
  }

  #begin(sink: Sink, front: Front, interfaces: readonly CaptureInterface[]): void {
    const writer = new PcapngWriter(sink, front);
    for (const s of front.secrets ?? []) writer.secrets(s);
    for (const i of interfaces) this.#places.set(i.id, { writer, iface: writer.addInterface(i) });
    if (front.names && front.names.length > 0) writer.names(front.names);
  }

  /** A packet of an interface that was not among them goes nowhere. */
  packet(iface: number, p: NewPacket): void {
    const place = this.#places.get(iface);
    place?.writer.packet(place.iface, p);
  }
  statistics(s: CaptureStatistics): void {
    const place = this.#places.get(s.iface.id);
    place?.writer.statistics(place.iface, s.time ?? 0n, s);
  }
}
