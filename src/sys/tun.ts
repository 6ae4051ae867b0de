// TUN links (Documentation/networking/tuntap.rst): making or attaching one, and where it went when someone moved it to another network namespace.
// Reads and writes go through readFd and writeFd of descriptor.ts; each packet has VNET_HEADER bytes before it.
import { closeSync, constants, existsSync, openSync } from "node:fs";
import { TortieError } from "../base/errors.ts";
import { EBUSY, EINVAL, EPERM } from "./errno.ts";
import { bind, errno, errnoName } from "./ffi.ts";
import { nameRequest, requestName } from "./ifreq.ts";

const ioctl = bind("int ioctl(int, unsigned long, void *)");

const TUNSETIFF = 0x400454ca;
const TUNGETIFF = 0x800454d2;
const TUNGETDEVNETNS = 0x54e3;
const IFF_TUN = 1;
const IFF_PERSIST = 0x800;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const FLAGS = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
const CLONE_DEVICE = "/dev/net/tun";

/** struct virtio_net_hdr before every packet, both ways. Without TUNSETOFFLOAD the kernel leaves it zero and completes the checksums itself. */
export const VNET_HEADER = 10;
const FLAGS_AT = 16;

export type Tun = { readonly fd: number; readonly name: string; readonly persistent: boolean };

/** Makes the link `name`, or attaches to a persistent TUN of that name. Non-blocking. Throws TortieError. */
export function openTun(name: string): Tun {
  // The kernel would choose one.
  if (name === "") throw new TortieError(`Cannot use "" as a link's name: it must be 1 to 15 characters`);
  if (!existsSync(CLONE_DEVICE))
    throw new TortieError(`Cannot make the link "${name}": ${CLONE_DEVICE} is missing`, {
      hint: "modprobe tun loads it; a container needs --device /dev/net/tun --cap-add NET_ADMIN.",
    });
  let fd: number;
  try {
    fd = openSync(CLONE_DEVICE, constants.O_RDWR | constants.O_NONBLOCK);
  } catch (cause) {
    throw new TortieError(`Cannot make the link "${name}": ${CLONE_DEVICE} cannot be opened (${(cause as NodeJS.ErrnoException).code})`, {
      hint: "Run it as root; a container needs --device /dev/net/tun --cap-add NET_ADMIN.",
      cause,
    });
  }
  const request = nameRequest(name);
  new DataView(request.buffer).setUint16(FLAGS_AT, FLAGS, true);
  if (ioctl(fd, TUNSETIFF, request) < 0) {
    const number = errno();
    closeSync(fd);
    throw new TortieError(`Cannot make the link "${name}": ${WHY[number] ?? errnoName(number)}`, { hint: number === EPERM ? "Run it as root." : "" });
  }
  return describeTun(fd);
}

const WHY: Readonly<Record<number, string>> = {
  [EBUSY]: "another process has it",
  [EINVAL]: "a link of that name exists and is no plain TUN link",
  [EPERM]: "it needs the capability CAP_NET_ADMIN",
};

/** A TUN descriptor that was handed over. Throws TortieError when it is none, or one without the header that we need. */
export function describeTun(fd: number): Tun {
  const request = nameRequest("");
  if (ioctl(fd, TUNGETIFF, request) < 0)
    throw new TortieError(`Cannot use file descriptor ${fd} as a TUN link: ${errnoName(errno())}`, { hint: "WG_TUN_FD must be an attached TUN." });
  const flags = new DataView(request.buffer).getUint16(FLAGS_AT, true);
  if ((flags & IFF_VNET_HDR) === 0 || (flags & IFF_NO_PI) === 0)
    throw new TortieError(`Cannot use file descriptor ${fd} as a TUN link: it must be opened with IFF_NO_PI and IFF_VNET_HDR`);
  return { fd, name: requestName(request), persistent: (flags & IFF_PERSIST) !== 0 };
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
