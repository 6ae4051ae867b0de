// The pcapng parser: blocks, sections, byte orders, resynchronisation (draft-ietf-opsawg-pcapng; sections 4.3 and 4.4).
// A length field is believed only after it was checked against the bytes at hand and the limits.
import { fromUtf8 } from "../base/bytes.ts";
import type { CapturedPacket, CaptureEvent, CaptureInterface, NameRecord } from "./packet.ts";
import { MAX_BLOCK, MAX_INTERFACES, MAX_PACKET } from "./packet.ts";
import { commentsOf, parseOptions, type ParsedOptions } from "./pcapng-options.ts";
import { toNanoseconds, type Resolution, resolutionOf } from "./pcapng-time.ts";
import type { Format, Step } from "./format.ts";

const SHB = 0x0a0d0d0a;
const NAMES: Readonly<Record<number, string>> = {
  [SHB]: "section header",
  1: "interface description",
  2: "packet (obsolete)",
  3: "simple packet",
  4: "name resolution",
  5: "interface statistics",
  6: "enhanced packet",
  10: "decryption secrets",
  0xbad: "custom",
  0x40000bad: "custom",
};
/** Fixed bytes of the body. */
const FIXED: Readonly<Record<number, number>> = { [SHB]: 16, 1: 8, 2: 20, 3: 4, 4: 0, 5: 12, 6: 20, 10: 8 };
const MAX_SECTION_HEADER = 1 << 20;

const nameOf = (type: number): string => `${NAMES[type] ?? `0x${type.toString(16)}`} block`;
type Emit = (event: CaptureEvent) => void;
type Known = { readonly iface: CaptureInterface; readonly resolution: Resolution };

class PcapngParser implements Format {
  readonly #salvage: boolean;
  #littleEndian = true;
  #inSection = false;
  #skipSection = false;
  #resync = false;
  #interfaces: Known[] = [];
  #interfaceCount = 0;
  #packets = 0;

  constructor(salvage: boolean) {
    this.#salvage = salvage;
  }

