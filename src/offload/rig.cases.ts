// What the tests of this folder share: packets of every field, the naive way to split one, and a memory in which every byte outside the named ranges is
// watched.
import { concat } from "../base/bytes.ts";
import { checksum, pseudoSum } from "../packet/checksum.ts";
import { Coalescer, type CoalescerOptions } from "./coalescer.ts";
import { loadSimd, type Simd } from "./simd.ts";
import { Splitter, SPLITTER_SCRATCH } from "./splitter.ts";
import { VIRTIO_HEADER } from "./virtio.ts";

export const TCP = 6;
export const UDP = 17;
export const ACK = 16;
export const PSH = 8;

export type Fields = {
  readonly version: 4 | 6;
  readonly protocol: number;
  readonly payload: Uint8Array;
  readonly from?: number;
  readonly to?: number;
  readonly srcPort?: number;
  readonly dstPort?: number;
  readonly tos?: number;
  readonly ttl?: number;
  readonly id?: number;
  /** The whole 16 bits of flags and offset. @default DF */
  readonly fragment?: number;
  readonly flow?: number;
  readonly ipOptions?: Uint8Array;
  /** Bytes between the IPv6 header and the transport's, and the next header that announces them. */
  readonly extension?: { readonly type: number; readonly bytes: Uint8Array };
  readonly seq?: number;
  readonly ack?: number;
  readonly flags?: number;
  readonly reserved?: number;
  readonly window?: number;
  readonly urgent?: number;
  readonly options?: Uint8Array;
};

const NONE = new Uint8Array(0);
const address = (f: Fields, host: number): Uint8Array =>
  f.version === 4 ? Uint8Array.of(10, 0, 0, host) : Uint8Array.of(0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host);

/** The transport header with its checksum: complete, or the pseudo header's sum alone as the kernel leaves it (CHECKSUM_PARTIAL). */
function transport(f: Fields, partial: boolean): Uint8Array {
  const options = f.options ?? NONE;
  const header = new Uint8Array(f.protocol === TCP ? 20 + options.length : 8);
  const v = new DataView(header.buffer);
  v.setUint16(0, f.srcPort ?? 1);
  v.setUint16(2, f.dstPort ?? 2);
  if (f.protocol === TCP) {
    v.setUint32(4, (f.seq ?? 1) >>> 0);
    v.setUint32(8, f.ack ?? 1);
    v.setUint8(12, ((header.length / 4) << 4) | (f.reserved ?? 0));
    v.setUint8(13, f.flags ?? ACK);
    v.setUint16(14, f.window ?? 3000);
    v.setUint16(18, f.urgent ?? 0);
    header.set(options, 20);
  } else v.setUint16(4, 8 + f.payload.length);
  const pseudo = pseudoSum(address(f, f.from ?? 1), address(f, f.to ?? 2), f.protocol, header.length + f.payload.length);
  const sum = partial ? pseudo : checksum(concat(header, f.payload), pseudo);
  v.setUint16(f.protocol === TCP ? 16 : 6, sum === 0 && f.protocol === UDP ? 0xffff : sum);
  return concat(header, f.payload);
}

export function build(f: Fields, partial = false): Uint8Array {
  const body = transport(f, partial);
  if (f.version === 6) {
    const extension = f.extension?.bytes ?? NONE;
    const header = new Uint8Array(40);
    const v = new DataView(header.buffer);
    v.setUint32(0, ((6 << 28) | ((f.tos ?? 0) << 20) | (f.flow ?? 0)) >>> 0);
    v.setUint16(4, extension.length + body.length);
    v.setUint8(6, f.extension?.type ?? f.protocol);
    v.setUint8(7, f.ttl ?? 64);
    header.set(address(f, f.from ?? 1), 8);
    header.set(address(f, f.to ?? 2), 24);
    return concat(header, extension, body);
  }
  const header = new Uint8Array(20 + (f.ipOptions?.length ?? 0));
  const v = new DataView(header.buffer);
  v.setUint8(0, 0x40 | (header.length / 4));
  v.setUint8(1, f.tos ?? 0);
  v.setUint16(2, header.length + body.length);
  v.setUint16(4, f.id ?? 0);
  v.setUint16(6, f.fragment ?? 0x4000);
  v.setUint8(8, f.ttl ?? 64);
  v.setUint8(9, f.protocol);
  header.set(address(f, f.from ?? 1), 12);
  header.set(address(f, f.to ?? 2), 16);
  header.set(f.ipOptions ?? NONE, 20);
  v.setUint16(10, checksum(header));
  return concat(header, body);
}

export const headerLength = (f: Fields): number => build({ ...f, payload: NONE }).length;
export const transportAt = (f: Fields): number => headerLength(f) - (f.protocol === TCP ? 20 + (f.options?.length ?? 0) : 8);

