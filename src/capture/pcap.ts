// The classic pcap format, both byte orders, micro- and nanoseconds, and the variants that are met (draft-ietf-opsawg-pcap; section 4.1).
import { type Clock, FilePacket } from "./filepacket.ts";
import type { Findings, Format, Piece } from "./format.ts";
import type { CaptureInterface } from "./packet.ts";
import { MAX_PACKET } from "./packet.ts";

const MICROSECONDS = 0xa1b2c3d4;
const NANOSECONDS = 0xa1b23c4d;
/** "Modified" pcap: eight bytes more in each record header (interface, protocol, packet type). */
const MODIFIED = 0xa1b2cd34;

const FILE_HEADER = 24;
const RECORD_HEADER = 16;
/** As in "cooked" link layers. */
const OUTGOING = 4;

/** The parser of a file that starts with `magic` read in that byte order, or undefined when it is no pcap magic. */
export function pcapFormat(magic: number, littleEndian: boolean, salvage: boolean): Format | undefined {
  return magic === MICROSECONDS || magic === NANOSECONDS || magic === MODIFIED ? new PcapParser(magic, littleEndian, salvage) : undefined;
}

type Record = { seconds: number; fraction: number; captured: number; original: number };

class PcapParser implements Format {
  need = FILE_HEADER;
  stopped = false;
  readonly #le: boolean;
  readonly #salvage: boolean;
  readonly #nanoseconds: boolean;
  readonly #modified: boolean;
  readonly #header: number;
  readonly #perSecond: number;
  readonly #clock: Clock;
  #iface: CaptureInterface | undefined;
  #swapped: "never" | "always" | "when larger" = "never";
  #number = 0;
  #lastSeconds = 0;
  #lost = false;

  constructor(magic: number, littleEndian: boolean, salvage: boolean) {
    this.#le = littleEndian;
    this.#salvage = salvage;
    this.#nanoseconds = magic === NANOSECONDS;
    this.#modified = magic === MODIFIED;
    this.#header = this.#modified ? 24 : RECORD_HEADER;
    this.#perSecond = this.#nanoseconds ? 1_000_000_000 : 1_000_000;
    // A number holds microseconds exactly, as long as there are such files: until 2106.
    this.#clock = this.#nanoseconds
      ? (seconds, fraction) => BigInt(seconds) * 1_000_000_000n + BigInt(fraction)
      : (seconds, fraction) => BigInt(seconds * 1_000_000 + fraction) * 1000n;
  }

