// The packet crypto for this Node: what is fastest and passes a test of its own; `name` says which. Apart from openssl.ts because the data worker loads
// nothing else of src/crypto: each module counts while a device is restarted.
import { equal } from "../base/bytes.ts";
import type { PacketCrypto } from "../wireguard/crypto.ts";
import { directPackets } from "./packets-direct.ts";
import { evpPackets } from "./packets-evp.ts";
import { nodePackets } from "./packets-node.ts";

/**
 * Packets in `memory`, which must never move or be detached. One instance a thread. `base`: its native address, where it has several.
 * @default the address of the first byte
 */
export function opensslPackets(memory: ArrayBufferLike, base?: number): PacketCrypto {
  for (const make of [directPackets, evpPackets]) if (rightPackets(make)) return make(memory, base)!;
  return nodePackets(memory);
}

const [KEY, COUNTER, FROM, TO] = [32, 8, 128, 896];

// Around every boundary of ChaCha20's and Poly1305's blocks, against node:crypto, from place to place and in place; a damaged tag must be refused.
function rightPackets(make: (memory: ArrayBufferLike) => PacketCrypto | undefined): boolean {
  const fresh = (): Uint8Array<ArrayBuffer> => new Uint8Array(2048).map((_, i) => i * 31);
  for (const length of [0, 1, 15, 16, 17, 63, 64, 65, 127, 200, 528])
    for (const to of [TO, FROM]) {
      const [mine, right] = [fresh(), fresh()];
      const tested = make(mine.buffer);
      if (!tested) return false;
      const counter = new DataView(mine.buffer);
      const [lo, hi] = [counter.getUint32(COUNTER, true), counter.getUint32(COUNTER + 4, true)];
      tested.seal(KEY, lo, hi, FROM, to, length);
      nodePackets(right.buffer).seal(KEY, lo, hi, FROM, to, length);
      if (!equal(mine.subarray(to, to + length + 16), right.subarray(to, to + length + 16))) return false;
      const back = TO + FROM - to;
      const opened = (): Uint8Array => mine.subarray(back, back + length);
      if (!tested.open(KEY, COUNTER, to, back, length) || !equal(opened(), fresh().subarray(FROM, FROM + length))) return false;
      mine[to + length]! ^= 1;
      if (tested.open(KEY, COUNTER, to, back, length) || opened().some((b) => b !== 0)) return false;
    }
  return true;
}
