// Nanoseconds per packet of splitting and merging (src/offload), on super-packets of full-sized segments: `npx tsx bench/offload.ts [rounds]`. The
// cost of the sums alone stands beside, since that is the part that cannot be saved.
import { Coalescer, loadSimd, Splitter, SPLITTER_SCRATCH, VIRTIO_HEADER } from "../src/offload/index.ts";
import { build, type Fields, payloadOf, TCP, UDP, virtioBytes, virtioOf } from "../src/offload/packets.cases.ts";
import { spread } from "./statistics.ts";

const ROUNDS = Number(process.argv[2] ?? 21);
const TIMES = 500;
const PACKET = 1420;
const AT = 4096;
const STRIDE = 1536;

const memory = new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true });
const u8 = new Uint8Array(memory.buffer);
const simd = loadSimd(memory);
const splitter = new Splitter(memory, simd, 0);
let writes = 0;
const sink = { write: (): void => void writes++ };

const timestamps = Uint8Array.of(1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8);
const flows: readonly { name: string; f: Omit<Fields, "payload">; header: number }[] = [
  { name: "TCP over IPv4", f: { version: 4, protocol: TCP, options: timestamps }, header: 52 },
  { name: "TCP over IPv6", f: { version: 6, protocol: TCP, options: timestamps }, header: 72 },
  { name: "UDP over IPv4", f: { version: 4, protocol: UDP }, header: 28 },
  { name: "UDP over IPv6", f: { version: 6, protocol: UDP }, header: 48 },
];

/** Nanoseconds of one of `n` things that `run` does, a value a round. */
function time(n: number, run: () => void): number[] {
  for (let i = 0; i < TIMES; i++) run();
  return Array.from({ length: ROUNDS }, () => {
    const start = process.hrtime.bigint();
    for (let i = 0; i < TIMES; i++) run();
    return Number(process.hrtime.bigint() - start) / TIMES / n;
  });
}

function split(f: Omit<Fields, "payload">, header: number): number[] {
  const size = PACKET - header;
  const n = Math.floor((65_535 - header) / size);
  const whole: Fields = { ...f, payload: payloadOf(n * size) };
  const head = new Uint8Array([...virtioBytes(virtioOf(whole, size)), ...build(whole, true).subarray(0, header)]);
  u8.set(build(whole, true), AT + VIRTIO_HEADER);
  const length = header + n * size;
  const keep = SPLITTER_SCRATCH;
  u8.set(head, keep);
  return time(n, () => {
    simd.copy(AT, keep, head.length);
    for (let left = splitter.begin(AT, length); left > 0; left--) splitter.next(AT + 65_536);
  });
}

function merge(f: Omit<Fields, "payload">, header: number, each: number): number[] {
  const coalescer = new Coalescer(memory, simd, sink);
  const n = 46;
  for (let i = 0; i < n; i++) u8.set(build({ ...f, id: i, seq: 1 + i * (PACKET - header), payload: payloadOf(PACKET - header) }), AT + i * STRIDE);
  const keep = SPLITTER_SCRATCH;
  simd.copy(keep, AT, header);
  return time(n, () => {
    for (let i = 0; i < n; i++) {
      coalescer.add(AT + i * STRIDE, PACKET);
      if (i % each === each - 1) coalescer.flush();
    }
    coalescer.flush();
    if (each > 1) simd.copy(AT, keep, header);
  });
}

const row = (name: string, ns: number[]): void => void process.stdout.write(`${name.padEnd(36)} ${spread(ns, 1).padStart(24)} ns\n`);
row(
  "sum of 1420 bytes",
  time(46, () => {
    for (let i = 0; i < 46; i++) simd.sum(AT + i * STRIDE, PACKET);
  }),
);
row(
  "sum of 20 bytes",
  time(46, () => {
    for (let i = 0; i < 46; i++) simd.sum(AT + i * STRIDE, 20);
  }),
);
row(
  "copy of 1420 bytes",
  time(46, () => {
    for (let i = 0; i < 46; i++) simd.copy(AT, AT + i * STRIDE, PACKET);
  }),
);
row(
  "copy of 52 bytes",
  time(46, () => {
    for (let i = 0; i < 46; i++) simd.copy(AT, AT + i * STRIDE, 52);
  }),
);
for (const { name, f, header } of flows) row(`split, ${name}`, split(f, header));
for (const { name, f, header } of flows) row(`merge 46, ${name}`, merge(f, header, 46));
for (const { name, f, header } of flows) row(`pass one by one, ${name}`, merge(f, header, 1));
