// Sends a packet by a link as it is, past all routes (packet(7), SOCK_DGRAM): the kernel puts the link's own header before it.
import { closeSync } from "node:fs";
import { TortieError } from "../base/errors.ts";
import { bind, check, SysError } from "./ffi.ts";
import { interfaceIndex } from "./ifindex.ts";

const socket = bind("int socket(int, int, int)");
const sendto = bind("intptr_t sendto(int, void *, size_t, int, void *, unsigned int)");

const AF_PACKET = 17;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0x80000;
const SOCKADDR_LL = 20;

/** `destination`: an address of the link, six bytes for Ethernet. Needs CAP_NET_RAW. Throws TortieError. */
export function sendOnLink(link: string, type: number, destination: Uint8Array, packet: Uint8Array): void {
  const index = interfaceIndex(link);
  if (index === undefined) throw new TortieError(`Cannot send on "${link}": there is no such interface here`);
  const to = new Uint8Array(SOCKADDR_LL);
  const view = new DataView(to.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, type);
  view.setInt32(4, index, true);
  view.setUint8(11, destination.length);
  to.set(destination, 12);
  let fd = -1;
  try {
    fd = check(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "open a packet socket");
    check(sendto(fd, packet, packet.length, 0, to, to.length), "send");
  } catch (e) {
    if (!(e instanceof SysError)) throw e;
    const hint = e.code === "EPERM" ? "It needs root, or the capability CAP_NET_RAW." : "";
    throw new TortieError(`Cannot send on "${link}": ${e.message}`, { cause: e, hint });
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}
