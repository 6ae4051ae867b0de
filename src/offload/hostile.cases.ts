// What must hold for any input to splitting and merging, as fast-check properties: hostile.test.ts tries them briefly, test/long/offload.ts for minutes.
// Two memories that differ in every byte around the packets must give the same: so nothing was read that is not theirs.
import fc from "fast-check";
import { concat } from "../base/bytes.ts";
import { checksum } from "../packet/checksum.ts";
import { Arena, type Write } from "./arena.cases.ts";
import { ACK, build, type Fields, intact, PSH, readVirtio, splitNaive, TCP, UDP, virtioBytes, virtioOf } from "./packets.cases.ts";

const arena = new Arena(1);
const other = new Arena(0x5eed);

function same(what: string, a: unknown, b: unknown): void {
  const [x, y] = [JSON.stringify(a), JSON.stringify(b)];
  if (x !== y) throw new Error(`${what}: ${x} is not ${y}`);
}
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
/** In both memories, without a byte changed that must not be. */
function both<T extends { strays: number[] }>(run: (a: Arena) => T, text: (result: T) => unknown): T {
  const [a, b] = [run(arena), run(other)];
  same("bytes written outside", [a.strays, b.strays], [[], []]);
  same("it depends on bytes around the packets", text(a), text(b));
  return a;
}
const split = (virtio: Uint8Array, packet: Uint8Array): Uint8Array[] =>
  both(
    (a) => a.split(virtio, packet),
    (r) => r.segments.map(hex),
  ).segments;

const version = fc.constantFrom(4 as const, 6 as const);
const protocol = fc.constantFrom(TCP, UDP);
const bytes = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength });
const options = fc.nat(10).chain((words) => fc.uint8Array({ minLength: 4 * words, maxLength: 4 * words }));

// --- Well-formed ---

const superPacket: fc.Arbitrary<[Fields, number]> = fc.tuple(
  fc.record({
    version,
    protocol,
    payload: fc.oneof({ weight: 40, arbitrary: bytes(3000) }, { weight: 1, arbitrary: fc.uint8Array({ minLength: 30_000, maxLength: 65_000 }) }),
    srcPort: fc.nat(65_535),
    tos: fc.nat(255),
    ttl: fc.nat(255),
    id: fc.nat(65_535),
    fragment: fc.constantFrom(0, 0x4000),
    seq: fc.nat(0xffff_ffff),
    ack: fc.nat(0xffff_ffff),
    flags: fc.nat(255),
    window: fc.nat(65_535),
    options,
  }),
  fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 500, max: 1500 }), fc.integer({ min: 1, max: 65_535 })),
);
/** Splitting gives what building each segment from its fields gives. */
export const splitsWell: fc.IProperty<[[Fields, number]]> = fc.property(superPacket, ([f, size]) => {
  same("segments", split(virtioBytes(virtioOf(f, size)), build(f, true)).map(hex), splitNaive(f, size).map(hex));
});

// A stream, cut into packets anyhow, with what a flow has between: pushes, acknowledgements, other types of service.
const stream = (srcPort: number): fc.Arbitrary<Fields[]> =>
  fc
    .tuple(
      fc.record({ version, protocol, id: fc.nat(65_535), fragment: fc.constantFrom(0, 0x4000), seq: fc.nat(0xffff_ffff), ack: fc.nat(), options }),
      fc.nat(1500),
      fc.array(
        fc.record({
          cut: fc.oneof({ weight: 9, arbitrary: fc.constant(-1) }, { weight: 1, arbitrary: fc.nat(1500) }),
          flags: fc.oneof(
            { weight: 20, arbitrary: fc.constant(ACK) },
            { weight: 2, arbitrary: fc.constant(ACK | PSH) },
            fc.constantFrom(ACK | 1, 2, 4),
          ),
          tos: fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, fc.constantFrom(1, 2, 3)),
          wrong: fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, fc.nat(30)),
        }),
        { maxLength: 90 },
      ),
    )
    .map(([f, size, packets]) => {
      let seq = f.seq;
      return packets.map(({ cut, flags, tos, wrong }, i) => {
        const payload = new Uint8Array(cut < 0 ? size : cut).fill(i + 1);
        const one: Fields = { ...f, srcPort, payload, flags, tos, seq: (seq + wrong) >>> 0, id: (f.id + i) & 0xffff };
        seq += payload.length;
        return one;
      });
    });
