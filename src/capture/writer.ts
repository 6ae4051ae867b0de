// Writes captures: pcapng (little-endian, nanoseconds, key block, names, comments, counters) and classic pcap. Section 4.8.
// Bytes go to a sink that is handed in; each call hands on whole blocks, so a file cut between calls is a sound file.
import { concat, utf8 } from "../base/bytes.ts";
import type { Ip } from "../base/ip.ts";
import type { Direction, NameRecord, SecretsBlock } from "./packet.ts";
import { block, option, type Option, textOption, u64Option } from "./pcapng-blocks.ts";

export type Sink = (bytes: Uint8Array) => void;

export type NewInterface = {
  link: number;
  /** @default 262144 */
  snaplen?: number;
  name?: string;
  description?: string;
  filter?: string;
  os?: string;
  mac?: Uint8Array;
  ips?: readonly { ip: Ip; prefix: number }[];
  comments?: readonly string[];
};
export type NewPacket = {
  /** Nanoseconds since 1970. */
  time: bigint;
  data: Uint8Array;
  /** @default data.length */
  originalLength?: number;
  direction?: Direction;
  /** The sender left the checksum to hardware (TP_STATUS_CSUMNOTREADY). */
  checksumNotReady?: boolean;
  /** Packets lost just before this one. */
  dropped?: bigint;
  comments?: readonly string[];
};
export type NewStatistics = { start?: bigint; end?: bigint; received?: bigint; accepted?: bigint; osDropped?: bigint; delivered?: bigint };

/** What both formats offer. */
export interface CaptureWriter {
  packet(iface: number, packet: NewPacket): void;
}

export class PcapngWriter implements CaptureWriter {
  readonly #sink: Sink;
  #interfaces = 0;

  /** Writes the section header at once. */
  constructor(sink: Sink, options: { application?: string; os?: string; hardware?: string; comment?: string } = {}) {
    this.#sink = sink;
    const body = new Uint8Array(16);
    const v = new DataView(body.buffer);
    v.setUint32(0, 0x1a2b3c4d, true);
    v.setUint16(4, 1, true);
    v.setBigInt64(8, -1n, true);
    sink(
      block(0x0a0d0d0a, body, [
        ...textOption(1, options.comment),
        ...textOption(2, options.hardware),
        ...textOption(3, options.os),
        ...textOption(4, options.application ?? "tortie"),
      ]),
    );
  }

  /** Adds a capture point; the result is its number. Addresses and names are those of the interface when the capture began. */
  addInterface(i: NewInterface): number {
    const body = new Uint8Array(8);
    const v = new DataView(body.buffer);
    v.setUint16(0, i.link, true);
    v.setUint32(4, i.snaplen ?? 262_144, true);
    const options: Option[] = [...(i.comments ?? []).flatMap((c) => textOption(1, c)), ...textOption(2, i.name), ...textOption(3, i.description)];
    for (const { ip, prefix } of i.ips ?? []) {
      if (ip.length === 4) {
        const mask = new Uint8Array(4);
        new DataView(mask.buffer).setUint32(0, prefix === 0 ? 0 : (0xffff_ffff << (32 - prefix)) >>> 0);
        options.push(option(4, concat(ip, mask)));
      } else options.push(option(5, concat(ip, Uint8Array.of(prefix))));
    }
    if (i.mac) options.push(option(6, i.mac));
    options.push(option(9, Uint8Array.of(9)));
    if (i.filter !== undefined) options.push(option(11, concat(Uint8Array.of(0), utf8(i.filter))));
    options.push(...textOption(12, i.os));
    this.#sink(block(1, body, options));
    return this.#interfaces++;
  }

