// A data worker: each direction of the packet path run to completion on one thread, over shared memory, with no allocation per packet. It blocks in
// epoll; the control thread reaches it by mailbox words and an eventfd (plan.ts), and is told by a message when there is something for it.
import { Coalescer, loadSimd, Splitter, SPLITTER_SCRATCH } from "../offload/index.ts";
import { bootNow } from "../sys/bootclock.ts";
import { readFd } from "../sys/descriptor.ts";
import { EPOLLERR, EPOLLHUP, EPOLLIN, Epoll } from "../sys/epoll.ts";
import { EBADFD } from "../sys/errno.ts";
import { drain } from "../sys/eventfd.ts";
import { errno } from "../sys/ffi.ts";
import { Inbox } from "../sys/inbox.ts";
import type { Slab } from "../sys/slab.ts";
import { VNET_HEADER } from "../sys/tun.ts";
import { DataHalf, Done, ENDPOINT_WORDS, Head, OPEN_ROOM, OPEN_TAIL, type Packets, type Tables } from "../wireguard/index.ts";
import { OFFLOADS } from "./offloads.ts";
import { Outbox } from "./outbox.ts";
import { Mail } from "./mailbox.ts";
import { TunWriter } from "./tunwriter.ts";

/** Datagrams in one receive call, and packets read from the TUN before the other direction has its turn. */
const RECEIVE = 32;
const READ = 64;
/** Bytes from the TUN before the other direction has its turn. */
const READ_BYTES = 192 << 10;
/** Merged datagrams in one receive call: each is up to 64 KiB, and the next must find the cache warm. */
const RECEIVE_MERGED = 4;
/** Mean length of datagrams from which on they count as merged. */
const MERGED = 8192;
/** Rounds of receiving from a socket before the others have their turn. */
const RECEIVE_ROUNDS = 2;
const LONGEST_PACKET = 65_535;
/** Where packets are opened, until they are in the TUN. */
const OPENED = 256 << 10;
const LINE = 64;
/** It looks at the mailbox at least so often, should a wake ever get lost. */
const LONGEST_WAIT = 10_000;
const SCRATCH = 4096;

export type LoopOptions = {
  readonly thread: number;
  readonly threads: number;
  /** Bits of OFFLOADS that are on. */
  readonly offloads: number;
};

export class DataLoop {
  readonly #slab: Slab;
  readonly #mail: Int32Array;
  readonly #tables: Tables;
  readonly #data: DataHalf;
  readonly #first: boolean;
  readonly #epoll: Epoll;
  readonly #inbox: Inbox;
  readonly #source: number;
  readonly #outbox: Outbox;
  /** UDP_GRO is on. */
  readonly #merged: boolean;
  readonly #splitter: Splitter;
  readonly #packet: number;
  readonly #opened: number;
  readonly #coalescer: Coalescer;
  readonly #writer: TunWriter;
  readonly #scratch: number;
  readonly #clock: Int32Array;
  readonly #tell: () => void;
  #openedNext = 0;
  /** Of the inbox: what is being received. */
  #entry = 0;
  #receiveCount = RECEIVE;
  #watched: number[] = [];
  #tun = -1;
  #wake = -1;
  #link = -1;
  #udp4 = -1;
  #udp6 = -1;
  /** Whose packets the coalescer has. */
  #mergedPeer = -1;
  #now = 0;
  #signal = 0;

