// Writes captures: pcapng (little-endian, nanoseconds, key block, names, comments, counters) and classic pcap. Section 4.8.
// Bytes go to a sink that is handed in; each call hands on whole blocks, so a file cut between calls is a sound file.
import { concat, utf8 } from "../base/bytes.ts";
import type { CapturedPacket, CaptureInterface, CaptureStatistics, NameRecord, SecretsBlock, SectionTexts } from "./packet.ts";
import { MAX_PACKET } from "./packet.ts";
import { block, option, type Option, textOption } from "./pcapng-blocks.ts";

/** Takes whole blocks, in order; copies what it keeps. */
export type Sink = (bytes: Uint8Array) => void;

type Fillable<T> = { -readonly [K in keyof T]?: T[K] };
/** One of a file that was read will do. */
export type NewInterface = Fillable<Omit<CaptureInterface, "id">> & { link: number };
/** One of a file that was read will do; a packet without a time is written with the time 0. */
export type NewPacket = Partial<Omit<CapturedPacket, "number" | "iface">> & {
  readonly data: Uint8Array;
  /** The sender left the checksum to hardware (TP_STATUS_CSUMNOTREADY). */
  readonly checksumNotReady?: boolean;
};
/** Counters of an interface; what is absent was not counted. */
export type NewStatistics = Omit<CaptureStatistics, "iface" | "time">;

/** What both formats offer. */
export interface CaptureWriter {
  /** A packet of an interface that was added. */
  packet(iface: number, packet: NewPacket): void;
}

const CHECKSUM_NOT_READY = 0x200;
const MAX_RECORD = 65_535;
/** Longer key logs and lists of names are cut into several blocks, so that none is larger than readers believe. */
const MAX_LIST = 1 << 20;
const NEWLINE = 10;

/** High word first, as in the times of blocks. */
function setTime(v: DataView, at: number, ns: bigint): void {
  v.setBigUint64(at, BigInt.asUintN(64, ns), true);
  const low = v.getUint32(at, true);
  v.setUint32(at, v.getUint32(at + 4, true), true);
  v.setUint32(at + 4, low, true);
}

/** Writes pcapng: one section, any number of interfaces, keys, names, comments, counters. Throws what the sink throws. */
export class PcapngWriter implements CaptureWriter {
  readonly #sink: Sink;
  #interfaces = 0;

  /** Writes the section header at once. */
  constructor(sink: Sink, options: SectionTexts & { comment?: string } = {}) {
    this.#sink = sink;
    const comments = [...(options.comments ?? []), ...(options.comment === undefined ? [] : [options.comment])];
    const section = (v: DataView): void => {
      v.setUint32(8, 0x1a2b3c4d, true);
      v.setUint16(12, 1, true);
      v.setBigInt64(16, -1n, true);
    };
    sink(
      block(0x0a0d0d0a, 16, section, [
        ...comments.flatMap((c) => textOption(1, c)),
        ...textOption(2, options.hardware),
        ...textOption(3, options.os),
        ...textOption(4, options.application ?? "tortie"),
      ]),
    );
  }

