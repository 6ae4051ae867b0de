// The data worker: each direction of the packet path run to completion on one thread, over shared memory, with no allocation per packet. It blocks in
// epoll; the control thread reaches it by mailbox words and an eventfd (plan.ts), and is told by a message when there is something for it.
import { bootNow } from "../sys/bootclock.ts";
import { readFd, writeFd } from "../sys/descriptor.ts";
import { EPOLLERR, EPOLLHUP, EPOLLIN, Epoll } from "../sys/epoll.ts";
import { EBADFD } from "../sys/errno.ts";
import { drain } from "../sys/eventfd.ts";
import { errno } from "../sys/ffi.ts";
import { Inbox } from "../sys/inbox.ts";
import type { Slab } from "../sys/slab.ts";
import { VNET_HEADER } from "../sys/tun.ts";
import { DataHalf, Done, ENDPOINT_WORDS, Head, type PacketCrypto, SEND_HEADROOM, type Tables } from "../wireguard/index.ts";
import { Outbox } from "./outbox.ts";
import { Mail } from "./plan.ts";

/** Datagrams in one receive call, and packets in one send call: what is worth a system call, and still fits the cache. */
const RECEIVE = 16;
const SEND = 32;
/** A whole UDP datagram, and some cache lines so that the buffers' starts do not fight for one cache set. */
const BUFFER = 65_536 + 33 * 64;
/** Rounds of receiving from a socket before the others have their turn. */
const RECEIVE_ROUNDS = 2;
const LONGEST_PACKET = 65_535;
/** It looks at the mailbox at least so often, should a wake ever get lost. */
const LONGEST_WAIT = 10_000;
const SCRATCH = 4096;

export class DataLoop {
  readonly #slab: Slab;
  readonly #tables: Tables;
  readonly #data: DataHalf;
  readonly #epoll: Epoll;
  readonly #inbox: Inbox;
  readonly #source: number;
  readonly #outbox: Outbox;
  readonly #scratch: number;
  readonly #clock: Int32Array;
  readonly #tell: () => void;
  #watched: number[] = [];
  #tun = -1;
  #wake = -1;
  #link = -1;
  #udp4 = -1;
  #udp6 = -1;
  #now = 0;
  #signal = 0;

  /** `slab` hands out the worker's part of the memory. `tell` wakes the control thread. */
  constructor(slab: Slab, tables: Tables, crypto: PacketCrypto, tell: () => void) {
    this.#slab = slab;
    this.#tables = tables;
    this.#data = new DataHalf(tables, crypto, slab.take(BUFFER, 64));
    this.#tell = tell;
    this.#epoll = new Epoll(slab);
    this.#inbox = new Inbox(slab, RECEIVE);
    this.#source = slab.take(4 * ENDPOINT_WORDS);
    this.#outbox = new Outbox(slab, SEND, this.#data);
    this.#scratch = slab.take(SCRATCH);
    this.#clock = slab.i32.subarray(this.#scratch >>> 2, (this.#scratch >>> 2) + 4);
  }

