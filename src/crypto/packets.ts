// The packet crypto for this Node: what is fastest and passes a test of its own; `name` says which. Apart from openssl.ts because the data worker loads
// nothing else of src/crypto: each module counts while a device is restarted.
import { equal } from "../base/bytes.ts";
import type { PacketCrypto } from "../wireguard/crypto.ts";
import { directPackets } from "./packets-direct.ts";
import { evpPackets } from "./packets-evp.ts";
import { nodePackets } from "./packets-node.ts";

/** Packets in `memory`, which must never move or be detached. One instance a thread. */
export function opensslPackets(memory: ArrayBufferLike): PacketCrypto {
  for (const make of [directPackets, evpPackets]) if (rightPackets(make)) return make(memory)!;
  return nodePackets(memory);
}

// Around every boundary of ChaCha20's and Poly1305's blocks, against node:crypto; a damaged tag must be refused.
function rightPackets(make: (memory: ArrayBufferLike) => PacketCrypto | undefined): boolean {
  const at = 128;
  const fresh = (): Uint8Array<ArrayBuffer> => new Uint8Array(1024).map((_, i) => i * 31);
  for (const length of [0, 1, 15, 16, 17, 63, 64, 65, 200, 528]) {
    const [mine, right] = [fresh(), fresh()];
    const tested = make(mine.buffer);
    if (!tested) return false;
    // The counter lies at 8 .. 15, the key at 32 .. 63.
    const counter = new DataView(mine.buffer);
    tested.seal(32, counter.getUint32(8, true), counter.getUint32(12, true), at, length);
    nodePackets(right.buffer).seal(32, counter.getUint32(8, true), counter.getUint32(12, true), at, length);
    if (!equal(mine.subarray(at, at + length + 16), right.subarray(at, at + length + 16))) return false;
    if (!tested.open(32, 8, at, length) || !equal(mine.subarray(at, at + length), fresh().subarray(at, at + length))) return false;
    mine[at + length]! ^= 1;
    if (tested.open(32, 8, at, length)) return false;
  }
  return true;
}
