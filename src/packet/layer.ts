// The layers of a frame, outermost first, each with its place in the bytes so that a viewer can highlight it and a rule can cite it.
import type { Ip } from "../base/ip.ts";

/** `at`: first byte of the header; `length`: bytes of the header; `end`: one past the last byte that belongs to the layer and was captured. */
type Place = { readonly at: number; readonly length: number; readonly end: number };

export type EthernetLayer = Place & { readonly kind: "ethernet"; readonly src: Uint8Array; readonly dst: Uint8Array; readonly type: number };
export type VlanLayer = Place & { readonly kind: "vlan"; readonly id: number; readonly priority: number; readonly type: number };
/** Linux "cooked" header, version 1 (link type 113) or 2 (276). packetType: 0 to us, 1 broadcast, 2 multicast, 3 other host, 4 outgoing. */
export type CookedLayer = Place & {
  readonly kind: "cooked";
  readonly version: 1 | 2;
  readonly packetType: number;
  readonly arphrd: number;
  readonly type: number;
  readonly ifindex?: number;
};
export type NullLayer = Place & { readonly kind: "null"; readonly family: number };

export type Ipv4Layer = Place & {
  readonly kind: "ipv4";
  readonly src: Ip;
  readonly dst: Ip;
  readonly tos: number;
  /** As in the header; 0 = larger than the field can say (BIG TCP). */
  readonly totalLength: number;
  readonly id: number;
  readonly dontFragment: boolean;
  readonly moreFragments: boolean;
  /** In bytes. */
  readonly fragmentOffset: number;
  readonly ttl: number;
  readonly protocol: number;
  readonly checksum: number;
};
export type Ipv6Layer = Place & {
  readonly kind: "ipv6";
  readonly src: Ip;
  readonly dst: Ip;
  readonly trafficClass: number;
  readonly flowLabel: number;
  readonly payloadLength: number;
  readonly nextHeader: number;
  readonly hopLimit: number;
};
/** Hop-by-hop 0, routing 43, destination options 60, authentication 51. */
export type ExtensionLayer = Place & { readonly kind: "extension"; readonly header: number; readonly nextHeader: number };
export type Fragment6Layer = Place & {
  readonly kind: "fragment";
  readonly nextHeader: number;
  readonly fragmentOffset: number;
  readonly moreFragments: boolean;
  readonly id: number;
};
export type TcpLayer = Place & {
  readonly kind: "tcp";
  readonly srcPort: number;
  readonly dstPort: number;
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly flags: number;
  readonly window: number;
  readonly checksum: number;
};
export type UdpLayer = Place & {
  readonly kind: "udp";
  readonly srcPort: number;
  readonly dstPort: number;
  /** As in the header: header and payload. */
  readonly totalLength: number;
  readonly checksum: number;
};
export type IcmpLayer = Place & {
  readonly kind: "icmp" | "icmpv6";
  readonly type: number;
  readonly code: number;
  readonly checksum: number;
  readonly rest: number;
};
export type ArpLayer = Place & {
  readonly kind: "arp";
  readonly operation: number;
  readonly senderMac: Uint8Array;
  readonly senderIp: Ip;
  readonly targetMac: Uint8Array;
  readonly targetIp: Ip;
};
export type VxlanLayer = Place & { readonly kind: "vxlan"; readonly vni: number };
export type GeneveLayer = Place & { readonly kind: "geneve"; readonly vni: number; readonly type: number };
export type GreLayer = Place & { readonly kind: "gre"; readonly type: number; readonly key?: number };
export type EspLayer = Place & { readonly kind: "esp"; readonly spi: number; readonly sequence: number };
/** What follows is not on the wire for itself: an ICMP error quotes it, and it may be cut. */
export type QuoteLayer = Place & { readonly kind: "quote" };
/** Bytes that no layer above explains. `why` says why not, where that is not plain. */
export type DataLayer = Place & { readonly kind: "data"; readonly why?: "fragment" | "unknown" | "truncated" | "too deep" };

export type IpLayer = Ipv4Layer | Ipv6Layer;
export type Layer =
  | EthernetLayer
  | VlanLayer
  | CookedLayer
  | NullLayer
  | IpLayer
  | ExtensionLayer
  | Fragment6Layer
  | TcpLayer
  | UdpLayer
  | IcmpLayer
  | ArpLayer
  | VxlanLayer
  | GeneveLayer
  | GreLayer
  | EspLayer
  | QuoteLayer
  | DataLayer;
