import { describe, expect, test } from "vitest";
import { concat } from "../base/bytes.ts";
import { Arena } from "./arena.cases.ts";
import { ACK, build, type Fields, hexOf, payloadOf, PSH, splitNaive, TCP, UDP, type Virtio, virtioBytes, virtioOf } from "./packets.cases.ts";

const arena = new Arena();
const FIN = 1;
const CWR = 128;
const ECE = 64;
const options = Uint8Array.of(1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8);

const cases: readonly { name: string; fields: Partial<Fields> & { protocol: number }; size: number; bytes: number; count: number }[] = [
  { name: "TCP, a short last one", fields: { protocol: TCP, flags: ACK | PSH }, size: 100, bytes: 250, count: 3 },
  { name: "TCP, all equal", fields: { protocol: TCP }, size: 100, bytes: 300, count: 3 },
  { name: "TCP with options", fields: { protocol: TCP, options, flags: ACK | PSH | FIN }, size: 1368, bytes: 65_535 - 72, count: 48 },
  { name: "TCP with the most options", fields: { protocol: TCP, options: payloadOf(40) }, size: 1000, bytes: 2500, count: 3 },
  { name: "TCP, sequence and id wrap", fields: { protocol: TCP, seq: 0xffff_ff00, id: 0xfffe }, size: 200, bytes: 1000, count: 5 },
  { name: "TCP, CWR only in the first", fields: { protocol: TCP, flags: ACK | CWR | ECE }, size: 10, bytes: 35, count: 4 },
  { name: "TCP, FIN and PSH only in the last", fields: { protocol: TCP, flags: ACK | PSH | FIN }, size: 10, bytes: 35, count: 4 },
  { name: "TCP, one byte a segment", fields: { protocol: TCP }, size: 1, bytes: 3000, count: 3000 },
  { name: "TCP, segments shorter than the headers", fields: { protocol: TCP, options }, size: 7, bytes: 7 * 500 + 3, count: 501 },
  { name: "TCP, more than 128 segments", fields: { protocol: TCP }, size: 300, bytes: 60_000, count: 200 },
  { name: "TCP, one segment", fields: { protocol: TCP, flags: ACK | PSH }, size: 1000, bytes: 999, count: 1 },
  { name: "TCP without payload", fields: { protocol: TCP, flags: ACK }, size: 1000, bytes: 0, count: 1 },
  { name: "UDP, a short last one", fields: { protocol: UDP }, size: 100, bytes: 250, count: 3 },
  { name: "UDP, all equal", fields: { protocol: UDP }, size: 1372, bytes: 1372 * 47, count: 47 },
  { name: "UDP, one byte each", fields: { protocol: UDP, fragment: 0, id: 9 }, size: 1, bytes: 1000, count: 1000 },
];

describe.for([4, 6] as const)("IPv%i", (version) => {
  test.for(cases)("begin() and next() split $name", ({ fields, size, bytes, count }) => {
    const f: Fields = { version, payload: payloadOf(bytes), tos: 2, ttl: 63, ...(version === 6 && { flow: 0x12345 }), ...fields };
    const { segments, strays } = arena.split(virtioBytes(virtioOf(f, size)), build(f, true));
    expect(segments).toHaveLength(count);
    expect(hexOf(segments)).toEqual(hexOf(splitNaive(f, size)));
    expect(strays).toEqual([]);
  });

  test.for([TCP, UDP])("begin() needs no checksum offset when the checksum is not asked for (protocol %i)", (protocol) => {
    const f: Fields = { version, protocol, payload: payloadOf(400) };
    const header = { ...virtioOf(f, 150), flags: 0, start: 0, offset: 0 };
    expect(arena.split(virtioBytes(header), build(f)).segments).toEqual(splitNaive(f, 150));
  });

  test.for([TCP, UDP])("a packet alone gets its checksum, or keeps it (protocol %i)", (protocol) => {
    for (let length = 0; length < 70; length++) {
      const f: Fields = { version, protocol, payload: payloadOf(length, length) };
      const header = { ...virtioOf(f, 0), type: 0 };
      const whole = build(f);
      // As the kernel completes them, 0 is never written: 0xffff is the same sum.
      expect(hexOf(arena.split(virtioBytes(header), build(f, true)).segments)).toEqual(hexOf([whole]));
      expect(hexOf(arena.split(new Uint8Array(10), whole).segments)).toEqual(hexOf([whole]));
    }
  });
});

test("one byte a segment as often as a packet can have it", () => {
  const f: Fields = { version: 4, protocol: TCP, payload: payloadOf(65_535 - 40) };
  const { segments, strays } = arena.split(virtioBytes(virtioOf(f, 1)), build(f, true));
  expect(segments).toHaveLength(65_495);
  expect(Buffer.compare(Buffer.concat(segments.map((s) => s.subarray(40))), f.payload)).toBe(0);
  expect(strays).toEqual([]);
});