  step(buffer: Uint8Array, at: number, offset: number, final: boolean, emit: Emit): Step {
    if (this.#resync) return this.#search(buffer, at, offset, final, emit);
    const left = buffer.length - at;
    const damaged = (block: string, reason: string, goOnAfter: number): Step => {
      emit({ kind: "damage", damage: { offset, block, reason } });
      if (!this.#salvage) return { kind: "stop" };
      this.#resync = true;
      return { kind: "used", bytes: goOnAfter };
    };
    const cut = (need: number, block: string): Step =>
      final ? damaged(block, `the file is cut short: ${left} of ${need} bytes are there`, Math.min(4, left)) : { kind: "need", bytes: need };
    if (left < 12) return cut(12, "block header");
    const v = new DataView(buffer.buffer, buffer.byteOffset + at, left);
    const isSection = v.getUint32(0) === SHB;
    if (isSection) {
      const magic = v.getUint32(8);
      if (magic !== 0x1a2b3c4d && magic !== 0x4d3c2b1a) return damaged(nameOf(SHB), "its byte-order magic is wrong", 4);
      this.#littleEndian = magic === 0x4d3c2b1a;
    }
    const le = this.#littleEndian;
    const type = v.getUint32(0, le);
    const total = v.getUint32(4, le);
    const name = nameOf(type);
    const least = 12 + (FIXED[type] ?? 0);
    if (total % 4 !== 0) return damaged(name, `its length ${total} is no multiple of 4`, 4);
    if (total < least) return damaged(name, `its length ${total} is less than such a block has (${least})`, 4);
    const most = isSection ? MAX_SECTION_HEADER : MAX_BLOCK;
    if (total > most) return damaged(name, `its length ${total} is more than ${most}, the most that is believed`, 4);
    if (left < total) return cut(total, name);
    if (v.getUint32(total - 4, le) !== total) return damaged(name, `its two lengths differ: ${total} and ${v.getUint32(total - 4, le)}`, 4);
    const reason = this.#block(type, buffer, at + 8, at + total - 4, offset, emit);
    if (reason === undefined) return { kind: "used", bytes: total };
    emit({ kind: "damage", damage: { offset, block: name, reason } });
    return this.#salvage ? { kind: "used", bytes: total } : { kind: "stop" };
  }

  /** One block, body from `from` to `to`; the result is what is wrong with it. */
  #block(type: number, buffer: Uint8Array, from: number, to: number, offset: number, emit: Emit): string | undefined {
    const le = this.#littleEndian;
    const v = new DataView(buffer.buffer, buffer.byteOffset + from, to - from);
    const note = (what: string): void => emit({ kind: "note", note: { offset, what } });
    if (type === SHB) return this.#section(v, buffer.subarray(from, to), emit);
    if (this.#skipSection) return undefined;
    const options = (at: number): ParsedOptions => parseOptions(buffer.subarray(Math.min(from + at, to), to), le);
    switch (type) {
      case 1: {
        const o = options(8);
        this.#addInterface(v, o, emit, note);
        return o.damage;
      }
      case 2:
      case 6: {
        const obsolete = type === 2;
        const captured = v.getUint32(12, le);
        const original = v.getUint32(16, le);
        if (captured > MAX_PACKET) return `it says ${captured} bytes were kept, more than ${MAX_PACKET}, the most a packet can have`;
        if (20 + captured > to - from) return `it says ${captured} bytes were kept, more than the block holds (${to - from - 20})`;
        const known = this.#interfaces[obsolete ? v.getUint16(0, le) : v.getUint32(0, le)];
        if (!known) return this.#unknownInterface(obsolete ? v.getUint16(0, le) : v.getUint32(0, le));
        const o = options(20 + captured + ((4 - (captured % 4)) % 4));
        if (captured > original)
          note(`packet ${this.#packets + 1}: captured ${captured} bytes of ${original}: the original length is taken as ${captured}`);
        const time = toNanoseconds((BigInt(v.getUint32(4, le)) << 32n) | BigInt(v.getUint32(8, le)), known.resolution);
        const dropped = obsolete ? v.getUint16(2, le) : 0;
        this.#packet(known.iface, time, buffer.subarray(from + 20, from + 20 + captured), original, o, dropped === 0xffff ? 0 : dropped, emit);
        return o.damage;
      }
      case 3: {
        const known = this.#interfaces[0];
        if (!known) return this.#unknownInterface(0);
        const original = v.getUint32(0, le);
        const snaplen = known.iface.snaplen === 0 ? MAX_PACKET : known.iface.snaplen;
        const captured = Math.min(original, snaplen, to - from - 4);
        if (captured > MAX_PACKET) return `it holds ${captured} bytes, more than ${MAX_PACKET}, the most a packet can have`;
        this.#packet(known.iface, undefined, buffer.subarray(from + 4, from + 4 + captured), original, { values: [], damage: undefined }, 0, emit);
        return undefined;
      }
      case 4:
        return this.#names(buffer.subarray(from, to), emit);
      case 5: {
        const known = this.#interfaces[v.getUint32(0, le)];
        if (!known) return this.#unknownInterface(v.getUint32(0, le));
        this.#statistics(known, v, options(12), emit);
        return undefined;
      }
      case 10: {
        const length = v.getUint32(4, le);
        if (8 + length > to - from) {
          note(`decryption secrets block ignored: it says ${length} bytes of secrets, the block holds ${to - from - 8}`);
          return undefined;
        }
        emit({ kind: "secrets", secrets: { type: v.getUint32(0, le), data: buffer.subarray(from + 8, from + 8 + length) } });
        return undefined;
      }
      default:
        note(`${nameOf(type)} skipped`);
        return undefined;
    }
  }

  #section(v: DataView, body: Uint8Array, emit: Emit): string | undefined {
    const le = this.#littleEndian;
    const major = v.getUint16(4, le);
    const minor = v.getUint16(6, le);
    this.#interfaces = [];
    this.#inSection = true;
    this.#skipSection = major !== 1;
    if (this.#skipSection) return `version ${major}.${minor} of pcapng is not known: its section is left out`;
    const o = parseOptions(body.subarray(16), le);
    const application = o.values.find((x) => x.code === 4);
    emit({ kind: "section", format: "pcapng", littleEndian: le, ...(application ? { application: fromUtf8(application.value) } : {}) });
    return o.damage;
  }

  #unknownInterface(id: number): string {
    return this.#interfaces.length === 0
      ? "no interface was described before it"
      : `it names interface ${id}, but only ${this.#interfaces.length} ${this.#interfaces.length === 1 ? "was" : "were"} described`;
  }

  #addInterface(v: DataView, o: ParsedOptions, emit: Emit, note: (what: string) => void): void {
    if (this.#interfaceCount >= MAX_INTERFACES) return note(`interface ${this.#interfaceCount} left out: more than ${MAX_INTERFACES} interfaces`);
    const le = this.#littleEndian;
    const text = (code: number): string | undefined => {
      const found = o.values.find((x) => x.code === code);
      return found && fromUtf8(found.value);
    };
    const value = (code: number, length: number): Uint8Array | undefined => o.values.find((x) => x.code === code && x.value.length >= length)?.value;
    const filter = value(11, 1);
    const offset = value(14, 8);
    const seconds = offset ? new DataView(offset.buffer, offset.byteOffset, 8).getBigInt64(0, le) : 0n;
    const resolution = resolutionOf(value(9, 1)?.[0] ?? 6, seconds);
    if (resolution.kind === "unknown") note(`interface ${this.#interfaceCount}: ${resolution.reason}: its packets have no time`);
    const strings = { name: text(2), description: text(3), filter: filter?.[0] === 0 ? fromUtf8(filter.subarray(1)) : undefined, os: text(12) };
    const mac = value(6, 6);
    const iface: CaptureInterface = {
      id: this.#interfaceCount++,
      link: v.getUint16(0, le),
      snaplen: v.getUint32(4, le),
      fcsLength: value(13, 1)?.[0] ?? 0,
      comments: commentsOf(o),
      ...(Object.fromEntries(Object.entries(strings).filter(([, s]) => s !== undefined)) as Partial<Record<keyof typeof strings, string>>),
      ...(mac ? { mac: mac.subarray(0, 6) } : {}),
    };
    this.#interfaces.push({ iface, resolution });
    emit({ kind: "interface", iface });
  }

  #packet(
    iface: CaptureInterface,
    time: bigint | undefined,
    data: Uint8Array,
    original: number,
    o: ParsedOptions,
    dropped: number,
    emit: Emit,
  ): void {
    const le = this.#littleEndian;
    const number = (code: number, length: 4 | 8): bigint | undefined => {
      const found = o.values.find((x) => x.code === code && x.value.length === length)?.value;
      if (!found) return undefined;
      const v = new DataView(found.buffer, found.byteOffset, length);
      return length === 4 ? BigInt(v.getUint32(0, le)) : v.getBigUint64(0, le);
    };
    const flags = number(2, 4);
    const lost = number(4, 8) ?? (dropped > 0 ? BigInt(dropped) : undefined);
    const direction = flags === undefined ? 0 : Number(flags & 3n);
    const packet: CapturedPacket = {
      number: ++this.#packets,
      iface,
      time,
      data,
      originalLength: Math.max(original, data.length),
      comments: commentsOf(o),
      ...(flags !== undefined ? { flags: Number(flags) } : {}),
      ...(direction === 1 ? { direction: "in" } : direction === 2 ? { direction: "out" } : {}),
      ...(lost !== undefined ? { dropped: lost } : {}),
    };
    emit({ kind: "packet", packet });
  }

