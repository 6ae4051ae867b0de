// An index of a capture's packets: where each stands in the file, its time, its class; 18 bytes a packet. Any packet can be read again from there (section 8.4).
//
//   const index = new PacketIndex((offset, length) => bytesOfFile(offset, length));
//   for (const events of …) index.add(events);
//   index.packet(41);
//
// A packet is understood through what its section said before: a reader of its own is given the section's header and interfaces, then the packet's block.
import { concat } from "../base/bytes.ts";
import { type CapturedPacket, type CaptureEvent, type CaptureFormat, type CaptureInterface, MAX_BLOCK, MAX_PACKET } from "./packet.ts";
import { PACKET_CLASSES, type PacketClass } from "./packetclass.ts";
import { CaptureReader } from "./reader.ts";

/** Bytes of the file; fewer where it ends. They may be used until the next call. */
export type ReadBytes = (offset: number, length: number) => Uint8Array;

const PAGE = 1 << 16;
const PCAP_HEADER = 24;
/** The longest record header there is. */
const PCAP_RECORD = 24;
/** Stands for "no time": no capture is from 292 years before 1970. */
const NO_TIME = -(1n << 63n);
const PUT = 0x80;

type Page = { readonly offsets: Float64Array; readonly times: BigInt64Array; readonly classes: Uint8Array };
type Section = {
  readonly format: CaptureFormat;
  readonly littleEndian: boolean;
  readonly offset: number;
  /** Number of its first packet, from 0. */
  readonly first: number;
  readonly interfaces: CaptureInterface[];
  readonly offsets: number[];
};

/** Where each packet of a capture stands; packets are counted from 0. All methods throw RangeError for a packet that is not there, and what `read` throws. */
export class PacketIndex {
  readonly #read: ReadBytes;
  readonly #pages: Page[] = [];
  readonly #sections: Section[] = [];
  /** A reader that knows a section, and how many of its interfaces. */
  #primed: { readonly section: Section; readonly reader: CaptureReader; interfaces: number } | undefined;
  /** A pcap file's, which has one section. */
  #header: Uint8Array | undefined;
  /** Packets so far. */
  length = 0;

  constructor(read: ReadBytes) {
    this.#read = read;
  }

  /** Takes what a CaptureReader found, in the order of the file. */
  add(events: Iterable<CaptureEvent>): void {
    for (const e of events) {
      if (e.kind === "packet") this.#push(e.offset ?? 0, e.packet.time);
      else if (e.kind === "section") {
        const { format, littleEndian, offset = 0 } = e;
        this.#sections.push({ format, littleEndian, offset, first: this.length, interfaces: [], offsets: [] });
      } else if (e.kind === "interface") {
        const section = this.#sections.at(-1);
        section?.interfaces.push(e.iface);
        section?.offsets.push(e.offset ?? 0);
      }
    }
  }
  #push(offset: number, time: bigint | undefined): void {
    const at = this.length++ % PAGE;
    if (at === 0) this.#pages.push({ offsets: new Float64Array(PAGE), times: new BigInt64Array(PAGE), classes: new Uint8Array(PAGE) });
    const page = this.#pages.at(-1)!;
    page.offsets[at] = offset;
    page.times[at] = time ?? NO_TIME;
  }

  #page(i: number): Page {
    const page = i >= 0 && i < this.length ? this.#pages[Math.floor(i / PAGE)] : undefined;
    if (!page) throw new RangeError(`There is no packet ${i}: the index has ${this.length}`);
    return page;
  }
  /** Where the block or record of packet `i` begins; packets are counted from 0. */
  offset(i: number): number {
    return this.#page(i).offsets[i % PAGE]!;
  }
  /** Nanoseconds since 1970. */
  time(i: number): bigint | undefined {
    const time = this.#page(i).times[i % PAGE]!;
    return time === NO_TIME ? undefined : time;
  }
  /** As classify() was told; "other" before. */
  classOf(i: number): PacketClass {
    return PACKET_CLASSES[this.#page(i).classes[i % PAGE]! & ~PUT]!;
  }
  /** True when fragments before it are needed to make sense of it. */
  isPut(i: number): boolean {
    return (this.#page(i).classes[i % PAGE]! & PUT) !== 0;
  }
  /** Notes what a packet is. `put`: fragments before it are needed to make sense of it. */
  classify(i: number, c: PacketClass, put = false): void {
    this.#page(i).classes[i % PAGE] = PACKET_CLASSES.indexOf(c) | (put ? PUT : 0);
  }

  /** The packet, read again; in memory of its own. undefined when it is no longer there: the file was changed. */
  packet(i: number): CapturedPacket | undefined {
    const offset = this.offset(i);
    const section = this.#sectionOf(i);
    if (!section) return undefined;
    const found = section.format === "pcapng" ? this.#fromBlock(section, offset) : this.#fromRecord(section, offset);
    // Numbers of packets and interfaces count through the whole file; a comparison by place, as its reader knows one section.
    const iface = found && section.interfaces[found.iface.id];
    return found && iface && withPlace(found, i + 1, iface);
  }

  #sectionOf(i: number): Section | undefined {
    let [low, high] = [0, this.#sections.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#sections[middle]!.first <= i) low = middle + 1;
      else high = middle;
    }
    return this.#sections[low - 1];
  }

  #fromRecord(section: Section, offset: number): CapturedPacket | undefined {
    const header = (this.#header ??= this.#read(section.offset, PCAP_HEADER).slice());
    const head = this.#read(offset, PCAP_RECORD).slice();
    const lengths = new DataView(head.buffer, 0, head.length);
    if (head.length < 16) return undefined;
    // Old files have the two lengths in the other order: the larger one is enough, and what follows the record is no matter.
    const length = Math.max(lengths.getUint32(8, section.littleEndian), lengths.getUint32(12, section.littleEndian));
    const bytes = this.#read(offset, PCAP_RECORD + Math.min(length, MAX_PACKET)).slice();
    return packetIn(new CaptureReader({ salvage: true }).push(concat(header, bytes)));
  }

  #fromBlock(section: Section, offset: number): CapturedPacket | undefined {
    if (this.#primed?.section !== section) {
      const reader = new CaptureReader({ salvage: true });
      reader.push(this.#block(section, section.offset));
      this.#primed = { section, reader, interfaces: 0 };
    }
    const primed = this.#primed;
    for (; primed.interfaces < section.offsets.length; primed.interfaces++)
      primed.reader.push(this.#block(section, section.offsets[primed.interfaces]!));
    const packet = packetIn(primed.reader.push(this.#block(section, offset)));
    // Whatever it was given that was no packet block: it may have lost its place.
    if (!packet) this.#primed = undefined;
    return packet;
  }
  #block({ littleEndian }: Section, offset: number): Uint8Array {
    const head = this.#read(offset, 8);
    if (head.length < 8) return new Uint8Array();
    const total = new DataView(head.buffer, head.byteOffset, 8).getUint32(4, littleEndian);
    return this.#read(offset, Math.min(total, MAX_BLOCK)).slice();
  }
}

function packetIn(events: readonly CaptureEvent[]): CapturedPacket | undefined {
  const found = events.find((e) => e.kind === "packet");
  return found?.kind === "packet" ? found.packet : undefined;
}
const withPlace = (p: CapturedPacket, number: number, iface: CaptureInterface): CapturedPacket => Object.assign(p, { number, iface });
