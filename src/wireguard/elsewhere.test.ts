// What went wrong in other implementations (their changelogs, advisories and audits), each as a test of ours; those that are not here stand beside what they
// are about: cookies and the limiter in underload.test.ts, counters, padding and roaming in device.test.ts, timers in timers.test.ts, sizes in fuzz.test.ts.
import { describe, expect, test } from "vitest";
import { toHex } from "../base/bytes.ts";
import { nobleCrypto as crypto } from "../crypto/noble.ts";
import { CookieMaker } from "./cookie.ts";
import { Done } from "./done.ts";
import { Drop } from "./drop.ts";
import { Initiation, readU32, Response } from "./messages.ts";
import { connected, endpoint, Network, Node, packet, pair } from "./rig.cases.ts";
import { LOW_ORDER } from "./vectors.cases.ts";

const ping = packet("10.0.0.1", "10.0.0.2");
const pong = packet("10.0.0.2", "10.0.0.1");
const ping6 = packet("fd00::1", "fd00::2");
const types = (net: Network): number[] => net.log.map((d) => d.bytes[0]!);
/** With nothing on the wire yet that a test must look past. */
function fresh(): ReturnType<typeof pair> {
  const p = connected();
  p.net.log.length = 0;
  return p;
}

describe("messages", () => {
  test.for([
    { name: "a type above 4", bytes: (m: Uint8Array) => m.fill(5, 0, 1) },
    { name: "type 0", bytes: (m: Uint8Array) => m.fill(0, 0, 1) },
    { name: "a reserved byte set", bytes: (m: Uint8Array) => m.fill(1, 1, 2) },
    { name: "the last reserved byte set", bytes: (m: Uint8Array) => m.fill(128, 3, 4) },
    { name: "a byte too many", bytes: (m: Uint8Array) => new Uint8Array([...m, 0]) },
    { name: "a byte too few", bytes: (m: Uint8Array) => m.subarray(0, m.length - 1) },
  ])("with $name are malformed, whatever their macs say", ({ bytes }) => {
    const { net, a, b, ab } = fresh();
    net.lose = () => true;
    a.perform(a.device.forceHandshake(ab, net.moment));
    const initiation = net.log.at(-1)!.bytes;
    const bad = bytes(initiation.slice());
    // Whoever changes the type can make the mac right.
    if (bad.length === initiation.length) new CookieMaker(crypto, b.device.publicKey!).fill(bad, net.now);
    b.arrive({ from: a.at, bytes: bad });
    expect(b.lastCode).toBe(-Drop.MALFORMED);
    expect(types(net)).toEqual([1]);
  });
});

describe("keys of low order", () => {
  test("as the ephemeral of an initiation: dropped, nothing changes, and no answer", () => {
    const { net, a, b, ab } = fresh();
    net.lose = () => true;
    a.perform(a.device.forceHandshake(ab, net.moment));
    for (const key of LOW_ORDER) {
      const bad = net.log[0]!.bytes.slice();
      bad.set(key, Initiation.EPHEMERAL);
      new CookieMaker(crypto, b.device.publicKey!).fill(bad, net.now);
      b.arrive({ from: a.at, bytes: bad });
    }
    expect(b.device.drops().bad_initiation).toBe(LOW_ORDER.length);
    expect(types(net)).toEqual([1]);
  });
  test("as the ephemeral of a response: dropped, and the genuine one still completes the handshake", () => {
    const { net, a, b, ab } = fresh();
    net.lose = (d) => d.bytes[0] === 2;
    a.perform(a.device.forceHandshake(ab, net.moment));
    net.settle();
    const genuine = net.log.find((d) => d.bytes[0] === 2)!.bytes;
    for (const key of LOW_ORDER) {
      const bad = genuine.slice();
      bad.set(key, Response.EPHEMERAL);
      new CookieMaker(crypto, a.device.publicKey!).fill(bad, net.now);
      a.arrive({ from: b.at, bytes: bad });
    }
    expect(a.device.drops().bad_response).toBe(LOW_ORDER.length);
    a.arrive({ from: b.at, bytes: genuine });
    expect(ab.lastHandshake).toBe(net.moment.wall);
  });
});

