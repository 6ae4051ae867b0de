// The packet crypto for this Node: what is fastest and passes a test of its own; `name` says which. Apart from openssl.ts because the data worker loads
// nothing else of src/crypto: each module counts while a device is restarted.
import { equal } from "../base/bytes.ts";
import type { PacketCrypto } from "../wireguard/crypto.ts";
import { directPackets } from "./packets-direct.ts";
import { evpPackets } from "./packets-evp.ts";
import { nodePackets } from "./packets-node.ts";
import { shortPackets } from "./packets-short.ts";

/** More of the memory where packets lie. */
export type PacketMemory = {
  /** Its native address, where it has several. @default that of the first byte */
  readonly base?: number;
  /** The same memory, for WebAssembly. Absent: short packets are nothing special. */
  readonly wasm?: WebAssembly.Memory;
};

/** Packets in `memory`, which must never move or be detached. One instance a thread. */
export function opensslPackets(memory: ArrayBufferLike, { base, wasm }: PacketMemory = {}): PacketCrypto {
  const make = [directPackets, evpPackets].find((m) => isRight((buffer) => m(buffer))) ?? nodePackets;
  const long = make(memory, base)!;
  const short = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  return wasm && isRight(() => shortPackets(short, nodePackets(short.buffer)), short.buffer) ? shortPackets(wasm, long) : long;
}

const [KEY, COUNTER, FROM, TO, END] = [32, 8, 128, 896, 2048];

// Around every boundary of ChaCha20's and Poly1305's blocks, against node:crypto, from place to place and in place; a damaged tag must be refused.
function isRight(make: (memory: ArrayBufferLike) => PacketCrypto | undefined, memory: ArrayBufferLike = new ArrayBuffer(END)): boolean {
  const tested = make(memory);
  if (!tested) return false;
  const mine = new Uint8Array(memory, 0, END);
  const right = new Uint8Array(END);
  const oracle = nodePackets(right.buffer);
  const fresh = new Uint8Array(END).map((_, i) => i * 31);
  const counter = new DataView(fresh.buffer);
  const [lo, hi] = [counter.getUint32(COUNTER, true), counter.getUint32(COUNTER + 4, true)];
  for (const length of [0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 200, 528])
    for (const to of [TO, FROM]) {
      mine.set(fresh);
      right.set(fresh);
      tested.seal(KEY, lo, hi, FROM, to, length);
      oracle.seal(KEY, lo, hi, FROM, to, length);
      if (!equal(mine.subarray(to, to + length + 16), right.subarray(to, to + length + 16))) return false;
      const back = TO + FROM - to;
      const opened = (): Uint8Array => mine.subarray(back, back + length);
      if (!tested.open(KEY, COUNTER, to, back, length) || !equal(opened(), fresh.subarray(FROM, FROM + length))) return false;
      mine[to + length]! ^= 1;
      if (tested.open(KEY, COUNTER, to, back, length) || opened().some((b) => b !== 0)) return false;
    }
  return true;
}
