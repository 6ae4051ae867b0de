import { describe, expect, test } from "vitest";
import { Done } from "./done.ts";
import { Drop } from "./drop.ts";
import { writeEndpoint } from "./endpoint.ts";
import { packet, pair } from "./rig.cases.ts";

// Foreign functions box addresses; what is ours to keep is that the path around them allocates nothing.
test("the packet path allocates nothing", () => {
  const copying = (memory: ArrayBufferLike) => {
    const u8 = new Uint8Array(memory);
    return {
      name: "none",
      seal: (_key: number, _lo: number, _hi: number, from: number, to: number, length: number) => void u8.copyWithin(to, from, from + length),
      open: (_key: number, _counter: number, from: number, to: number, length: number) => u8.copyWithin(to, from, from + length) === u8,
    };
  };
  const { net, a, b } = pair({ packets: copying });
  a.send(packet("10.0.0.1", "10.0.0.2"));
  net.settle();
  const [at, sealed, opened] = [2048, 4096, 8192].map((n) => Math.ceil(a.tables.end / 64) * 64 + n) as [number, number, number];
  const inner = packet("10.0.0.1", "10.0.0.2", 1000);
  const from = b.tables.end + 512;
  writeEndpoint(b.tables.u8, b.tables.u32, from, a.at);
  a.tables.u8.set(inner, at);
  const { sender } = a.data;
  const { receiver } = b.data;
  let wrong = 0;
  const packets = (n: number): void => {
    for (let i = 0; i < n; i++) {
      if (sender.send(at, inner.length, sealed, net.now) !== Done.SEALED) wrong++;
      const message = sender.messageAt;
      for (let j = 0; j < 40; j++) b.tables.u8[message + j] = a.tables.u8[message + j]!;
      receiver.source(from);
      if (receiver.receive(message, sender.messageLength, opened, net.now) !== Done.DELIVER) wrong++;
    }
  };
  packets(20_000);
  // A number boxed per packet is 1.2 MB and more, or a collection that takes away as much; others' garbage may disturb a try, and on a
  // busy machine the compiler's thread may be long in coming.
  let least = Infinity;
  for (let tries = 0; tries < 20 && least >= 100_000; tries++) {
    const before = process.memoryUsage().heapUsed;
    packets(100_000);
    least = Math.min(least, Math.abs(process.memoryUsage().heapUsed - before));
  }
  expect(wrong).toBe(0);
  expect(least).toBeLessThan(100_000);
});

test("segments of one destination are routed once, and sealed together", () => {
  const { net, a, b } = pair();
  a.send(packet("10.0.0.1", "10.0.0.2"));
  net.settle();
  const { sender } = a.data;
  const at = Math.ceil(a.tables.end / 64) * 64 + 2048;
  const inner = packet("10.0.0.1", "10.0.0.2", 1001);
  const count = 40;
  for (let i = 0; i < count; i++) a.tables.u8.set(inner, at + i * inner.length);
  b.inbox.length = 0;
  a.data.enter();
  expect(sender.route(at, inner.length, count, net.now)).toBe(Done.READY);
  const messages: [number, number][] = [];
  for (let i = 0; i < count; i++) {
    const to = at + 16_384 + i * 2048;
    a.tables.u8.set(inner, to);
    sender.seal(to, inner.length);
    messages.push([sender.messageAt, sender.messageLength]);
  }
  sender.sealed(net.now);
  expect(() => sender.seal(at, inner.length)).toThrow(RangeError);
  sender.run();
  a.data.leave();
  for (const [start, length] of messages) b.arrive({ from: a.at, bytes: a.tables.u8.slice(start, start + length) });
  expect(b.inbox).toEqual(Array.from({ length: count }, () => inner));
});

describe("messages that arrive together", () => {
  /** Seals packets on a and opens them on b as one burst: the codes. */
  function burst(packets: readonly Uint8Array[], spoil: (i: number, message: Uint8Array) => void = () => {}) {
    const p = pair();
    const { net, a, b } = p;
    a.send(packet("10.0.0.1", "10.0.0.2"));
    net.settle();
    b.inbox.length = 0;
    const room = Math.ceil(a.tables.end / 64) * 64 + 1024;
    const messages = packets.map((inner, i) => {
      a.tables.u8.set(inner, room);
      expect(a.data.sender.send(room, inner.length, room + 8192, net.now)).toBe(Done.SEALED);
      const message = a.tables.u8.slice(a.data.sender.messageAt, a.data.sender.messageAt + a.data.sender.messageLength);
      spoil(i, message);
      return message;
    });
    writeEndpoint(b.tables.u8, b.tables.u32, room - 512, a.at);
    // Back to back, as UDP_GRO delivers them, also where that is at no multiple of 4.
    let at = room;
    for (const m of messages) {
      b.tables.u8.set(m, at);
      at += m.length;
    }
    const { receiver } = b.data;
    receiver.source(room - 512);
    let from = room;
    const out = messages.map((m) => {
      const code = receiver.receive(from, m.length, room + 32_768, net.now);
      from += m.length;
      return { code, packet: code === Done.DELIVER ? b.tables.u8.slice(receiver.packetAt, receiver.packetAt + receiver.packetLength) : undefined };
    });
    return { ...p, out };
  }
  const inner = (size: number, from = "10.0.0.1"): Uint8Array => packet(from, "10.0.0.2", size);

  test.for([
    [1400, 1400, 1400, 700],
    [101, 101, 101],
    [33, 1, 1003, 56],
  ])("are all opened: payloads of %j bytes", (sizes) => {
    const packets = sizes.map((n) => inner(n));
    const { out, ba } = burst(packets);
    expect(out.map((o) => o.packet)).toEqual(packets);
    const padded = packets.map((p) => 32 + Math.min(1420, Math.ceil(p.length / 16) * 16));
    // The handshake's messages and its first packet besides.
    expect(ba.rxBytes()).toBe(148 + 112 + padded.reduce((x, y) => x + y));
  });
  test("are checked one by one: source, tag, replay", () => {
    const packets = [inner(100), inner(100, "10.0.0.3"), inner(100), packet("fd00::1", "fd00::2", 100), inner(100)];
    const { out } = burst(packets, (i, m) => {
      if (i === 2) m[30]! ^= 1;
    });
    expect(out.map((o) => o.code)).toEqual([Done.DELIVER, -Drop.SOURCE_NOT_ALLOWED, -Drop.BAD_TAG, Done.DELIVER, Done.DELIVER]);
  });
  test("a source that is not the peer's is refused each time", () => {
    const { out } = burst([inner(50), inner(50, "10.0.0.9"), inner(50, "10.0.0.9"), inner(50)]);
    expect(out.map((o) => o.code)).toEqual([Done.DELIVER, -Drop.SOURCE_NOT_ALLOWED, -Drop.SOURCE_NOT_ALLOWED, Done.DELIVER]);
  });
  test("a bad tag leaves no plaintext behind", () => {
    const { b, out } = burst([inner(100), inner(100)], (i, m) => {
      if (i === 1) m[m.length - 1]! ^= 1;
    });
    expect(out[1]!.code).toBe(-Drop.BAD_TAG);
    const room = Math.ceil(b.tables.end / 64) * 64 + 1024 + 32_768;
    expect(b.tables.u8.subarray(room, room + 120).every((x) => x === 0)).toBe(true);
  });
});
