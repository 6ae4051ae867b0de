import { describe, expect, test } from "vitest";
import { concat } from "../base/bytes.ts";
import { Arena } from "./arena.cases.ts";
import type { CoalescerOptions } from "./coalescer.ts";
import { ACK, build, type Fields, hexOf, payloadOf, PSH, readVirtio, TCP, transportAt, UDP, virtioBytes, virtioOf } from "./packets.cases.ts";

const arena = new Arena();
const NONE = new Uint8Array(10);
const DF = 0x4000;

/** Consecutive packets of one flow. */
function run(f: Omit<Fields, "payload">, lengths: readonly number[]): Fields[] {
  let seq = f.seq ?? 1;
  return lengths.map((length, i) => {
    const one = { ...f, seq, id: ((f.id ?? 0) + i) & 0xffff, payload: payloadOf(length, i) };
    seq += length;
    return one;
  });
}
/** The packets with fields of the i-th changed. */
const but = (sent: readonly Fields[], i: number, change: Partial<Fields>): Fields[] => sent.map((f, at) => (at === i ? { ...f, ...change } : f));

/** Which packets each write carries. Each write must be what its packets make: they themselves, or what is split into them again. */
function writesOf(sent: readonly (Fields | Uint8Array)[], options: CoalescerOptions = {}): number[][] {
  const packets = sent.map((f) => (f instanceof Uint8Array ? f : build(f)));
  const { writes, strays } = arena.coalesce(packets, options);
  expect(strays).toEqual([]);
  for (const { virtio, packet, packets: owners } of writes) {
    if (owners.length === 1) expect(virtio).toEqual(NONE);
    else expect(readVirtio(virtio)).toMatchObject({ flags: 1 });
    expect(hexOf(arena.split(virtio, packet).segments)).toEqual(hexOf(owners.map((i) => packets[i]!)));
  }
  return writes.map((w) => [...w.packets]);
}
/** How many packets each write carries. */
const shape = (sent: readonly (Fields | Uint8Array)[], options?: CoalescerOptions): number[] => writesOf(sent, options).map((w) => w.length);
/** With the checksum of its transport wrong. */
function damaged(f: Fields): Uint8Array {
  const packet = build(f);
  packet[transportAt(f) + (f.protocol === TCP ? 16 : 6)]! ^= 0xff;
  return packet;
}

