// TUN links (Documentation/networking/tuntap.rst): making or attaching one, and where it went when someone moved it to another network namespace.
// Reads and writes go through readFd and writeFd of descriptor.ts; each packet has VNET_HEADER bytes before it.
import { closeSync, constants, existsSync, openSync } from "node:fs";
import { TortieError } from "../base/errors.ts";
import { EBUSY, EINVAL, EPERM } from "./errno.ts";
import { bind, errno, errnoName } from "./ffi.ts";
import { nameRequest, requestName } from "./ifreq.ts";

const ioctl = bind("int ioctl(int, unsigned long, void *)");
const fcntl = bind("int fcntl(int, int, int)");
const ioctlValue = bind("int ioctl(int, unsigned long, unsigned long)");

const TUNSETIFF = 0x400454ca;
const TUNGETIFF = 0x800454d2;
const TUNSETOFFLOAD = 0x400454d0;
const TUNSETVNETHDRSZ = 0x400454d8;
const TUNSETQUEUE = 0x400454d9;
const TUNGETDEVNETNS = 0x54e3;
const IFF_TUN = 1;
const IFF_MULTI_QUEUE = 0x100;
const IFF_ATTACH_QUEUE = 0x200;
const IFF_DETACH_QUEUE = 0x400;
const IFF_PERSIST = 0x800;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const FLAGS = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
const F_GETFL = 3;
const F_SETFL = 4;
const CLONE_DEVICE = "/dev/net/tun";

const TUN_F_CSUM = 1;
const TUN_F_TSO = 2 | 4;
const TUN_F_USO = 0x20 | 0x40;
const E2BIG = 7;

/** struct virtio_net_hdr before every packet, both ways. While no offload is on, it is zero in what is read, and checksums are complete. */
export const VNET_HEADER = 10;
const FLAGS_AT = 16;

export type Tun = {
  /** One a queue. Non-blocking. */
  readonly fds: readonly number[];
  readonly name: string;
  /** It outlives its descriptors: someone else made it. */
  readonly persistent: boolean;
};

/**
 * Makes the link `name`, or attaches to a persistent TUN of that name. The kernel spreads flows over the `queues`; there is but one where the link was
 * made for one. Throws TortieError.
 */
export function openTun(name: string, queues = 1): Tun {
  // The kernel would choose one.
  if (name === "") throw new TortieError(`Cannot use "" as a link's name: it must be 1 to 15 characters`);
  if (!existsSync(CLONE_DEVICE))
    throw new TortieError(`Cannot make the link "${name}": ${CLONE_DEVICE} is missing`, {
      hint: "modprobe tun loads it; a container needs --device /dev/net/tun --cap-add NET_ADMIN.",
    });
  const fds = [openClone(name)];
  try {
    // A link has queues or has none from when it is made: one that is there must be taken as it is.
    const many = queues > 1;
    const first = attach(fds[0]!, name, many);
    const other = first === EINVAL ? attach(fds[0]!, name, !many) : first;
    if (other !== 0) throw refused(name, other);
    const tun = describeTun(fds[0]!);
    while (many && first === 0 && fds.length < queues) {
      fds.push(openClone(name));
      const number = attach(fds.at(-1)!, tun.name, true);
      if (number !== 0) throw refused(name, number);
    }
    return { ...tun, fds };
  } catch (thrown) {
    for (const fd of fds) closeSync(fd);
    throw thrown;
  }
}

function openClone(name: string): number {
  try {
    return openSync(CLONE_DEVICE, constants.O_RDWR | constants.O_NONBLOCK);
  } catch (cause) {
    throw new TortieError(`Cannot make the link "${name}": ${CLONE_DEVICE} cannot be opened (${(cause as NodeJS.ErrnoException).code})`, {
      hint: "Run it as root; a container needs --device /dev/net/tun --cap-add NET_ADMIN.",
      cause,
    });
  }
}

/** 0, or errno. */
function attach(fd: number, name: string, queues: boolean): number {
  const request = nameRequest(name);
  new DataView(request.buffer).setUint16(FLAGS_AT, queues ? FLAGS | IFF_MULTI_QUEUE : FLAGS, true);
  return ioctl(fd, TUNSETIFF, request) < 0 ? errno() : 0;
}

