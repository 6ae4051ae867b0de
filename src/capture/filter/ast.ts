// What a filter expression says (pcap-filter(7), the part that we know), before any link type.
import type { Ip } from "../../base/ip.ts";

export type Direction = "src" | "dst" | "either" | "both";
export type Transport = "tcp" | "udp" | "sctp";
export type Network = "ip" | "ip6" | "arp" | "rarp";
/** What `proto[…]` may begin with. */
export type Indexed = "link" | Network | Transport | "icmp" | "icmp6";

export type Arithmetic =
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "length" }
  | { readonly kind: "load"; readonly protocol: Indexed; readonly index: Arithmetic; readonly size: 1 | 2 | 4 }
  | { readonly kind: "binary"; readonly op: BinaryOp; readonly left: Arithmetic; readonly right: Arithmetic }
  | { readonly kind: "negate"; readonly of: Arithmetic };
export type BinaryOp = "+" | "-" | "*" | "/" | "%" | "&" | "|" | "^" | "<<" | ">>";
export type RelationOp = "=" | "!=" | "<" | "<=" | ">" | ">=";

export type Filter =
  | { readonly kind: "and" | "or"; readonly left: Filter; readonly right: Filter }
  | { readonly kind: "not"; readonly of: Filter }
  | { readonly kind: "protocol"; readonly protocol: Network | Transport | "icmp" | "icmp6" }
  /** `proto N` under IPv4, IPv6 or both. */
  | { readonly kind: "ipProtocol"; readonly family: "ip" | "ip6" | "any"; readonly number: number }
  | { readonly kind: "etherProtocol"; readonly number: number }
  /** A single address or a net. Without a protocol an IPv4 address matches in ARP and RARP too. */
  | { readonly kind: "host"; readonly protocol?: Network | undefined; readonly direction: Direction; readonly ip: Ip; readonly prefix: number }
  | { readonly kind: "ether"; readonly direction: Direction; readonly mac: Uint8Array }
  | { readonly kind: "port"; readonly protocol?: Transport | undefined; readonly direction: Direction; readonly low: number; readonly high: number }
  | { readonly kind: "vlan"; readonly id?: number | undefined }
  | { readonly kind: "cast"; readonly family: "ether" | "ip" | "ip6"; readonly cast: "broadcast" | "multicast" }
  | { readonly kind: "way"; readonly way: "inbound" | "outbound" }
  | { readonly kind: "relation"; readonly op: RelationOp; readonly left: Arithmetic; readonly right: Arithmetic };