  #names(body: Uint8Array, emit: Emit): string | undefined {
    const le = this.#littleEndian;
    const v = new DataView(body.buffer, body.byteOffset, body.length);
    const names: NameRecord[] = [];
    for (let at = 0; at + 4 <= body.length;) {
      const type = v.getUint16(at, le);
      const length = v.getUint16(at + 2, le);
      if (type === 0) break;
      if (at + 4 + length > body.length) return `a name record of ${length} bytes reaches beyond the block`;
      const width = type === 1 ? 4 : type === 2 ? 16 : 0;
      if (width > 0 && length > width) {
        const value = body.subarray(at + 4, at + 4 + length);
        const texts = fromUtf8(value.subarray(width))
          .split("\0")
          .filter((t) => t !== "");
        names.push({ ip: value.subarray(0, width), names: texts });
      }
      at += 4 + length + ((4 - (length % 4)) % 4);
    }
    emit({ kind: "names", names });
    return undefined;
  }

  #statistics(known: Known, v: DataView, o: ParsedOptions, emit: Emit): void {
    const le = this.#littleEndian;
    const words = (x: DataView, at: number): bigint => (BigInt(x.getUint32(at, le)) << 32n) | BigInt(x.getUint32(at + 4, le));
    const found: Record<string, bigint> = {};
    const put = (field: string, n: bigint | undefined): void => {
      if (n !== undefined) found[field] = n;
    };
    put("time", toNanoseconds(words(v, 4), known.resolution));
    const times: Readonly<Record<number, string>> = { 2: "start", 3: "end" };
    const counters: Readonly<Record<number, string>> = { 4: "received", 5: "dropped", 6: "accepted", 7: "osDropped", 8: "delivered" };
    for (const { code, value } of o.values) {
      if (value.length !== 8) continue;
      const x = new DataView(value.buffer, value.byteOffset, 8);
      if (times[code]) put(times[code], toNanoseconds(words(x, 0), known.resolution));
      else if (counters[code]) put(counters[code], x.getBigUint64(0, le));
    }
    emit({ kind: "statistics", statistics: { iface: known.iface, ...found } });
  }

  /** Looks for the next block that is whole: known type, plausible length, both lengths equal. */
  #search(buffer: Uint8Array, at: number, offset: number, final: boolean, emit: Emit): Step {
    for (let i = at; i + 12 <= buffer.length; i++) {
      const v = new DataView(buffer.buffer, buffer.byteOffset + i, buffer.length - i);
      const isSection = v.getUint32(0) === SHB && (v.getUint32(8) === 0x1a2b3c4d || v.getUint32(8) === 0x4d3c2b1a);
      if (!isSection && !this.#inSection) continue;
      const le = isSection ? v.getUint32(8) === 0x4d3c2b1a : this.#littleEndian;
      const type = v.getUint32(0, le);
      if (FIXED[type] === undefined || (type === SHB && !isSection)) continue;
      const total = v.getUint32(4, le);
      if (total % 4 !== 0 || total < 12 + FIXED[type] || total > MAX_BLOCK) continue;
      if (i + total > buffer.length) {
        if (!final) return i > at ? { kind: "used", bytes: i - at } : { kind: "need", bytes: total };
        continue;
      }
      if (v.getUint32(total - 4, le) !== total) continue;
      this.#resync = false;
      return { kind: "used", bytes: i - at };
    }
    if (final) {
      emit({ kind: "note", note: { offset, what: `${buffer.length - at} bytes after the damage hold no whole block` } });
      return { kind: "stop" };
    }
    const used = Math.max(0, buffer.length - at - 11);
    return used > 0 ? { kind: "used", bytes: used } : { kind: "need", bytes: 12 };
  }
}

export const pcapngFormat = (salvage: boolean): Format => new PcapngParser(salvage);
