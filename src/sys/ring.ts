// A TPACKET_V3 receive ring: blocks of packets that the kernel fills and hands over whole (the kernel's Documentation/networking/packet_mmap.rst;
// linux/if_packet.h for the layouts).
import { ENOMEM } from "./errno.ts";
import { bind, check, errno, SysError, viewAt } from "./ffi.ts";

const setsockopt = bind("int setsockopt(int, int, int, void *, unsigned int)");
const mmap = bind("uintptr_t mmap(uintptr_t, size_t, int, int, int, int64_t)");
const munmap = bind("int munmap(uintptr_t, size_t)");

const SOL_PACKET = 263;
const PACKET_VERSION = 10;
const TPACKET_V3 = 2;
const PACKET_RX_RING = 5;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;

const BLOCK_BYTES = 1 << 18;
const FRAME_BYTES = 2048;
const LEAST_BLOCKS = 4;

// struct tpacket_block_desc
const BLOCK_STATUS = 8;
const BLOCK_PACKETS = 12;
const BLOCK_FIRST = 16;
const STATUS_USER = 1;
// struct tpacket3_hdr, and the sockaddr_ll behind it
const NEXT = 0;
const SECONDS = 4;
const NANOSECONDS = 8;
const CAPTURED = 12;
const LENGTH = 16;
const STATUS = 20;
const MAC = 24;
const NET = 26;
const VLAN_TCI = 32;
const VLAN_TPID = 36;
const ADDRESS = 48;
const LOSING = 4;
const CHECKSUM_NOT_READY = 8;
const VLAN_VALID = 0x10;
const VLAN_TPID_VALID = 0x40;

/** struct virtio_net_hdr (linux/virtio_net.h), which PACKET_VNET_HDR puts in front of the frame: 10 bytes. */
const VNET_BYTES = 10;
const VNET_GSO_TYPE = 1;
const VNET_GSO_SIZE = 4;
const GSO_UDP_L4 = 5;
const GSO_ECN = 0x80;

/** One packet as it lies in the ring: valid until its block is released. */
export type RingPacket = {
  readonly timeNs: bigint;
  /** From the link header on; for a cooked (SOCK_DGRAM) socket from the network header on. */
  readonly data: Uint8Array<ArrayBuffer>;
  readonly originalLength: number;
  /** The sender leaves the checksum to hardware. */
  readonly checksumNotReady: boolean;
  /** Payload bytes of each datagram in a UDP super-datagram, 0: the packet is none; undefined: the kernel does not say. */
  readonly segment: number | undefined;
  readonly vlan: { readonly tpid: number; readonly tci: number } | undefined;
  /** sockaddr_ll, 20 bytes. */
  readonly address: DataView<ArrayBuffer>;
};

/** A block that was handed over; `losing`: packets were lost before it was. */
export type RingBlock = { readonly packets: readonly RingPacket[]; readonly losing: boolean };

export class Ring {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView<ArrayBuffer>;
  readonly #words: Int32Array<ArrayBuffer>;
  readonly #at: number;
  readonly #blocks: number;
  readonly #vnet: boolean;
  #next = 0;

  /**
   * On a packet socket that is not bound yet. `bytes` of memory, or less when there is not so much (`size`); a block is handed over `retireMs` after
   * its first packet at the latest. `vnet`: the socket has PACKET_VNET_HDR.
   */
  constructor(fd: number, bytes: number, retireMs: number, vnet: boolean) {
    this.#vnet = vnet;
    check(setsockopt(fd, SOL_PACKET, PACKET_VERSION, new Int32Array([TPACKET_V3]), 4), "choose the ring's version");
    let blocks = Math.max(LEAST_BLOCKS, Math.ceil(bytes / BLOCK_BYTES));
    let at = makeRing(fd, blocks, retireMs);
    while (at === undefined) {
      if (blocks === LEAST_BLOCKS) throw new SysError("find memory for the ring", ENOMEM);
      blocks = Math.max(LEAST_BLOCKS, blocks - Math.ceil(blocks / 20));
      at = makeRing(fd, blocks, retireMs);
    }
    this.#at = at;
    this.#blocks = blocks;
    const memory = viewAt(at, this.size);
    this.#bytes = new Uint8Array(memory);
    this.#view = new DataView(memory);
    this.#words = new Int32Array(memory);
  }

