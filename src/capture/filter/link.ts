// Where things are in the packets of a link type.
import { TortieError } from "../../base/errors.ts";
import { type Condition, equals, load, masked, NEVER, type Value } from "./condition.ts";
import { FILTER_LINK_TYPES } from "./types.ts";

/** SKF_AD_OFF (linux/filter.h): loads from here on ask the kernel about the packet instead of reading it. */
const ANCILLARY = -4096;
export const SKF_AD_PROTOCOL: number = ANCILLARY;
export const SKF_AD_PKTTYPE: number = ANCILLARY + 4;
export const SKF_AD_VLAN_TAG: number = ANCILLARY + 44;
export const SKF_AD_VLAN_TAG_PRESENT: number = ANCILLARY + 48;

export type Link = {
  /** Offset of the network header. */
  readonly network: number;
  /** The EtherType, where there is one. */
  readonly protocol: Value | undefined;
  /** sll_pkttype, where it can be known. */
  readonly packetType: Value | undefined;
  readonly ethernet: boolean;
  /** Whether `link[…]` can be read. */
  readonly header: boolean;
};

/** The layout of a link type; `live`: as an AF_PACKET socket sees it while filtering. Throws TortieError. */
export function linkOf(linkType: number, live: boolean): Link {
  const packetType = live ? load(4, SKF_AD_PKTTYPE) : undefined;
  switch (linkType) {
    case FILTER_LINK_TYPES.EN10MB:
      return { network: 14, protocol: load(2, 12), packetType, ethernet: true, header: true };
    case FILTER_LINK_TYPES.RAW:
      return { network: 0, protocol: undefined, packetType, ethernet: false, header: true };
    case FILTER_LINK_TYPES.LINUX_SLL:
      return { network: 16, protocol: load(2, 14), packetType: load(2, 0), ethernet: false, header: true };
    case FILTER_LINK_TYPES.LINUX_SLL2:
      // A cooked socket's program sees no link header.
      if (live) return { network: 0, protocol: load(4, SKF_AD_PROTOCOL), packetType, ethernet: false, header: false };
      return { network: 20, protocol: load(2, 0), packetType: load(1, 10), ethernet: false, header: true };
    default:
      throw new TortieError(`Cannot filter packets of link type ${linkType}: Ethernet (1), raw IP (101) and Linux cooked (113, 276) are known`);
  }
}

const IPV4 = 0x800;
const IPV6 = 0x86dd;

/** The packet is of this EtherType. */
export function etherType(link: Link, type: number): Condition {
  if (link.protocol) return equals(link.protocol, type);
  const version = masked(load(1, link.network), 0xf0);
  return type === IPV4 ? equals(version, 0x40) : type === IPV6 ? equals(version, 0x60) : NEVER;
}

/** The layout behind an 802.1Q tag. */
export function tagged(link: Link): Link {
  const p = link.protocol;
  const moved = p?.kind === "load" && p.k >= 0 ? load(2, p.k + 4) : p;
  return { ...link, network: link.network + 4, protocol: moved };
}
