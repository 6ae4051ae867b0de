// Where a datagram goes to or came from, as 48 bytes in shared memory, opaque to the protocol: the kernel's sockaddr_in or sockaddr_in6 (zero filled
// to 28), then the interface index (u32 at 28) and the address (4 or 16 bytes at 32) that the other side addressed here: the sticky source.
import type { Ip } from "../base/ip.ts";

export const ENDPOINT_BYTES = 48;
export const SOURCE_INDEX_AT = 28;
export const SOURCE_ADDRESS_AT = 32;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCKADDR_IN = 16;
export const SOCKADDR_IN6 = 28;

/** Scope is the index of the interface that a link-local IPv6 address belongs to. */
export type Address = { readonly ip: Ip; readonly port: number; readonly scope: number };

/** 48 bytes for an address, without a sticky source. */
export function encodeEndpoint(to: Address): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(ENDPOINT_BYTES);
  const view = new DataView(out.buffer);
  const is6 = to.ip.length === 16;
  view.setUint16(0, is6 ? AF_INET6 : AF_INET, true);
  view.setUint16(2, to.port);
  out.set(to.ip, is6 ? 8 : 4);
  if (is6) view.setUint32(24, to.scope, true);
  return out;
}

/** The address in the endpoint at `bytes`, or undefined when there is none. */
export function decodeEndpoint(bytes: Uint8Array): Address | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const family = view.getUint16(0, true);
  if (family === AF_INET) return { ip: bytes.slice(4, 8), port: view.getUint16(2), scope: 0 };
  if (family === AF_INET6) return { ip: bytes.slice(8, 24), port: view.getUint16(2), scope: view.getUint32(24, true) };
  return undefined;
}
