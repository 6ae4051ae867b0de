// The control thread's side of the UDP sockets: opening, changing port and mark while the worker uses them, and sending handshake messages.
import { errno } from "../sys/ffi.ts";
import { Outgoing } from "../sys/outgoing.ts";
import type { Slab } from "../sys/slab.ts";
import { closeUdp, markUdp, openUdp, type UdpSockets } from "../sys/udp.ts";
import { EAGAIN, ENOBUFS } from "../sys/errno.ts";
import { type Endpoint, ENDPOINT_WORDS, MessageType, writeEndpoint } from "../wireguard/index.ts";
import { announceDescriptors } from "./dataworker.ts";
import { Mail } from "./plan.ts";

const LONGEST_MESSAGE = 256;
/** Assured forwarding (RFC 2597) of handshakes, as the kernel's device asks for: they must get through when the link is full of data. Not of cookies. */
const AF41 = 0x88;

export class Sockets {
  readonly #slab: Slab;
  readonly #outgoing: Outgoing;
  readonly #message: number;
  readonly #endpoint: number;
  #open: UdpSockets | undefined;
  #old: UdpSockets | undefined;
  /** The worker may still use them. */
  readonly #replaced: UdpSockets[] = [];
  #mark = 0;

  constructor(slab: Slab) {
    this.#slab = slab;
    this.#outgoing = new Outgoing(slab, 1, 1);
    this.#message = slab.take(LONGEST_MESSAGE);
    this.#endpoint = slab.take(4 * ENDPOINT_WORDS);
  }

  /** Opens sockets on `port` (0: any), for publish(). Those in use so far stay, also when it fails. The real port. Throws SysError. */
  open(port: number): number {
    const fresh = openUdp(port);
    try {
      if (this.#mark !== 0) markUdp(fresh, this.#mark);
    } catch (thrown) {
      closeUdp(fresh);
      throw thrown;
    }
    this.#old = this.#open;
    this.#open = fresh;
    return fresh.port;
  }

  /** The worker uses what is open now, and this TUN (-1: none); the old sockets are closed once it has let go of them. */
  publish(tun: number): void {
    const mail = this.#slab.i32;
    Atomics.store(mail, Mail.TUN, tun);
    Atomics.store(mail, Mail.UDP4, this.#open?.v4 ?? -1);
    Atomics.store(mail, Mail.UDP6, this.#open?.v6 ?? -1);
    if (this.#old) this.#replaced.push(this.#old);
    this.#old = undefined;
    // A number that is closed too early may be another file's by the time the worker uses it.
    if (announceDescriptors(mail)) for (const sockets of this.#replaced.splice(0)) closeUdp(sockets);
  }

  /** Takes everything away from the worker. */
  close(): void {
    this.#old = this.#open;
    this.#open = undefined;
    this.publish(-1);
  }

  /** SO_MARK, now and for sockets opened later; 0: none. Throws SysError. */
  setMark(mark: number): void {
    if (this.#open) markUdp(this.#open, mark);
    this.#mark = mark;
  }

  /** Sends one handshake message. False: the kernel did not take it; the protocol's timers see to that. */
  send(to: Endpoint, message: Uint8Array): boolean {
    const fd = to.ip.length === 4 ? this.#open?.v4 : this.#open?.v6;
    if (fd === undefined || fd < 0) return false;
    this.#slab.u8.set(message, this.#message);
    writeEndpoint(this.#slab.u8, this.#slab.u32, this.#endpoint, to);
    const outgoing = this.#outgoing;
    outgoing.clear();
    outgoing.start(this.#endpoint, message[0] === MessageType.COOKIE ? 0 : AF41);
    outgoing.append(this.#message, message.length);
    outgoing.finish(0);
    if (outgoing.send(fd, 0, 1) === 1) return true;
    const e = errno();
    if (e === EAGAIN || e === ENOBUFS || !outgoing.hasSource(0)) return false;
    // The address it was heard on may be gone: let the kernel choose.
    outgoing.clearSource(0);
    return outgoing.send(fd, 0, 1) === 1;
  }
}
