// Where a peer is: a UDP address, and the local address and interface over which it was last heard ("sticky source"). In memory an endpoint is a record of
// ENDPOINT_WORDS words; addresses are raw bytes in network order (IPv4 in the first four), unused words are zero so that records compare by words.
import type { Ip } from "../base/ip.ts";

export type Endpoint = {
  readonly ip: Ip;
  readonly port: number;
  /** Interface index of a link-local IPv6 address; 0 or absent: none. */
  readonly scope?: number | undefined;
  /** The local address to send from and the interface to leave by; absent: the kernel chooses. */
  readonly source?: { readonly ip: Ip; readonly interface: number } | undefined;
};

/** Offsets in words. */
export const EndpointRecord = { FAMILY: 0, PORT: 1, SCOPE: 2, ADDRESS: 3, SOURCE: 7, INTERFACE: 11 } as const;
export const ENDPOINT_WORDS = 12;

/** Writes a record at byte offset `at` (a multiple of 4). `u8` and `u32` are views of the same memory from its first byte. */
export function writeEndpoint(u8: Uint8Array, u32: Uint32Array, at: number, e: Endpoint): void {
  const w = at >>> 2;
  u32.fill(0, w, w + ENDPOINT_WORDS);
  u32[w + EndpointRecord.FAMILY] = e.ip.length === 4 ? 4 : 6;
  u32[w + EndpointRecord.PORT] = e.port;
  u32[w + EndpointRecord.SCOPE] = e.scope ?? 0;
  u8.set(e.ip, at + 4 * EndpointRecord.ADDRESS);
  if (e.source) {
    u8.set(e.source.ip, at + 4 * EndpointRecord.SOURCE);
    u32[w + EndpointRecord.INTERFACE] = e.source.interface;
  }
}

/** Reads a record; undefined when its family is 0. */
export function readEndpoint(u8: Uint8Array, u32: Uint32Array, at: number): Endpoint | undefined {
  const w = at >>> 2;
  const family = u32[w + EndpointRecord.FAMILY]!;
  if (family === 0) return undefined;
  const length = family === 4 ? 4 : 16;
  const ip = u8.slice(at + 4 * EndpointRecord.ADDRESS, at + 4 * EndpointRecord.ADDRESS + length);
  const source = u8.slice(at + 4 * EndpointRecord.SOURCE, at + 4 * EndpointRecord.SOURCE + length);
  const outgoing = u32[w + EndpointRecord.INTERFACE]!;
  const scope = u32[w + EndpointRecord.SCOPE]!;
  return {
    ip,
    port: u32[w + EndpointRecord.PORT]!,
    ...(scope !== 0 && { scope }),
    ...((outgoing !== 0 || source.some((b) => b !== 0)) && { source: { ip: source, interface: outgoing } }),
  };
}