describe.for([4, 6] as const)("IPv%i", (version) => {
  const tcp = { version, protocol: TCP } as const;
  const udp = { version, protocol: UDP } as const;
  const options = (last: number): Uint8Array => Uint8Array.of(1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, last);

  test.for<{ name: string; sent: readonly Fields[]; writes: readonly number[] }>([
    { name: "TCP in order", sent: run(tcp, [100, 100, 100]), writes: [3] },
    { name: "a short last one", sent: run(tcp, [100, 100, 40]), writes: [3] },
    { name: "nothing after a short one", sent: run(tcp, [100, 40, 40, 40]), writes: [2, 2] },
    { name: "a longer one starts anew", sent: run(tcp, [100, 101, 101]), writes: [1, 2] },
    { name: "one alone", sent: run(tcp, [100]), writes: [1] },
    { name: "64 at most", sent: run(tcp, Array<number>(130).fill(10)), writes: [64, 64, 2] },
    { name: "65,535 bytes at most", sent: run(tcp, Array<number>(50).fill(1400)), writes: [46, 4] },
    { name: "the sequence number wraps", sent: run({ ...tcp, seq: 0xffff_ff9c, id: 0xffff }, [100, 100, 100]), writes: [3] },
    { name: "a gap in the sequence", sent: but(run(tcp, [100, 100, 100]), 1, { seq: 102 }), writes: [1, 1, 1] },
    { name: "the same segment again", sent: but(run(tcp, [100, 100]), 1, { seq: 1 }), writes: [1, 1] },
    {
      name: "out of order: nothing overtakes",
      sent: run(tcp, [100, 100, 100]).toSpliced(0, 2, ...run(tcp, [100, 100]).toReversed()),
      writes: [1, 1, 1],
    },
    { name: "another acknowledgement", sent: but(run(tcp, [100, 100, 100]), 1, { ack: 2 }), writes: [1, 1, 1] },
    { name: "another window", sent: but(run(tcp, [100, 100, 100]), 1, { window: 77 }), writes: [1, 1, 1] },
    { name: "another urgent pointer", sent: but(run(tcp, [100, 100]), 1, { urgent: 1 }), writes: [1, 1] },
    { name: "another reserved bit", sent: but(run(tcp, [100, 100]), 1, { reserved: 1 }), writes: [1, 1] },
    { name: "equal options", sent: run({ ...tcp, options: options(8) }, [100, 100]), writes: [2] },
    { name: "another timestamp", sent: but(run({ ...tcp, options: options(8) }, [100, 100]), 1, { options: options(9) }), writes: [1, 1] },
    { name: "the most options", sent: run({ ...tcp, options: payloadOf(40) }, [100, 100]), writes: [2] },
    { name: "options of another length", sent: but(run({ ...tcp, options: options(8) }, [100, 100]), 1, { options: payloadOf(16) }), writes: [1, 1] },
    { name: "PSH ends it and is kept", sent: but(run(tcp, [100, 100, 100, 100]), 1, { flags: ACK | PSH }), writes: [2, 2] },
    { name: "nothing after a PSH at its head", sent: but(run(tcp, [100, 100]), 0, { flags: ACK | PSH }), writes: [1, 1] },
    ...[0, ACK | 1, ACK | 2, ACK | 4, ACK | 32, ACK | 64, ACK | 128, PSH].map((flags) => ({
      name: `TCP flags ${flags} are for no merge, and flush what is before them`,
      sent: but(run(tcp, [100, 100, 100, 100]), 2, { flags }),
      writes: [2, 1, 1],
    })),
    { name: "a segment without payload", sent: run(tcp, [100, 0, 100, 100]), writes: [1, 1, 2] },
    { name: "UDP, equal sizes", sent: run(udp, [100, 100, 100, 30, 100]), writes: [4, 1] },
    { name: "UDP, a larger one starts anew", sent: run(udp, [100, 110, 110]), writes: [1, 2] },
    { name: "UDP, one byte each, 64 at most", sent: run(udp, Array<number>(65).fill(1)), writes: [64, 1] },
    { name: "UDP without payload", sent: run(udp, [100, 0, 100, 100]), writes: [1, 1, 2] },
    { name: "another port", sent: run(udp, [100, 100]).toSpliced(1, 0, ...run({ ...udp, srcPort: 9 }, [100])), writes: [2, 1] },
    { name: "another lifetime", sent: but([...run(tcp, [100, 100]), ...run(udp, [100, 100])], 1, { ttl: 63 }), writes: [1, 1, 2] },
    { name: "another lifetime, UDP", sent: but(run(udp, [100, 100]), 1, { ttl: 63 }), writes: [1, 1] },
    { name: "another type of service", sent: but(run(tcp, [100, 100]), 1, { tos: 3 }), writes: [1, 1] },
    { name: "another type of service, UDP", sent: but(run(udp, [100, 100]), 1, { tos: 3 }), writes: [1, 1] },
  ])("$name", ({ sent, writes }) => expect(shape(sent)).toEqual(writes));

  test("the merged packet is what the kernel itself would have handed over", () => {
    for (const f of [tcp, udp]) {
      const sent = run(f, [200, 200, 70]);
      const whole: Fields = { ...sent[0]!, payload: concat(...sent.map((s) => s.payload)) };
      const { writes } = arena.coalesce(sent.map((s) => build(s)));
      expect(writes).toEqual([{ packets: [0, 1, 2], virtio: virtioBytes(virtioOf(whole, 200)), packet: build(whole, true) }]);
    }
  });

  test.for([tcp, udp])("a wrong checksum is passed on as it came, first, between and last (protocol $protocol)", (f) => {
    const sent = run(f, [100, 100, 100, 100]);
    const wrong = (i: number): (Fields | Uint8Array)[] => sent.map((s, at) => (at === i ? damaged(s) : s));
    expect(writesOf(wrong(0))).toEqual([[0], [1, 2, 3]]);
    // What follows in sequence follows the damaged one, whose receiver will not take it.
    expect(writesOf(wrong(1))).toEqual([[0], [1], [2, 3]]);
    expect(writesOf(wrong(3))).toEqual([[0, 1, 2], [3]]);
  });

  test.for([tcp, udp])("switched off, packets pass one by one (protocol $protocol)", (f) => {
    const sent = run(f, [100, 100]);
    expect(shape(sent, { tcp: false, udp: false })).toEqual([1, 1]);
    expect(shape(sent, { tcp: f.protocol !== TCP, udp: f.protocol !== UDP })).toEqual([1, 1]);
    expect(shape(sent, { tcp: f.protocol === TCP, udp: f.protocol === UDP })).toEqual([2]);
  });

  test("flows that take turns are merged each for itself, up to eight", () => {
    const flows = Array.from({ length: 8 }, (_, i) => run({ ...(i % 2 === 0 ? tcp : udp), srcPort: i }, [50, 50, 50]));
    const sent = [0, 1, 2].flatMap((i) => flows.map((f) => f[i]!));
    expect(shape(sent)).toEqual(Array<number>(8).fill(3));
  });
  test("a ninth flow takes the place of another", () => {
    const sent = Array.from({ length: 9 }, (_, i) => run({ ...udp, srcPort: i }, [50])[0]!);
    expect(shape(sent)).toEqual(Array<number>(9).fill(1));
    expect(writesOf(sent)[0]).toHaveLength(1);
  });
  test("a packet without payload flushes its own flow only", () => {
    const a = run(tcp, [100, 100]);
    const b = run({ ...tcp, srcPort: 9 }, [100, 0, 100]);
    expect(writesOf([a[0]!, b[0]!, b[1]!, a[1]!, b[2]!])).toEqual([[1], [2], [0, 3], [4]]);
  });
  test("a packet whose flow cannot be told comes after what went before it between the same hosts, and flushes no others", () => {
    const a = run(tcp, [100, 100]);
    const other = run({ ...tcp, from: 9 }, [100, 100]);
    const ping: Fields = { version, protocol: version === 4 ? 1 : 58, payload: payloadOf(64) };
    expect(writesOf([a[0]!, other[0]!, ping, a[1]!, other[1]!])).toEqual([[0], [2], [3], [1, 4]]);
  });
  test("a pushing head comes after what went before it in its flow", () => {
    const sent = run(tcp, [100, 100, 90, 90]);
    expect(writesOf([sent[0]!, sent[1]!, { ...sent[3]!, flags: ACK | PSH }])).toEqual([[0, 1], [2]]);
  });
  test("UDP is appended to the newest only", () => {
    const sent = run(udp, [100, 40, 100, 40]);
    expect(writesOf(sent)).toEqual([
      [0, 1],
      [2, 3],
    ]);
  });

  // What wireguard-go calls packetIsGROCandidate: two of the same, which are merged when one is a candidate.
  const candidate = (f: Fields, change: (packet: Uint8Array) => Uint8Array = (p) => p): number[] => {
    const sent = run(f, [f.payload.length, f.payload.length]).map((s) => change(build(s)));
    const { writes, strays } = arena.coalesce(sent);
    expect(strays).toEqual([]);
    return writes.map((w) => w.packets.length);
  };
  const whole = { ...tcp, payload: payloadOf(100) };
  const datagram = { ...udp, payload: payloadOf(100) };
  const patch =
    (at: number, value: number) =>
    (packet: Uint8Array): Uint8Array => {
      packet[at] = value;
      return packet;
    };
  const start = version === 4 ? 20 : 40;
  test.for<{ name: string; f: Fields; change?: (p: Uint8Array) => Uint8Array; merged?: boolean }>([
    { name: "TCP", f: whole, merged: true },
    { name: "UDP", f: datagram, merged: true },
    { name: "TCP too short", f: whole, change: (p) => p.subarray(0, start + 19) },
    { name: "UDP too short", f: datagram, change: (p) => p.subarray(0, start + 7) },
    { name: "nothing", f: datagram, change: (p) => p.subarray(0, 0) },
    { name: "one byte", f: datagram, change: (p) => p.subarray(0, 1) },
    { name: "fewer bytes than it says", f: whole, change: (p) => p.subarray(0, start + 60) },
    { name: "more bytes than it says", f: datagram, change: (p) => concat(p, payloadOf(4)) },
    { name: "version 0", f: whole, change: patch(0, 0x05) },
    { name: "the other version", f: whole, change: patch(0, version === 4 ? 0x65 : 0x45) },
    { name: "GRE", f: whole, change: patch(version === 4 ? 9 : 6, 47) },
    { name: "a TCP header of 16 bytes", f: whole, change: patch(start + 12, 0x40) },
    { name: "a TCP header longer than the packet", f: { ...tcp, payload: payloadOf(10) }, change: patch(start + 12, 0xf0) },
    { name: "a UDP length too small", f: datagram, change: patch(start + 5, 107) },
    { name: "a UDP length too large", f: datagram, change: patch(start + 5, 109) },
    { name: "UDP without a checksum", f: datagram, change: (p) => patch(start + 6, 0)(patch(start + 7, 0)(p)) },
  ])("a candidate? $name", ({ f, change, merged }) => expect(candidate(f, change)).toEqual(merged ? [2] : [1, 1]));
});

