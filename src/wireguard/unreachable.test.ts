import { describe, expect, test } from "vitest";
import { formatIp, parseIp } from "../base/ip.ts";
import { endpoint, Network, Node, packet } from "./rig.cases.ts";
import { unreachable } from "./unreachable.ts";

const with_ = (p: Uint8Array, changes: Readonly<Record<number, number>>): Uint8Array => {
  for (const [at, value] of Object.entries(changes)) p[Number(at)] = value;
  return p;
};
/** Ones' complement sum of 16-bit words: 0xffff over what has a right checksum in it. */
function sum(bytes: Uint8Array, start = 0): number {
  let s = start;
  for (let i = 0; i < bytes.length; i += 2) s += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
  while (s > 0xffff) s = (s & 0xffff) + (s >>> 16);
  return s;
}

describe("unreachable()", () => {
  test.for([20, 27, 84, 128])("IPv4: %i bytes of the packet, from its destination to its source, with both checksums", (kept) => {
    const about = with_(packet("10.0.0.1", "10.9.9.9", 108), { 9: 17 }).slice(0, kept);
    const m = unreachable(about)!;
    expect([m[0], m[9], (m[2]! << 8) | m[3]!]).toEqual([0x45, 1, m.length]);
    expect([formatIp(m.slice(12, 16)), formatIp(m.slice(16, 20))]).toEqual(["10.9.9.9", "10.0.0.1"]);
    expect([m[20], m[21]]).toEqual([3, 1]);
    expect(m.slice(28)).toEqual(about);
    expect([sum(m.slice(0, 20)), sum(m.slice(20))]).toEqual([0xffff, 0xffff]);
  });
  test.for([40, 77, 128])("IPv6: %i bytes of the packet, with its checksum over the pseudo-header", (kept) => {
    const about = with_(packet("fd00::1", "fd00::9", 88), { 6: 17 }).slice(0, kept);
    const m = unreachable(about)!;
    expect([m[0], m[6], ((m[4]! << 8) | m[5]!) + 40]).toEqual([0x60, 58, m.length]);
    expect([formatIp(m.slice(8, 24)), formatIp(m.slice(24, 40))]).toEqual(["fd00::9", "fd00::1"]);
    expect([m[40], m[41]]).toEqual([1, 3]);
    expect(m.slice(48)).toEqual(about);
    expect(sum(m.slice(8), m.length - 40 + 58)).toBe(0xffff);
  });
  test.for<{ name: string; about: Uint8Array; said: boolean }>([
    { name: "an echo request", about: with_(packet("10.0.0.1", "10.0.0.9"), { 9: 1, 20: 8 }), said: true },
    { name: "an ICMP error", about: with_(packet("10.0.0.1", "10.0.0.9"), { 9: 1, 20: 3 }), said: false },
    { name: "an echo reply", about: with_(packet("10.0.0.1", "10.0.0.9"), { 9: 1, 20: 0 }), said: false },
    { name: "a first fragment", about: with_(packet("10.0.0.1", "10.0.0.9"), { 6: 0x20 }), said: true },
    { name: "a later fragment", about: with_(packet("10.0.0.1", "10.0.0.9"), { 7: 1 }), said: false },
    { name: "a multicast", about: packet("10.0.0.1", "224.0.0.251"), said: false },
    { name: "a broadcast", about: packet("10.0.0.1", "255.255.255.255"), said: false },
    { name: "a packet of nobody", about: packet("0.0.0.0", "10.0.0.9"), said: false },
    { name: "a header that is too short", about: with_(packet("10.0.0.1", "10.0.0.9"), { 0: 0x44 }), said: false },
    { name: "an ICMPv6 echo request", about: with_(packet("fd00::1", "fd00::9"), { 6: 58, 40: 128 }), said: true },
    { name: "an ICMPv6 error", about: with_(packet("fd00::1", "fd00::9"), { 6: 58, 40: 1 }), said: false },
    { name: "an IPv6 multicast", about: packet("fe80::1", "ff02::fb"), said: false },
    { name: "an IPv6 packet of nobody", about: packet("::", "fd00::9"), said: false },
  ])("about $name: $said", ({ about, said }) => expect(unreachable(about) !== undefined).toBe(said));
});

describe("a device", () => {
  const told = (node: Node): string[] => node.effects.flatMap((e) => (e.kind === "unreachable" ? [formatIp(e.packet.slice(12, 16))] : []));
  test("tells the host of packets without a peer, or whose peer has no endpoint, at most each 20 ms", () => {
    const net = new Network();
    const a = new Node(net, endpoint("192.0.2.1", 1));
    a.addPeer(new Uint8Array(32).fill(9), { allowed: ["10.0.0.0/24"] });
    a.send(packet("10.0.0.1", "10.0.0.2"));
    expect(told(a)).toEqual(["10.0.0.2"]);
    // The place is taken: the second of these is told when it is time, and what comes meanwhile is not.
    for (const to of ["10.0.1.1", "10.0.1.2", "10.0.1.3"]) a.send(packet("10.0.0.1", to));
    expect(told(a)).toEqual(["10.0.0.2"]);
    net.pass(25);
    expect(told(a)).toEqual(["10.0.0.2", "10.0.1.1"]);
    net.pass(1000);
    expect(told(a).length).toBe(2);
    expect(a.device.drops()).toMatchObject({ no_peer: 3, no_endpoint: 1 });
  });
  test("does not tell of a packet that it staged", () => {
    const net = new Network();
    const a = new Node(net, endpoint("192.0.2.1", 1));
    a.addPeer(new Uint8Array(32).fill(9), { allowed: ["10.0.0.0/24"], endpoint: { ip: parseIp("192.0.2.2")!, port: 2 } });
    a.send(packet("10.0.0.1", "10.0.0.2"));
    net.pass(100);
    expect(told(a)).toEqual([]);
  });
});