const refused = (name: string, number: number): TortieError =>
  new TortieError(`Cannot make the link "${name}": ${WHY[number] ?? errnoName(number)}`, { hint: HINTS[number] ?? "" });
const HINTS: Readonly<Record<number, string>> = {
  [EBUSY]: "Stop that one first; a tortie device hands over to one that is started with --take-over.",
  [EPERM]: "Run it as root.",
};

const WHY: Readonly<Record<number, string>> = {
  [E2BIG]: "it has no queue left",
  [EBUSY]: "another process has it",
  [EINVAL]: "a link of that name exists and is no plain TUN link",
  [EPERM]: "it needs the capability CAP_NET_ADMIN",
};

/**
 * A TUN descriptor, made or handed over; of several queues' descriptors, any. Throws TortieError when it is none, or one without the header that we need.
 */
export function describeTun(fd: number): Tun {
  const request = nameRequest("");
  if (ioctl(fd, TUNGETIFF, request) < 0)
    throw new TortieError(`Cannot use file descriptor ${fd} as a TUN link: ${errnoName(errno())}`, { hint: "WG_TUN_FD must be an attached TUN." });
  const flags = new DataView(request.buffer).getUint16(FLAGS_AT, true);
  if ((flags & IFF_TUN) === 0 || (flags & IFF_VNET_HDR) === 0 || (flags & IFF_NO_PI) === 0)
    throw new TortieError(`Cannot use file descriptor ${fd} as a TUN link: it must be opened with IFF_TUN, IFF_NO_PI and IFF_VNET_HDR`);
  // A persistent link keeps what whoever had it before has set.
  if (ioctl(fd, TUNSETVNETHDRSZ, new Int32Array([VNET_HEADER])) < 0)
    throw new TortieError(`Cannot use file descriptor ${fd} as a TUN link: its packet header cannot be set (${errnoName(errno())})`);
  // Who hands one over may have opened it for blocking reads.
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL, 0) | constants.O_NONBLOCK);
  return { fds: [fd], name: requestName(request), persistent: (flags & IFF_PERSIST) !== 0 };
}

/** What the kernel may leave to us in packets read, and takes from us in packets written: checksums and segments of TCP, and of UDP. */
export type TunOffloads = { readonly tcp: boolean; readonly udp: boolean };

/**
 * Switches offloads on, or off, for the link of this descriptor: what is on now. That of UDP needs that of TCP, and Linux 6.2. The header of each packet
 * then says what is left to do (struct virtio_net_hdr).
 */
export function offloadTun(fd: number, wanted: TunOffloads = { tcp: true, udp: true }): TunOffloads {
  const set = (flags: number): boolean => ioctlValue(fd, TUNSETOFFLOAD, flags) === 0;
  const tcp = wanted.tcp && set(TUN_F_CSUM | TUN_F_TSO);
  if (!tcp) set(0);
  // Either of the two alone is refused.
  return { tcp, udp: tcp && wanted.udp && set(TUN_F_CSUM | TUN_F_TSO | TUN_F_USO) };
}

/**
 * Whether the kernel gives this queue of several its share of the flows. What is written to a queue that has none still arrives. While only one queue has
 * flows, the kernel need not look for a packet's. False when the kernel refuses, or it is so already. What lies in a
 * queue when it gets none any more is lost.
 */
export function useQueue(fd: number, on: boolean): boolean {
  const request = nameRequest("");
  new DataView(request.buffer).setUint16(FLAGS_AT, on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE, true);
  return ioctl(fd, TUNSETQUEUE, request) === 0;
}

/** Whether it gives this queue packets. */
export function queueInUse(fd: number): boolean {
  const request = nameRequest("");
  return ioctl(fd, TUNGETIFF, request) === 0 && (new DataView(request.buffer).getUint16(FLAGS_AT, true) & IFF_DETACH_QUEUE) === 0;
}

/** The link's name now: it may have been renamed. undefined when it was deleted. */
export function tunName(fd: number): string | undefined {
  const request = nameRequest("");
  return ioctl(fd, TUNGETIFF, request) < 0 ? undefined : requestName(request);
}

/** A descriptor of the network namespace the link is in now (the caller closes it), or undefined on a kernel before 5.1 or a deleted link. */
export function tunNamespace(fd: number): number | undefined {
  const at = ioctl(fd, TUNGETDEVNETNS, null);
  return at < 0 ? undefined : at;
}