export type Virtio = { flags: number; type: number; headerLength: number; size: number; start: number; offset: number };
export function virtioBytes(h: Virtio): Uint8Array {
  const out = new Uint8Array(VIRTIO_HEADER);
  const v = new DataView(out.buffer);
  v.setUint8(0, h.flags);
  v.setUint8(1, h.type);
  v.setUint16(2, h.headerLength, true);
  v.setUint16(4, h.size, true);
  v.setUint16(6, h.start, true);
  v.setUint16(8, h.offset, true);
  return out;
}
export function readVirtio(bytes: Uint8Array): Virtio {
  const v = new DataView(bytes.buffer, bytes.byteOffset, VIRTIO_HEADER);
  return {
    flags: v.getUint8(0),
    type: v.getUint8(1),
    headerLength: v.getUint16(2, true),
    size: v.getUint16(4, true),
    start: v.getUint16(6, true),
    offset: v.getUint16(8, true),
  };
}
/** What the kernel puts before a super-packet of these fields. */
export const virtioOf = (f: Fields, size: number): Virtio => ({
  flags: 1,
  type: f.protocol === UDP ? 5 : f.version === 4 ? 1 : 4,
  headerLength: headerLength(f),
  size,
  start: transportAt(f),
  offset: f.protocol === TCP ? 16 : 6,
});

/** The segments of a super-packet, each built from its fields. */
export function splitNaive(f: Fields, size: number): Uint8Array[] {
  const n = Math.max(1, Math.ceil(f.payload.length / size));
  return Array.from({ length: n }, (_, i) =>
    build({
      ...f,
      payload: f.payload.subarray(i * size, (i + 1) * size),
      id: ((f.id ?? 0) + i) & 0xffff,
      seq: ((f.seq ?? 1) + i * size) >>> 0,
      flags: (f.flags ?? ACK) & ~(i < n - 1 ? 9 : 0) & ~(i > 0 ? 128 : 0),
    }),
  );
}

const PAGES = 16;
/** One memory in which what is written outside the allowed ranges is found. */
export class Arena {
  readonly memory: WebAssembly.Memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  readonly u8: Uint8Array = new Uint8Array(this.memory.buffer);
  readonly simd: Simd = loadSimd(this.memory);
  readonly splitter: Splitter;
  readonly #before: Uint8Array;
  /** Between what is laid out: unequal distances give every alignment. */
  readonly #scratch = 4096 + 3;

  constructor() {
    for (let i = 0, x = 1; i < this.u8.length; i++) {
      x = Math.imul(x, 1664525) + 1013904223;
      this.u8[i] = x >>> 24;
    }
    this.#before = Uint8Array.from(this.u8);
    this.splitter = new Splitter(this.memory, this.simd, this.#scratch);
  }

  get bytes(): number {
    return this.u8.length;
  }

  put(at: number, bytes: Uint8Array): void {
    this.u8.set(bytes, at);
  }
  take(at: number, length: number): Uint8Array {
    return Uint8Array.from(this.u8.subarray(at, at + length));
  }

  /** Offsets that changed outside [from, to) and the scratch; then everything is as before again. */
  strays(from: number, to: number): number[] {
    const found: number[] = [];
    const look = (a: number, b: number): void => {
      if (Buffer.compare(this.u8.subarray(a, b), this.#before.subarray(a, b)) === 0) return;
      for (let i = a; i < b; i++) if (this.u8[i] !== this.#before[i]) found.push(i);
    };
    look(0, this.#scratch);
    look(this.#scratch + SPLITTER_SCRATCH, from);
    look(to, this.u8.length);
    this.u8.set(this.#before);
    return found;
  }

  /** Splits `packet` behind `virtio`, consuming each segment as a sealer would: what lies up to 64 bytes before it is destroyed. */
  split(virtio: Uint8Array, packet: Uint8Array, at = 100_001): { segments: Uint8Array[]; strays: number[] } {
    this.put(at, concat(virtio, packet));
    const segments: Uint8Array[] = [];
    for (let n = this.splitter.begin(at, packet.length); n > 0; n--) {
      this.splitter.next();
      segments.push(this.take(this.splitter.packetAt, this.splitter.packetLength));
      this.u8.fill(0xa5, this.splitter.packetAt - 64, this.splitter.packetAt);
    }
    return { segments, strays: this.strays(at - 54, at + VIRTIO_HEADER + packet.length) };
  }

  /** Adds the packets, which lie `gap` bytes apart; what was written to the TUN, pieces joined. */
  coalesce(packets: readonly Uint8Array[], options: CoalescerOptions = {}, gap = 83): { writes: Uint8Array[]; strays: number[]; pieces: number[] } {
    const writes: Uint8Array[] = [];
    const pieces: number[] = [];
    const coalescer = new Coalescer(
      this.memory,
      this.simd,
      {
        write: (at, length, n) => {
          writes.push(concat(...Array.from({ length: n }, (_, i) => this.take(at[i]!, length[i]!))));
          pieces.push(n);
        },
      },
      options,
    );
    let at = 8192;
    const guards: [number, number][] = [];
    for (const packet of packets) {
      at += gap;
      this.put(at, packet);
      guards.push([at + packet.length, at + packet.length + gap - VIRTIO_HEADER]);
      coalescer.add(at, packet.length);
      at += packet.length;
    }
    coalescer.flush();
    const strays = guards.slice(0, -1).flatMap(([a, b]) => (Buffer.compare(this.u8.subarray(a, b), this.#before.subarray(a, b)) === 0 ? [] : [a]));
    strays.push(...this.strays(8192 + gap - VIRTIO_HEADER, at));
    return { writes, strays, pieces };
  }
}

/** Bytes that tell where they were. */
export const payloadOf = (length: number, seed = 0): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8) + seed * 31) & 255);