/** Up to a dozen streams, their packets taken in turns of any length. */
const traffic = fc
  .tuple(
    fc.nat(11).chain((n) => fc.tuple(...Array.from({ length: n + 1 }, (_, i) => stream(i)))),
    fc.array(fc.tuple(fc.nat(11), fc.integer({ min: 1, max: 70 })), { maxLength: 60 }),
  )
  .map(([streams, turns]) => {
    const left = streams.map((s) => [...s]);
    const taken = turns.flatMap(([which, n]) => left[which % left.length]!.splice(0, n));
    return [...taken, ...left.flat()].slice(0, 600);
  });

const flushes = fc.array(fc.nat(600), { maxLength: 5 });

/** Splitting again what was merged gives the same packets, byte for byte; each once, and each flow in order. */
export const roundTrips: fc.IProperty<[Fields[], number[]]> = fc.property(traffic, flushes, (sent, flushAfter) => {
  // All that lies in the arena at once.
  let room = 900_000;
  const packets = sent.map((f) => build(f)).filter((p) => (room -= p.length + 83) > 0);
  const { writes } = both(
    (a) => a.coalesce(packets, {}, flushAfter),
    (r) => r.writes.map((w) => [w.packets, hex(w.virtio), hex(w.packet)]),
  );
  for (const w of writes) {
    // Identification is free under DF, and counted up by the split.
    const back = split(w.virtio, w.packet).map((p) => hex(atomic(p)));
    same(
      "packets",
      back,
      w.packets.map((i) => hex(atomic(packets[i]!))),
    );
  }
  ordered(packets, writes);
});

/** IPv4 with DF: without its identification and the checksum over it. */
function atomic(packet: Uint8Array): Uint8Array {
  const out = Uint8Array.from(packet);
  if (out.length >= 20 && out[0]! >>> 4 === 4 && (out[6]! & 0x40) !== 0) for (const at of [4, 5, 10, 11]) out[at] = 0;
  return out;
}

/** Each packet once; and in order among those of one flow, which is all between two hosts where the ports cannot be seen. */
function ordered(packets: readonly Uint8Array[], writes: readonly Write[]): void {
  const order = writes.flatMap((w) => w.packets);
  same(
    "packets written",
    order.toSorted((a, b) => a - b),
    packets.map((_, i) => i),
  );
  const newest = new Map<string, number>();
  for (const i of order) {
    const { hosts, ports } = flowOf(packets[i]!);
    if (hosts === undefined) continue;
    const before =
      ports === undefined
        ? [...newest].filter(([key]) => key.startsWith(hosts)).map(([, n]) => n)
        : [newest.get(hosts + ports), newest.get(`${hosts}*`)];
    for (const n of before) if (n !== undefined && n > i) throw new Error(`packet ${i} was written after packet ${n} of its flow`);
    newest.set(hosts + (ports ?? "*"), i);
  }
}
function flowOf(p: Uint8Array): { hosts?: string; ports?: string } {
  const family = p.length === 0 ? 0 : p[0]! >>> 4;
  if (family === 4 && p.length >= 20) {
    const seen = p[0] === 0x45 && p.length >= 28 && (p[6]! & 0x3f) === 0 && p[7] === 0 && (p[9] === TCP || p[9] === UDP);
    return { hosts: `4 ${hex(p.subarray(12, 20))} `, ...(seen && { ports: `${p[9]} ${hex(p.subarray(20, 24))}` }) };
  }
  if (family !== 6 || p.length < 40) return {};
  const seen = p.length >= 48 && (p[6] === TCP || p[6] === UDP);
  return { hosts: `6 ${hex(p.subarray(8, 40))} `, ...(seen && { ports: `${p[6]} ${hex(p.subarray(40, 44))}` }) };
}

