// struct virtio_net_hdr (linux/virtio_net.h), which precedes each packet of a TUN opened with IFF_VNET_HDR. Fields are in the host's byte order; we run
// on little-endian machines only.

/** Its length. */
export const VIRTIO_HEADER = 10;
/** Offsets. `HEADER_LENGTH` is a hint that kernels fill in differently: it is written, never read. */
export const Virtio = { FLAGS: 0, GSO_TYPE: 1, HEADER_LENGTH: 2, GSO_SIZE: 4, CHECKSUM_START: 6, CHECKSUM_OFFSET: 8 } as const;
/** Bit of FLAGS: the checksum field at start + offset holds the folded pseudo-header sum; the sum from start on is still to be added and complemented. */
export const NEEDS_CHECKSUM = 1;
/** Values of GSO_TYPE. UDP_L4 is both families'. */
export const Gso = { NONE: 0, TCP4: 1, TCP6: 4, UDP: 5 } as const;
/** Bit of GSO_TYPE: CWR is set in the first segment only. */
export const GSO_ECN = 0x80;

/** What split and merge need to know of IP (RFC 791, RFC 8200), TCP (RFC 9293) and UDP (RFC 768): lengths, and offsets within each header. */
export const IP4_HEADER = 20;
export const IP6_HEADER = 40;
export const TCP_HEADER = 20;
export const UDP_HEADER = 8;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const Ip4 = { TOTAL_LENGTH: 2, ID: 4, FRAGMENT: 6, PROTOCOL: 9, CHECKSUM: 10, SOURCE: 12 } as const;
export const Ip6 = { PAYLOAD_LENGTH: 4, NEXT_HEADER: 6, SOURCE: 8 } as const;
export const Tcp = { SEQUENCE: 4, DATA_OFFSET: 12, FLAGS: 13, CHECKSUM: 16 } as const;
export const Udp = { LENGTH: 4, CHECKSUM: 6 } as const;
export const TcpFlag = { FIN: 1, PSH: 8, ACK: 16, CWR: 128 } as const;
