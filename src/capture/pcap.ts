// The classic pcap format, both byte orders, micro- and nanoseconds, and the variants that are met (draft-ietf-opsawg-pcap; section 4.1).
import type { CaptureEvent, CaptureInterface } from "./packet.ts";
import { MAX_PACKET } from "./packet.ts";
import type { Format, Step } from "./format.ts";

const MICROSECONDS = 0xa1b2c3d4;
const NANOSECONDS = 0xa1b23c4d;
/** "Modified" pcap: eight bytes more in each record header (interface, protocol, packet type). */
const MODIFIED = 0xa1b2cd34;

const FILE_HEADER = 24;
const RECORD_HEADER = 16;

type State = {
  iface: CaptureInterface | undefined;
  number: number;
  mayBeSwapped: "never" | "always" | "when larger";
  resync: boolean;
  lastSeconds: number;
};

/** The parser of a file that starts with `magic` read in that byte order, or undefined when it is no pcap magic. */
export function pcapFormat(magic: number, littleEndian: boolean, salvage: boolean): Format | undefined {
  if (magic !== MICROSECONDS && magic !== NANOSECONDS && magic !== MODIFIED) return undefined;
  const header = magic === MODIFIED ? 24 : RECORD_HEADER;
  const unit = magic === NANOSECONDS ? 1n : 1000n;
  const perSecond = magic === NANOSECONDS ? 1_000_000_000 : 1_000_000;
  const state: State = { iface: undefined, number: 0, mayBeSwapped: "never", resync: false, lastSeconds: 0 };

  const fileHeader = (v: DataView, offset: number, emit: (e: CaptureEvent) => void): Step => {
    const major = v.getUint16(4, littleEndian);
    const minor = v.getUint16(6, littleEndian);
    const linkField = v.getUint32(20, littleEndian);
    if (!(major === 2 || (major === 543 && minor === 0))) {
      emit({ kind: "damage", damage: { offset, block: "file header", reason: `version ${major}.${minor} of pcap is not known` } });
      return { kind: "stop" };
    }
    // Before 2.3 captured and original length stood the other way round; in 2.3 some writers did one, some the other.
    if (major === 543 || minor < 3) state.mayBeSwapped = "always";
    else if (minor === 3) state.mayBeSwapped = "when larger";
    state.iface = {
      id: 0,
      link: linkField & 0xffff,
      snaplen: v.getUint32(16, littleEndian),
      fcsLength: linkField & 0x0400_0000 ? (linkField >>> 28) * 2 : 0,
      comments: [],
    };
    emit({ kind: "section", format: magic === NANOSECONDS ? "pcap-ns" : "pcap", littleEndian });
    emit({ kind: "interface", iface: state.iface });
    return { kind: "used", bytes: FILE_HEADER };
  };

  type Record = { seconds: number; fraction: number; captured: number; original: number };
  const record = (v: DataView): Record => {
    const a = v.getUint32(8, littleEndian);
    const b = v.getUint32(12, littleEndian);
    const swap = state.mayBeSwapped === "always" || (state.mayBeSwapped === "when larger" && a > b);
    return { seconds: v.getUint32(0, littleEndian), fraction: v.getUint32(4, littleEndian), captured: swap ? b : a, original: swap ? a : b };
  };
  const plausible = (r: Record): boolean =>
    r.captured > 0 &&
    r.captured <= r.original &&
    r.captured <= MAX_PACKET &&
    r.original <= 16 * MAX_PACKET &&
    r.fraction < perSecond &&
    (state.lastSeconds === 0 || Math.abs(r.seconds - state.lastSeconds) < 86_400 * 366);

  /** Looks for a record header that is followed by another one, or by the end of the file. */
  const resync = (buffer: Uint8Array, at: number, offset: number, final: boolean, emit: (e: CaptureEvent) => void): Step => {
    for (let i = at; i + header <= buffer.length; i++) {
      const r = record(new DataView(buffer.buffer, buffer.byteOffset + i, header));
      if (!plausible(r)) continue;
      const next = i + header + r.captured;
      if (next + header > buffer.length) {
        if (next === buffer.length && final) return found(i - at);
        if (!final) return i > at ? { kind: "used", bytes: i - at } : { kind: "need", bytes: header + r.captured + header };
        continue;
      }
      if (plausible(record(new DataView(buffer.buffer, buffer.byteOffset + next, header)))) return found(i - at);
    }
    if (final) {
      emit({ kind: "note", note: { offset, what: `${buffer.length - at} bytes after it hold nothing that looks like a record` } });
      return { kind: "stop" };
    }
    const used = Math.max(0, buffer.length - at - header + 1);
    return used > 0 ? { kind: "used", bytes: used } : { kind: "need", bytes: header };
  };
  const found = (skipped: number): Step => {
    state.resync = false;
    return { kind: "used", bytes: skipped };
  };

  return {
    step(buffer, at, offset, final, emit): Step {
      const left = buffer.length - at;
      const cut = (need: number, block: string): Step => {
        if (!final) return { kind: "need", bytes: need };
        emit({ kind: "damage", damage: { offset, block, reason: `the file is cut short: ${left} of ${need} bytes are there` } });
        return { kind: "stop" };
      };
      if (!state.iface) {
        if (left < FILE_HEADER) return cut(FILE_HEADER, "file header");
        return fileHeader(new DataView(buffer.buffer, buffer.byteOffset + at, FILE_HEADER), offset, emit);
      }
      if (state.resync) return resync(buffer, at, offset, final, emit);
      if (left < header) return cut(header, "record header");
      const r = record(new DataView(buffer.buffer, buffer.byteOffset + at, header));
      if (r.captured > MAX_PACKET) {
        const reason = `record says ${r.captured} bytes were kept, more than ${MAX_PACKET}, the most a packet can have`;
        emit({ kind: "damage", damage: { offset, block: `record ${state.number + 1}`, reason } });
        if (!salvage) return { kind: "stop" };
        state.resync = true;
        return { kind: "used", bytes: 1 };
      }
      if (left < header + r.captured) return cut(header + r.captured, `record ${state.number + 1}`);
      state.number++;
      state.lastSeconds = r.seconds;
      const note = (what: string): void => emit({ kind: "note", note: { offset, what: `packet ${state.number}: ${what}` } });
      if (r.captured > r.original) note(`captured ${r.captured} bytes of ${r.original}: the original length is taken as ${r.captured}`);
      if (r.fraction >= perSecond) note(`the fraction of its time is a second or more (${r.fraction}): carried over`);
      const start = at + header;
      emit({
        kind: "packet",
        packet: {
          number: state.number,
          iface: state.iface,
          time: BigInt(r.seconds) * 1_000_000_000n + BigInt(r.fraction) * unit,
          data: buffer.subarray(start, start + r.captured),
          originalLength: Math.max(r.original, r.captured),
          comments: [],
        },
      });
      return { kind: "used", bytes: header + r.captured };
    },
  };
}
