// Where things are in the packets of a link type.
import { TortieError } from "../../base/errors.ts";
import {
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
} from "../../packet/link.ts";
import { ALWAYS, type Condition, equals, load, masked, NEVER, or, type Value } from "./condition.ts";

/** SKF_AD_OFF (linux/filter.h): loads from here on ask the kernel about the packet instead of reading it. */
const ANCILLARY = -4096;
export const SKF_AD_PROTOCOL: number = ANCILLARY;
export const SKF_AD_PKTTYPE: number = ANCILLARY + 4;
export const SKF_AD_VLAN_TAG: number = ANCILLARY + 44;
export const SKF_AD_VLAN_TAG_PRESENT: number = ANCILLARY + 48;

export type Link = {
  /** Offset of the network header. */
  readonly network: number;
  /** Where it is said what the network header is: an EtherType, an address family (4 bytes), in the header's own first bits, or nowhere: always this. */
  readonly protocol: Value | "family" | "swapped family" | "version" | typeof ETHERTYPE_IPV4 | typeof ETHERTYPE_IPV6;
  /** sll_pkttype, where it can be known. */
  readonly packetType: Value | undefined;
  readonly ethernet: boolean;
  /** Whether `link[…]` can be read. */
  readonly header: boolean;
};

/** The layout of a link type; `live`: as an AF_PACKET socket sees it while filtering. Throws TortieError. */
export function linkOf(linkType: number, live: boolean): Link {
  const packetType = live ? load(4, SKF_AD_PKTTYPE) : undefined;
  const plain = { network: 0, packetType, ethernet: false, header: true };
  switch (linkType) {
    case LINK_ETHERNET:
      return { ...plain, network: 14, protocol: load(2, 12), ethernet: true };
    case LINK_NULL:
      return { ...plain, network: 4, protocol: "swapped family" };
    case LINK_LOOP:
      return { ...plain, network: 4, protocol: "family" };
    case LINK_RAW:
    case 12:
    case 14:
      return { ...plain, protocol: "version" };
    case LINK_IPV4:
      return { ...plain, protocol: ETHERTYPE_IPV4 };
    case LINK_IPV6:
      return { ...plain, protocol: ETHERTYPE_IPV6 };
    case LINK_SLL:
      return { ...plain, network: 16, protocol: load(2, 14), packetType: load(2, 0) };
    case LINK_SLL2:
      // A cooked socket's program sees no link header.
      if (live) return { ...plain, protocol: load(4, SKF_AD_PROTOCOL), header: false };
      return { ...plain, network: 20, protocol: load(2, 0), packetType: load(1, 10) };
    default:
      throw new TortieError(`Cannot filter packets of link type ${linkName(linkType)}: Ethernet, raw IP, Linux cooked and loopback are known`);
  }
}

/** Address families of a loopback header; IPv6 has one for each system that writes such files. */
const FAMILIES: Readonly<Record<number, readonly number[]>> = { [ETHERTYPE_IPV4]: [2], [ETHERTYPE_IPV6]: [10, 24, 28, 30] };

/** The packet is of this EtherType. */
export function etherType(link: Link, type: number): Condition {
  const { protocol } = link;
  if (typeof protocol === "object") return equals(protocol, type);
  if (typeof protocol === "number") return protocol === type ? ALWAYS : NEVER;
  if (protocol === "version") {
    const version = masked(load(1, link.network), 0xf0);
    return type === ETHERTYPE_IPV4 ? equals(version, 0x40) : type === ETHERTYPE_IPV6 ? equals(version, 0x60) : NEVER;
  }
  // NULL: in the byte order of the machine that wrote it, which the packet does not tell.
  const orders = (n: number): number[] => (protocol === "family" ? [n] : [n << 24, n]);
  return or(...(FAMILIES[type] ?? []).flatMap(orders).map((n) => equals(load(4, 0), n)));
}

/** The layout behind an 802.1Q tag. */
export function tagged(link: Link): Link {
  const p = link.protocol;
  const moved = typeof p === "object" && p.kind === "load" && p.k >= 0 ? load(2, p.k + 4) : p;
  return { ...link, network: link.network + 4, protocol: moved };
}