describe("IPv4 alone", () => {
  const tcp = { version: 4, protocol: TCP } as const;
  const udp = { version: 4, protocol: UDP } as const;
  test.for<{ name: string; sent: readonly Fields[]; writes: readonly number[] }>([
    { name: "with DF the identification does not matter", sent: but(run({ ...udp, fragment: DF }, [100, 100]), 1, { id: 1 }), writes: [2] },
    { name: "without DF it counts up", sent: run({ ...udp, fragment: 0, id: 0xffff }, [100, 100, 100]), writes: [3] },
    { name: "without DF and standing still", sent: but(run({ ...udp, fragment: 0 }, [100, 100]), 1, { id: 0 }), writes: [1, 1] },
    { name: "DF in one", sent: but(run({ ...tcp, fragment: 0 }, [100, 100]), 1, { fragment: DF }), writes: [1, 1] },
    { name: "the reserved bit in one", sent: but(run(tcp, [100, 100]), 1, { fragment: DF | 0x8000 }), writes: [1, 1] },
    { name: "a first fragment", sent: but(run(udp, [100, 100, 100]), 1, { fragment: 0x2000 }), writes: [1, 1, 1] },
    { name: "a later fragment, which has no ports", sent: but(run(udp, [100, 100, 100]), 1, { fragment: 20, srcPort: 99 }), writes: [1, 1, 1] },
    { name: "options", sent: run({ ...tcp, ipOptions: Uint8Array.of(1, 1, 1, 0) }, [100, 100]), writes: [1, 1] },
  ])("$name", ({ sent, writes }) => expect(shape(sent)).toEqual(writes));

  test("a wrong header checksum is passed on as it came", () => {
    const sent = run(tcp, [100, 100, 100]).map((f) => build(f));
    sent[1]![10]! ^= 1;
    const { writes } = arena.coalesce(sent);
    expect(writes.map((w) => w.packet)).toEqual(sent);
  });
});

