// Structures of recvmmsg(2), sendmmsg(2) and writev(2) as 64-bit Linux lays them out (the same on x86_64 and aarch64), and numbers of ip(7), ipv6(7), udp(7).

/** struct mmsghdr: msghdr { name 0, namelen 8, iov 16, iovlen 24, control 32, controllen 40, flags 48 }, msg_len 56. Here as words. */
export const Header = { NAME: 0, NAMELEN: 2, IOV: 4, IOVLEN: 6, CONTROL: 8, CONTROLLEN: 10, FLAGS: 12, LENGTH: 14, WORDS: 16, BYTES: 64 } as const;
/** struct iovec: base 0, length 8. */
export const IOVEC = 16;
/** A socket address of either family. */
export const NAME = 32;
/** struct cmsghdr { len u64, level i32, type i32 }, then the data; the next one at a multiple of 8. Here as words. */
export const Cmsg = { LENGTH: 0, LEVEL: 2, TYPE: 3, DATA: 4, BYTES: 16 } as const;

export const MSG_DONTWAIT = 0x40;
export const MSG_CTRUNC = 8;
export const MSG_TRUNC = 0x20;

export const SOL_IP = 0;
export const IP_TOS = 1;
export const IP_PKTINFO = 8;
export const SOL_IPV6 = 41;
export const IPV6_PKTINFO = 50;
export const IPV6_TCLASS = 67;
export const SOL_UDP = 17;
export const UDP_SEGMENT = 103;
export const UDP_GRO = 104;

/** struct in_pktinfo { ifindex, spec_dst, addr }: cmsg length and what it takes; struct in6_pktinfo { addr[16], ifindex }. */
export const PKTINFO4 = 28;
export const PKTINFO4_SPACE = 32;
export const PKTINFO6 = 36;
export const PKTINFO6_SPACE = 40;
/** An int, as UDP_GRO and types of service are, and a u16, as UDP_SEGMENT is; either takes the same. */
export const INT = 20;
export const SEGMENT = 18;
export const INT_SPACE = 24;

/** What the kernel takes as one message at most: payload of an IPv4 and an IPv6 datagram, and segments (64 before Linux 6.9). */
export const LONGEST4 = 65_507;
export const LONGEST6 = 65_527;
export const SEGMENTS = 64;
