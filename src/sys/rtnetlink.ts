// Word of changes from the kernel (rtnetlink(7)): sockets that become readable when something changed. What changed is asked elsewhere: a full queue
// loses messages, the state does not.
import { closeFd } from "./descriptor.ts";
import { bind, check } from "./ffi.ts";

const socket = bind("int socket(int, int, int)");
const bindSocket = bind("int bind(int, void *, unsigned int)");

const AF_NETLINK = 16;
const SOCK_RAW_NONBLOCK_CLOEXEC = 3 | 0x80800;
const NETLINK_ROUTE = 0;
/** RTMGRP_LINK */
export const LINK_CHANGES = 1;
/** That, and addresses, routes and rules of both families (RTMGRP_IPV4_IFADDR, _IPV4_ROUTE, _IPV4_RULE, _IPV6_IFADDR, _IPV6_ROUTE, RTNLGRP_IPV6_RULE). */
export const ROUTE_CHANGES: number = LINK_CHANGES | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | (1 << 18);

/** A non-blocking netlink socket in this thread's network namespace. Throws SysError. */
export function subscribe(groups: number): number {
  const fd = check(socket(AF_NETLINK, SOCK_RAW_NONBLOCK_CLOEXEC, NETLINK_ROUTE), "open a netlink socket");
  const local = new Uint8Array(12);
  const view = new DataView(local.buffer);
  view.setUint16(0, AF_NETLINK, true);
  view.setUint32(8, groups, true);
  if (bindSocket(fd, local, local.length) < 0) {
    closeFd(fd);
    check(-1, "subscribe to changes of links, addresses and routes");
  }
  return fd;
}
