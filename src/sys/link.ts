// A link's state: up or down, MTU, and word of changes. Asked in the network namespace where the link is now: a TUN link may be moved away from the
// namespace of its sockets (the usual way to give a container a tunnel), and the descriptor goes on working.
import { closeSync, fstatSync, openSync } from "node:fs";
import { closeFd } from "./descriptor.ts";
import { bind, check } from "./ffi.ts";
import { nameRequest } from "./ifreq.ts";
import { LINK_CHANGES, subscribe } from "./rtnetlink.ts";
import { tunNamespace } from "./tun.ts";

const socket = bind("int socket(int, int, int)");
const ioctl = bind("int ioctl(int, unsigned long, void *)");
const setns = bind("int setns(int, int)");

const AF_INET = 2;
const SOCK_DGRAM = 2;
const NONBLOCK_CLOEXEC = 0x80800;
const CLONE_NEWNET = 0x40000000;
const SIOCGIFFLAGS = 0x8913;
const SIOCGIFMTU = 0x8921;
const SIOCSIFMTU = 0x8922;
const SIOCSIFTXQLEN = 0x8943;
const VALUE_AT = 16;
const IFF_UP = 1;

export type LinkState = { readonly up: boolean; readonly mtu: number };

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
      subscribe(LINK_CHANGES),
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
    this.#set(name, SIOCSIFMTU, mtu);
  }

  /** How many packets wait for us to read them. Throws SysError. */
  setQueue(name: string, packets: number): void {
    this.#set(name, SIOCSIFTXQLEN, packets);
  }

  #set(name: string, what: number, value: number): void {
    const request = nameRequest(name);
    new DataView(request.buffer).setInt32(VALUE_AT, value, true);
    check(ioctl(this.#ask, what, request), `change the link "${name}"`);
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