  packet(iface: number, p: NewPacket): void {
    const head = new Uint8Array(20);
    const v = new DataView(head.buffer);
    v.setUint32(0, iface, true);
    v.setUint32(4, Number(p.time >> 32n), true);
    v.setUint32(8, Number(p.time & 0xffff_ffffn), true);
    v.setUint32(12, p.data.length, true);
    v.setUint32(16, p.originalLength ?? p.data.length, true);
    const flags = (p.direction === "in" ? 1 : p.direction === "out" ? 2 : 0) | (p.checksumNotReady ? 0x200 : 0);
    const options: Option[] = (p.comments ?? []).flatMap((c) => textOption(1, c));
    if (flags !== 0) {
      const word = new Uint8Array(4);
      new DataView(word.buffer).setUint32(0, flags, true);
      options.push(option(2, word));
    }
    if (p.dropped) options.push(u64Option(4, p.dropped));
    const padding = new Uint8Array((4 - (p.data.length % 4)) % 4);
    this.#sink(block(6, concat(head, p.data, padding), options));
  }

  /** Decryption secrets. Wireshark applies them to what comes after: write them before the first handshake packet. */
  secrets(s: SecretsBlock): void {
    const head = new Uint8Array(8);
    const v = new DataView(head.buffer);
    v.setUint32(0, s.type, true);
    v.setUint32(4, s.data.length, true);
    this.#sink(block(10, concat(head, s.data, new Uint8Array((4 - (s.data.length % 4)) % 4)), []));
  }

  /** Names of addresses; tshark -Nn prints them. */
  names(records: readonly NameRecord[]): void {
    const parts: Uint8Array[] = [];
    for (const { ip, names } of records) {
      const value = concat(ip, ...names.map((n) => utf8(`${n}\0`)));
      const head = new Uint8Array(4);
      new DataView(head.buffer).setUint16(0, ip.length === 4 ? 1 : 2, true);
      new DataView(head.buffer).setUint16(2, value.length, true);
      parts.push(head, value, new Uint8Array((4 - (value.length % 4)) % 4));
    }
    this.#sink(block(4, concat(...parts, new Uint8Array(4)), []));
  }

  /** Counters of an interface, at `time` (nanoseconds since 1970). */
  statistics(iface: number, time: bigint, s: NewStatistics): void {
    const body = new Uint8Array(12);
    const v = new DataView(body.buffer);
    v.setUint32(0, iface, true);
    v.setUint32(4, Number(time >> 32n), true);
    v.setUint32(8, Number(time & 0xffff_ffffn), true);
    // Times in this block are high word first, each in the section's byte order, unlike every other 64-bit option.
    const swapWords = (t: bigint): bigint => ((t & 0xffff_ffffn) << 32n) | (t >> 32n);
    const options: Option[] = [];
    if (s.start !== undefined) options.push(u64Option(2, swapWords(s.start)));
    if (s.end !== undefined) options.push(u64Option(3, swapWords(s.end)));
    const counters: [number, bigint | undefined][] = [
      [4, s.received],
      [6, s.accepted],
      [7, s.osDropped],
      [8, s.delivered],
    ];
    for (const [code, n] of counters) if (n !== undefined) options.push(u64Option(code, n));
    this.#sink(block(5, body, options));
  }
}

export class PcapWriter implements CaptureWriter {
  readonly #sink: Sink;
  readonly #nanoseconds: boolean;

  /** Writes the file header at once. One link type a file: `iface` of packet() does not matter. */
  constructor(sink: Sink, options: { link: number; snaplen?: number; nanoseconds?: boolean }) {
    this.#sink = sink;
    this.#nanoseconds = options.nanoseconds ?? false;
    const head = new Uint8Array(24);
    const v = new DataView(head.buffer);
    v.setUint32(0, this.#nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4, true);
    v.setUint16(4, 2, true);
    v.setUint16(6, 4, true);
    v.setUint32(16, options.snaplen ?? 262_144, true);
    v.setUint32(20, options.link, true);
    sink(head);
  }

  packet(_iface: number, p: NewPacket): void {
    const head = new Uint8Array(16);
    const v = new DataView(head.buffer);
    v.setUint32(0, Number(p.time / 1_000_000_000n), true);
    v.setUint32(4, Number(this.#nanoseconds ? p.time % 1_000_000_000n : (p.time % 1_000_000_000n) / 1000n), true);
    v.setUint32(8, p.data.length, true);
    v.setUint32(12, p.originalLength ?? p.data.length, true);
    this.#sink(concat(head, p.data));
  }
}