describe("responses", () => {
  test("count however late, as long as the initiation is the last", () => {
    for (const [delay, established] of [
      [260, 1],
      [2400, 1],
      [4900, 1],
    ] as const) {
      const { net, a } = pair();
      net.delay = delay / 2;
      a.send(ping);
      net.pass(delay + 20);
      expect(a.kinds("established")).toHaveLength(established);
    }
  });
  test("to an initiation that was replaced are dropped: the index is nobody's", () => {
    const { net, a, b } = pair();
    net.lose = (d) => d.bytes[0] === 2;
    a.send(ping);
    net.pass(5400);
    const late = net.log.find((d) => d.bytes[0] === 2)!;
    expect(types(net)).toEqual([1, 2, 1, 2]);
    a.arrive({ from: b.at, bytes: late.bytes });
    expect(a.device.drops().unexpected_response).toBe(1);
    expect(a.kinds("established")).toEqual([]);
    // The last one's is still good.
    a.arrive({ from: b.at, bytes: net.log.at(-1)!.bytes });
    expect(a.kinds("established")).toHaveLength(1);
  });
  test("that come twice complete one handshake", () => {
    const { net, a, b, ab } = pair();
    a.perform(a.device.forceHandshake(ab, net.moment));
    net.settle();
    const response = net.log.find((d) => d.bytes[0] === 2)!;
    a.arrive({ from: b.at, bytes: response.bytes });
    expect(a.device.drops().unexpected_response).toBe(1);
    expect(a.kinds("established")).toHaveLength(1);
    expect(a.device.usage().keypairs).toBe(1);
  });
  test("move the endpoint of the peer", () => {
    const { net, a, b, ab } = pair();
    net.lose = (d) => d.bytes[0] === 2;
    a.send(ping);
    net.settle();
    const elsewhere = endpoint("203.0.113.7", 7);
    a.arrive({ from: elsewhere, bytes: net.log.at(-1)!.bytes });
    expect(ab.endpoint()).toEqual(elsewhere);
    expect(b.at.port).not.toBe(7);
  });
});

describe("inner packets", () => {
  test("of IPv6 are held against the whole source address: another peer's longer prefix, and nobody's, are dropped", () => {
    const { net, a, b, ab, ba } = fresh();
    a.device.addAllowedIp(ab, { ip: new Uint8Array(16), prefix: 0 });
    b.device.addAllowedIp(ba, { ip: new Uint8Array([0xfd, ...new Uint8Array(15)]), prefix: 64 });
    b.addPeer(new Uint8Array(32).fill(9), { allowed: ["fd00::9/128", "fd00:0:0:0:8000::/65"] });
    for (const [source, delivered] of [
      ["fd00::1", 1],
      ["fd00::8", 1],
      ["fd00::9", 0],
      ["fd00::8000:0:0:1", 0],
      ["fd00:0:0:0:7fff::1", 1],
      ["fd00:0:0:1::1", 0],
      ["fe80::1", 0],
    ] as const) {
      const before = b.inbox.length;
      a.send(packet(source, "fd00::2"));
      net.settle();
      expect(b.inbox.length - before, source).toBe(delivered);
    }
  });
  test("a keepalive is 32 bytes, counts as received, and is answered by nothing", () => {
    const { net, a, b, ab, ba } = fresh();
    const rx = ba.rxBytes();
    a.perform(a.device.setPersistentKeepalive(ab, 600, net.moment));
    net.pass(60_000);
    expect(net.log.map((d) => [d.from, d.bytes.length])).toEqual([[a.at, 32]]);
    expect(ba.rxBytes() - rx).toBe(32);
    expect(b.inbox).toHaveLength(1);
  });
});

