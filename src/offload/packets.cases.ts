// Packets for the tests of this folder: every field at will, the virtio header that the kernel puts before them, and the naive way to split one.
import { concat } from "../base/bytes.ts";
import { checksum, pseudoSum } from "../packet/checksum.ts";
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

/** Is the Internet checksum of IPv4's header, and that of TCP or UDP, right? By the plain loops of src/packet. */
export function intact(packet: Uint8Array): boolean {
  const v4 = packet[0]! >>> 4 === 4;
  const start = v4 ? (packet[0]! & 15) * 4 : 40;
  if (v4 && checksum(packet.subarray(0, start)) !== 0) return false;
  const [from, to] = v4 ? [packet.subarray(12, 16), packet.subarray(16, 20)] : [packet.subarray(8, 24), packet.subarray(24, 40)];
  return checksum(packet.subarray(start), pseudoSum(from, to, packet[v4 ? 9 : 6]!, packet.length - start)) === 0;
}

/** Bytes that tell where they were. */
export const payloadOf = (length: number, seed = 0): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8) + seed * 31) & 255);

/** Packets as text, which is quick to compare. */
export const hexOf = (packets: readonly Uint8Array[]): string[] => packets.map((p) => Buffer.from(p).toString("hex"));
