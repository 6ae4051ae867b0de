// Splitting and merging allocate nothing per packet: the heap does not grow with the packets.
import { expect, test } from "vitest";
import { Coalescer } from "./coalescer.ts";
import { build, payloadOf, TCP, UDP, virtioBytes, virtioOf } from "./packets.cases.ts";
import { loadSimd } from "./simd.ts";
import { Splitter, SPLITTER_SCRATCH } from "./splitter.ts";
import { VIRTIO_HEADER } from "./virtio.ts";

const memory = new WebAssembly.Memory({ initial: 8, maximum: 8, shared: true });
const u8 = new Uint8Array(memory.buffer);
const simd = loadSimd(memory);

/**
 * Median growth of the heap, in bytes, in a run of `packets` packets. A collection makes one run shrink, not the median. Code that is not optimised yet does
 * allocate, and on a busy machine the compiler's thread may be long in coming: so it is tried again for a while.
 */
function growth(packets: number, run: () => void): number {
  const once = (): number => {
    for (let i = 0; i < 5 * packets; i++) run();
    const deltas = Array.from({ length: 41 }, () => {
      const before = process.memoryUsage().heapUsed;
      for (let i = 0; i < packets; i++) run();
      return process.memoryUsage().heapUsed - before;
    });
    return deltas.toSorted((a, b) => a - b)[20]!;
  };
  let least = Infinity;
  for (let tries = 0; tries < 20 && least > packets; tries++) least = Math.min(least, once());
  return least;
}
/** Less than half of the smallest object for each. */
const FEW = 2000;
const EACH = 6;

// Numbers above 2^31 are where boxes come from.
const high = { seq: 0xffff_fff0, ack: 0xf000_0000, srcPort: 0xf000 };
const flows = ([4, 6] as const).flatMap((version) => [TCP, UDP].map((protocol) => ({ ...high, version, protocol })));

test("next()", () => {
  const splitter = new Splitter(memory, simd, 0);
  const supers = flows.map((f, i) => {
    const whole = { ...f, payload: payloadOf(4000) };
    const at = 65_536 + i * 8192;
    const bytes = new Uint8Array([...virtioBytes(virtioOf(whole, 1000)), ...build(whole, true)]);
    u8.set(bytes, at);
    u8.set(bytes.subarray(0, 100), SPLITTER_SCRATCH + i * 128);
    return { at, length: bytes.length - VIRTIO_HEADER, keep: SPLITTER_SCRATCH + i * 128 };
  });
  let i = 0;
  const grown = growth(FEW, () => {
    const one = supers[i++ & 3]!;
    simd.copy(one.at, one.keep, 100);
    for (let n = splitter.begin(one.at, one.length); n > 0; n--) splitter.next(262_144);
  });
  expect(grown).toBeLessThan(FEW * EACH);
});

test("add() and flush()", () => {
  let written = 0;
  const coalescer = new Coalescer(memory, simd, { write: (_at, _length, n) => void (written = (written + n) | 0) });
  const packets = [0, 1, 2, 3].flatMap((i) => flows.map((f) => build({ ...f, seq: (f.seq + i * 100) >>> 0, id: i, payload: payloadOf(100, i) })));
  for (const [i, p] of packets.entries()) u8.set(p, 65_536 + i * 512);
  const keep = u8.slice(65_536, 65_536 + packets.length * 512);
  u8.set(keep, 262_144);
  let i = 0;
  const grown = growth(FEW, () => {
    coalescer.add(65_536 + (i & 15) * 512, packets[i & 15]!.length);
    if ((i++ & 15) !== 15) return;
    coalescer.flush();
    simd.copy(65_536, 262_144, packets.length * 512);
  });
  expect(grown).toBeLessThan(FEW * EACH);
});
