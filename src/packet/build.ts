// Builds packets: the probes of the audit, and what tests feed to decoders. Lengths and checksums are filled in.
import { concat } from "../base/bytes.ts";
import type { Ip } from "../base/ip.ts";
import { checksum, pseudoSum } from "./checksum.ts";

const bytes = (length: number, fill: (v: DataView) => void): Uint8Array => {
  const out = new Uint8Array(length);
  fill(new DataView(out.buffer));
  return out;
};

export const ethernet = (dst: Uint8Array, src: Uint8Array, type: number, payload: Uint8Array): Uint8Array =>
  concat(
    dst,
    src,
    bytes(2, (v) => v.setUint16(0, type)),
    payload,
  );
export const vlan = (id: number, type: number, payload: Uint8Array): Uint8Array =>
  concat(
    bytes(4, (v) => {
      v.setUint16(0, id);
      v.setUint16(2, type);
    }),
    payload,
  );

export type IpFields = { src: Ip; dst: Ip; protocol: number; ttl?: number; id?: number; fragmentOffset?: number; moreFragments?: boolean };

export function ipv4(f: IpFields, payload: Uint8Array): Uint8Array {
  const header = bytes(20, (v) => {
    v.setUint8(0, 0x45);
    v.setUint16(2, (20 + payload.length) & 0xffff);
    v.setUint16(4, f.id ?? 0);
    v.setUint16(6, (f.moreFragments ? 0x2000 : 0) | ((f.fragmentOffset ?? 0) >> 3));
    v.setUint8(8, f.ttl ?? 64);
    v.setUint8(9, f.protocol);
  });
  header.set(f.src, 12);
  header.set(f.dst, 16);
  new DataView(header.buffer).setUint16(10, checksum(header));
  return concat(header, payload);
}

export function ipv6(f: IpFields, payload: Uint8Array): Uint8Array {
  const fragmented = f.fragmentOffset !== undefined || f.moreFragments;
  const fragment = fragmented
    ? bytes(8, (v) => {
        v.setUint8(0, f.protocol);
        v.setUint16(2, (f.fragmentOffset ?? 0) | (f.moreFragments ? 1 : 0));
        v.setUint32(4, f.id ?? 0);
      })
    : new Uint8Array(0);
  const header = bytes(40, (v) => {
    v.setUint8(0, 0x60);
    v.setUint16(4, fragment.length + payload.length);
    v.setUint8(6, fragmented ? 44 : f.protocol);
    v.setUint8(7, f.ttl ?? 64);
  });
  header.set(f.src, 8);
  header.set(f.dst, 24);
  return concat(header, fragment, payload);
}

/** IPv4 or IPv6, as the addresses say. */
export const ip = (f: IpFields, payload: Uint8Array): Uint8Array => (f.src.length === 4 ? ipv4(f, payload) : ipv6(f, payload));

export function udp(src: Ip, dst: Ip, srcPort: number, dstPort: number, payload: Uint8Array): Uint8Array {
  const out = concat(
    bytes(8, (v) => {
      v.setUint16(0, srcPort);
      v.setUint16(2, dstPort);
      v.setUint16(4, (8 + payload.length) & 0xffff);
    }),
    payload,
  );
  const sum = checksum(out, pseudoSum(src, dst, 17, out.length));
  new DataView(out.buffer).setUint16(6, sum === 0 ? 0xffff : sum);
  return out;
}

export type TcpFields = { srcPort: number; dstPort: number; sequence?: number; acknowledgement?: number; flags?: number; window?: number };
export function tcp(src: Ip, dst: Ip, f: TcpFields, payload: Uint8Array = new Uint8Array(0)): Uint8Array {
  const out = concat(
    bytes(20, (v) => {
      v.setUint16(0, f.srcPort);
      v.setUint16(2, f.dstPort);
      v.setUint32(4, f.sequence ?? 0);
      v.setUint32(8, f.acknowledgement ?? 0);
      v.setUint16(12, 0x5000 | (f.flags ?? 2));
      v.setUint16(14, f.window ?? 65_535);
    }),
    payload,
  );
  new DataView(out.buffer).setUint16(16, checksum(out, pseudoSum(src, dst, 6, out.length)));
  return out;
}

/** ICMP (IPv4 addresses) or ICMPv6 message; `rest` is the second word of its header. */
export function icmp(src: Ip, dst: Ip, f: { type: number; code?: number; rest?: number }, payload: Uint8Array = new Uint8Array(0)): Uint8Array {
  const out = concat(
    bytes(8, (v) => {
      v.setUint8(0, f.type);
      v.setUint8(1, f.code ?? 0);
      v.setUint32(4, f.rest ?? 0);
    }),
    payload,
  );
  new DataView(out.buffer).setUint16(2, checksum(out, src.length === 4 ? 0 : pseudoSum(src, dst, 58, out.length)));
  return out;
}

export const vxlan = (vni: number, frame: Uint8Array): Uint8Array =>
  concat(
    bytes(8, (v) => {
      v.setUint8(0, 8);
      v.setUint32(4, (vni << 8) >>> 0);
    }),
    frame,
  );
/** `options`: a multiple of 4 bytes. */
export const geneve = (vni: number, type: number, payload: Uint8Array, options: Uint8Array = new Uint8Array(0)): Uint8Array =>
  concat(
    bytes(8, (v) => {
      v.setUint8(0, options.length / 4);
      v.setUint16(2, type);
      v.setUint32(4, (vni << 8) >>> 0);
    }),
    options,
    payload,
  );
export const gre = (type: number, payload: Uint8Array, key?: number): Uint8Array =>
  concat(
    bytes(key === undefined ? 4 : 8, (v) => {
      v.setUint16(0, key === undefined ? 0 : 0x2000);
      v.setUint16(2, type);
      if (key !== undefined) v.setUint32(4, key);
    }),
    payload,
  );
export const arp = (operation: number, senderMac: Uint8Array, senderIp: Ip, targetMac: Uint8Array, targetIp: Ip): Uint8Array =>
  concat(
    bytes(8, (v) => {
      v.setUint16(0, 1);
      v.setUint16(2, 0x0800);
      v.setUint16(4, 0x0604);
      v.setUint16(6, operation);
    }),
    senderMac,
    senderIp,
    targetMac,
    targetIp,
  );