describe("IPv6 alone", () => {
  const udp = { version: 6, protocol: UDP } as const;
  test.for<{ name: string; sent: readonly Fields[]; writes: readonly number[] }>([
    { name: "another flow label", sent: but(run({ ...udp, flow: 5 }, [100, 100]), 1, { flow: 6 }), writes: [1, 1] },
    {
      name: "an extension header, which stays in order",
      sent: but(run(udp, [100, 100, 100]), 1, { extension: { type: 60, bytes: Uint8Array.of(UDP, 0, 1, 4, 0, 0, 0, 0) } }),
      writes: [1, 1, 1],
    },
  ])("$name", ({ sent, writes }) => expect(shape(sent)).toEqual(writes));
});

test("families and protocols at once", () => {
  // As in wireguard-go's test of the same: which packets are merged with which.
  const t = (version: 4 | 6, to: number, seq: number): Fields => ({ version, protocol: TCP, to, seq, payload: payloadOf(100), id: seq });
  const u = (version: 4 | 6, to: number): Fields => ({ version, protocol: UDP, to, payload: payloadOf(100) });
  const sent = [t(4, 2, 1), u(4, 2), u(4, 3), t(4, 2, 101), t(4, 3, 201), t(6, 2, 1), t(6, 2, 101), t(6, 3, 201), u(4, 2), u(6, 2), u(6, 2)];
  const { writes, strays } = arena.coalesce(sent.map((f) => build(f)));
  expect(strays).toEqual([]);
  expect(new Set(writes.map((w) => w.packets.join()))).toEqual(new Set(["0,3", "1,8", "2", "4", "5,6", "7", "9,10"]));
  const plain = arena.coalesce(
    sent.map((f) => build(f)),
    { udp: false },
  );
  expect(new Set(plain.writes.map((w) => w.packets.join()))).toEqual(new Set(["0,3", "1", "2", "4", "5,6", "7", "8", "9", "10"]));
});
