// The control thread's side of the UDP sockets: opening, changing port and mark while the workers use them, and sending handshake messages.
import type { Program } from "../capture/filter/types.ts";
import { errno } from "../sys/ffi.ts";
import { Outgoing } from "../sys/outgoing.ts";
import type { Slab } from "../sys/slab.ts";
import { attachFilter, detachFilter, droppedAt } from "../sys/socketfilter.ts";
import { closeUdp, gatherUdp, markUdp, offloadUdp, openUdpGroup, type UdpSockets } from "../sys/udp.ts";
import { EAGAIN, ENOBUFS } from "../sys/errno.ts";
import { type Endpoint, ENDPOINT_WORDS, MessageType, writeEndpoint } from "../wireguard/index.ts";
import { announceDescriptors, Mail } from "./mailbox.ts";

const LONGEST_MESSAGE = 256;
/** DSCP AF41 of initiations and responses, as the kernel's device marks them; a cookie reply goes to whoever asked, and is worth no precedence. */
const HANDSHAKE_TOS = 0x88;

/** One pair for each worker. */
export type Group = readonly UdpSockets[];
/** For the sockets of each family. */
export type Filter = { readonly v4: Program; readonly v6: Program };
const closeAll = (group: Group): void => group.forEach(closeUdp);

const descriptors = (group: Group): number[] => group.flatMap(({ v4, v6 }) => (v6 < 0 ? [v4] : [v4, v6]));

export class Sockets {
  readonly #slab: Slab;
  readonly #mails: readonly Int32Array[];
  readonly #messages: Outgoing;
  readonly #message: number;
  readonly #endpoint: number;
  #open: Group = [];
  #old: Group = [];
  /** A worker may still use them. */
  readonly #replaced: Group[] = [];
  #mark = 0;
  #gathered = false;
  readonly #gro: boolean;
  /** Of each open socket: what it had dropped when we last looked. */
  readonly #droppedAt = new Map<number, number>();
  #dropped = 0;

  /** `slab` hands out the control thread's part of the memory. Each worker has a socket of its own for each family. */
  constructor(slab: Slab, mails: readonly Int32Array[], options: { gro: boolean }) {
    this.#slab = slab;
    this.#mails = mails;
    this.#gro = options.gro;
    this.#messages = new Outgoing(slab, 1, 1);
    this.#message = slab.take(LONGEST_MESSAGE);
    this.#endpoint = slab.take(4 * ENDPOINT_WORDS);
  }

  /** Opens sockets on `port` (0: any), for publish(). Those in use so far stay, also when it fails. The real port. Throws SysError. */
  open(port: number): number {
    const fresh = openUdpGroup(port, this.#mails.length);
    try {
      for (const sockets of fresh) {
        offloadUdp(sockets, { segment: true, gro: this.#gro });
        if (this.#mark !== 0) markUdp(sockets, this.#mark);
      }
      gatherUdp(fresh, this.#gathered);
    } catch (thrown) {
      closeAll(fresh);
      throw thrown;
    }
    this.#old = this.#open;
    this.#open = fresh;
    return fresh[0]!.port;
  }

  /** What is open: one pair for each worker, or none. */
  get group(): Group {
    return this.#open;
  }
  /** Takes in the sockets of a device that was taken over, and their mark, for publish(). */
  adopt(group: Group, mark: number): void {
    this.#open = group;
    this.#mark = mark;
  }
  /** Closes them: they are a successor's, and no worker of ours works any more. */
  abandon(): void {
    closeAll(this.#open);
    this.#open = [];
  }

  /** The workers use what is open now, and these queues of the TUN (none: no packets); the old sockets are closed once they have let go of them. */
  publish(tuns: readonly number[]): void {
    this.#mails.forEach((mail, i) => {
      Atomics.store(mail, Mail.TUN, tuns[i] ?? -1);
      Atomics.store(mail, Mail.UDP4, this.#open[i]?.v4 ?? -1);
      Atomics.store(mail, Mail.UDP6, this.#open[i]?.v6 ?? -1);
    });
    this.#replaced.push(this.#old);
    this.#countDropped(this.#old);
    for (const fd of descriptors(this.#old)) this.#droppedAt.delete(fd);
    this.#old = [];
    // A number that is closed too early may be another file's by the time a worker uses it.
    if (announceDescriptors(this.#mails)) this.#replaced.splice(0).forEach(closeAll);
  }

  /** Takes everything away from the workers. */
  close(): void {
    this.#old = this.#open;
    this.#open = [];
    this.publish([]);
  }

  /** All that comes is the first worker's, or each gets its share; now and for sockets opened later. False: the kernel refused. */
  gather(first: boolean): boolean {
    this.#gathered = first;
    return gatherUdp(this.#open, first);
  }

  /** SO_MARK, now and for sockets opened later; 0: none. Throws SysError. */
  setMark(mark: number): void {
    for (const sockets of this.#open) markUdp(sockets, mark);
    this.#mark = mark;
  }

  /** What the kernel hands over of what arrives at the open sockets; undefined: all. Throws SysError; then some may have it. */
  setFilter(filter: Filter | undefined): void {
    if (!filter) return descriptors(this.#open).forEach(detachFilter);
    for (const { v4, v6 } of this.#open) {
      attachFilter(v4, filter.v4);
      if (v6 >= 0) attachFilter(v6, filter.v6);
    }
  }

  /** Datagrams that the kernel dropped at our sockets so far: the filter's, and what found a queue full. Those it had merged count as one. */
  dropped(): number {
    this.#countDropped(this.#open);
    return this.#dropped;
  }
  #countDropped(group: Group): void {
    for (const fd of descriptors(group)) {
      const now = droppedAt(fd);
      this.#dropped += (now - (this.#droppedAt.get(fd) ?? 0)) >>> 0;
      this.#droppedAt.set(fd, now);
    }
  }

  /** Sends one handshake message. False: the kernel did not take it; the protocol's timers see to that. */
  send(to: Endpoint, message: Uint8Array): boolean {
    const fd = to.ip.length === 4 ? this.#open[0]?.v4 : this.#open[0]?.v6;
    if (fd === undefined || fd < 0) return false;
    this.#slab.u8.set(message, this.#message);
    writeEndpoint(this.#slab.u8, this.#slab.u32, this.#endpoint, to);
    this.#messages.clear();
    this.#messages.start(this.#endpoint, message[0] === MessageType.COOKIE ? 0 : HANDSHAKE_TOS);
    this.#messages.append(this.#message, message.length);
    this.#messages.finish(0);
    if (this.#messages.send(fd, 0, 1) === 1) return true;
    const e = errno();
    if (e === EAGAIN || e === ENOBUFS || !this.#messages.hasSource(0)) return false;
    // The address it was heard on may be gone: let the kernel choose.
    this.#messages.clearSource(0);
    return this.#messages.send(fd, 0, 1) === 1;
  }
}
