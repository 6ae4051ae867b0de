// A memory in which every byte that changes outside the allowed ranges is found: where the tests of this folder split and merge.
import { concat } from "../base/bytes.ts";
import { Coalescer, type CoalescerOptions } from "./coalescer.ts";
import { loadSimd, type Simd } from "./simd.ts";
import { Splitter, SPLITTER_SCRATCH } from "./splitter.ts";
import { VIRTIO_HEADER } from "./virtio.ts";

const PAGES = 16;
/** Where segments are made. */
const SPLIT_TO = 8192;
/** A write to the TUN: which packets it carries, and its bytes. */
export type Write = { readonly packets: readonly number[]; readonly virtio: Uint8Array; readonly packet: Uint8Array };

/** One memory in which what is written outside the allowed ranges is found. */
export class Arena {
  readonly memory: WebAssembly.Memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  readonly u8: Uint8Array = new Uint8Array(this.memory.buffer);
  readonly simd: Simd = loadSimd(this.memory);
  readonly splitter: Splitter;
  readonly #before: Uint8Array;
  readonly #scratch = 4096 + 3;

  /** `seed`: of the noise that fills it. What comes out must not depend on it. */
  constructor(seed = 1) {
    for (let i = 0, x = seed; i < this.u8.length; i++) {
      x = Math.imul(x, 1664525) + 1013904223;
      this.u8[i] = x >>> 24;
    }
    this.#before = Uint8Array.from(this.u8);
    this.splitter = new Splitter(this.memory, this.simd, this.#scratch);
  }

  #take(at: number, length: number): Uint8Array {
    return Uint8Array.from(this.u8.subarray(at, at + length));
  }
  #changed(from: number, to: number): number[] {
    if (Buffer.compare(this.u8.subarray(from, to), this.#before.subarray(from, to)) === 0) return [];
    return Array.from({ length: to - from }, (_, i) => from + i).filter((i) => this.u8[i] !== this.#before[i]);
  }
  /** Offsets that changed outside the ranges, which are in ascending order, and the scratch; then all is as it was. */
  #strays(ranges: readonly (readonly [number, number])[]): number[] {
    const found: number[] = [];
    let at = 0;
    for (const [from, to] of [[this.#scratch, this.#scratch + SPLITTER_SCRATCH] as const, ...ranges]) {
      found.push(...this.#changed(at, from));
      at = to;
    }
    found.push(...this.#changed(at, this.u8.length));
    this.u8.set(this.#before);
    return found;
  }

  /** Splits `packet` behind `virtio`. */
  split(virtio: Uint8Array, packet: Uint8Array): { segments: Uint8Array[]; strays: number[] } {
    // To the last byte of the memory: what reads or writes beyond has nowhere to go.
    const at = this.u8.length - VIRTIO_HEADER - packet.length;
    this.u8.set(virtio, at);
    this.u8.set(packet, at + VIRTIO_HEADER);
    const segments: Uint8Array[] = [];
    let longest = 0;
    for (let n = this.splitter.begin(at, packet.length); n > 0; n--) {
      this.splitter.next(SPLIT_TO);
      const { packetLength } = this.splitter;
      segments.push(this.#take(SPLIT_TO, packetLength));
      longest = Math.max(longest, packetLength);
    }
    return {
      segments,
      strays: this.#strays([
        [SPLIT_TO, SPLIT_TO + longest],
        [at, this.u8.length],
      ]),
    };
  }

  /** Adds the packets, which lie `gap` bytes apart; flushes after those that `flushAfter` names. */
  coalesce(
    packets: readonly Uint8Array[],
    options: CoalescerOptions = {},
    flushAfter: readonly number[] = [],
  ): { writes: Write[]; strays: number[] } {
    const gap = 83;
    const starts: number[] = [];
    const ends: number[] = [];
    for (let i = packets.length - 1, at = this.u8.length; i >= 0; i--) {
      ends[i] = at;
      at -= packets[i]!.length;
      starts[i] = at;
      this.u8.set(packets[i]!, at);
      at -= gap;
    }
    const writes: Write[] = [];
    // Which packet a piece is of: the first that ends behind its start.
    const write = (at: Int32Array, length: Int32Array, n: number): void => {
      const owners = Array.from({ length: n }, (_, i) => ends.findIndex((end) => end >= at[i]! + length[i]!));
      const bytes = concat(...Array.from({ length: n }, (_, i) => this.#take(at[i]!, length[i]!)));
      writes.push({ packets: owners, virtio: bytes.slice(0, VIRTIO_HEADER), packet: bytes.slice(VIRTIO_HEADER) });
    };
    const coalescer = new Coalescer(this.memory, this.simd, { write }, options);
    for (let i = 0; i < packets.length; i++) {
      coalescer.add(starts[i]!, packets[i]!.length);
      if (flushAfter.includes(i)) coalescer.flush();
    }
    coalescer.flush();
    return { writes, strays: this.#strays(starts.map((start, i) => [start - VIRTIO_HEADER, ends[i]!] as const)) };
  }
}
