// Interfaces of this process's network namespace, as captures need them: asked of the kernel by ioctl, because /sys may show another namespace.
import { closeSync, readFileSync } from "node:fs";
import { bind, check } from "./ffi.ts";
import { nameRequest } from "./ifreq.ts";

const socket = bind("int socket(int, int, int)");
const ioctl = bind("int ioctl(int, unsigned long, void *)");

const AF_INET = 2;
const DGRAM_CLOEXEC = 2 | 0x80000;
const SIOCGIFFLAGS = 0x8913;
const SIOCGIFHWADDR = 0x8927;
const SIOCGIFINDEX = 0x8933;
const VALUE_AT = 16;
const IFF_UP = 1;
const IFF_LOOPBACK = 8;

/** Link types (www.tcpdump.org/linktypes.html) of what an AF_PACKET socket gives. */
const EN10MB = 1;
const RAW = 101;
const LINUX_SLL2 = 276;
/** ARPHRD_… (linux/if_arp.h). */
const ETHERNET: readonly number[] = [1, 772];
/** Interfaces whose packets begin with the IP header: RAWIP, TUNNEL, TUNNEL6, SIT, NONE (tun). */
const IP_ONLY: readonly number[] = [519, 768, 769, 776, 65534];

export type CapturableInterface = {
  readonly name: string;
  readonly index: number;
  /** 1 EN10MB, 101 RAW; 276 LINUX_SLL2 for what has a header that nobody parses. */
  readonly linkType: number;
  readonly up: boolean;
  readonly loopback: boolean;
  /** 6 bytes, on Ethernet. */
  readonly mac?: Uint8Array;
};

/** One interface. Throws SysError (ENODEV) when there is none of this name. */
export function capturableInterface(name: string): CapturableInterface {
  const fd = check(socket(AF_INET, DGRAM_CLOEXEC, 0), "open a socket");
  try {
    const ask = (request: number): DataView => {
      const ifreq = nameRequest(name);
      check(ioctl(fd, request, ifreq), `find the interface "${name}"`);
      return new DataView(ifreq.buffer);
    };
    const index = ask(SIOCGIFINDEX).getInt32(VALUE_AT, true);
    const address = ask(SIOCGIFHWADDR);
    const hardware = address.getUint16(VALUE_AT, true);
    const mac = hardware === ETHERNET[0] ? { mac: new Uint8Array(address.buffer).slice(VALUE_AT + 2, VALUE_AT + 8) } : {};
    const flags = ask(SIOCGIFFLAGS).getUint16(VALUE_AT, true);
    const linkType = ETHERNET.includes(hardware) ? EN10MB : IP_ONLY.includes(hardware) ? RAW : LINUX_SLL2;
    return { name, index, linkType, up: (flags & IFF_UP) !== 0, loopback: (flags & IFF_LOOPBACK) !== 0, ...mac };
  } finally {
    closeSync(fd);
  }
}

/** All of them, in the kernel's order. */
export function capturableInterfaces(): CapturableInterface[] {
  const names = readFileSync("/proc/thread-self/net/dev", "utf8")
    .split("\n")
    .slice(2)
    .map((l) => l.split(":")[0]!.trim())
    .filter((n) => n !== "");
  const found: CapturableInterface[] = [];
  for (const name of names) {
    try {
      found.push(capturableInterface(name));
    } catch {
      // It went away in between.
    }
  }
  return found;
}
