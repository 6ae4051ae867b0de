// Vectors of datagrams over real sockets on loopback: what inbox.ts reads is what outgoing.ts sent.
import { afterAll, describe, expect, test } from "vitest";
import { parseIp } from "../../src/base/ip.ts";
import { closeFd, writeFd } from "../../src/sys/descriptor.ts";
import { address, bind } from "../../src/sys/ffi.ts";
import { Inbox } from "../../src/sys/inbox.ts";
import { release, share } from "../../src/sys/memory.ts";
import { LONGEST4, SEGMENTS } from "../../src/sys/msghdr.ts";
import { Outgoing } from "../../src/sys/outgoing.ts";
import { Slab } from "../../src/sys/slab.ts";
import { closeUdp, gatherUdp, offloadUdp, openUdp, openUdpGroup, type UdpSockets } from "../../src/sys/udp.ts";
import { type Endpoint, ENDPOINT_WORDS, readEndpoint, writeEndpoint } from "../../src/wireguard/endpoint.ts";

const setsockopt = bind("int setsockopt(int, int, int, void *, unsigned int)");
const recvmsg = bind("intptr_t recvmsg(int, void *, int)");
const socketpair = bind("int socketpair(int, int, int, void *)");

const memory = share(4 << 20);
const slab = new Slab(memory);
const inbox = new Inbox(slab, 8);
const outgoing = new Outgoing(slab, 8, 256);
const endpoint = slab.take(4 * ENDPOINT_WORDS);
const text = slab.take(1 << 20);
for (let i = 0; i < 1 << 20; i++) slab.u8[text + i] = i * 7 + (i >>> 8);
const open: UdpSockets[] = [];
const opened = <T extends UdpSockets | readonly UdpSockets[]>(sockets: T): T => (open.push(...[sockets].flat()), sockets);
afterAll(() => {
  open.forEach(closeUdp);
  release(memory);
});

const LOOPBACK = { v4: parseIp("127.0.0.1")!, v6: parseIp("::1")! };
type Family = "v4" | "v6";
const FAMILIES: Family[] = ["v4", "v6"];

function start(to: Endpoint, tos = 0): void {
  writeEndpoint(slab.u8, slab.u32, endpoint, to);
  outgoing.start(endpoint, tos);
}
/** One message of pieces of these sizes, from the start of the text on. */
function message(pieces: readonly number[], segment: number): number {
  let at = text;
  for (const size of pieces) {
    outgoing.append(at, size);
    at += size;
  }
  return outgoing.finish(segment);
}
const sent = (at: number, bytes: number): Buffer => Buffer.from(slab.u8.slice(text + at, text + at + bytes));

type Received = { length: number; segment: number; bytes: Buffer; source: Endpoint };
/** All that lies in the socket. */
function receive(fd: number, gro: boolean): Received[] {
  const out: Received[] = [];
  for (;;) {
    const n = inbox.receive(fd, inbox.count, gro);
    for (let i = 0; i < n; i++) {
      inbox.source(i, endpoint);
      const length = inbox.length(i);
      const bytes = Buffer.from(slab.u8.slice(inbox.at(i), inbox.at(i) + Math.max(0, length)));
      out.push({ length, segment: inbox.segment(i), bytes, source: readEndpoint(slab.u8, slab.u32, endpoint)! });
    }
    if (n < inbox.count) return out;
  }
}