  /** `slab` hands out the worker's part of the memory; `mail` is its mailbox. `tell` wakes the control thread. */
  constructor(slab: Slab, mail: Int32Array, tables: Tables, packets: Packets, options: LoopOptions, tell: () => void) {
    const on = (name: keyof typeof OFFLOADS): boolean => (options.offloads & OFFLOADS[name]) !== 0;
    this.#slab = slab;
    this.#mail = mail;
    this.#tables = tables;
    this.#data = new DataHalf(tables, packets, options.thread, options.threads);
    this.#first = options.thread === 0;
    this.#tell = tell;
    this.#epoll = new Epoll(slab);
    this.#inbox = new Inbox(slab, RECEIVE);
    this.#source = slab.take(4 * ENDPOINT_WORDS);
    this.#outbox = new Outbox(slab, this.#data.sender, on("udp-gso"), () => this.#fault(OFFLOADS["udp-gso"]));
    this.#merged = on("udp-gro");
    const helpers = loadSimd(slab.memory.wasm);
    this.#splitter = new Splitter(slab.memory.wasm, helpers, slab.take(SPLITTER_SCRATCH, LINE));
    this.#packet = slab.take(VNET_HEADER + LONGEST_PACKET + LINE, LINE);
    this.#opened = slab.take(OPENED, LINE);
    this.#writer = new TunWriter(slab, 64, () => this.#tunFault());
    this.#coalescer = new Coalescer(slab.memory.wasm, helpers, this.#writer, { tcp: on("tun-gro"), udp: on("tun-gro") && on("tun-uso") });
    this.#scratch = slab.take(SCRATCH);
    this.#clock = slab.i32.subarray(this.#scratch >>> 2, (this.#scratch >>> 2) + 4);
    this.#openedNext = this.#opened;
    this.#data.receiver.origin = () => this.#inbox.source(this.#entry, this.#source);
  }

