// A TPACKET_V3 receive ring: blocks of packets that the kernel fills and hands over whole (the kernel's Documentation/networking/packet_mmap.rst;
// linux/if_packet.h for the layouts).
import { bind, check, viewAt } from "./ffi.ts";

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
const VLAN_VALID = 0x10;
const VLAN_TPID_VALID = 0x40;

/** One packet as it lies in the ring: valid until its block is released. */
export type RingPacket = {
  readonly timeNs: bigint;
  /** From the link header on; for a cooked (SOCK_DGRAM) socket from the network header on. */
  readonly data: Uint8Array<ArrayBuffer>;
  readonly originalLength: number;
  readonly vlan: { readonly tpid: number; readonly tci: number } | undefined;
  /** sockaddr_ll, 20 bytes. */
  readonly address: DataView<ArrayBuffer>;
};

export class Ring {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView<ArrayBuffer>;
  readonly #words: Int32Array<ArrayBuffer>;
  readonly #at: number;
  readonly #blocks: number;
  #next = 0;

  /** On a packet socket that is not bound yet. `bytes` of memory; a block is handed over `retireMs` after its first packet at the latest. */
  constructor(fd: number, bytes: number, retireMs: number) {
    this.#blocks = Math.max(4, Math.ceil(bytes / BLOCK_BYTES));
    const total = this.#blocks * BLOCK_BYTES;
    check(setsockopt(fd, SOL_PACKET, PACKET_VERSION, new Int32Array([TPACKET_V3]), 4), "choose the ring's version");
    const request = new Uint32Array([BLOCK_BYTES, this.#blocks, FRAME_BYTES, total / FRAME_BYTES, retireMs, 0, 0]);
    check(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, request, request.byteLength), `make a ring of ${total >> 20} MiB`);
    this.#at = mmap(0, total, PROT_READ_WRITE, MAP_SHARED, fd, 0);
    if (this.#at >= 2 ** 63) check(-1, "map the ring"); // MAP_FAILED
    const memory = viewAt(this.#at, total);
    this.#bytes = new Uint8Array(memory);
    this.#view = new DataView(memory);
    this.#words = new Int32Array(memory);
  }

  /** The packets of the next block that is handed over, or undefined. Call release() when they are copied. */
  take(): RingPacket[] | undefined {
    const base = this.#next * BLOCK_BYTES;
    if ((Atomics.load(this.#words, (base + BLOCK_STATUS) >> 2) & STATUS_USER) === 0) return undefined;
    const packets: RingPacket[] = [];
    let at = base + this.#view.getUint32(base + BLOCK_FIRST, true);
    for (let n = this.#view.getUint32(base + BLOCK_PACKETS, true); n > 0; n--) {
      packets.push(this.#packet(at));
      at += this.#view.getUint32(at + NEXT, true);
    }
    return packets;
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
      vlan:
        (status & VLAN_VALID) === 0
          ? undefined
          : { tpid: (status & VLAN_TPID_VALID) === 0 ? 0x8100 : v.getUint16(at + VLAN_TPID, true), tci: v.getUint32(at + VLAN_TCI, true) },
      address: new DataView(v.buffer, at + ADDRESS, 20),
    };
  }

  /** Gives the block of the last take() back to the kernel. Its packets must not be touched any more. */
  release(): void {
    Atomics.store(this.#words, (this.#next * BLOCK_BYTES + BLOCK_STATUS) >> 2, 0);
    this.#next = (this.#next + 1) % this.#blocks;
  }

  /** Nothing of the ring may be touched any more. */
  unmap(): void {
    munmap(this.#at, this.#blocks * BLOCK_BYTES);
  }
}
