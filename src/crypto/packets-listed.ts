// As packets-direct.ts, with the primitives' calls of a batch written down and made as one (sys/calllist.ts). What the direct way does between two calls
// in JavaScript is either done before the first or is a call of its own: memset for the zeros that become Poly1305's key, a second Poly1305_Update for
// padding and lengths, so that nothing behind a ciphertext is touched.
import { equal } from "../base/bytes.ts";
import { CallList, functionAddress } from "../sys/calllist.ts";
import type { Slab } from "../sys/slab.ts";
import type { Opener, Packets, Sealer } from "../wireguard/crypto.ts";
import { nodePackets } from "./packets-node.ts";
import { writePolyInput } from "./polyinput.ts";

/** Messages in a batch: the list stays in the first-level cache. */
const CAPACITY = 16;
const CHACHA = 0;
const INIT = 1;
const UPDATE = 2;
const FINAL = 3;
const MEMSET = 4;
const NAMES = ["ChaCha20_ctr32", "Poly1305_Init", "Poly1305_Update", "Poly1305_Final", "memset"];
/** memset(from, 0, n); ChaCha20_ctr32(out, in, length, key, counter); Poly1305_Init(ctx, key), …_Update(ctx, in, length), …_Final(ctx, mac). */
const SEAL = [CHACHA, INIT, UPDATE, FINAL];
const OPEN = [MEMSET, CHACHA, INIT, UPDATE, UPDATE, FINAL];

const CONTEXT_SIZE = 512;
const COUNTER_SIZE = 16;
const TAG_SIZE = 16;
/** Padding and lengths: up to 15 zeros end where the lengths start. */
const TAIL_SIZE = 32;
const LENGTHS = 16;
/** Key stream before the text, of which Poly1305 takes the first half as its key. */
const BLOCK = 64;
const KEY = 32;

/** undefined where the primitives or the list are missing, or do not pass their test. `slab`: memory of this thread, of which some is taken. */
export function listedPackets(slab: Slab): Packets | undefined {
  const functions = NAMES.map(functionAddress);
  const seals = CallList.create(slab, CAPACITY * SEAL.length);
  const opens = CallList.create(slab, CAPACITY * OPEN.length);
  if (!seals || !opens || functions.includes(0)) return undefined;
  const packets = {
    name: "openssl (direct, in lists)",
    sealer: sealer(slab, prepared(seals, SEAL, functions)),
    opener: opener(slab, prepared(opens, OPEN, functions)),
  };
  return isRight(slab, packets) ? packets : undefined;
}

function prepared(list: CallList, calls: readonly number[], functions: readonly number[]): CallList {
  for (let i = 0; i < CAPACITY * calls.length; i++) list.callee(i, functions[calls[i % calls.length]!]!);
  return list;
}

/** Which arguments of entry `i` are pointers. */
const pointers = (list: CallList, i: number, ...arguments_: number[]): void => arguments_.forEach((k) => list.isPointer(i, k));

function sealer(slab: Slab, list: CallList): Sealer {
  const { u8, u32 } = slab;
  const context = slab.take(CONTEXT_SIZE, 64);
  const counters = slab.take(CAPACITY * COUNTER_SIZE);
  for (let i = 0; i < CAPACITY; i++) {
    const c = i * SEAL.length;
    pointers(list, c, 0, 1, 3, 4);
    pointers(list, c + 1, 0, 1);
    pointers(list, c + 2, 0, 1);
    pointers(list, c + 3, 0, 1);
    list.pointer(c, 4, counters + i * COUNTER_SIZE);
    for (const k of [1, 2, 3]) list.pointer(c + k, 0, context);
  }
  let n = 0;
  return {
    capacity: CAPACITY,
    seal(keyAt, counterLo, counterHi, at, length) {
      const c = n * SEAL.length;
      const counter = (counters >>> 2) + n * 4;
      n++;
      u32[counter + 2] = counterLo;
      u32[counter + 3] = counterHi;
      const block = at - BLOCK;
      const end = at + length;
      const padded = (length + 15) & ~15;
      if ((block & 3) === 0) for (let i = 0; i < KEY / 4; i++) u32[(block >>> 2) + i] = 0;
      else u8.fill(0, block, block + KEY);
      // The cipher ends with the text: what Poly1305 reads behind it can be there already.
      writePolyInput(u8, u32, at, length);
      list.pointer(c, 0, block);
      list.pointer(c, 1, block);
      list.number(c, 2, BLOCK + length);
      list.pointer(c, 3, keyAt);
      list.pointer(c + 1, 1, block);
      list.pointer(c + 2, 1, at);
      list.number(c + 2, 2, padded + 16);
      list.pointer(c + 3, 1, end);
    },
    run() {
      if (n > 0) list.run(n * SEAL.length);
      n = 0;
    },
  };
}