  /** Until the mailbox says stop. */
  run(): void {
    const mail = this.#slab.i32;
    this.#now = bootNow(this.#clock, this.#slab.base + this.#scratch) | 0;
    while (Atomics.load(mail, Mail.STOP) === 0) {
      if (Atomics.load(mail, Mail.DESCRIPTORS) !== Atomics.load(mail, Mail.DESCRIPTORS_SEEN)) this.#takeDescriptors();
      const n = this.#epoll.wait(LONGEST_WAIT);
      this.#now = bootNow(this.#clock, this.#slab.base + this.#scratch) | 0;
      this.#data.enter();
      for (let i = 0; i < n; i++) this.#serve(this.#epoll.token(i), this.#epoll.events(i));
      this.#sendDue();
      this.#data.leave();
      mail[Mail.ROUNDS]!++;
      const signal = Atomics.load(this.#tables.i32, this.#tables.head + Head.SIGNAL);
      if (signal !== this.#signal) {
        this.#signal = signal;
        this.#tellControl();
      }
    }
    this.#epoll.close();
  }

  #tellControl(): void {
    if (Atomics.exchange(this.#slab.i32, Mail.TOLD, 1) === 0) this.#tell();
  }

  #takeDescriptors(): void {
    const mail = this.#slab.i32;
    const version = Atomics.load(mail, Mail.DESCRIPTORS);
    for (const fd of this.#watched) this.#epoll.remove(fd);
    this.#tun = Atomics.load(mail, Mail.TUN);
    this.#wake = Atomics.load(mail, Mail.WAKE);
    this.#link = Atomics.load(mail, Mail.LINK);
    this.#udp4 = Atomics.load(mail, Mail.UDP4);
    this.#udp6 = Atomics.load(mail, Mail.UDP6);
    this.#watched = [this.#tun, this.#wake, this.#link, this.#udp4, this.#udp6].filter((fd) => fd >= 0);
    for (const fd of this.#watched) this.#epoll.add(fd, EPOLLIN, fd);
    Atomics.store(mail, Mail.DESCRIPTORS_SEEN, version);
    Atomics.notify(mail, Mail.DESCRIPTORS_SEEN);
  }

  #serve(fd: number, events: number): void {
    if (fd === this.#tun) {
      if ((events & EPOLLIN) !== 0) this.#readTun();
      // Nothing clears this state: the link was deleted.
      else if ((events & (EPOLLERR | EPOLLHUP)) !== 0) this.#loseTun();
    } else if (fd === this.#udp4 || fd === this.#udp6) this.#receive(fd);
    else if (fd === this.#wake) drain(fd, this.#slab.base + this.#scratch);
    else if (fd === this.#link) this.#linkChanged();
  }

  /** Packets of this host to the peers. */
  #readTun(): void {
    const { base } = this.#slab;
    for (let i = 0; i < SEND; i++) {
      if (this.#outbox.full) this.#outbox.flush(this.#udp4, this.#udp6);
      const at = this.#outbox.slot + SEND_HEADROOM;
      const n = readFd(this.#tun, base + at - VNET_HEADER, VNET_HEADER + LONGEST_PACKET);
      if (n < 0) {
        if (errno() === EBADFD) this.#loseTun();
        break;
      }
      if (this.#data.send(at, n - VNET_HEADER, this.#now) === Done.SEAL) this.#outbox.add();
    }
    this.#outbox.flush(this.#udp4, this.#udp6);
  }

  /** Datagrams of the peers to this host. */
  #receive(fd: number): void {
    const inbox = this.#inbox;
    for (let round = 0; round < RECEIVE_ROUNDS; round++) {
      const n = inbox.receive(fd, RECEIVE, false);
      for (let i = 0; i < n; i++) {
        const length = inbox.length(i);
        if (length < 0) {
          this.#data.truncated();
          continue;
        }
        inbox.source(i, this.#source);
        if (this.#data.receive(inbox.at(i), length, this.#source, this.#now) === Done.DELIVER) this.#writeTun();
      }
      if (n < RECEIVE) return;
    }
  }

  #writeTun(): void {
    // The message's header before the packet has done its work: its last bytes become the TUN's header.
    const at = this.#data.packetAt - VNET_HEADER;
    const { u8 } = this.#slab;
    for (let i = 0; i < VNET_HEADER; i++) u8[at + i] = 0;
    if (writeFd(this.#tun, this.#slab.base + at, VNET_HEADER + this.#data.packetLength) < 0) this.#slab.u32[Mail.TUN_REFUSED]!++;
  }

  /** What was staged, and keepalives. */
  #sendDue(): void {
    while (this.#data.work(this.#outbox.slot, this.#now) === Done.SEAL) {
      this.#outbox.add();
      if (this.#outbox.full) this.#outbox.flush(this.#udp4, this.#udp6);
    }
    this.#outbox.flush(this.#udp4, this.#udp6);
  }

  #linkChanged(): void {
    while (readFd(this.#link, this.#slab.base + this.#scratch, SCRATCH) > 0);
    Atomics.store(this.#slab.i32, Mail.LINK_CHANGED, 1);
    this.#tellControl();
  }

  #loseTun(): void {
    if (this.#tun < 0) return;
    this.#epoll.remove(this.#tun);
    this.#tun = -1;
    Atomics.store(this.#slab.i32, Mail.TUN_GONE, 1);
    this.#tellControl();
  }
}