describe("a preshared key", () => {
  test("that one side gets alone: the session goes on to its end, the next handshake fails, until the other has it too", () => {
    const { net, a, b, ab, ba } = fresh();
    const psk = new Uint8Array(32).fill(3);
    b.device.setPresharedKey(ba, psk);
    a.send(ping);
    b.send(pong);
    net.settle();
    expect([a.inbox.length, b.inbox.length]).toEqual([2, 2]);
    a.perform(a.device.forceHandshake(ab, net.moment));
    net.settle();
    expect(a.device.drops().bad_response).toBe(1);
    a.send(ping);
    net.settle();
    expect(b.inbox).toHaveLength(3);
    a.device.setPresharedKey(ab, psk);
    net.pass(1000);
    a.perform(a.device.forceHandshake(ab, net.moment));
    net.settle();
    expect(ab.lastHandshake).toBe(net.moment.wall);
  });
});

describe("the set-up", () => {
  test("in any order, with packets from both sides all the while, ends in a session", () => {
    const steps = ["key", "peer", "endpoint", "allowed", "up"] as const;
    for (let order = 0; order < 120; order += 3) {
      const rest = [...steps];
      const chosen: (typeof steps)[number][] = [];
      for (let n = order, left = rest.length; left > 0; n = Math.floor(n / left), left--) chosen.push(...rest.splice(n % left, 1));
      const net = new Network();
      const b = new Node(net, endpoint("192.0.2.2", 2));
      const a = new Node(net, endpoint("192.0.2.1", 1));
      const key = a.device.privateKey()!;
      const own = a.device.publicKey!;
      a.perform(a.device.down(net.moment));
      a.perform(a.device.setPrivateKey(new Uint8Array(32), net.moment));
      b.addPeer(own, { endpoint: a.at, allowed: ["10.0.0.1/32"] });
      const peer = (): ReturnType<Node["addPeer"]> => a.addPeer(b);
      const traffic = (): void => {
        a.send(ping);
        b.send(pong);
        net.pass(20);
      };
      traffic();
      for (const step of chosen) {
        if (step === "key") a.perform(a.device.setPrivateKey(key, net.moment));
        else if (step === "up") a.perform(a.device.up(net.moment));
        else if (step === "endpoint") a.device.setEndpoint(peer(), b.at);
        else if (step === "allowed") a.device.addAllowedIp(peer(), { ip: new Uint8Array([10, 0, 0, 2]), prefix: 32 });
        a.perform(a.device.configured(peer(), net.moment));
        traffic();
      }
      for (let i = 0; i < 12 && b.inbox.length === 0; i++) {
        net.pass(500, 50);
        traffic();
      }
      expect(b.inbox.length, chosen.join(", ")).toBeGreaterThan(0);
    }
  });
  test("peers come, go and come back under traffic: no code throws, and the last one has a session", () => {
    const { net, a, b, ba } = fresh();
    for (let i = 0; i < 40; i++) {
      net.delay = i % 3;
      const peer = a.addPeer(b, { endpoint: b.at, allowed: ["10.0.0.2/32", "fd00::2/128"] });
      a.send(i % 2 === 0 ? ping : ping6);
      b.send(pong);
      net.pass(i % 4, 1);
      a.perform(a.device.removePeer(peer, net.moment));
      a.send(ping);
      b.send(pong);
      net.pass(30, 10);
    }
    a.addPeer(b, { endpoint: b.at, allowed: ["10.0.0.2/32"] });
    net.delay = 0;
    a.inbox.length = 0;
    a.send(ping);
    net.pass(6000);
    b.send(pong);
    net.settle();
    expect(a.inbox.length).toBeGreaterThan(0);
    expect(ba.lastHandshake).toBeGreaterThan(0);
    expect(a.device.usage()).toMatchObject({ peers: 1, waiting: 0 });
  });
  test("a persistent keepalive is sent when the private key comes last, and when the link comes last", () => {
    const net = new Network();
    const b = new Node(net, endpoint("192.0.2.2", 2));
    const a = new Node(net, endpoint("192.0.2.1", 1));
    const key = a.device.privateKey()!;
    b.addPeer(a, { allowed: ["10.0.0.1/32"] });
    a.perform(a.device.setPrivateKey(new Uint8Array(32), net.moment));
    const peer = a.addPeer(b, { endpoint: b.at });
    a.perform(a.device.setPersistentKeepalive(peer, 25, net.moment));
    net.pass(1000);
    expect(net.log).toEqual([]);
    a.perform(a.device.setPrivateKey(key, net.moment));
    net.pass(20);
    expect(net.log.map((d) => d.bytes.length)).toEqual([148, 92, 32]);
    a.perform(a.device.down(net.moment));
    net.pass(30_000);
    net.log.length = 0;
    a.perform(a.device.up(net.moment));
    net.pass(20);
    expect(net.log.map((d) => d.bytes.length)).toEqual([148, 92, 32]);
  });
});

