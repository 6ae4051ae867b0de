// Live capture: AF_PACKET sockets (packet(7)) with a ring. Nothing slips in before the filter is in place: the socket is bound last.
import { closeSync } from "node:fs";
import { release } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { TortieError } from "../base/errors.ts";
import { compileFilter } from "../capture/filter/index.ts";
import type { Program } from "../capture/filter/types.ts";
import { bind, check, SysError } from "./ffi.ts";
import { ENODEV } from "./errno.ts";
import { capturableInterface, type CapturableInterface } from "./interfaces.ts";
import { readable } from "./poller.ts";
import { copyBlock, type LivePacket } from "./livepacket.ts";
import { Ring } from "./ring.ts";
import { attachFilter } from "./socketfilter.ts";

export type { LivePacket } from "./livepacket.ts";
export { type CapturableInterface, capturableInterfaces } from "./interfaces.ts";

const socket = bind("int socket(int, int, int)");
const bindSocket = bind("int bind(int, void *, unsigned int)");
const setsockopt = bind("int setsockopt(int, int, int, void *, unsigned int)");
const getsockopt = bind("int getsockopt(int, int, int, void *, void *)");

const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCK_DGRAM = 2;
const NONBLOCK_CLOEXEC = 0x80800;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const SOL_PACKET = 263;
const PACKET_ADD_MEMBERSHIP = 1;
const PACKET_STATISTICS = 6;
const PACKET_VNET_HDR = 15;
const PACKET_IGNORE_OUTGOING = 23;
const PACKET_MR_PROMISC = 1;
const ETH_P_ALL = 3;
const POLLERR = 8;
const RETURN = 6;
const LINUX_SLL2 = 276;
const PATIENCE = 2000;

export type PacketSocketOptions = {
  /** Name of the interface in this process's network namespace; "any": all of them, with link type LINUX_SLL2 (276). */
  interface: string;
  /** A filter expression (src/capture/filter); "": everything. @default "" */
  filter?: string;
  /** Ports of the filter macro `wireguard`. @default [51820] */
  wireguardPorts?: readonly number[];
  /** Bytes kept of a packet. @default 262144 */
  snapLength?: number;
  /** Bytes kept of a packet that carries WireGuard data; handshakes stay whole. Super-datagrams too: who splits them cuts them. @default snapLength */
  dataSnapLength?: number;
  /** Memory of the ring; less is taken when there is not so much. @default 8 MiB */
  bufferBytes?: number;
  /** How long a packet may wait for company before it is handed over. @default 50 */
  retireMs?: number;
  /** Receive packets for other hosts too. @default false */
  promiscuous?: boolean;
};

/** Counts of packets: what passed the filter, and what of it was lost because the ring was full. */
export type SocketStatistics = { readonly received: number; readonly dropped: number };

export interface PacketSocket {
  /** 1 EN10MB, 101 RAW or 276 LINUX_SLL2. */
  readonly linkType: number;
  /** Batches as they come, until close(). To be iterated once. Throws TortieError when the interface is gone. */
  packets(): AsyncIterable<readonly LivePacket[]>;
  /** Memory of the ring in bytes. */
  readonly bufferBytes: number;
  /** Since the start. */
  statistics(): SocketStatistics;
  /** Ends packets() after what has arrived by now was handed over. */
  close(): Promise<void>;
}

const constant = (k: number): Program => [{ code: RETURN, jt: 0, jf: 0, k }];

/** sockaddr_ll of an interface; index 0 is all of them. */
function linkAddress(index: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(20));
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, ETH_P_ALL);
  view.setInt32(4, index, true);
  return new Uint8Array(view.buffer);
}

function turnOn(fd: number, option: number, what: string): void {
  check(setsockopt(fd, SOL_PACKET, option, new Int32Array([1]), 4), what);
}

/**
 * Whether PACKET_VNET_HDR may be asked for. Cooked sockets do not have it; and a kernel that knows no UDP segmentation in that header, which Linux has
 * since 6.2, drops super-datagrams instead of describing them.
 */
function describesSegments(cooked: boolean): boolean {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  return !cooked && (major > 6 || (major === 6 && minor >= 2));
}

const ANY: CapturableInterface = { name: "any", index: 0, linkType: LINUX_SLL2, up: true, loopback: false };