// --- Anything ---

/** Changes to a packet: lengths and flags are what hurts, so extremes as often as noise, and headers more than payload. */
const changes = fc.array(
  fc.tuple(fc.oneof(fc.nat(80), fc.nat(4)), fc.oneof(fc.constantFrom(0, 1, 0x40, 0x45, 0x60, 0x7f, 0x80, 0xff), fc.nat(255))),
  { maxLength: 4 },
);
const cut = fc.oneof({ weight: 5, arbitrary: fc.constant(-1) }, fc.nat(120));
function mutate(packet: Uint8Array, what: readonly (readonly [number, number])[], length: number): Uint8Array {
  const out = packet.slice(0, length < 0 ? packet.length : length);
  for (const [at, value] of what) if (at < out.length) out[at] = value;
  return out;
}

const half = fc.oneof(fc.nat(130), fc.nat(65_535), fc.constantFrom(0, 1, 0x7fff, 0x8000, 65_534, 65_535));
const wildVirtio = fc.record({
  flags: fc.oneof(fc.constantFrom(0, 1), fc.nat(255)),
  type: fc.oneof(fc.constantFrom(0, 1, 4, 5, 0x81, 0x84), fc.nat(255)),
  headerLength: half,
  size: half,
  start: fc.oneof(fc.constantFrom(20, 40), half),
  offset: fc.oneof(fc.constantFrom(6, 16), half),
});
/** A header and packet of a TUN, from right to nonsense. */
const wildSuper = fc
  .tuple(
    superPacket,
    fc.option(wildVirtio),
    fc.dictionary(fc.constantFrom("flags", "type", "size", "start", "offset"), half, { maxKeys: 2 }),
    changes,
    cut,
    fc.option(bytes(300)),
  )
  .map(([[f, size], wild, some, what, length, noise]) => ({
    virtio: virtioBytes(wild ?? { ...virtioOf(f, size), ...some }),
    packet: noise && what.length > 2 ? noise : mutate(build(f, true), what, length),
  }));

