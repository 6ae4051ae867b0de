// A link's state: up or down, MTU, and word of changes. Asked in the network namespace where the link is now: a TUN link may be moved away from the
// namespace of its sockets (the usual way to give a container a tunnel), and the descriptor goes on working.
import { closeSync, fstatSync, openSync } from "node:fs";
import { closeFd } from "./descriptor.ts";
import { bind, check } from "./ffi.ts";
import { nameRequest } from "./ifreq.ts";
import { tunNamespace } from "./tun.ts";

const socket = bind("int socket(int, int, int)");
const bindSocket = bind("int bind(int, void *, unsigned int)");
const ioctl = bind("int ioctl(int, unsigned long, void *)");
const setns = bind("int setns(int, int)");

const AF_INET = 2;
const AF_NETLINK = 16;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const NONBLOCK_CLOEXEC = 0x80800;
const NETLINK_ROUTE = 0;
const RTMGRP_LINK = 1;
const CLONE_NEWNET = 0x40000000;
const SIOCGIFFLAGS = 0x8913;
const SIOCGIFMTU = 0x8921;
const SIOCSIFMTU = 0x8922;
const VALUE_AT = 16;
const IFF_UP = 1;

export type LinkState = { readonly up: boolean; readonly mtu: number };

function subscribe(): number {
  const fd = check(socket(AF_NETLINK, SOCK_RAW | NONBLOCK_CLOEXEC, NETLINK_ROUTE), "open a netlink socket");
  const local = new Uint8Array(12);
  const view = new DataView(local.buffer);
  view.setUint16(0, AF_NETLINK, true);
  view.setUint32(8, RTMGRP_LINK, true);
  check(bindSocket(fd, local, local.length), "subscribe to link changes");
  return fd;
}

/** Runs `body` in the namespace of descriptor `there`, which is closed; undefined: in our own. */
function inNamespace<T>(there: number | undefined, body: () => T): T {
  if (there === undefined) return body();
  const here = openSync("/proc/thread-self/ns/net", "r");
  try {
    // Entering takes CAP_SYS_ADMIN, which a device that stays in one namespace need not have.
    if (fstatSync(here).ino === fstatSync(there).ino) return body();
    check(setns(there, CLONE_NEWNET), "enter the link's network namespace");
    try {
      // Only this thread changed its namespace, and nothing else runs on it before it is back.
      return body();
    } finally {
      check(setns(here, CLONE_NEWNET), "return to the own network namespace");
    }
  } finally {
    closeSync(here);
    closeFd(there);
  }
}

export class LinkWatch {
  /** A netlink socket that becomes readable when any link of the namespace changes. Non-blocking; its messages need not be understood. */
  readonly changes: number;
  readonly #ask: number;

  /** In the namespace of the TUN behind `tunFd`. Throws SysError. */
  constructor(tunFd: number) {
    [this.#ask, this.changes] = inNamespace(tunNamespace(tunFd), () => [
      check(socket(AF_INET, SOCK_DGRAM | NONBLOCK_CLOEXEC, 0), "open a socket"),
      subscribe(),
    ]);
  }

  /** State of the link, or undefined when it is not in this namespace (any more). */
  state(name: string): LinkState | undefined {
    const flags = this.#get(name, SIOCGIFFLAGS);
    const mtu = this.#get(name, SIOCGIFMTU);
    return flags === undefined || mtu === undefined ? undefined : { up: (flags & IFF_UP) !== 0, mtu };
  }

  /** Throws SysError. */
  setMtu(name: string, mtu: number): void {
    const request = nameRequest(name);
    new DataView(request.buffer).setInt32(VALUE_AT, mtu, true);
    check(ioctl(this.#ask, SIOCSIFMTU, request), `set the MTU of "${name}" to ${mtu}`);
  }

  #get(name: string, what: number): number | undefined {
    const request = nameRequest(name);
    if (ioctl(this.#ask, what, request) < 0) return undefined;
    return new DataView(request.buffer).getInt32(VALUE_AT, true);
  }

  close(): void {
    closeFd(this.#ask);
    closeFd(this.changes);
  }
}
