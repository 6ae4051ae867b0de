import { describe, expect, test } from "vitest";
import { nobleCrypto as crypto, noblePackets as packets } from "../crypto/noble.ts";
import { packet } from "./rig.cases.ts";
import { type Address, type Datagram, Tunnel, TUNNEL_LIMITS, type TunnelOptions } from "./tunnel.ts";

const AT_A: Address = { address: "192.0.2.1", port: 1 };
const AT_B: Address = { address: "fe80::2%eth0", port: 2 };

/** Two tunnels, a clock moved by hand, and a network that gives every datagram to the other. */
class Pair {
  readonly a: Tunnel;
  readonly b: Tunnel;
  readonly inbox: { readonly a: Uint8Array[]; readonly b: Uint8Array[] } = { a: [], b: [] };
  /** First byte of every datagram, in order. */
  readonly types: number[] = [];
  readonly at = { now: 1000, wall: 1_700_000_000_000 };
  lose: (d: Datagram) => boolean = () => false;
  constructor(options: Partial<TunnelOptions> = {}, psk = {}) {
    this.a = new Tunnel({ crypto, packets, ...options });
    this.b = new Tunnel({ crypto, packets, ...options });
    this.a.setPeer({ publicKey: this.b.publicKey, endpoint: AT_B, allowedIps: ["10.0.0.2/32", "fd00::2/128"], ...psk });
    this.b.setPeer({ publicKey: this.a.publicKey, allowedIps: ["10.0.0.1/32", "fd00::1/128"], ...psk });
  }
  carry(datagrams: readonly Datagram[], to: "a" | "b"): void {
    for (const d of datagrams) {
      this.types.push(d.bytes[0]!);
      if (this.lose(d)) continue;
      const got = this[to].receive(d.bytes, to === "b" ? AT_A : AT_B, this.at);
      this.inbox[to].push(...got.packets);
      this.carry(got.datagrams, to === "b" ? "a" : "b");
    }
  }
  pass(ms: number): void {
    for (const end = this.at.now + ms; this.at.now < end;) {
      this.at.now += 100;
      this.at.wall += 100;
      this.carry(this.a.tick(this.at), "b");
      this.carry(this.b.tick(this.at), "a");
    }
  }
}

