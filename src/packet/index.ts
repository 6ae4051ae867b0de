// Packets as a library: decode, build, reassemble. Pure; nothing here reads a socket.
export { formatIp, type Ip, parseIp } from "../base/ip.ts";
export * from "./build.ts";
export { checksum, pseudoSum, sum16 } from "./checksum.ts";
export { decode, decodeIp, type DecodeOptions } from "./decode.ts";
export type * from "./layer.ts";
export {
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  LINK_ETHERNET,
  LINK_IPV4,
  LINK_IPV6,
  LINK_LOOP,
  LINK_NULL,
  LINK_RAW,
  LINK_SLL,
  LINK_SLL2,
  linkName,
} from "./link.ts";
export { fragmentOf, Reassembler } from "./reassemble.ts";
