// The pcapng parser: blocks, packets, sections, byte orders, going on after damage (draft-ietf-opsawg-pcapng; sections 4.3 and 4.4).
// A length field is believed only after it was checked against the bytes at hand and the limits.
import { fromUtf8 } from "../base/bytes.ts";
import { type Clock, FilePacket } from "./filepacket.ts";
import type { Findings, Format, Piece } from "./format.ts";
import type { CaptureInterface } from "./packet.ts";
import { MAX_BLOCK, MAX_INTERFACES, MAX_NAMES, MAX_PACKET } from "./packet.ts";
import { type Body, readInterface, readNames, readSection, readStatistics } from "./pcapng-describe.ts";
import { walkOptions } from "./pcapng-options.ts";
import { noClock } from "./pcapng-time.ts";

/** The same in either byte order. */
const SHB = 0x0a0d0d0a;
const EPB = 6;
/** A section's byte-order magic, read as big-endian. */
const BIG_ENDIAN = 0x1a2b3c4d;
const LITTLE_ENDIAN = 0x4d3c2b1a;
const NAMES: Readonly<Record<number, string>> = {
  [SHB]: "section header",
  1: "interface description",
  2: "packet (obsolete)",
  3: "simple packet",
  4: "name resolution",
  5: "interface statistics",
  [EPB]: "enhanced packet",
  9: "systemd journal",
  10: "decryption secrets",
  0xbad: "custom",
  0x40000bad: "custom",
};
const nameOf = (type: number): string => `${NAMES[type] ?? `0x${type.toString(16)}`} block`;

/** Fixed bytes of the body of a block that we know; -1 of one that we do not. */
function fixedOf(type: number): number {
  switch (type) {
    case EPB:
    case 2:
      return 20;
    case SHB:
      return 16;
    case 5:
      return 12;
    case 1:
    case 10:
      return 8;
    case 3:
    case 0xbad:
    case 0x40000bad:
      return 4;
    case 4:
      return 0;
    default:
      return -1;
  }
}
const MAX_SECTION_HEADER = 1 << 20;
/** A block's type and length, twice. */
const FRAME = 12;

type Known = { readonly iface: CaptureInterface; readonly clock: Clock };

class PcapngParser implements Format {
  need = FRAME;
  stopped = false;
  readonly #salvage: boolean;
  #le = true;
  #inSection = false;
  #skipSection = false;
  #lost = false;
  #interfaces: Known[] = [];
  #interfaceCount = 0;
  #packets = 0;
  #names = 0;

  constructor(salvage: boolean) {
    this.#salvage = salvage;
  }

  read(piece: Piece, at: number, found: Findings): number {
    const { bytes, view: v, base, final } = piece;
    while (!this.stopped) {
      if (this.#lost) {
        at = this.#search(piece, at, found);
        if (this.#lost) return at;
      }
      const left = bytes.length - at;
      if (final && left === 0) break;
      if (left < FRAME) {
        if (!final) break;
        at = this.#damaged(piece, at, found, "block header", cutShort(left, FRAME));
        continue;
      }
      if (v.getUint32(at) === SHB) {
        const magic = v.getUint32(at + 8);
        if (magic !== BIG_ENDIAN && magic !== LITTLE_ENDIAN) {
          at = this.#damaged(piece, at, found, nameOf(SHB), "its byte-order magic is wrong");
          continue;
        }
        this.#le = magic === LITTLE_ENDIAN;
      }
      const le = this.#le;
      const type = v.getUint32(at, le);
      const total = v.getUint32(at + 4, le);
      const wrong = lengthFault(type, total);
      if (wrong !== undefined) {
        at = this.#damaged(piece, at, found, nameOf(type), wrong);
        continue;
      }
      if (left < total) {
        if (!final) {
          this.need = total;
          return at;
        }
        at = this.#damaged(piece, at, found, nameOf(type), cutShort(left, total));
        continue;
      }
      const again = v.getUint32(at + total - 4, le);
      if (again !== total) {
        at = this.#damaged(piece, at, found, nameOf(type), `its two lengths differ: ${total} and ${again}`);
        continue;
      }
      const [from, to] = [at + 8, at + total - 4];
      const reason =
        type === EPB && !this.#skipSection
          ? this.#packet(piece, from, to, at, v.getUint32(from, le), found)
          : this.#block(type, piece, from, to, at, found);
      if (reason !== undefined) {
        found.damage(base + at, nameOf(type), reason);
        this.stopped = !this.#salvage;
      }
      at += total;
    }
    this.need = FRAME;
    return at;
  }

  /** Damage of a block whose length cannot be believed; gives where to look for the next one. */
  #damaged({ bytes, base }: Piece, at: number, found: Findings, block: string, reason: string): number {
    found.damage(base + at, block, reason);
    this.stopped = !this.#salvage;
    this.#lost = this.#salvage;
    return this.#salvage ? Math.min(at + 4, bytes.length) : at;
  }