describe("Tunnel", () => {
  test("a packet arrives after the handshake that it waits for, and the answer without one", () => {
    const p = new Pair();
    const there = packet("10.0.0.1", "10.0.0.2");
    const back = packet("fd00::2", "fd00::1");
    p.carry(p.a.send(there, p.at), "b");
    p.carry(p.b.send(back, p.at), "a");
    expect(p.inbox).toEqual({ a: [back], b: [there] });
    expect(p.types).toEqual([1, 2, 4, 4]);
    expect(p.a.peers()).toMatchObject([{ publicKey: p.b.publicKey, endpoint: AT_B, lastHandshake: p.at.wall }]);
    expect(p.b.peers()).toMatchObject([{ publicKey: p.a.publicKey, endpoint: AT_A, txBytes: p.a.peers()[0]!.rxBytes }]);
  });

  test("a lost initiation is sent again by tick(), and the packet still arrives", () => {
    const p = new Pair();
    p.lose = (d) => d.bytes[0] === 1 && p.types.length === 1;
    const there = packet("10.0.0.1", "10.0.0.2");
    p.carry(p.a.send(there, p.at), "b");
    p.pass(6000);
    expect(p.inbox.b).toEqual([there]);
  });

  test("sessions renew themselves, keepalives flow, and nothing is lost over an hour", () => {
    const p = new Pair({}, { persistentKeepalive: 25 });
    const there = packet("10.0.0.1", "10.0.0.2");
    for (let minute = 0; minute < 60; minute++) {
      p.carry(p.a.send(there, p.at), "b");
      p.carry(p.b.send(packet("10.0.0.2", "10.0.0.1"), p.at), "a");
      p.pass(60_000);
    }
    expect([p.inbox.a.length, p.inbox.b.length]).toEqual([60, 60]);
    expect(p.types.filter((t) => t === 1).length).toBeGreaterThan(25);
    expect(p.types.filter((t) => t === 3)).toEqual([]);
  });

  test("what may not pass is counted: a source that is not allowed, a destination of nobody, a replay, junk", () => {
    const p = new Pair();
    const sent = p.a.send(packet("10.0.0.1", "10.0.0.2"), p.at);
    p.carry(sent, "b");
    p.carry(p.a.send(packet("10.9.9.9", "10.0.0.2"), p.at), "b");
    const replayed = p.a.send(packet("10.0.0.1", "10.0.0.2"), p.at);
    p.carry(replayed, "b");
    p.carry(replayed, "b");
    expect(p.a.send(packet("10.0.0.1", "10.9.9.9"), p.at)).toEqual([]);
    for (const length of [0, 1, 31, 32, 148, 65_535, 65_536, 70_000]) p.b.receive(new Uint8Array(length).fill(4), AT_A, p.at);
    expect(p.inbox.b.length).toBe(2);
    expect(p.b.drops()).toMatchObject({ source_not_allowed: 1, replayed: 1, truncated: 2, malformed: 6 });
    expect(p.a.drops()).toMatchObject({ no_peer: 1 });
    expect(() => p.a.send(new Uint8Array(65_536), p.at)).toThrow(RangeError);
  });

  test("a preshared key must be the same on both sides", () => {
    const p = new Pair({}, { presharedKey: new Uint8Array(32).fill(7) });
    p.b.setPeer({ publicKey: p.a.publicKey, presharedKey: new Uint8Array(32).fill(8) });
    p.carry(p.a.send(packet("10.0.0.1", "10.0.0.2"), p.at), "b");
    expect(p.inbox.b).toEqual([]);
    expect(p.a.drops()).toMatchObject({ bad_response: 1 });
  });

  test("a removed peer is gone, and its place is free", () => {
    const p = new Pair({ limits: { ...TUNNEL_LIMITS, peers: 1 } });
    const other = new Uint8Array(32).fill(9);
    expect(() => p.a.setPeer({ publicKey: other })).toThrow("there are 1 already");
    expect(p.a.removePeer(p.b.publicKey)).toBe(true);
    expect(p.a.removePeer(p.b.publicKey)).toBe(false);
    p.pass(100);
    p.a.setPeer({ publicKey: other, endpoint: { address: "2001:db8::1", port: 65_535 } });
    expect(p.a.peers()).toMatchObject([{ publicKey: other, endpoint: { address: "2001:db8::1", port: 65_535 } }]);
  });

  test.each([
    { name: "a short key", peer: { publicKey: new Uint8Array(31) }, says: "31 bytes as a key" },
    { name: "a bad prefix", peer: { publicKey: new Uint8Array(32).fill(9), allowedIps: ["10.0.0.0/33"] }, says: '"10.0.0.0/33"' },
    { name: "a host name", peer: { publicKey: new Uint8Array(32).fill(9), endpoint: { address: "a.example", port: 1 } }, says: '"a.example"' },
    {
      name: "a keepalive before now",
      peer: { publicKey: new Uint8Array(32).fill(9), persistentKeepalive: -1 },
      says: "-1 as a persistent keepalive",
    },
    { name: "a keepalive of a day", peer: { publicKey: new Uint8Array(32).fill(9), persistentKeepalive: 86_400 }, says: "86400 as" },
    { name: "port 0", peer: { publicKey: new Uint8Array(32).fill(9), endpoint: { address: "192.0.2.1", port: 0 } }, says: "port 0" },
  ])("setPeer() refuses $name and changes nothing", ({ peer, says }) => {
    const { a } = new Pair();
    expect(() => a.setPeer(peer)).toThrow(says);
    expect(a.peers().length).toBe(1);
  });

  test.each([0, 5, 31, 33])("a private key of %i bytes is refused: none is filled up with zeros", (length) => {
    expect(() => new Pair({ privateKey: new Uint8Array(length) })).toThrow(`Cannot use ${length} bytes as a key`);
  });

  test("handshake() starts one without a packet; close() leaves nothing in memory", () => {
    let memory: ArrayBufferLike | undefined;
    const p = new Pair({ packets: (m) => packets((memory = m)) });
    p.carry(p.a.handshake(p.b.publicKey, p.at), "b");
    expect(p.types).toEqual([1, 2, 4]);
    expect(() => p.a.handshake(new Uint8Array(32), p.at)).toThrow("no such peer");
    expect(new Uint8Array(memory!).some((b) => b !== 0)).toBe(true);
    p.b.close();
    expect(new Uint8Array(memory!).every((b) => b === 0)).toBe(true);
  });
});