function opener(slab: Slab, list: CallList): Opener {
  const { u8, u32 } = slab;
  const context = slab.take(CONTEXT_SIZE, 64);
  const counters = slab.take(CAPACITY * COUNTER_SIZE);
  /** Calculated, and as they came: a short message's lies where the zeros before a later one go. */
  const tags = slab.take(CAPACITY * TAG_SIZE);
  const came = slab.take(CAPACITY * TAG_SIZE);
  const tails = slab.take(CAPACITY * TAIL_SIZE);
  u8.fill(0, tails, tails + CAPACITY * TAIL_SIZE);
  for (let i = 0; i < CAPACITY; i++) {
    const c = i * OPEN.length;
    pointers(list, c, 0);
    list.number(c, 2, KEY);
    pointers(list, c + 1, 0, 1, 3, 4);
    list.pointer(c + 1, 4, counters + i * COUNTER_SIZE);
    for (const k of [2, 3, 4, 5]) {
      pointers(list, c + k, 0, 1);
      list.pointer(c + k, 0, context);
    }
    list.pointer(c + 5, 1, tags + i * TAG_SIZE);
  }
  const places = new Int32Array(CAPACITY);
  const lengths = new Int32Array(CAPACITY);
  const right = new Uint8Array(CAPACITY);
  let n = 0;

  /** Whether message `i` came with the tag that was calculated; in constant time. */
  const isTag = (i: number): boolean => {
    const mine = (tags + i * TAG_SIZE) >>> 2;
    const its = (came + i * TAG_SIZE) >>> 2;
    let differing = 0;
    for (let k = 0; k < 4; k++) differing |= u32[mine + k]! ^ u32[its + k]!;
    return differing === 0;
  };

  return {
    capacity: CAPACITY,
    open(keyAt, counterAt, from, to, length) {
      const c = n * OPEN.length;
      const counter = (counters >>> 2) + n * 4;
      if ((counterAt & 3) === 0) {
        u32[counter + 2] = u32[counterAt >>> 2]!;
        u32[counter + 3] = u32[(counterAt >>> 2) + 1]!;
      } else for (let i = 0; i < 8; i++) u8[4 * counter + 8 + i] = u8[counterAt + i]!;
      const tail = tails + n * TAIL_SIZE + LENGTHS;
      const padding = -length & 15;
      u32[(tail >>> 2) + 2] = length;
      list.pointer(c, 0, from - BLOCK);
      list.pointer(c + 1, 0, to - BLOCK);
      list.pointer(c + 1, 1, from - BLOCK);
      list.number(c + 1, 2, BLOCK + length);
      list.pointer(c + 1, 3, keyAt);
      list.pointer(c + 2, 1, to - BLOCK);
      list.pointer(c + 3, 1, from);
      list.number(c + 3, 2, length);
      list.pointer(c + 4, 1, tail - padding);
      list.number(c + 4, 2, padding + 16);
      const tag = came + n * TAG_SIZE;
      const end = from + length;
      if ((end & 3) === 0) for (let k = 0; k < 4; k++) u32[(tag >>> 2) + k] = u32[(end >>> 2) + k]!;
      else for (let k = 0; k < TAG_SIZE; k++) u8[tag + k] = u8[end + k]!;
      places[n] = to;
      lengths[n] = length;
      n++;
    },
    run() {
      if (n > 0) list.run(n * OPEN.length);
      for (let i = 0; i < n; i++) {
        const good = isTag(i);
        right[i] = good ? 1 : 0;
        if (!good) u8.fill(0, places[i], places[i]! + lengths[i]!);
      }
      n = 0;
    },
    opened: (i) => right[i] === 1,
  };
}

/** A batch of lengths round every boundary, against node:crypto; a damaged tag must be refused. */
function isRight(slab: Slab, { sealer: seal, opener: open }: Packets): boolean {
  const stride = 1024;
  const text = slab.take(CAPACITY * stride, 64);
  const opened = slab.take(CAPACITY * stride, 64);
  const key = slab.take(32);
  const { u8 } = slab;
  const oracle = new Uint8Array(2048);
  const byNode = nodePackets(oracle.buffer);
  const fresh = new Uint8Array(CAPACITY * stride).map((_, i) => i * 31);
  u8.set(fresh.subarray(0, 32), key);
  oracle.set(fresh.subarray(0, 32));
  const ok = [[0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 200, 527, 528]].every((all) => {
    u8.set(fresh, text);
    const at = (i: number): number => text + i * stride + 64;
    all.forEach((length, i) => seal.seal(key, 7 + i, 9, at(i), length));
    seal.run();
    const sealed = all.every((length, i) => {
      oracle.set(fresh.subarray(i * stride + 64, i * stride + 64 + length), 64);
      byNode.seal(0, 7 + i, 9, 64, 1024, length);
      return equal(u8.slice(at(i), at(i) + length + 16), oracle.subarray(1024, 1024 + length + 16));
    });
    if (!sealed) return false;
    all.forEach((length, i) => {
      new DataView(slab.buffer).setUint32(at(i) - 8, 7 + i, true);
      new DataView(slab.buffer).setUint32(at(i) - 4, 9, true);
      if (i % 5 === 4) u8[at(i) + length]! ^= 1;
      open.open(key, at(i) - 8, at(i), opened + i * stride + 64, length);
    });
    open.run();
    return all.every((length, i) =>
      i % 5 === 4
        ? !open.opened(i)
        : open.opened(i) &&
          equal(u8.slice(opened + i * stride + 64, opened + i * stride + 64 + length), fresh.subarray(i * stride + 64, i * stride + 64 + length)),
    );
  });
  u8.fill(0, key, key + 32);
  return ok;
}