describe.for(FAMILIES)("%s", (family) => {
  const [a, b] = [opened(openUdp(0)), opened(openUdp(0))];
  const to: Endpoint = { ip: LOOPBACK[family], port: b.port };

  test("several messages in one call, some of pieces; each comes with its sender and the address it came to", () => {
    outgoing.clear();
    start(to);
    message([10], 0);
    message([100, 1, 1000], 0);
    message([], 0);
    expect(outgoing.send(a[family], 0, outgoing.n)).toBe(3);
    const got = receive(b[family], false);
    expect(got.map((g) => g.length)).toEqual([10, 1101, 0]);
    expect(got[1]!.bytes.equals(sent(0, 1101))).toBe(true);
    for (const { source, segment } of got) {
      expect(segment).toBe(0);
      expect(source).toEqual({ ip: LOOPBACK[family], port: a.port, source: { ip: LOOPBACK[family], interface: 1 } });
    }
    // And back, from where it came to.
    outgoing.clear();
    start(got[0]!.source);
    message([5], 0);
    expect(outgoing.hasSource(0)).toBe(true);
    expect(outgoing.send(b[family], 0, 1)).toBe(1);
    expect(receive(a[family], false).map((g) => g.source.port)).toEqual([b.port]);
  });

  test("a segmented message is several datagrams, or one run where the receiver takes runs", () => {
    const pieces = [1000, 1000, 1000, 300];
    for (const gro of [false, true]) {
      expect(offloadUdp(b, { segment: true, gro })).toEqual({ segment: true, gro });
      outgoing.clear();
      start(to);
      message(pieces, 1000);
      expect([outgoing.length(0), outgoing.count(0), outgoing.segment(0)]).toEqual([3300, 4, 1000]);
      expect(outgoing.send(a[family], 0, 1)).toBe(1);
      const got = receive(b[family], gro);
      expect(got.map((g) => [g.length, g.segment])).toEqual(
        gro
          ? [[3300, 1000]]
          : [
              [1000, 0],
              [1000, 0],
              [1000, 0],
              [300, 0],
            ],
      );
      expect(Buffer.concat(got.map((g) => g.bytes)).equals(sent(0, 3300))).toBe(true);
      expect(got.every((g) => g.source.source?.interface === 1)).toBe(true);
    }
  });

  test("messages of different sizes of segments, with and without a source, to several places, in one call; a destination outlasts clear()", () => {
    offloadUdp(b);
    const plans = [[7, 3], [0], [5, 5, 2], [7, 7], [0], [9, 1], [7, 6, 0], [4]];
    for (let round = 0; round < 20; round++) {
      outgoing.clear();
      if (round % 3 === 0) start({ ...to, source: { ip: LOOPBACK[family], interface: 1 } });
      for (const [i, plan] of plans.entries()) {
        if ((round + i) % 4 === 3) start(to);
        const pieces = plan.filter((size) => size > 0);
        message(pieces, pieces.length > 1 ? pieces[0]! : 0);
      }
      expect(outgoing.hasRoom(1)).toBe(false);
      expect(outgoing.send(a[family], 0, 8)).toBe(8);
      const wants = plans.map((plan) => plan.filter((size) => size > 0));
      const got = receive(b[family], true);
      expect(got.map((g) => g.length)).toEqual(wants.map((p) => p.reduce((x, y) => x + y, 0)));
      expect(got.map((g) => g.segment)).toEqual(wants.map((p) => (p.length > 1 ? p[0]! : 0)));
    }
  });

  test("clearSource() keeps the segments; sendPlain() sends the same bytes as single datagrams, from any piece on", () => {
    offloadUdp(b);
    outgoing.clear();
    // An address of nobody: the kernel refuses.
    start({ ...to, source: { ip: family === "v4" ? parseIp("192.0.2.1")! : parseIp("2001:db8::1")!, interface: 1 } });
    message([500, 500, 20], 500);
    expect(outgoing.send(a[family], 0, 1)).toBe(-1);
    expect(outgoing.hasSource(0)).toBe(true);
    outgoing.clearSource(0);
    expect(outgoing.hasSource(0)).toBe(false);
    expect(outgoing.send(a[family], 0, 1)).toBe(1);
    expect(receive(b[family], true).map((g) => [g.length, g.segment])).toEqual([[1020, 500]]);
    expect(outgoing.sendPlain(a[family], 0, 0)).toBe(3);
    expect(receive(b[family], true).map((g) => [g.length, g.segment])).toEqual([
      [500, 0],
      [500, 0],
      [20, 0],
    ]);
    expect(outgoing.sendPlain(a[family], 0, 2)).toBe(1);
    expect(receive(b[family], true)[0]!.bytes.equals(sent(1000, 20))).toBe(true);
  });

  test(`${SEGMENTS} segments of every size that fits come whole`, () => {
    offloadUdp(b);
    for (const size of [1, 2, 15, 16, 17, 512, 1023]) {
      outgoing.clear();
      start(to);
      message(
        Array.from({ length: SEGMENTS }, () => size),
        size,
      );
      expect(outgoing.send(a[family], 0, 1), `${size} bytes`).toBe(1);
      const got = receive(b[family], true);
      expect(Buffer.concat(got.map((g) => g.bytes)).equals(sent(0, SEGMENTS * size))).toBe(true);
      // One run wherever the kernel keeps it whole.
      expect(got.map((g) => g.segment)).toEqual([size]);
    }
  });

  test("the type of service is the message's own", () => {
    const [level, option] = family === "v4" ? [0, 13] : [41, 66]; // IP_RECVTOS, IPV6_RECVTCLASS
    for (const source of [undefined, { ip: LOOPBACK[family], interface: 1 }])
      for (const clear of [false, true]) {
        const c = opened(openUdp(0));
        setsockopt(c[family], level, option, new Int32Array([1]), 4);
        outgoing.clear();
        start({ ...to, port: c.port, ...(source && { source }) }, 0x88);
        message([3], 0);
        if (clear) outgoing.clearSource(0);
        expect(outgoing.send(a[family], 0, 1)).toBe(1);
        expect(typeOfService(c[family], level)).toBe(0x88);
      }
  });
});