describe("indices", () => {
  test("say nothing of one another: 2,000 have every bit set in about half, and so have their differences", () => {
    const { net, a, ab } = pair();
    net.lose = () => true;
    const seen: number[] = [];
    while (seen.length < 2000) {
      net.now += 1001;
      a.perform(a.device.forceHandshake(ab, net.moment));
      seen.push(readU32(net.log.pop()!.bytes, 4));
    }
    expect(new Set(seen).size).toBe(2000);
    for (const [what, values] of [
      ["themselves", seen],
      ["differences", seen.slice(1).map((x, i) => (x - seen[i]!) >>> 0)],
      ["exclusive ors", seen.slice(1).map((x, i) => (x ^ seen[i]!) >>> 0)],
    ] as const)
      for (let bit = 0; bit < 32; bit++) {
        const ones = values.filter((v) => ((v >>> bit) & 1) === 1).length;
        // Seven standard deviations: once in 10^11.
        expect(Math.abs(ones - 1000), `${what}, bit ${bit}`).toBeLessThan(157);
      }
  });
});

describe("clocks", () => {
  test("one that should only grow and does not: nothing throws, packets pass, and all is as before when it has caught up", () => {
    const { net, a, b } = fresh();
    net.now -= 50_000;
    for (let i = 0; i < 20; i++) {
      a.send(ping);
      b.send(pong);
      net.pass(100, 25);
    }
    expect([a.inbox.length, b.inbox.length]).toEqual([21, 21]);
    net.pass(50_000, 50);
    net.log.length = 0;
    a.send(ping);
    expect(a.lastCode).toBeGreaterThanOrEqual(0);
    net.pass(200_000, 100);
    a.send(ping);
    net.pass(100);
    expect(b.inbox).toHaveLength(23);
  });
  test("the timestamp of an initiation is greater than every one before it, whatever the wall clock does and whoever left and came back", () => {
    const { net, a, b, ab } = fresh();
    let peer = ab;
    const stamps: string[] = [];
    for (const jump of [0, 5, 3_600_000, -7_200_000, 0, -31_536_000_000]) {
      net.wallOffset += jump;
      net.pass(1100, 50);
      if (jump === -7_200_000) {
        // The other side keeps what it has seen.
        a.perform(a.device.removePeer(peer, net.moment));
        peer = a.addPeer(b, { endpoint: b.at, allowed: ["10.0.0.2/32"] });
      }
      net.log.length = 0;
      a.perform(a.device.forceHandshake(peer, net.moment));
      net.settle();
      expect(types(net), `after a jump of ${jump} ms`).toEqual([1, 2, 4]);
      stamps.push(toHex(net.log[0]!.bytes.subarray(88, 116)));
    }
    expect(new Set(stamps).size).toBe(6);
    expect(b.device.drops().replayed_initiation).toBe(0);
  });
});

test("nothing that is sent before a session has plaintext of ours in it, and nothing in the clear after", () => {
  const { net, a, b } = pair();
  const secret = packet("10.0.0.1", "10.0.0.2", 400);
  expect(a.send(secret)).toBe(Done.STAGED);
  net.settle();
  b.send(packet("10.0.0.2", "10.0.0.1", 400));
  net.settle();
  const needle = toHex(secret.subarray(20, 36));
  for (const d of net.log) expect(toHex(d.bytes)).not.toContain(needle);
  expect(b.inbox).toEqual([secret]);
});