test("begin() skips the extension headers that the kernel says are there", () => {
  const extension = { type: 0, bytes: Uint8Array.of(TCP, 0, 1, 4, 0, 0, 0, 0) };
  const f: Fields = { version: 6, protocol: TCP, payload: payloadOf(900), extension };
  expect(arena.split(virtioBytes(virtioOf(f, 300)), build(f, true)).segments).toEqual(splitNaive(f, 300));
});

test("begin() keeps the options of IPv4", () => {
  const f: Fields = { version: 4, protocol: TCP, payload: payloadOf(900), ipOptions: Uint8Array.of(7, 7, 4, 0, 0, 0, 0, 0) };
  expect(arena.split(virtioBytes(virtioOf(f, 300)), build(f, true)).segments).toEqual(splitNaive(f, 300));
});

test("UDP: a sum of zero is sent as 0xffff, which zero would mean none", () => {
  // The last two bytes of the payload make the sum come out at zero.
  for (const version of [4, 6] as const) {
    const f: Fields = { version, protocol: UDP, payload: payloadOf(100) };
    const field = version === 4 ? 26 : 46;
    const first = build(f);
    const sum = (first[field]! << 8) | first[field + 1]!;
    const payload = payloadOf(100);
    const was = (payload[98]! << 8) | payload[99]!;
    const wanted = (was + sum) % 0xffff;
    payload.set([wanted >> 8, wanted & 255], 98);
    const zero = { ...f, payload: concat(payload, payload) };
    const { segments } = arena.split(virtioBytes(virtioOf(zero, 100)), build(zero, true));
    expect(segments).toEqual(splitNaive(zero, 100));
    expect(segments[0]!.subarray(field, field + 2)).toEqual(Uint8Array.of(255, 255));
  }
});

describe("begin() refuses", () => {
  const tcp: Fields = { version: 4, protocol: TCP, payload: payloadOf(500) };
  const udp: Fields = { version: 6, protocol: UDP, payload: payloadOf(500) };
  const bad: readonly { name: string; f: Fields; h?: Partial<Virtio>; cut?: number; patch?: readonly [number, number] }[] = [
    { name: "a segment size of 0", f: tcp, h: { size: 0 } },
    { name: "UFO", f: udp, h: { type: 3 } },
    { name: "an unknown type", f: tcp, h: { type: 2 } },
    { name: "a tunnel type", f: udp, h: { type: 0x25 } },
    { name: "TCPV6 with IPv4", f: tcp, h: { type: 4 } },
    { name: "TCPV4 with IPv6", f: { ...tcp, version: 6 }, h: { type: 1 } },
    { name: "UDP_L4 with TCP", f: tcp, h: { type: 5, offset: 6 } },
    { name: "TCPV4 with UDP", f: { ...udp, version: 4 }, h: { type: 1, offset: 16 } },
    { name: "an IP version of 5", f: tcp, patch: [0, 0x55] },
    { name: "an IPv4 header of 16 bytes", f: tcp, patch: [0, 0x44] },
    { name: "a TCP header of 16 bytes", f: tcp, patch: [32, 0x40] },
    { name: "a TCP header longer than the packet", f: tcp, cut: 50, patch: [32, 0xf0] },
    { name: "a packet that ends in its TCP header", f: tcp, cut: 39 },
    { name: "a packet that ends before the data offset", f: tcp, cut: 30, h: { flags: 0 } },
    { name: "a packet that ends in its UDP header", f: udp, cut: 47 },
    { name: "fewer bytes than an IP header", f: tcp, cut: 19, h: { flags: 0 } },
    { name: "fewer bytes than an IP header in a packet alone", f: tcp, cut: 19, h: { type: 0, flags: 0 } },
    { name: "an empty packet alone", f: tcp, cut: 0, h: { type: 0, flags: 0 } },
    { name: "an empty packet", f: tcp, cut: 0, h: { flags: 0 } },
    { name: "a checksum start elsewhere", f: tcp, h: { start: 24 } },
    { name: "a checksum start in the IPv6 header", f: udp, h: { start: 39 } },
    { name: "a checksum start beyond the packet", f: udp, h: { start: 65_535 } },
    { name: "a checksum offset elsewhere", f: tcp, h: { offset: 6 } },
    { name: "a first fragment", f: { ...tcp, fragment: 0x2000 } },
    { name: "a later fragment", f: { ...tcp, fragment: 1 } },
    { name: "headers longer than the scratch", f: { ...udp, extension: { type: 0, bytes: payloadOf(264) } } },
    { name: "a checksum field beyond a packet alone", f: tcp, h: { type: 0, start: 539, offset: 0 } },
    { name: "a checksum sum that wraps in 16 bits", f: tcp, h: { type: 0, start: 65_535, offset: 65_535 } },
  ];
  test.for(bad)("$name", ({ f, h, cut, patch }) => {
    const packet = build(f, true);
    if (patch) packet[patch[0]] = patch[1];
    const cutTo = packet.subarray(0, cut ?? packet.length);
    expect(arena.split(virtioBytes({ ...virtioOf(f, 100), ...h }), cutTo)).toEqual({ segments: [], strays: [] });
    expect(arena.splitter.packetLength).toBe(0);
  });
});