/** Of the next datagram, by recvmsg(2). */
function typeOfService(fd: number, level: number): number | undefined {
  const buffer = Buffer.allocUnsafeSlow(256).fill(0); // msghdr at 0, iovec at 64, data at 80, control messages at 96
  const base = BigInt(address(buffer));
  buffer.writeBigUInt64LE(base + 64n, 16);
  buffer.writeBigUInt64LE(1n, 24);
  buffer.writeBigUInt64LE(base + 96n, 32);
  buffer.writeBigUInt64LE(160n, 40);
  buffer.writeBigUInt64LE(base + 80n, 64);
  buffer.writeBigUInt64LE(16n, 72);
  if (recvmsg(fd, buffer, 0x40) < 0) return undefined;
  for (let at = 96; at < 96 + Number(buffer.readBigUInt64LE(40)); at += (Number(buffer.readBigUInt64LE(at)) + 7) & ~7)
    if (buffer.readInt32LE(at + 8) === level && [1, 67].includes(buffer.readInt32LE(at + 12))) return buffer[at + 16];
  return undefined;
}

test("a datagram of every length is received as it is", () => {
  const [a, b] = [opened(openUdp(0)), opened(openUdp(0))];
  offloadUdp(b);
  outgoing.clear();
  start({ ip: LOOPBACK.v4, port: b.port });
  const wrong: number[] = [];
  for (let length = 0; length <= LONGEST4; length++) {
    outgoing.clear();
    outgoing.append(text + (length & 0xff), length);
    outgoing.finish(0);
    const ok =
      outgoing.send(a.v4, 0, 1) === 1 && inbox.receive(b.v4, inbox.count, true) === 1 && inbox.length(0) === length && inbox.segment(0) === 0;
    const same =
      Buffer.compare(
        slab.u8.subarray(inbox.at(0), inbox.at(0) + length),
        slab.u8.subarray(text + (length & 0xff), text + (length & 0xff) + length),
      ) === 0;
    if (!ok || !same) wrong.push(length);
  }
  expect(wrong).toEqual([]);
  // One more is none of UDP's.
  outgoing.clear();
  message([LONGEST4 + 1], 0);
  expect(outgoing.send(a.v4, 0, 1)).toBe(-1);
});

