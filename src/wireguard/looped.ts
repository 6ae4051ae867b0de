// Our own messages that the host's routes send back into the tunnel, because the way to a peer leads through that very peer: a default route into the
// link without a firewall mark does it. Sealed again, they would go round for ever, growing until each is two fragments, and then four.
import { EndpointRecord } from "./endpoint.ts";
import { Ip4, Ip6, IP6_HEADER } from "./inner.ts";
import { Head, Row, type Tables } from "./tables.ts";

const UDP = 17;
const FRAGMENT = 44;
const FRAGMENT_HEADER = 8;

/**
 * Whether the packet for the peer in `row` is UDP from our port to that peer's own endpoint. Of a fragmented one only the first piece says so; what is
 * made of the others is whole again, and found out in its next round.
 */
export function isLooped(t: Tables, row: number, at: number, length: number): boolean {
  const { u8 } = t;
  const six = u8[at]! >>> 4 === 6;
  let protocol = u8[at + (six ? Ip6.NEXT_HEADER : Ip4.PROTOCOL)]!;
  let udp = at + (six ? IP6_HEADER : (u8[at]! & 15) * 4);
  if (six && protocol === FRAGMENT && at + length >= udp + FRAGMENT_HEADER && (u8[udp + 2]! | (u8[udp + 3]! & 0xf8)) === 0) {
    protocol = u8[udp]!;
    udp += FRAGMENT_HEADER;
  }
  if (protocol !== UDP || udp + 4 > at + length) return false;
  if (!six && (((u8[at + Ip4.FRAGMENT]! & 0x1f) << 8) | u8[at + Ip4.FRAGMENT + 1]!) !== 0) return false;
  const endpoint = row + Row.ENDPOINT;
  return (
    t.i32[endpoint + EndpointRecord.FAMILY] === (six ? 6 : 4) &&
    ((u8[udp]! << 8) | u8[udp + 1]!) === t.i32[t.head + Head.PORT] &&
    ((u8[udp + 2]! << 8) | u8[udp + 3]!) === t.i32[endpoint + EndpointRecord.PORT] &&
    sameBytes(u8, at + (six ? Ip6.DESTINATION : Ip4.DESTINATION), 4 * (endpoint + EndpointRecord.ADDRESS), six ? 16 : 4)
  );
}

function sameBytes(u8: Uint8Array, a: number, b: number, n: number): boolean {
  for (let i = n - 1; i >= 0; i--) if (u8[a + i] !== u8[b + i]) return false;
  return true;
}