  read(piece: Piece, at: number, found: Findings): number {
    const { bytes, view: v, base, final } = piece;
    const [le, header] = [this.#le, this.#header];
    if (!this.#iface) {
      if (bytes.length - at < FILE_HEADER) return this.#wait(piece, at, FILE_HEADER, "file header", found);
      this.#fileHeader(v, at, base + at, found);
      at += FILE_HEADER;
    }
    const iface = this.#iface!;
    while (!this.stopped) {
      if (this.#lost) {
        at = this.#search(piece, at, found);
        if (this.#lost) return at;
      }
      const left = bytes.length - at;
      if (final && left === 0) break;
      if (left < header) return this.#wait(piece, at, header, "record header", found);
      const seconds = v.getUint32(at, le);
      const fraction = v.getUint32(at + 4, le);
      let captured = v.getUint32(at + 8, le);
      let original = v.getUint32(at + 12, le);
      if (this.#swapped !== "never" && (this.#swapped === "always" || captured > original)) [captured, original] = [original, captured];
      if (captured > MAX_PACKET) {
        const reason = `record says ${captured} bytes were kept, more than ${MAX_PACKET}, the most a packet can have`;
        found.damage(base + at, `record ${this.#number + 1}`, reason);
        if (!this.#salvage) {
          this.stopped = true;
          break;
        }
        this.#lost = true;
        at++;
        continue;
      }
      const total = header + captured;
      if (left < total) return this.#wait(piece, at, total, `record ${this.#number + 1}`, found);
      const number = ++this.#number;
      this.#lastSeconds = seconds;
      if (captured > original) {
        found.note(base + at, `packet ${number}: captured ${captured} bytes of ${original}: the original length is taken as ${captured}`);
        original = captured;
      }
      if (fraction >= this.#perSecond)
        found.note(base + at, `packet ${number}: the fraction of its time is a second or more (${fraction}): carried over`);
      at += total;
      if (!found.packets) continue;
      const packet = new FilePacket(number, iface, this.#clock(seconds, fraction), bytes.subarray(at - captured, at), original);
      if (this.#modified) packet.flag(bytes[at - total + 22] === OUTGOING ? 2 : bytes[at - total + 22] === 0 ? 1 : 0);
      found.add({ kind: "packet", packet, offset: base + at - total });
    }
    this.need = header;
    return at;
  }

  #fileHeader(v: DataView, at: number, offset: number, found: Findings): void {
    const le = this.#le;
    const major = v.getUint16(at + 4, le);
    const minor = v.getUint16(at + 6, le);
    const linkField = v.getUint32(at + 20, le);
    // Before 2.3 captured and original length stood the other way round; in 2.3 some writers did one, some the other.
    if (major === 543 || (major === 2 && minor < 3)) this.#swapped = "always";
    else if (minor === 3) this.#swapped = "when larger";
    this.#iface = {
      id: 0,
      link: linkField & 0xffff,
      snaplen: v.getUint32(at + 16, le),
      fcsLength: linkField & 0x0400_0000 ? (linkField >>> 28) * 2 : 0,
      comments: [],
    };
    if (!(major === 2 || (major === 543 && minor === 0))) {
      found.damage(offset, "file header", `version ${major}.${minor} of pcap is not known`);
      this.stopped = true;
      return;
    }
    found.add({ kind: "section", format: this.#nanoseconds ? "pcap-ns" : "pcap", littleEndian: le, offset });
    if (linkField & 0x0bff_0000) found.note(offset + 20, `the link type's field has bits that mean nothing (${linkField.toString(16)}): left out`);
    found.add({ kind: "interface", iface: this.#iface, offset });
  }

  #wait({ bytes, base, final }: Piece, at: number, need: number, block: string, found: Findings): number {
    this.need = need;
    if (final) {
      found.damage(base + at, block, `the file is cut short: ${bytes.length - at} of ${need} bytes are there`);
      this.stopped = true;
    }
    return at;
  }

  #record(v: DataView, at: number): Record {
    const a = v.getUint32(at + 8, this.#le);
    const b = v.getUint32(at + 12, this.#le);
    const swap = this.#swapped === "always" || (this.#swapped === "when larger" && a > b);
    return { seconds: v.getUint32(at, this.#le), fraction: v.getUint32(at + 4, this.#le), captured: swap ? b : a, original: swap ? a : b };
  }
  #plausible(r: Record): boolean {
    return (
      r.captured > 0 &&
      r.captured <= r.original &&
      r.captured <= MAX_PACKET &&
      r.original <= 16 * MAX_PACKET &&
      r.fraction < this.#perSecond &&
      (this.#lastSeconds === 0 || Math.abs(r.seconds - this.#lastSeconds) < 86_400 * 366)
    );
  }

  /** After damage: on to a record header that is followed by another one, or by the end of the file. */
  #search({ bytes, view, base, final }: Piece, at: number, found: Findings): number {
    const header = this.#header;
    for (; at + header <= bytes.length; at++) {
      const r = this.#record(view, at);
      if (!this.#plausible(r)) continue;
      const next = at + header + r.captured;
      if (next + header <= bytes.length ? this.#plausible(this.#record(view, next)) : final && next === bytes.length) {
        this.#lost = false;
        return at;
      }
      if (!final && next + header > bytes.length) {
        this.need = next + header - at;
        return at;
      }
    }
    this.need = header;
    if (final) {
      found.note(base + at, `${bytes.length - at} bytes after the damage hold nothing that looks like a record`);
      this.stopped = true;
    }
    return at;
  }
}