  /** Adds a capture point; the result is its number. Addresses and names are those of the interface when the capture began. */
  addInterface(i: NewInterface): number {
    const ips: Option[] = (i.ips ?? []).map(({ ip, prefix }) =>
      ip.length === 4 ? { code: 4, value: concat(ip, maskOf(prefix)) } : { code: 5, value: concat(ip, Uint8Array.of(prefix)) },
    );
    const described = (v: DataView): void => {
      v.setUint16(8, i.link, true);
      v.setUint32(12, i.snaplen ?? MAX_PACKET, true);
    };
    this.#sink(
      block(1, 8, described, [
        ...(i.comments ?? []).flatMap((c) => textOption(1, c)),
        ...textOption(2, i.name),
        ...textOption(3, i.description),
        ...ips,
        ...option(6, i.mac),
        ...option(7, i.eui),
        ...option(8, i.speed),
        ...option(9, Uint8Array.of(9)),
        ...(i.filter === undefined ? [] : option(11, concat(Uint8Array.of(0), utf8(i.filter)).subarray(0, MAX_RECORD))),
        ...textOption(12, i.os),
        ...(i.fcsLength ? option(13, Uint8Array.of(i.fcsLength)) : []),
        ...textOption(15, i.hardware),
        ...option(16, i.txSpeed),
        ...option(17, i.rxSpeed),
        ...textOption(18, i.timezone),
      ]),
    );
    return this.#interfaces++;
  }

  packet(iface: number, p: NewPacket): void {
    const { data } = p;
    const fill = (v: DataView, bytes: Uint8Array): void => {
      v.setUint32(8, iface, true);
      setTime(v, 12, p.time ?? 0n);
      v.setUint32(20, data.length, true);
      v.setUint32(24, p.originalLength ?? data.length, true);
      bytes.set(data, 28);
    };
    this.#sink(block(6, 20 + data.length, fill, packetOptions(p)));
  }

  /** Decryption secrets. Wireshark applies them to what comes after: write them before the first handshake packet. */
  secrets(s: SecretsBlock): void {
    for (let at = 0; at < s.data.length;) {
      const end = at + MAX_LIST < s.data.length ? s.data.lastIndexOf(NEWLINE, at + MAX_LIST - 1) + 1 : s.data.length;
      const part = s.data.subarray(at, end > at ? end : at + MAX_LIST);
      const fill = (v: DataView, bytes: Uint8Array): void => {
        v.setUint32(8, s.type, true);
        v.setUint32(12, part.length, true);
        bytes.set(part, 16);
      };
      this.#sink(block(10, 8 + part.length, fill));
      at += part.length;
    }
  }

  /** Names of addresses; tshark -Nn prints them. */
  names(records: readonly NameRecord[]): void {
    let parts: Uint8Array[] = [];
    let held = 0;
    const flush = (): void => {
      const body = concat(...parts, new Uint8Array(4));
      this.#sink(block(4, body.length, (_, bytes) => bytes.set(body, 8)));
      parts = [];
      held = 0;
    };
    for (const { ip, names } of records) {
      const texts: Uint8Array[] = [];
      let length = ip.length;
      for (const name of names) {
        const text = utf8(`${name}\0`);
        // What does not fit into a record is left out: nobody has so many names.
        if (length + text.length > MAX_RECORD) break;
        texts.push(text);
        length += text.length;
      }
      const head = new Uint8Array(4);
      new DataView(head.buffer).setUint16(0, ip.length === 4 ? 1 : 2, true);
      new DataView(head.buffer).setUint16(2, length, true);
      parts.push(head, ip, ...texts, new Uint8Array((4 - (length % 4)) % 4));
      held += length;
      if (held > MAX_LIST) flush();
    }
    flush();
  }

  /** Counters of an interface, at `time` (nanoseconds since 1970). */
  statistics(iface: number, time: bigint, s: NewStatistics): void {
    const at = (code: number, ns: bigint | undefined): Option[] => {
      if (ns === undefined) return [];
      const value = new Uint8Array(8);
      setTime(new DataView(value.buffer), 0, ns);
      return option(code, value);
    };
    const fill = (v: DataView): void => {
      v.setUint32(8, iface, true);
      setTime(v, 12, time);
    };
    this.#sink(
      block(5, 12, fill, [
        ...(s.comments ?? []).flatMap((c) => textOption(1, c)),
        ...at(2, s.start),
        ...at(3, s.end),
        ...option(4, s.received),
        ...option(5, s.dropped),
        ...option(6, s.accepted),
        ...option(7, s.osDropped),
        ...option(8, s.delivered),
      ]),
    );
  }
}

function maskOf(prefix: number): Uint8Array {
  const mask = new Uint8Array(4);
  new DataView(mask.buffer).setUint32(0, prefix === 0 ? 0 : (0xffff_ffff << (32 - prefix)) >>> 0);
  return mask;
}

const NO_OPTIONS: readonly Option[] = [];
function packetOptions(p: NewPacket): readonly Option[] {
  const flags = (p.flags ?? (p.direction === "in" ? 1 : p.direction === "out" ? 2 : 0)) | (p.checksumNotReady ? CHECKSUM_NOT_READY : 0);
  const plain = !p.comments?.length && !p.dropped && !p.details;
  if (plain) return flags === 0 ? NO_OPTIONS : [{ code: 2, value: flags }];
  return [
    ...(p.comments ?? []).flatMap((c) => textOption(1, c)),
    ...(flags === 0 ? [] : option(2, flags)),
    ...option(3, p.details?.hash),
    ...(p.dropped ? option(4, p.dropped) : []),
    ...option(5, p.details?.id),
    ...option(6, p.details?.queue),
    ...option(7, p.details?.verdict),
    ...option(8, p.details?.process),
  ];
}

/** Writes classic pcap: one link type, times in microseconds unless `nanoseconds` is said, no comments. Throws what the sink throws. */
export class PcapWriter implements CaptureWriter {
  readonly #sink: Sink;
  readonly #nanoseconds: boolean;

  /** Writes the file header at once. One link type a file: `iface` of packet() does not matter. */
  constructor(sink: Sink, options: { link: number; snaplen?: number; nanoseconds?: boolean; fcsLength?: number }) {
    this.#sink = sink;
    this.#nanoseconds = options.nanoseconds ?? false;
    const head = new Uint8Array(24);
    const v = new DataView(head.buffer);
    v.setUint32(0, this.#nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4, true);
    v.setUint16(4, 2, true);
    v.setUint16(6, 4, true);
    v.setUint32(16, options.snaplen ?? MAX_PACKET, true);
    v.setUint32(20, options.link | (options.fcsLength ? 0x0400_0000 | ((options.fcsLength >> 1) << 28) : 0), true);
    sink(head);
  }

  packet(_iface: number, p: NewPacket): void {
    const record = new Uint8Array(16 + p.data.length);
    const v = new DataView(record.buffer);
    const time = p.time ?? 0n;
    v.setUint32(0, Number(time / 1_000_000_000n), true);
    const fraction = Number(time % 1_000_000_000n);
    v.setUint32(4, this.#nanoseconds ? fraction : Math.trunc(fraction / 1000), true);
    v.setUint32(8, p.data.length, true);
    v.setUint32(12, p.originalLength ?? p.data.length, true);
    record.set(p.data, 16);
    this.#sink(record);
  }
}