  /** Bytes of memory that it has. */
  get size(): number {
    return this.#blocks * BLOCK_BYTES;
  }

  /** The packets of the next block that is handed over, or undefined. Call release() when they are copied. */
  take(): RingBlock | undefined {
    const base = this.#next * BLOCK_BYTES;
    const status = Atomics.load(this.#words, (base + BLOCK_STATUS) >> 2);
    if ((status & STATUS_USER) === 0) return undefined;
    const packets: RingPacket[] = [];
    let at = base + this.#view.getUint32(base + BLOCK_FIRST, true);
    for (let n = this.#view.getUint32(base + BLOCK_PACKETS, true); n > 0; n--) {
      packets.push(this.#packet(at));
      at += this.#view.getUint32(at + NEXT, true);
    }
    return { packets, losing: (status & LOSING) !== 0 };
  }

  #packet(at: number): RingPacket {
    const v = this.#view;
    const status = v.getUint32(at + STATUS, true);
    // A cooked socket has no link header: mac is then where the network header is.
    const start = at + (v.getUint16(at + MAC, true) || v.getUint16(at + NET, true));
    return {
      timeNs: BigInt(v.getUint32(at + SECONDS, true)) * 1_000_000_000n + BigInt(v.getUint32(at + NANOSECONDS, true)),
      data: this.#bytes.subarray(start, start + v.getUint32(at + CAPTURED, true)),
      originalLength: v.getUint32(at + LENGTH, true),
      checksumNotReady: (status & CHECKSUM_NOT_READY) !== 0,
      segment: this.#vnet ? this.#segment(start - VNET_BYTES) : undefined,
      vlan:
        (status & VLAN_VALID) === 0
          ? undefined
          : { tpid: (status & VLAN_TPID_VALID) === 0 ? 0x8100 : v.getUint16(at + VLAN_TPID, true), tci: v.getUint32(at + VLAN_TCI, true) },
      address: new DataView(v.buffer, at + ADDRESS, 20),
    };
  }

  #segment(header: number): number {
    if ((this.#view.getUint8(header + VNET_GSO_TYPE) & ~GSO_ECN) !== GSO_UDP_L4) return 0;
    return this.#view.getUint16(header + VNET_GSO_SIZE, true);
  }

  /** Gives the block of the last take() back to the kernel. Its packets must not be touched any more. */
  release(): void {
    Atomics.store(this.#words, (this.#next * BLOCK_BYTES + BLOCK_STATUS) >> 2, 0);
    this.#next = (this.#next + 1) % this.#blocks;
  }

  /** Nothing of the ring may be touched any more. */
  unmap(): void {
    munmap(this.#at, this.size);
  }
}

/** Makes and maps a ring of so many blocks; undefined when there is not so much memory. */
function makeRing(fd: number, blocks: number, retireMs: number): number | undefined {
  const total = blocks * BLOCK_BYTES;
  const set = (n: number): number => {
    const request = new Uint32Array(n === 0 ? [0, 0, 0, 0, 0, 0, 0] : [BLOCK_BYTES, n, FRAME_BYTES, total / FRAME_BYTES, retireMs, 0, 0]);
    return setsockopt(fd, SOL_PACKET, PACKET_RX_RING, request, request.byteLength);
  };
  if (set(blocks) < 0) {
    if (errno() === ENOMEM) return undefined;
    check(-1, `make a ring of ${total >> 20} MiB`);
  }
  const at = mmap(0, total, PROT_READ_WRITE, MAP_SHARED, fd, 0);
  if (at < 2 ** 63) return at; // else MAP_FAILED
  if (errno() !== ENOMEM) check(-1, "map the ring");
  check(set(0), "give the ring back");
  return undefined;
}