test("what does not fit is known for it: too long a datagram, control messages that did not fit where runs are possible", () => {
  const fds = new Int32Array(2);
  expect(socketpair(1, 2, 0, fds)).toBe(0);
  expect(writeFd(fds[0]!, slab.base + text, 70_000)).toBe(70_000);
  expect(writeFd(fds[0]!, slab.base + text, 65_536)).toBe(65_536);
  expect(receive(fds[1]!, false).map((g) => g.length)).toEqual([-1, 65_536]);
  fds.forEach((fd) => closeFd(fd));

  const [a, b] = [opened(openUdp(0)), opened(openUdp(0))];
  // SO_TIMESTAMP, SO_RXQ_OVFL, IP_RECVTTL, IP_RECVTOS, IP_RECVORIGDSTADDR: more than the inbox has room for.
  for (const [level, option] of [
    [1, 29],
    [1, 40],
    [0, 12],
    [0, 13],
    [0, 20],
  ] as const)
    setsockopt(b.v4, level, option, new Int32Array([1]), 4);
  for (const gro of [false, true]) {
    offloadUdp(b, { segment: true, gro });
    outgoing.clear();
    start({ ip: LOOPBACK.v4, port: b.port });
    message([100, 100], gro ? 100 : 0);
    expect(outgoing.send(a.v4, 0, 1)).toBe(1);
    expect(receive(b.v4, gro).map((g) => g.length)).toEqual([gro ? -1 : 200]);
  }
});

describe("openUdpGroup()", () => {
  test("every sender stays with one of the sockets, and all of them are used", () => {
    const group = opened(openUdpGroup(0, 3));
    expect(new Set(group.map((s) => s.port)).size).toBe(1);
    for (const family of FAMILIES) {
      const seen = new Map<number, Set<number>>();
      for (let i = 0; i < 60; i++) {
        const from = openUdp(0);
        outgoing.clear();
        start({ ip: LOOPBACK[family], port: group[0]!.port });
        for (let k = 0; k < 3; k++) message([4], 0);
        expect(outgoing.send(from[family], 0, 3)).toBe(3);
        closeUdp(from);
        for (const [which, sockets] of group.entries())
          for (const g of receive(sockets[family], false)) {
            if (!seen.has(which)) seen.set(which, new Set());
            seen.get(which)!.add(g.source.port);
          }
      }
      expect([...seen.keys()].toSorted((x, y) => x - y)).toEqual([0, 1, 2]);
      const ports = [...seen.values()].flatMap((s) => [...s]);
      expect(new Set(ports).size).toBe(ports.length);
    }
  });

  test("all come to the first while it is to have them", () => {
    const group = opened(openUdpGroup(0, 3));
    /** Datagrams of 40 senders that each socket got. */
    const counts = (family: Family): number[] => {
      for (let i = 0; i < 40; i++) {
        const from = openUdp(0);
        outgoing.clear();
        start({ ip: LOOPBACK[family], port: group[0]!.port });
        message([4], 0);
        expect(outgoing.send(from[family], 0, 1)).toBe(1);
        closeUdp(from);
      }
      return group.map((sockets) => receive(sockets[family], false).length);
    };
    for (let round = 0; round < 2; round++)
      for (const family of FAMILIES) {
        expect(gatherUdp(group, true)).toBe(true);
        expect(counts(family)).toEqual([40, 0, 0]);
        expect(gatherUdp(group, false)).toBe(true);
        expect(counts(family).every((n) => n > 0)).toBe(true);
      }
  });

  test.for([1, 2])("a port that someone else has is taken, even if that one would share it (%i sockets)", (n) => {
    const other = opened(openUdp(0));
    expect(() => openUdpGroup(other.port, n)).toThrow(/EADDRINUSE/);
    const sharing = opened(openUdpGroup(0, 2));
    expect(() => openUdpGroup(sharing[0]!.port, n)).toThrow(/EADDRINUSE/);
  });
});
