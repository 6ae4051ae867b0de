// TUN links in a namespace: queues, offloads, links that were there before.
import { closeSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { parseIp } from "../../src/base/ip.ts";
import { readFd } from "../../src/sys/descriptor.ts";
import { Gather } from "../../src/sys/gather.ts";
import { Inbox } from "../../src/sys/inbox.ts";
import { release, share } from "../../src/sys/memory.ts";
import { Outgoing } from "../../src/sys/outgoing.ts";
import { Slab } from "../../src/sys/slab.ts";
import { describeTun, offloadTun, openTun, queueInUse, type Tun, useQueue, VNET_HEADER } from "../../src/sys/tun.ts";
import { closeUdp, offloadUdp, openUdp, type UdpSockets } from "../../src/sys/udp.ts";
import { ENDPOINT_WORDS, writeEndpoint } from "../../src/wireguard/endpoint.ts";
import { Namespace } from "./namespace.ts";

const ns = new Namespace();
const memory = share(1 << 20);
const slab = new Slab(memory);
const inbox = new Inbox(slab, 4);
const outgoing = new Outgoing(slab, 4, 64);
const gather = new Gather(slab, 8);
const endpoint = slab.take(4 * ENDPOINT_WORDS);
const packet = slab.take(70_000);
const text = slab.take(10_000);
for (let i = 0; i < 10_000; i++) slab.u8[text + i] = i * 7;
afterAll(() => {
  ns.close();
  release(memory);
});

const close = (tun: Tun): void => tun.fds.forEach((fd) => closeSync(fd));
/** IPv4 packets that wait, each with its header: the host's own IPv6 comes when it pleases. */
function packets(fd: number): Buffer[] {
  const out: Buffer[] = [];
  for (;;) {
    const n = readFd(fd, slab.base + packet, 66_000);
    if (n < 0) return out;
    if (slab.u8[packet + VNET_HEADER]! >>> 4 === 4) out.push(Buffer.from(slab.u8.slice(packet, packet + n)));
  }
}
function up(name: string, addresses: readonly string[]): void {
  for (const a of addresses) ns.ip(`addr add ${a} dev ${name}${a.includes(":") ? " nodad" : ""}`);
  ns.ip(`link set ${name} up`);
}
/** A message of two segments to 10.9.0.2. */
function send(from: UdpSockets, port: number): void {
  writeEndpoint(slab.u8, slab.u32, endpoint, { ip: parseIp("10.9.0.2")!, port });
  outgoing.clear();
  outgoing.start(endpoint);
  outgoing.append(text, 600);
  outgoing.append(text + 600, 500);
  outgoing.finish(600);
  expect(outgoing.send(from.v4, 0, 1)).toBe(1);
}

test("with offloads a run of datagrams is read as one packet, without as many; what is written as one is received as one", () => {
  ns.run(() => {
    const tun = openTun("t0");
    const [fd] = tun.fds as [number];
    up("t0", ["10.9.0.1/24"]);
    const sockets = openUdp(0);
    offloadUdp(sockets);
    packets(fd);

    expect(offloadTun(fd, { tcp: false, udp: false })).toEqual({ tcp: false, udp: false });
    send(sockets, 9);
    expect(packets(fd).map((p) => [p.length, p.readUInt32LE(0)])).toEqual([
      [VNET_HEADER + 628, 0],
      [VNET_HEADER + 528, 0],
    ]);
    expect(offloadTun(fd, { tcp: true, udp: false })).toEqual({ tcp: true, udp: false });
    send(sockets, 9);
    expect(packets(fd).map((p) => p.length)).toEqual([VNET_HEADER + 628, VNET_HEADER + 528]);
    expect(offloadTun(fd)).toEqual({ tcp: true, udp: true });
    send(sockets, 9);
    const [whole, ...more] = packets(fd);
    expect(more).toEqual([]);
    expect(whole).toHaveLength(VNET_HEADER + 1128);
    // NEEDS_CSUM, UDP_L4, segments of 600.
    expect([whole![0], whole![1], whole!.readUInt16LE(4)]).toEqual([1, 5, 600]);

    // The same packet back to its sender, from pieces that lie apart: its checksum is of the addresses and lengths, which stay.
    const back = Buffer.from(whole!);
    whole!.copy(back, VNET_HEADER + 12, VNET_HEADER + 16, VNET_HEADER + 20);
    whole!.copy(back, VNET_HEADER + 16, VNET_HEADER + 12, VNET_HEADER + 16);
    whole!.copy(back, VNET_HEADER + 20, VNET_HEADER + 22, VNET_HEADER + 24);
    whole!.copy(back, VNET_HEADER + 22, VNET_HEADER + 20, VNET_HEADER + 22);
    let at = packet;
    for (const [i, piece] of [back.subarray(0, VNET_HEADER + 28), back.subarray(VNET_HEADER + 28, 700), back.subarray(700)].entries()) {
      slab.u8.set(piece, at);
      gather.put(i, at, piece.length);
      at += piece.length + 100;
    }
    expect(gather.write(fd, 3)).toBe(back.length);
    expect(inbox.receive(sockets.v4, 4, true)).toBe(1);
    expect([inbox.length(0), inbox.segment(0)]).toEqual([1100, 600]);
    expect(Buffer.compare(slab.u8.subarray(inbox.at(0), inbox.at(0) + 1100), slab.u8.subarray(text, text + 1100))).toBe(0);
    closeUdp(sockets);
    close(tun);
  });
});

test("flows are spread over queues", () => {
  ns.run(() => {
    const tun = openTun("t1", 3);
    expect(tun.fds).toHaveLength(3);
    expect(tun.persistent).toBe(false);
    expect(tun.fds.map((fd) => describeTun(fd).name)).toEqual(["t1", "t1", "t1"]);
    up("t1", ["10.9.0.1/24"]);
    tun.fds.forEach(packets);
    const counts = [0, 0, 0];
    for (let i = 0; i < 60; i++) {
      const sockets = openUdp(0);
      for (let k = 0; k < 2; k++) send(sockets, 9);
      closeUdp(sockets);
      // A flow stays with its queue.
      const got = tun.fds.map((fd) => packets(fd).length);
      expect(got.filter((n) => n > 0)).toEqual([4]);
      for (const [q, n] of got.entries()) counts[q]! += n;
    }
    expect(counts.every((n) => n > 0)).toBe(true);
    close(tun);
  });
});

test("queues that are not used have no flow, until they are again; what is written to them arrives", () => {
  ns.run(() => {
    const tun = openTun("t4", 3);
    const others = tun.fds.slice(1);
    up("t4", ["10.9.0.1/24"]);
    /** Packets of 40 flows that each queue got. */
    const spread = (): number[] => {
      tun.fds.forEach(packets);
      for (let i = 0; i < 40; i++) {
        const sockets = openUdp(0);
        send(sockets, 9);
        closeUdp(sockets);
      }
      return tun.fds.map((fd) => packets(fd).length);
    };
    for (let round = 0; round < 3; round++) {
      expect(spread().every((n) => n > 0)).toBe(true);
      expect(others.map((fd) => useQueue(fd, false))).toEqual([true, true]);
      expect(spread()).toEqual([80, 0, 0]);
      expect(tun.fds.map(queueInUse)).toEqual([true, false, false]);
      expect(useQueue(others[0]!, false)).toBe(false);
      expect(others.map((fd) => describeTun(fd).name)).toEqual(["t4", "t4"]);

      const to = openUdp(0);
      const datagram = slab.u8.subarray(packet, packet + VNET_HEADER + 29);
      datagram.fill(0);
      datagram.set([0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0x66, 0xbc, 10, 9, 0, 2, 10, 9, 0, 1, 0, 9, to.port >>> 8, to.port & 255, 0, 9], VNET_HEADER);
      gather.put(0, packet, datagram.length);
      expect(gather.write(others[1]!, 1)).toBe(datagram.length);
      expect(inbox.receive(to.v4, 4, false)).toBe(1);
      closeUdp(to);
      expect(others.map((fd) => useQueue(fd, true))).toEqual([true, true]);
    }
    close(tun);
  });
});

describe("a link that is there", () => {
  test.for([
    ["tun", 1, 1],
    ["tun", 2, 1],
    ["tun multi_queue", 1, 1],
    ["tun multi_queue", 2, 2],
  ] as const)("%s, asked for %i queues: %i", ([mode, asked, got]) => {
    ns.run(() => {
      ns.ip(`tuntap add p0 mode ${mode}`);
      const tun = openTun("p0", asked);
      expect(tun).toMatchObject({ name: "p0", persistent: true });
      expect(tun.fds).toHaveLength(got);
      expect(offloadTun(tun.fds[0]!)).toEqual({ tcp: true, udp: true });
      up("p0", ["10.9.0.1/24"]);
      const sockets = openUdp(0);
      tun.fds.forEach(packets);
      send(sockets, 9);
      expect(tun.fds.flatMap(packets).map((p) => p.length)).toEqual([VNET_HEADER + 1128]);
      closeUdp(sockets);
      close(tun);
      // Whoever has it next without offloads gets single packets with checksums.
      const next = openTun("p0");
      offloadTun(next.fds[0]!, { tcp: false, udp: false });
      const again = openUdp(0);
      packets(next.fds[0]!);
      send(again, 9);
      expect(packets(next.fds[0]!).map((p) => p.length)).toEqual([VNET_HEADER + 628, VNET_HEADER + 528]);
      closeUdp(again);
      close(next);
      ns.ip(`tuntap del p0 mode ${mode}`);
    });
  });

  test("and is another's, or no TUN, is refused in words", () => {
    ns.run(() => {
      const tun = openTun("t2");
      expect(() => openTun("t2")).toThrow('Cannot make the link "t2": another process has it');
      expect(() => openTun("t2", 2)).toThrow('Cannot make the link "t2": another process has it');
      close(tun);
      ns.ip("link add d0 type veth peer name d1");
      for (const queues of [1, 2])
        expect(() => openTun("d0", queues)).toThrow('Cannot make the link "d0": a link of that name exists and is no plain TUN link');
      ns.ip("tuntap add a0 mode tap");
      expect(() => openTun("a0")).toThrow("no plain TUN link");
      ns.ip("tuntap del a0 mode tap");
      expect(() => openTun("t3", 257)).toThrow('Cannot make the link "t3": it has no queue left');
      expect(ns.ip("-o link").includes("t3")).toBe(false);
    });
  });
});