  /** Enhanced and obsolete packet blocks; the result is what is wrong. */
  #packet(piece: Piece, from: number, to: number, at: number, id: number, found: Findings, lost = 0): string | undefined {
    const { bytes, view: v, base } = piece;
    const le = this.#le;
    const captured = v.getUint32(from + 12, le);
    let original = v.getUint32(from + 16, le);
    const data = from + 20;
    if (captured > MAX_PACKET) return `it says ${captured} bytes were kept, more than ${MAX_PACKET}, the most a packet can have`;
    if (data + captured > to) return `it says ${captured} bytes were kept, more than the block holds (${to - data})`;
    const known = this.#interfaces[id];
    if (!known) return this.#unknownInterface(id);
    const number = ++this.#packets;
    if (captured > original) {
      found.note(base + at, `packet ${number}: captured ${captured} bytes of ${original}: the original length is taken as ${captured}`);
      original = captured;
    }
    if (!found.packets) return undefined;
    const bits = bytes.subarray(data, data + captured);
    const time = known.clock(v.getUint32(from + 4, le), v.getUint32(from + 8, le));
    const packet = new FilePacket(number, known.iface, time, bits, original);
    if (lost > 0) packet.dropped = BigInt(lost);
    const options = data + ((captured + 3) & ~3);
    const damage = options < to ? readPacketOptions(bytes, v, options, to, le, packet) : undefined;
    found.add({ kind: "packet", packet, offset: base + at });
    return damage;
  }

  /** Any other block; the result is what is wrong with it. */
  #block(type: number, piece: Piece, from: number, to: number, at: number, found: Findings): string | undefined {
    const { bytes, view: v, base } = piece;
    const le = this.#le;
    const offset = base + at;
    const body: Body = { bytes, view: v, from, to, littleEndian: le };
    if (type === SHB) return this.#section(body, offset, found);
    if (this.#skipSection) return undefined;
    switch (type) {
      case 1:
        return this.#interface(body, offset, found);
      case 2: {
        const lost = v.getUint16(from + 2, le);
        return this.#packet(piece, from, to, at, v.getUint16(from, le), found, lost === 0xffff ? 0 : lost);
      }
      case 3: {
        const [first] = this.#interfaces;
        if (!first) return this.#unknownInterface(0);
        const original = v.getUint32(from, le);
        const snaplen = first.iface.snaplen === 0 ? MAX_PACKET : first.iface.snaplen;
        const captured = Math.min(original, snaplen, to - from - 4);
        if (captured > MAX_PACKET) return `it holds ${captured} bytes, more than ${MAX_PACKET}, the most a packet can have`;
        const number = ++this.#packets;
        if (!found.packets) return undefined;
        const data = bytes.subarray(from + 4, from + 4 + captured);
        found.add({ kind: "packet", packet: new FilePacket(number, first.iface, undefined, data, original), offset });
        return undefined;
      }
      case 4: {
        const { names, damage } = readNames(body, MAX_NAMES - this.#names);
        this.#names += names.length;
        found.add({ kind: "names", names });
        return damage;
      }
      case 5: {
        const id = v.getUint32(from, le);
        const known = this.#interfaces[id];
        if (!known) return this.#unknownInterface(id);
        const { statistics, damage } = readStatistics(body, known.iface, known.clock);
        found.add({ kind: "statistics", statistics });
        return damage;
      }
      case 10: {
        const length = v.getUint32(from + 4, le);
        const data = from + 8;
        if (data + length > to)
          found.note(offset, `decryption secrets block ignored: it says ${length} bytes of secrets, the block holds ${to - data}`);
        else found.add({ kind: "secrets", secrets: { type: v.getUint32(from, le), data: bytes.subarray(data, data + length) } });
        return undefined;
      }
      case 0xbad:
      case 0x40000bad:
        found.note(offset, `${nameOf(type)} of enterprise ${v.getUint32(from, le)} skipped`);
        return undefined;
      default:
        found.note(offset, `${nameOf(type)} skipped`);
        return undefined;
    }
  }

  #section(body: Body, offset: number, found: Findings): string | undefined {
    const major = body.view.getUint16(body.from + 4, this.#le);
    const minor = body.view.getUint16(body.from + 6, this.#le);
    this.#interfaces = [];
    this.#inSection = true;
    this.#skipSection = major !== 1;
    if (this.#skipSection) return `version ${major}.${minor} of pcapng is not known: its section is left out`;
    const { event, damage } = readSection(body);
    found.add({ ...event, offset });
    return damage;
  }

  #interface(body: Body, offset: number, found: Findings): string | undefined {
    if (this.#interfaceCount >= MAX_INTERFACES) {
      found.note(offset, `interface ${this.#interfaceCount} left out: more than ${MAX_INTERFACES} interfaces`);
      return undefined;
    }
    const { iface, clock, damage } = readInterface(body, this.#interfaceCount++);
    if (typeof clock === "string") found.note(offset, `interface ${iface.id}: ${clock}: its packets have no time`);
    this.#interfaces.push({ iface, clock: typeof clock === "string" ? noClock : clock });
    found.add({ kind: "interface", iface, offset });
    return damage;
  }

  #unknownInterface(id: number): string {
    const n = this.#interfaces.length;
    return n === 0 ? "no interface was described before it" : `it names interface ${id}, but only ${n} ${n === 1 ? "was" : "were"} described`;
  }

  /** After damage: on to the next block that is whole: known type, plausible length, both lengths equal. */
  #search({ bytes, view: v, base, final }: Piece, at: number, found: Findings): number {
    for (; at + FRAME <= bytes.length; at++) {
      let le = this.#le;
      const type = v.getUint32(at, le);
      if (type === SHB) {
        const magic = v.getUint32(at + 8);
        if (magic !== BIG_ENDIAN && magic !== LITTLE_ENDIAN) continue;
        le = magic === LITTLE_ENDIAN;
      } else if (!this.#inSection) continue;
      if (fixedOf(type) < 0) continue;
      const total = v.getUint32(at + 4, le);
      if (lengthFault(type, total) !== undefined) continue;
      if (at + total > bytes.length) {
        if (final) continue;
        this.need = total;
        return at;
      }
      if (v.getUint32(at + total - 4, le) !== total) continue;
      this.#lost = false;
      return at;
    }
    this.need = FRAME;
    if (final) {
      found.note(base + at, `${bytes.length - at} bytes after the damage hold no whole block`);
      this.stopped = true;
    }
    return at;
  }
}

const cutShort = (left: number, need: number): string => `the file is cut short: ${left} of ${need} bytes are there`;

/** Why a block cannot have this length. */
function lengthFault(type: number, total: number): string | undefined {
  if ((total & 3) !== 0) return `its length ${total} is no multiple of 4`;
  const least = FRAME + Math.max(0, fixedOf(type));
  if (total < least) return `its length ${total} is less than such a block has (${least})`;
  const most = type === SHB ? MAX_SECTION_HEADER : MAX_BLOCK;
  if (total > most) return `its length ${total} is more than ${most}, the most that is believed`;
  return undefined;
}

/** Options of a packet block; the result is what is wrong with them. */
function readPacketOptions(bytes: Uint8Array, v: DataView, from: number, to: number, le: boolean, packet: FilePacket): string | undefined {
  // What most files have on each packet, alone: which way it went.
  if (to - from === 12 && v.getUint16(from, le) === 2 && v.getUint16(from + 2, le) === 4 && v.getUint16(from + 8, le) === 0) {
    packet.flag(v.getUint32(from + 4, le));
    return undefined;
  }
  return walkOptions(v, from, to, le, (code, at, length) => {
    if (code === 1) packet.comments = [...packet.comments, fromUtf8(bytes.subarray(at, at + length))];
    else if (code === 2 && length === 4) packet.flag(v.getUint32(at, le));
    else if (code === 3 && length > 0) packet.details = { ...packet.details, hash: bytes.slice(at, at + length) };
    else if (code === 4 && length === 8) packet.dropped = v.getBigUint64(at, le);
    else if (code === 5 && length === 8) packet.details = { ...packet.details, id: v.getBigUint64(at, le) };
    else if (code === 6 && length === 4) packet.details = { ...packet.details, queue: v.getUint32(at, le) };
    else if (code === 7 && length > 0) packet.details = { ...packet.details, verdict: bytes.slice(at, at + length) };
    else if (code === 8 && length === 8) packet.details = { ...packet.details, process: v.getBigUint64(at, le) };
  });
}

export const pcapngFormat = (salvage: boolean): Format => new PcapngParser(salvage);