/** Whatever comes: nothing, or segments that carry the payload in order, with lengths, sequence numbers and checksums right. */
export const splitsAnything: fc.IProperty<[{ virtio: Uint8Array; packet: Uint8Array }]> = fc.property(wildSuper, ({ virtio, packet }) => {
  const segments = split(virtio, packet);
  if (segments.length === 0) return;
  const h = readVirtio(virtio);
  const type = h.type & 0x7f;
  if (type === 0) {
    same("segments of one packet", segments.length, 1);
    const field = (h.flags & 1) !== 0 ? h.start + h.offset : packet.length;
    const beside = (p: Uint8Array): string => hex(p.subarray(0, field)) + hex(p.subarray(field + 2));
    same("a packet alone, beside its checksum", beside(segments[0]!), beside(packet));
    return;
  }
  const v4 = packet[0]! >>> 4 === 4;
  const transport = (h.flags & 1) !== 0 ? h.start : v4 ? (packet[0]! & 15) * 4 : 40;
  const header = transport + (type === 5 ? 8 : (packet[transport + 12]! >>> 4) * 4);
  same("payload", hex(concat(...segments.map((s) => s.subarray(header)))), hex(packet.subarray(header)));
  const view = (p: Uint8Array): DataView => new DataView(p.buffer, p.byteOffset, p.length);
  const first = view(packet);
  for (const [i, s] of segments.entries()) {
    const v = view(s);
    if (i < segments.length - 1) same("length of a segment", s.length, header + h.size);
    else if (s.length > header + h.size) throw new Error("the last segment is longer than the others");
    same("length of IP", v4 ? v.getUint16(2) : v.getUint16(4) + 40, s.length);
    if (v4) same("identification", v.getUint16(4), (first.getUint16(4) + i) & 0xffff);
    if (type === 5) same("length of UDP", v.getUint16(transport + 4), s.length - transport);
    else same("sequence number", v.getUint32(transport + 4), (first.getUint32(transport + 4) + i * h.size) >>> 0);
    // Where the field that the kernel leaves may have been filled with anything by a local user, the transport's checksum is that user's.
    if ((h.flags & 1) === 0 && (v4 || transport === 40)) same("checksums", intact(s), true);
    if (v4) same("checksum of IPv4", checksum(s.subarray(0, transport)), 0);
  }
});
const wildPacket = fc.oneof(
  { weight: 1, arbitrary: bytes(200) },
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        fc.record({
          version,
          protocol,
          payload: bytes(100),
          srcPort: fc.nat(1),
          seq: fc.nat(300),
          window: fc.nat(9),
          id: fc.nat(9),
          fragment: fc.constantFrom(0, 0x4000),
        }),
        changes,
        cut,
      )
      .map(([f, what, length]) => mutate(build(f), what, length)),
  },
);
/** Streams whose packets are mutated here and there, and noise between. */
export const wildTraffic: fc.Arbitrary<Uint8Array[]> = fc
  .tuple(traffic, fc.array(fc.tuple(fc.nat(200), wildPacket), { maxLength: 20 }), fc.array(fc.tuple(fc.nat(200), changes, cut), { maxLength: 20 }))
  .map(([sent, noise, damage]) => {
    const packets = sent.slice(0, 200).map((f) => build({ ...f, payload: f.payload.subarray(0, 100) }));
    for (const [at, what, length] of damage) if (at < packets.length) packets[at] = mutate(packets[at]!, what, length);
    for (const [at, packet] of noise) packets.splice(Math.min(at, packets.length), 0, packet);
    return packets;
  });

/** Whatever comes: each packet goes on once and in the order of its flow, untouched unless merged; merged ones carry right checksums and the same payload. */
export const mergesAnything: fc.IProperty<[Uint8Array[], number[], { tcp: boolean; udp: boolean }]> = fc.property(
  wildTraffic,
  flushes,
  fc.record({ tcp: fc.constantFrom(true, true, false), udp: fc.constantFrom(true, true, false) }),
  (packets, flushAfter, on) => {
    const { writes } = both(
      (a) => a.coalesce(packets, on, flushAfter),
      (r) => r.writes.map((w) => [w.packets, hex(w.virtio), hex(w.packet)]),
    );
    ordered(packets, writes);
    for (const w of writes) {
      if (w.packets.length === 1) {
        same("a packet alone", [hex(w.virtio), hex(w.packet)], ["00".repeat(10), hex(packets[w.packets[0]!]!)]);
        continue;
      }
      if (w.packets.length > 64 || w.packet.length > 65_535) throw new Error(`too large: ${w.packets.length} segments, ${w.packet.length} bytes`);
      const back = split(w.virtio, w.packet);
      same("segments", back.length, w.packets.length);
      for (const [i, segment] of back.entries()) {
        const sent = packets[w.packets[i]!]!;
        same("checksums", [intact(segment), intact(sent)], [true, true]);
        same("packets", hex(atomic(checkless(segment))), hex(atomic(checkless(sent))));
      }
    }
  },
);

/** Without the transport's checksum: 0 and 0xffff are the same sum, and intact() has looked at it. */
function checkless(packet: Uint8Array): Uint8Array {
  const out = Uint8Array.from(packet);
  const start = out[0] === 0x45 ? 20 : 40;
  const at = start + (out[start === 20 ? 9 : 6] === TCP ? 16 : 6);
  out[at] = out[at + 1] = 0;
  return out;
}