  /** Until the mailbox says stop. */
  run(): void {
    const mail = this.#mail;
    this.#now = bootNow(this.#clock, this.#slab.base + this.#scratch) | 0;
    while (Atomics.load(mail, Mail.STOP) === 0) {
      if (Atomics.load(mail, Mail.REST) === 1) {
        this.#rest();
        continue;
      }
      if (Atomics.load(mail, Mail.DESCRIPTORS) !== Atomics.load(mail, Mail.DESCRIPTORS_SEEN)) this.#takeDescriptors();
      const n = this.#epoll.wait(LONGEST_WAIT);
      this.#now = bootNow(this.#clock, this.#slab.base + this.#scratch) | 0;
      this.#data.enter();
      for (let i = 0; i < n; i++) this.#serve(this.#epoll.token(i), this.#epoll.events(i));
      if (this.#first) this.#sendDue();
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

  #rest(): void {
    const mail = this.#mail;
    Atomics.store(mail, Mail.RESTING, 1);
    Atomics.notify(mail, Mail.RESTING);
    while (Atomics.load(mail, Mail.REST) === 1) Atomics.wait(mail, Mail.REST, 1);
    Atomics.store(mail, Mail.RESTING, 0);
  }

  #tellControl(): void {
    if (Atomics.exchange(this.#mail, Mail.TOLD, 1) === 0) this.#tell();
  }

  #takeDescriptors(): void {
    const mail = this.#mail;
    const version = Atomics.load(mail, Mail.DESCRIPTORS);
    for (const fd of this.#watched) this.#epoll.remove(fd);
    this.#tun = Atomics.load(mail, Mail.TUN);
    this.#wake = Atomics.load(mail, Mail.WAKE);
    this.#link = Atomics.load(mail, Mail.LINK);
    this.#udp4 = Atomics.load(mail, Mail.UDP4);
    this.#udp6 = Atomics.load(mail, Mail.UDP6);
    this.#writer.fd = this.#tun;
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
    const address = this.#slab.base + this.#packet;
    let bytes = 0;
    for (let i = 0; i < READ && bytes < READ_BYTES; i++) {
      const n = readFd(this.#tun, address, VNET_HEADER + LONGEST_PACKET);
      if (n < 0) {
        if (errno() === EBADFD) this.#loseTun();
        break;
      }
      bytes += n;
      this.#sendPacket(n - VNET_HEADER);
      if (this.#outbox.enough) this.#flush();
    }
    this.#flush();
  }

  /** What was read from the TUN: a packet, or one that is to be split. All its parts have one destination. */
  #sendPacket(length: number): void {
    const { sender } = this.#data;
    const splitter = this.#splitter;
    const count = splitter.begin(this.#packet, length);
    if (count <= 0) return sender.malformed();
    const code = sender.route(this.#packet + VNET_HEADER, length, count, this.#now);
    if (code === Done.READY) {
      for (let i = 0; i < count; i++) {
        // The first is the longest, unless they are one.
        if (!this.#outbox.fits(i === 0 ? length : splitter.packetLength)) this.#flush();
        const place = this.#outbox.place;
        splitter.next(place);
        sender.seal(place, splitter.packetLength);
        this.#outbox.add();
      }
      sender.sealed(this.#now);
    } else if (code === Done.WAIT) {
      if (!this.#outbox.fits(length)) this.#flush();
      const { place } = this.#outbox;
      for (let i = 0; i < count; i++) {
        splitter.next(place);
        sender.stage(place, splitter.packetLength, this.#now);
      }
    }
  }

  #flush(): void {
    this.#outbox.flush(this.#udp4, this.#udp6);
  }

  /** Datagrams of the peers to this host. */
  #receive(fd: number): void {
    const inbox = this.#inbox;
    for (let round = 0; round < RECEIVE_ROUNDS; round++) {
      const asked = this.#receiveCount;
      const n = inbox.receive(fd, asked, this.#merged);
      if (n <= 0) return;
      let bytes = 0;
      for (let i = 0; i < n; i++) bytes += this.#receiveOne(i);
      this.#coalescer.flush();
      this.#openedNext = this.#opened;
      this.#receiveCount = bytes > n * MERGED ? RECEIVE_MERGED : RECEIVE;
      if (n < asked) break;
    }
    this.#mail[Mail.TUN_REFUSED] = this.#writer.refused;
  }

  /** A datagram, or several that were merged. Its length. */
  #receiveOne(i: number): number {
    const inbox = this.#inbox;
    const { receiver } = this.#data;
    const length = inbox.length(i);
    if (length < 0) {
      receiver.truncated();
      return 0;
    }
    this.#entry = i;
    receiver.source(this.#source);
    const start = inbox.at(i);
    const segment = inbox.segment(i) || length;
    // An empty datagram has no segment to count.
    if (length === 0) receiver.offer(start, 0, this.#openedNext, this.#now);
    for (let at = 0; at < length; at += segment) {
      const part = Math.min(segment, length - at);
      let to = (this.#openedNext + OPEN_ROOM + LINE - 1) & -LINE;
      if (to + part + OPEN_TAIL > this.#opened + OPENED) {
        this.#settle();
        this.#coalescer.flush();
        to = this.#opened + LINE;
      }
      let code = receiver.offer(start + at, part, to, this.#now);
      if (code === Done.BUSY) {
        this.#settle();
        code = receiver.offer(start + at, part, to, this.#now);
      }
      if (code === Done.OFFERED) this.#openedNext = to + part;
    }
    this.#settle();
    return length;
  }

  /** What was offered is opened, and what is to be delivered goes to the TUN. */
  #settle(): void {
    const { receiver } = this.#data;
    const n = receiver.open();
    for (let i = 0; i < n; i++) {
      if (receiver.settle(i, this.#now) !== Done.DELIVER) continue;
      // Packets of two peers are never one, whatever their addresses.
      if (receiver.peer !== this.#mergedPeer) this.#coalescer.flush();
      this.#mergedPeer = receiver.peer;
      this.#coalescer.add(receiver.packetAt, receiver.packetLength);
    }
  }

  /** What was staged, and keepalives. */
  #sendDue(): void {
    const { sender } = this.#data;
    for (;;) {
      if (!this.#outbox.fits(this.#tables.limits.stagedBytes)) this.#flush();
      if (sender.work(this.#outbox.place, this.#now) !== Done.SEALED) break;
      this.#outbox.add();
    }
    this.#flush();
  }

  #linkChanged(): void {
    while (readFd(this.#link, this.#slab.base + this.#scratch, SCRATCH) > 0);
    Atomics.store(this.#mail, Mail.LINK_CHANGED, 1);
    this.#tellControl();
  }

  #loseTun(): void {
    if (this.#tun < 0) return;
    this.#epoll.remove(this.#tun);
    this.#tun = -1;
    Atomics.store(this.#mail, Mail.TUN_GONE, 1);
    this.#tellControl();
  }

  /** The kernel does not do what it should: it is not asked again, and the control thread says so. */
  #fault(bit: number): void {
    Atomics.or(this.#mail, Mail.FAULTS, bit);
    this.#tellControl();
  }
  #tunFault(): void {
    this.#coalescer.disable();
    this.#fault(OFFLOADS["tun-gro"]);
  }
}