/** Starts a capture; needs CAP_NET_RAW. Throws TortieError. */
export async function openPacketSocket(options: PacketSocketOptions): Promise<PacketSocket> {
  const { filter = "", snapLength = 262_144, bufferBytes = 8 << 20, retireMs = 50 } = options;
  let link: CapturableInterface;
  try {
    link = options.interface === "any" ? ANY : capturableInterface(options.interface);
  } catch (e) {
    if (!(e instanceof SysError && e.errno === ENODEV)) throw e;
    throw new TortieError(`Cannot capture on "${options.interface}": there is no such interface here`, { cause: e });
  }
  const { wireguardPorts, dataSnapLength } = options;
  const program = compileFilter(filter, link.linkType, {
    snapLength,
    live: true,
    ...(wireguardPorts ? { wireguardPorts } : {}),
    ...(dataSnapLength === undefined ? {} : { dataSnapLength }),
  });
  let fd = -1;
  try {
    const cooked = link.linkType === LINUX_SLL2;
    // Protocol 0 receives nothing until bind().
    fd = check(socket(AF_PACKET, (cooked ? SOCK_DGRAM : SOCK_RAW) | NONBLOCK_CLOEXEC, 0), "open a packet socket");
    attachFilter(fd, program);
    const vnet = describesSegments(cooked);
    if (vnet) turnOn(fd, PACKET_VNET_HDR, "ask for the segments of super-datagrams");
    // It shows each packet as it leaves and as it arrives; once is enough, as for libpcap.
    if (link.loopback) turnOn(fd, PACKET_IGNORE_OUTGOING, "leave outgoing packets out");
    const ring = new Ring(fd, bufferBytes, retireMs, vnet);
    const local = linkAddress(link.index);
    check(bindSocket(fd, local, local.length), `listen on "${link.name}"`);
    if (options.promiscuous && link.index !== 0) {
      const membership = new Uint8Array(16);
      new DataView(membership.buffer).setInt32(0, link.index, true);
      new DataView(membership.buffer).setUint16(4, PACKET_MR_PROMISC, true);
      check(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership, 16), "receive other hosts' packets");
    }
    return new Capture({ fd, ring, link, retireMs, snapLength });
  } catch (e) {
    if (fd >= 0) closeSync(fd);
    if (!(e instanceof SysError)) throw e;
    const hint = e.code === "EPERM" ? "Capturing needs root, or the capability CAP_NET_RAW." : "";
    throw new TortieError(`Cannot capture on "${link.name}": ${e.message}`, { cause: e, hint });
  }
}

type Opened = { fd: number; ring: Ring; link: CapturableInterface; retireMs: number; snapLength: number };

class Capture implements PacketSocket {
  readonly linkType: number;
  readonly bufferBytes: number;
  readonly #fd: number;
  readonly #ring: Ring;
  readonly #link: CapturableInterface;
  readonly #retireMs: number;
  readonly #snapLength: number;
  readonly #stop = new AbortController();
  #received = 0;
  #dropped = 0;
  /** Lost packets that a packet has been marked with. */
  #told = 0;
  /** Out of the ring so far. */
  #taken = 0;
  /** When close() gives up on a block that does not come. */
  #patience = 0;
  #iterating = false;
  #open = true;
  readonly #ended: Promise<void>;
  #end: () => void = () => {};

  constructor({ fd, ring, link, retireMs, snapLength }: Opened) {
    this.linkType = link.linkType;
    this.bufferBytes = ring.size;
    this.#fd = fd;
    this.#ring = ring;
    this.#link = link;
    this.#retireMs = retireMs;
    this.#snapLength = snapLength;
    this.#ended = new Promise((resolve) => (this.#end = resolve));
  }

  async *packets(): AsyncGenerator<readonly LivePacket[], void, undefined> {
    if (this.#iterating) throw new TortieError("Cannot read a capture twice");
    this.#iterating = true;
    try {
      while (this.#open) {
        const batch = this.#batch();
        if (batch) {
          if (batch.length > 0) yield batch;
        } else if (this.#stop.signal.aborted) {
          // The kernel hands the unfinished block over when its time is up; it has counted what is in it.
          if (this.#taken >= this.#received - this.#dropped || Date.now() > this.#patience) return;
          await sleep(this.#retireMs);
        } else {
          const events = await readable(this.#fd, this.#stop.signal);
          if ((events & POLLERR) !== 0) this.#failed();
        }
      }
    } finally {
      this.#release();
    }
  }

  #batch(): LivePacket[] | undefined {
    const block = this.#ring.take();
    if (!block) return undefined;
    this.#taken += block.packets.length;
    if (block.losing) this.#count();
    const lost = this.#dropped - this.#told;
    if (block.packets.length > 0) this.#told = this.#dropped;
    const batch = copyBlock(block.packets, this.linkType === LINUX_SLL2, this.#snapLength, lost);
    this.#ring.release();
    return batch;
  }

  /** An interface that is down may come up again; one that is gone will not. */
  #failed(): void {
    const value = new Int32Array(1);
    getsockopt(this.#fd, SOL_SOCKET, SO_ERROR, value, new Uint32Array([4]));
    if (this.#link.index === 0) return;
    try {
      if (capturableInterface(this.#link.name).index === this.#link.index) return;
    } catch {
      // Not there any more: said below.
    }
    throw new TortieError(`Cannot go on capturing on "${this.#link.name}": the interface is gone`);
  }

  statistics(): SocketStatistics {
    if (this.#open) this.#count();
    return { received: this.#received, dropped: this.#dropped };
  }

  /** Reading the kernel's counters resets them. */
  #count(): void {
    const stats = new Uint32Array(3);
    if (getsockopt(this.#fd, SOL_PACKET, PACKET_STATISTICS, stats, new Uint32Array([12])) < 0) return;
    this.#received += stats[0]!;
    this.#dropped += stats[1]!;
  }

  async close(): Promise<void> {
    if (this.#open && !this.#stop.signal.aborted) {
      attachFilter(this.#fd, constant(0)); // what comes from now on is not asked for
      this.#count();
      this.#patience = Date.now() + this.#retireMs + PATIENCE;
      this.#stop.abort();
    }
    if (!this.#iterating) this.#release();
    await this.#ended;
  }

  #release(): void {
    if (!this.#open) return;
    this.#count();
    this.#open = false;
    this.#stop.abort();
    this.#ring.unmap();
    closeSync(this.#fd);
    this.#end();
  }
}
