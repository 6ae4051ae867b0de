// A link's state: up or down, MTU, and word of changes. A TUN link may be moved away from the namespace of its sockets (the usual way to give a
// container a tunnel), and the descriptor goes on working. It is then asked where it is, but nothing of ours stays there: a socket would keep the
// namespace, and so the link, alive after its container.
import { closeSync, fstatSync, openSync } from "node:fs";
import { closeFd } from "./descriptor.ts";
import { bind, check } from "./ffi.ts";
import { nameRequest } from "./ifreq.ts";
import { LINK_CHANGES, subscribe } from "./rtnetlink.ts";
import { tunName, tunNamespace } from "./tun.ts";

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

const openSocket = (): number => check(socket(AF_INET, SOCK_DGRAM | NONBLOCK_CLOEXEC, 0), "open a socket");

function get(fd: number, name: string, what: number): number | undefined {
  const request = nameRequest(name);
  return ioctl(fd, what, request) < 0 ? undefined : new DataView(request.buffer).getInt32(VALUE_AT, true);
}
function stateOf(fd: number, name: string): LinkState | undefined {
  const flags = get(fd, name, SIOCGIFFLAGS);
  const mtu = get(fd, name, SIOCGIFMTU);
  return flags === undefined || mtu === undefined ? undefined : { up: (flags & IFF_UP) !== 0, mtu };
}

export class LinkWatch {
  /** A netlink socket that becomes readable when any link of our namespace changes. Non-blocking; its messages need not be understood. */
  readonly changes: number = subscribe(LINK_CHANGES);
  readonly #tun: number;
  readonly #ask: number = openSocket();
  readonly #home: number = openSync("/proc/thread-self/ns/net", "r");
  #away = false;

  /** For the link of this TUN descriptor. Throws SysError. */
  constructor(tunFd: number) {
    this.#tun = tunFd;
  }

  /** At the last state() the link was in another namespace, of whose changes no word comes. */
  get away(): boolean {
    return this.#away;
  }

  /** State of the link now, wherever it is. Throws SysError. */
  state(): LinkState | "deleted" {
    for (;;) {
      const name = tunName(this.#tun);
      if (name === undefined) return "deleted";
      const state = this.#where(name);
      if (state) return state;
      // It was renamed, moved or deleted in between.
    }
  }

  #where(name: string): LinkState | undefined {
    const there = tunNamespace(this.#tun);
    try {
      this.#away = there !== undefined && fstatSync(there).ino !== fstatSync(this.#home).ino;
      // Entering takes CAP_SYS_ADMIN, which a device that stays in one namespace need not have.
      return this.#away ? this.#visit(there!, name) : stateOf(this.#ask, name);
    } finally {
      if (there !== undefined) closeFd(there);
    }
  }

  #visit(there: number, name: string): LinkState | undefined {
    check(setns(there, CLONE_NEWNET), "enter the link's network namespace");
    let fd = -1;
    try {
      // Only this thread changed its namespace, and nothing else runs on it before it is back.
      fd = openSocket();
      return stateOf(fd, name);
    } finally {
      if (fd >= 0) closeFd(fd);
      check(setns(this.#home, CLONE_NEWNET), "return to the own network namespace");
    }
  }

  /** For a link in our namespace. Throws SysError. */
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

  close(): void {
    closeFd(this.#ask);
    closeFd(this.changes);
    closeSync(this.#home);
  }
}
