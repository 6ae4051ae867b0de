// The blocks of pcapng that describe: sections, interfaces, names, counters (section 4.3). A file has few of them, so they are read plainly.
import { fromUtf8 } from "../base/bytes.ts";
import type { Clock } from "./filepacket.ts";
import type { CaptureEvent, CaptureInterface, CaptureStatistics, NameRecord } from "./packet.ts";
import { Options } from "./pcapng-options.ts";
import { clockOf } from "./pcapng-time.ts";

/** The body of a block within a piece. */
export type Body = {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly from: number;
  readonly to: number;
  readonly littleEndian: boolean;
};

const optionsOf = ({ bytes, view, from, to, littleEndian }: Body, at: number): Options =>
  new Options(bytes, view, Math.min(from + at, to), to, littleEndian);

/** Without the fields that are undefined. */
const given = <T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };

export function readSection(body: Body): { event: Extract<CaptureEvent, { kind: "section" }>; damage: string | undefined } {
  const o = optionsOf(body, 16);
  const texts = given({ hardware: o.text(2), os: o.text(3), application: o.text(4) });
  return { event: { kind: "section", format: "pcapng", littleEndian: body.littleEndian, ...texts, comments: o.comments }, damage: o.damage };
}

export type Described = { readonly iface: CaptureInterface; readonly clock: Clock | string; readonly damage: string | undefined };

export function readInterface(body: Body, id: number): Described {
  const { view, from, littleEndian } = body;
  const o = optionsOf(body, 8);
  const one = (code: number, length: number): Uint8Array | undefined => o.values(code, length)[0]?.slice(0, length);
  const [filter] = o.values(11, 1);
  const offset = o.u64(14) ?? 0n;
  const iface: CaptureInterface = {
    id,
    link: view.getUint16(from, littleEndian),
    snaplen: view.getUint32(from + 4, littleEndian),
    fcsLength: one(13, 1)?.[0] ?? 0,
    comments: o.comments,
    ...given({
      name: o.text(2),
      description: o.text(3),
      mac: one(6, 6),
      eui: one(7, 8),
      speed: o.u64(8),
      filter: filter?.[0] === 0 ? fromUtf8(filter.subarray(1)) : undefined,
      os: o.text(12),
      hardware: o.text(15),
      txSpeed: o.u64(16),
      rxSpeed: o.u64(17),
      timezone: o.text(18),
    }),
    ips: [
      ...o.values(4, 8).map((value) => ({ ip: value.slice(0, 4), prefix: prefixOf(value.subarray(4, 8)) })),
      ...o.values(5, 17).map((value) => ({ ip: value.slice(0, 16), prefix: value[16]! })),
    ],
  };
  return { iface, clock: clockOf(one(9, 1)?.[0] ?? 6, BigInt.asIntN(64, offset)), damage: o.damage };
}

/** Leading one bits of a mask. */
function prefixOf(mask: Uint8Array): number {
  let n = 0;
  while (n < 32 && (mask[n >> 3]! & (0x80 >> (n & 7))) !== 0) n++;
  return n;
}

/** Names that one address may have; a block could hold millions. */
const MAX_NAMES_OF_ONE = 64;
const WIDTHS: Readonly<Record<number, number>> = { 1: 4, 2: 16, 3: 6, 4: 8 };

/** At most `most` records. `damage`: what is wrong with the rest. */
export function readNames({ bytes, view, from, to, littleEndian }: Body, most: number): { names: NameRecord[]; damage: string | undefined } {
  const names: NameRecord[] = [];
  for (let at = from; at + 4 <= to;) {
    const type = view.getUint16(at, littleEndian);
    const length = view.getUint16(at + 2, littleEndian);
    at += 4;
    if (type === 0) break;
    if (at + length > to) return { names, damage: `a name record of ${length} bytes reaches beyond the block` };
    const width = WIDTHS[type];
    // Of addresses of hardware only the names of IP's are of use here.
    if (width !== undefined && type <= 2 && length > width && names.length < most) {
      const texts = fromUtf8(bytes.subarray(at + width, at + length)).split("\0", MAX_NAMES_OF_ONE);
      names.push({ ip: bytes.slice(at, at + width), names: texts.filter((t) => t !== "") });
    }
    at += (length + 3) & ~3;
  }
  return { names, damage: undefined };
}

export function readStatistics(body: Body, iface: CaptureInterface, clock: Clock): { statistics: CaptureStatistics; damage: string | undefined } {
  const { view, from, littleEndian } = body;
  const o = optionsOf(body, 12);
  const time = (code: number): bigint | undefined => {
    const words = o.time(code);
    return words && clock(...words);
  };
  const counted = given({
    time: clock(view.getUint32(from + 4, littleEndian), view.getUint32(from + 8, littleEndian)),
    start: time(2),
    end: time(3),
    received: o.u64(4),
    dropped: o.u64(5),
    accepted: o.u64(6),
    osDropped: o.u64(7),
    delivered: o.u64(8),
  });
  return { statistics: { iface, comments: o.comments, ...counted }, damage: o.damage };
}
