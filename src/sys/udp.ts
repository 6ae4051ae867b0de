// The UDP sockets of a device: IPv4 and IPv6 on one port (udp(7), ip(7), ipv6(7)). What is received goes
// through inbox.ts, what is sent through outgoing.ts.
import { closeFd } from "./descriptor.ts";
import { TortieError } from "../base/errors.ts";
import { EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT } from "./errno.ts";
import { bind, check, SysError } from "./ffi.ts";
import { IP_PKTINFO, SOL_IP, SOL_IPV6, SOL_UDP, UDP_GRO, UDP_SEGMENT } from "./msghdr.ts";
import { chooseSocket } from "./socketfilter.ts";

const socket = bind("int socket(int, int, int)");
const bindSocket = bind("int bind(int, void *, unsigned int)");
const getsockname = bind("int getsockname(int, void *, void *)");
const setsockopt = bind("int setsockopt(int, int, int, void *, unsigned int)");
const getsockopt = bind("int getsockopt(int, int, int, void *, void *)");

export const AF_INET = 2;
export const AF_INET6 = 10;
/** Lengths of struct sockaddr_in and sockaddr_in6. */
export const SOCKADDR_IN = 16;
export const SOCKADDR_IN6 = 28;
const DGRAM_NONBLOCK_CLOEXEC = 2 | 0x800 | 0x80000;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_REUSEPORT = 15;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const SO_MARK = 36;
const IP_MTU_DISCOVER = 10;
const IPV6_MTU_DISCOVER = 23;
const IPV6_V6ONLY = 26;
const IPV6_RECVPKTINFO = 49;
const PMTUDISC_DONT = 0;
// A burst of one round trip must fit while the worker writes to the TUN.
const BUFFER = 7 << 20;
const TRIES = 100;

/** `v6` is -1 where the kernel has no IPv6. */
export type UdpSockets = { readonly v4: number; readonly v6: number; readonly port: number };
/** What the kernel does for datagrams in runs: cuts those that are sent, merges those that are received (udp(7), UDP_SEGMENT and UDP_GRO). */
export type UdpOffloads = { readonly segment: boolean; readonly gro: boolean };

const set = (fd: number, level: number, option: number, value: number): number => setsockopt(fd, level, option, new Int32Array([value]), 4);

function open(family: number, port: number, shared: boolean): { fd: number; port: number } {
  const fd = check(socket(family, DGRAM_NONBLOCK_CLOEXEC, 0), "open a UDP socket");
  try {
    const six = family === AF_INET6;
    if (six) check(set(fd, SOL_IPV6, IPV6_V6ONLY, 1), "keep IPv4 out of the IPv6 socket");
    check(six ? set(fd, SOL_IPV6, IPV6_RECVPKTINFO, 1) : set(fd, SOL_IP, IP_PKTINFO, 1), "learn the addresses that packets come to");
    // As in the kernel's device: the outer packet may be fragmented.
    if (six) set(fd, SOL_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_DONT);
    else set(fd, SOL_IP, IP_MTU_DISCOVER, PMTUDISC_DONT);
    if (set(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER) < 0) set(fd, SOL_SOCKET, SO_RCVBUF, BUFFER);
    if (set(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER) < 0) set(fd, SOL_SOCKET, SO_SNDBUF, BUFFER);
    if (shared) check(set(fd, SOL_SOCKET, SO_REUSEPORT, 1), "share a UDP port");
    const local = new Uint8Array(six ? SOCKADDR_IN6 : SOCKADDR_IN);
    const view = new DataView(local.buffer);
    view.setUint16(0, family, true);
    view.setUint16(2, port);
    check(bindSocket(fd, local, local.length), `listen on UDP port ${port}`);
    check(getsockname(fd, local, new Uint32Array([local.length])), "read the port");
    return { fd, port: view.getUint16(2) };
  } catch (thrown) {
    closeFd(fd);
    throw thrown;
  }
}

function openPair(port: number, shared: boolean): UdpSockets {
  const v4 = open(AF_INET, port, shared);
  try {
    return { v4: v4.fd, v6: open(AF_INET6, v4.port, shared).fd, port: v4.port };
  } catch (thrown) {
    if (thrown instanceof SysError && (thrown.errno === EAFNOSUPPORT || thrown.errno === EADDRNOTAVAIL)) return { v4: v4.fd, v6: -1, port: v4.port };
    closeFd(v4.fd);
    throw thrown;
  }
}

/** Both families on `port`; 0: any port that is free in both. Throws SysError (EADDRINUSE) or TortieError. */
export function openUdp(port: number): UdpSockets {
  for (let i = 0; i < TRIES; i++) {
    try {
      return openPair(port, false);
    } catch (thrown) {
      if (port !== 0 || !(thrown instanceof SysError) || thrown.errno !== EADDRINUSE) throw thrown;
    }
  }
  throw new TortieError("Cannot listen: no UDP port is free in both IPv4 and IPv6");
}

/**
 * `n` times both families on one port, for one thread each: the kernel gives all datagrams of one sender to the same one (socket(7), SO_REUSEPORT).
 * Throws as openUdp does.
 */
export function openUdpGroup(port: number, n: number): readonly UdpSockets[] {
  // The first one is alone when it takes the port, so that a port of another program is found to be taken even if that one would share it.
  const first = openUdp(port);
  const all = [first];
  try {
    for (const fd of n > 1 ? [first.v4, first.v6] : []) if (fd >= 0) check(set(fd, SOL_SOCKET, SO_REUSEPORT, 1), "share a UDP port");
    while (all.length < n) all.push(openPair(first.port, true));
    return all;
  } catch (thrown) {
    for (const sockets of all) closeUdp(sockets);
    throw thrown;
  }
}

/** Has all datagrams for a group come to its first pair, or each pair get its share of the senders, as from the start. False: the kernel refused. */
export function gatherUdp(group: readonly UdpSockets[], first: boolean): boolean {
  const [one] = group;
  if (one === undefined || group.length < 2) return true;
  // What one is told goes for all of the group.
  return [one.v4, one.v6].every((fd) => fd < 0 || chooseSocket(fd, first ? 0 : group.length));
}

/**
 * What the kernel can do for these sockets. UDP_GRO is switched on, or off, as `wanted.gro` says; it is left off before Linux 5.12, which had faults in it
 * and cannot be asked for the option either.
 */
export function offloadUdp(sockets: UdpSockets, wanted: UdpOffloads = { segment: true, gro: true }): UdpOffloads {
  const fds = [sockets.v4, sockets.v6].filter((fd) => fd >= 0);
  const knows = (option: number): boolean => fds.every((fd) => getsockopt(fd, SOL_UDP, option, new Int32Array(1), new Uint32Array([4])) === 0);
  const gro = wanted.gro && knows(UDP_GRO);
  if (knows(UDP_GRO)) for (const fd of fds) check(set(fd, SOL_UDP, UDP_GRO, gro ? 1 : 0), "have datagrams merged");
  return { segment: wanted.segment && knows(UDP_SEGMENT), gro };
}

/** SO_MARK on both sockets; 0 clears. Throws SysError (EPERM without CAP_NET_ADMIN). */
export function markUdp(sockets: UdpSockets, mark: number): void {
  for (const fd of [sockets.v4, sockets.v6]) {
    if (fd < 0) continue;
    const result = setsockopt(fd, SOL_SOCKET, SO_MARK, new Uint32Array([mark]), 4);
    check(result, `set the firewall mark ${mark}`);
  }
}

export function closeUdp(sockets: UdpSockets): void {
  for (const fd of [sockets.v4, sockets.v6]) if (fd >= 0) closeFd(fd);
}
