import { describe, expect, test } from "vitest";
import { equal, toHex } from "../base/bytes.ts";
import { formatCidr } from "../base/cidr.ts";
import { nobleCrypto, noblePackets } from "../crypto/noble.ts";
import { nodeCrypto } from "../crypto/node.ts";
import { nodePackets } from "../crypto/packets-node.ts";
import { Done } from "./done.ts";
import { Drop } from "./drop.ts";
import type { KeylogRecord } from "./effect.ts";
import { openInitiation } from "./handshake.ts";
import { readU32 } from "./messages.ts";
import { PROLOGUE, start } from "./noise.ts";
import { endpoint, Network, Node, packet, pair, SMALL } from "./rig.cases.ts";
import { Keypair, keypairOf, Row, rowOf } from "./tables.ts";
import { LOW_ORDER, transcript } from "./vectors.cases.ts";

const PSK = "e5c3724509a737976de9c9805300e02cbebe04bec97c56fcb9c144a8046843e9";
const ping = packet("10.0.0.1", "10.0.0.2");
const pong = packet("10.0.0.2", "10.0.0.1");
/** Exchanges a packet each way, so that the session stands. */
function connect(p: ReturnType<typeof pair>): ReturnType<typeof pair> {
  p.a.send(ping);
  p.net.settle();
  p.b.send(pong);
  p.net.settle();
  expect([p.b.inbox.length, p.a.inbox.length]).toEqual([1, 1]);
  return p;
}
const types = (net: Network): number[] => net.log.map((d) => d.bytes[0]!);

describe("a session", () => {
  test.for([
    { name: "noble", options: { crypto: nobleCrypto, packets: noblePackets } },
    { name: "node", options: { crypto: nodeCrypto, packets: nodePackets } },
    { name: "openssl", options: {} },
    { name: "a preshared key", options: { psk: PSK } },
  ])("comes up on the first packet, passes packets both ways, and again later: $name", ({ options }) => {
    const { net, a, b, ab, ba } = pair(options);
    expect(a.send(ping)).toBe(Done.STAGED);
    net.settle();
    expect(b.inbox).toEqual([ping]);
    const long = packet("fd00::2", "fd00::1", 1000);
    expect(b.send(long)).toBe(Done.SEALED);
    net.settle();
    expect(a.inbox).toEqual([long]);
    expect(net.log.map((d) => d.bytes.length)).toEqual([148, 92, 112, 1072]);
    expect([ab.lastHandshake, ba.lastHandshake]).toEqual([net.moment.wall, net.moment.wall]);
    expect([ab.txBytes(), ab.rxBytes()]).toEqual([148 + 112, 92 + 1072]);
    expect([ba.rxBytes(), ba.txBytes()]).toEqual([148 + 112, 92 + 1072]);
    for (let i = 0; i < 3; i++) {
      net.pass(6000);
      b.perform(b.device.forceHandshake(ba, net.moment));
      net.settle();
      expect(ba.lastHandshake).toBe(net.moment.wall);
    }
    a.send(ping);
    net.settle();
    expect(b.inbox).toHaveLength(2);
  });

  test("a preshared key on one side alone gives none, and two different ones neither", () => {
    for (const other of [undefined, "11".repeat(32)]) {
      const { net, a, b, ba } = pair({ psk: PSK });
      b.device.setPresharedKey(ba, new Uint8Array(32).fill(other === undefined ? 0 : 0x11));
      a.send(ping);
      net.settle();
      expect(b.inbox).toEqual([]);
      expect(a.device.drops().bad_response).toBe(1);
      expect(a.device.usage().keypairs).toBe(0);
    }
  });
  test("a new preshared key counts from the next handshake on; the session lives", () => {
    const { net, a, b, ab, ba } = connect(pair());
    for (const [n, p] of [
      [a, ab],
      [b, ba],
    ] as const)
      n.device.setPresharedKey(p, new Uint8Array(32).fill(3));
    a.send(ping);
    net.settle();
    expect(b.inbox).toHaveLength(2);
    net.pass(6000);
    a.perform(a.device.forceHandshake(ab, net.moment));
    net.settle();
    expect(ab.lastHandshake).toBe(net.moment.wall);
    a.send(ping);
    net.settle();
    expect(b.inbox).toHaveLength(3);
  });
  test("the first data of the initiator, not the response, lets the responder send", () => {
    const { net, a, b } = pair();
    net.lose = (d) => d.bytes[0] === 4;
    a.send(ping);
    net.settle();
    expect(b.send(pong)).toBe(Done.STAGED);
    net.lose = () => false;
    a.send(ping);
    net.settle();
    expect(b.inbox).toEqual([ping]);
    expect(a.inbox).toEqual([pong]);
    expect(types(net)).toEqual([1, 2, 4, 4, 4]);
    // b had asked for a handshake of its own meanwhile: that wish is met.
    net.pass(9000);
    expect(types(net)).toEqual([1, 2, 4, 4, 4]);
  });
  test("without data to send the initiator confirms by a keepalive, which is not answered", () => {
    const { net, a, ab, ba } = pair();
    a.perform(a.device.forceHandshake(ab, net.moment));
    net.settle();
    expect(net.log.map((d) => d.bytes.length)).toEqual([148, 92, 32]);
    expect(ba.lastHandshake).toBe(net.moment.wall);
    net.pass(30_000);
    expect(net.log).toHaveLength(3);
  });
  test("ten pings cost what the kernel's test suite demands", () => {
    const { net, a, b, ab, ba } = pair();
    for (let i = 0; i < 10; i++) {
      a.send(packet("10.0.0.1", "10.0.0.2", 64));
      net.settle();
      b.send(packet("10.0.0.2", "10.0.0.1", 64));
      net.settle();
    }
    expect([ab.rxBytes(), ab.txBytes()]).toEqual([1372, 1428]);
    expect([ba.rxBytes(), ba.txBytes()]).toEqual([1428, 1372]);
  });
  test("indices are random and differ from session to session", () => {
    const seen = new Set<number>();
    for (let i = 0; i < 8; i++) {
      const { net } = connect(pair());
      seen.add(readU32(net.log[0]!.bytes, 4)).add(readU32(net.log[1]!.bytes, 4));
    }
    expect(seen.size).toBe(16);
    expect(Math.max(...seen)).toBeGreaterThan(2 ** 28);
  });
  test("payloads are padded to 16 bytes, but not beyond the MTU", () => {
    const { net, a } = connect(pair());
    const lengths = [0, 1, 12, 13, 1399, 1400].map((size) => {
      a.send(packet("10.0.0.1", "10.0.0.2", size));
      return net.log.at(-1)!.bytes.length - 32;
    });
    expect(lengths).toEqual([32, 32, 32, 48, 1420, 1420]);
    // The buffer still holds the longer packet: the padding is zero all the same.
    a.send(packet("10.0.0.1", "10.0.0.2", 1));
    const { bytes } = net.log.at(-1)!;
    const key = 4 * (keypairOf(a.tables, a.tables.i32[rowOf(a.tables, 0) + Row.CURRENT]! - 1) + Keypair.SEND_KEY);
    const nonce = new Uint8Array([0, 0, 0, 0, ...bytes.slice(8, 16)]);
    const plaintext = nobleCrypto.open(a.tables.u8.slice(key, key + 32), nonce, bytes.slice(16), new Uint8Array(0))!;
    expect(plaintext.slice(21)).toEqual(new Uint8Array(11));
  });
});

describe("waiting packets", () => {
  test("go out in order; beyond 128 the oldest are dropped", () => {
    const { net, a, b } = pair();
    const packets = Array.from({ length: 130 }, (_, i) => packet("10.0.0.1", "10.0.0.2", i + 1));
    for (const p of packets) expect(a.send(p)).toBe(Done.STAGED);
    expect(a.device.drops().staged_overflow).toBe(2);
    net.settle();
    expect(b.inbox).toEqual(packets.slice(2));
  });
  test("that find no room are dropped by name; a peer that was given up frees its own", () => {
    const { net, a, b, ab } = pair({ limits: { ...SMALL, stagedSlots: 4 } });
    a.addPeer(new Uint8Array(32).fill(9), { endpoint: endpoint("192.0.2.9", 9), allowed: ["10.9.0.0/16"] });
    for (let i = 0; i < 10; i++) a.send(packet("10.0.0.1", "10.9.0.1"));
    expect(a.send(ping)).toBe(-Drop.STAGED_FULL);
    net.pass(110_000);
    // The silent peer was given up: its slots are free again.
    expect(a.kinds("gave-up")).toHaveLength(1);
    expect(ab.lastHandshake).toBeGreaterThan(0);
    const before = a.device.drops().staged_overflow;
    for (let i = 0; i < 4; i++) expect(a.send(packet("10.0.0.1", "10.9.0.1"))).toBe(Done.STAGED);
    expect(a.device.drops().staged_overflow).toBe(before);
    expect(b.inbox).toEqual([]);
  });
  test("that are longer than a slot are dropped by name", () => {
    const { a } = pair({ limits: { ...SMALL, stagedBytes: 64 } });
    expect(a.send(packet("10.0.0.1", "10.0.0.2", 100))).toBe(-Drop.TOO_LONG);
    expect(a.device.drops().too_long).toBe(1);
  });
});

describe("packets that go nowhere", () => {
  test.for([
    { name: "no peer for the destination", bytes: packet("10.0.0.1", "10.0.0.3"), reason: "no_peer" },
    { name: "no IP version", bytes: new Uint8Array(60), reason: "inner_malformed" },
    { name: "a short IPv4 header", bytes: ping.slice(0, 19), reason: "inner_malformed" },
    { name: "a short IPv6 header", bytes: packet("fd00::1", "fd00::2").slice(0, 39), reason: "inner_malformed" },
    { name: "nothing", bytes: new Uint8Array(0), reason: "inner_malformed" },
  ] as const)("$name", ({ bytes, reason }) => {
    const { a } = pair();
    expect(a.send(bytes)).toBeLessThan(0);
    expect(a.device.drops()[reason]).toBe(1);
  });
  test("a peer without endpoint, and a device that is down", () => {
    const net = new Network();
    const a = new Node(net, endpoint("192.0.2.1", 1));
    a.addPeer(new Uint8Array(32).fill(9), { allowed: ["10.0.0.0/8"] });
    expect(a.send(ping)).toBe(-Drop.NO_ENDPOINT);
    a.perform(a.device.down(net.moment));
    expect(a.send(ping)).toBe(-Drop.DEVICE_DOWN);
  });
});

describe("crypto routing", () => {
  test("a source that belongs to no peer, or to another by a longer prefix, is dropped; yet the endpoint is learnt", () => {
    const { net, a, b, ab, ba } = connect(pair());
    b.device.addAllowedIp(ba, { ip: new Uint8Array([10, 0, 0, 0]), prefix: 24 });
    a.device.addAllowedIp(ab, { ip: new Uint8Array([0, 0, 0, 0]), prefix: 0 });
    const third = b.addPeer(new Uint8Array(32).fill(9), { allowed: ["10.0.0.9/32"] });
    a.send(packet("10.0.0.9", "10.0.0.2"));
    net.settle();
    a.at = endpoint("192.0.2.77", 7);
    a.send(packet("172.16.0.1", "10.0.0.2"));
    net.settle();
    expect(b.inbox).toHaveLength(1);
    expect(b.device.drops().source_not_allowed).toBe(2);
    expect(ba.endpoint()).toEqual(endpoint("192.0.2.77", 7));
    a.send(packet("10.0.0.8", "10.0.0.2"));
    net.settle();
    expect(b.inbox).toHaveLength(2);
    expect([...third.allowedIps()].map(formatCidr)).toEqual(["10.0.0.9/32"]);
  });
  test("what is delivered has the length that its header says; lies are dropped", () => {
    const { net, a, b } = connect(pair());
    const short = ping.slice();
    short[3] = 40;
    const long = ping.slice();
    long[2] = 9;
    a.send(short);
    a.send(long);
    a.send(new Uint8Array([...ping.slice(0, 2), 0, 19, ...ping.slice(4)]));
    net.settle();
    expect(b.inbox.slice(1)).toEqual([short.slice(0, 40)]);
    expect(b.device.drops().received_inner_malformed).toBe(2);
  });
});

describe("roaming", () => {
  test("an endpoint follows authenticated data and handshakes, in both families", () => {
    const { net, a, b, ba } = connect(pair());
    for (const at of [endpoint("127.212.121.99", 9999), endpoint("::1", 9998), endpoint("192.0.2.1", 5)]) {
      a.at = at;
      a.send(ping);
      net.settle();
      expect(ba.endpoint()).toEqual(at);
      b.send(pong);
      expect(net.log.at(-1)!.to).toEqual(at);
      net.settle();
    }
    expect(a.inbox).toHaveLength(4);
  });
  test("not what is forged or replayed", () => {
    const { net, a, b, ba } = connect(pair());
    a.send(ping);
    const data = net.log.at(-1)!;
    net.settle();
    const elsewhere = endpoint("203.0.113.1", 1);
    b.arrive({ from: elsewhere, bytes: data.bytes });
    expect(b.lastCode).toBe(-Drop.REPLAYED);
    const forged = data.bytes.slice();
    // A counter that has not come yet.
    forged[9]! ^= 1;
    b.arrive({ from: elsewhere, bytes: forged });
    expect(b.lastCode).toBe(-Drop.BAD_TAG);
    for (const old of net.log.slice(0, 2)) b.arrive({ from: elsewhere, bytes: old.bytes });
    expect(ba.endpoint()).toEqual(endpoint("192.0.2.1", 1));
  });
  test("a source address sticks until it is cleared", () => {
    const { net, a, b, ba } = connect(pair());
    a.at = { ...a.at, source: { ip: new Uint8Array([192, 0, 2, 200]), interface: 7 } };
    a.send(ping);
    net.settle();
    expect(ba.endpoint()).toEqual(a.at);
    b.device.clearSources();
    expect(ba.endpoint()).toEqual(endpoint("192.0.2.1", 1));
  });
});

describe("counters", () => {
  test("cross 2^32, both ways of the nonce", () => {
    const { net, a, b } = connect(pair());
    const k = keypairOf(a.tables, a.tables.i32[rowOf(a.tables, 0) + Row.CURRENT]! - 1);
    a.tables.u32[k + Keypair.SEND_LO] = 0xffff_fffe;
    for (let i = 0; i < 4; i++) a.send(ping);
    net.settle();
    expect(b.inbox).toHaveLength(5);
    expect(net.log.slice(-4).map((d) => toHex(d.bytes.slice(8, 16)))).toEqual([
      "feffffff00000000",
      "ffffffff00000000",
      "0000000001000000",
      "0100000001000000",
    ]);
  });
  test("from 2^60 on a new session is asked for; at 2^64 - 8130 none is sent and none accepted", () => {
    const { net, a, b } = connect(pair());
    const k = keypairOf(a.tables, a.tables.i32[rowOf(a.tables, 0) + Row.CURRENT]! - 1);
    net.pass(6000);
    a.tables.u32[k + Keypair.SEND_HI] = 0x1000_0000;
    net.lose = (d) => d.bytes[0] === 1;
    const before = net.log.length;
    a.send(ping);
    expect(types(net).slice(before)).toEqual([4, 1]);
    a.tables.u32.set([2 ** 32 - 8131, 2 ** 32 - 1], k + Keypair.SEND_LO);
    expect(a.send(ping)).toBe(Done.SEALED);
    expect(a.send(ping)).toBe(Done.STAGED);
    net.settle();
    expect(b.inbox).toHaveLength(3);
    const last = net.log.at(-1)!.bytes[0] === 1 ? net.log.at(-2)! : net.log.at(-1)!;
    b.arrive({ from: a.at, bytes: last.bytes });
    expect(b.lastCode).toBe(-Drop.KEYPAIR_EXPIRED);
  });
  test("that are forged do not move the replay window", () => {
    const { net, a, b } = connect(pair());
    a.send(ping);
    const forged = net.log.at(-1)!.bytes.slice();
    net.settle();
    forged.fill(0xff, 8, 15);
    b.arrive({ from: a.at, bytes: forged });
    expect(b.lastCode).toBe(-Drop.BAD_TAG);
    a.send(ping);
    net.settle();
    expect(b.inbox).toHaveLength(3);
  });
});

describe("keys", () => {
  test("a new private key: the old session still receives, the next packet out starts a new one", () => {
    const { net, a, b } = connect(pair());
    const fresh = new Uint8Array(32).fill(0x55);
    a.perform(a.device.setPrivateKey(fresh, net.moment));
    b.send(pong);
    net.settle();
    expect(a.inbox).toHaveLength(2);
    net.pass(100);
    expect(a.send(ping)).toBe(Done.STAGED);
    net.settle();
    expect(b.device.drops().unknown_peer).toBe(1);
    b.addPeer(a, { endpoint: a.at, allowed: ["10.0.0.1/32"] });
    net.pass(6000);
    expect(b.inbox.at(-1)).toEqual(ping);
    expect(b.inbox).toHaveLength(2);
  });
  test("the private key is clamped, hidden by none, and cleared by zeros", () => {
    const { net, a } = pair();
    a.perform(a.device.setPrivateKey(new Uint8Array(32).fill(255), net.moment));
    const key = a.device.privateKey()!;
    expect([key[0], key[31]]).toEqual([248, 127]);
    expect(toHex(a.device.publicKey!)).toBe(toHex(nobleCrypto.publicKey(key)));
    a.perform(a.device.setPrivateKey(new Uint8Array(32), net.moment));
    expect([a.device.publicKey, a.device.privateKey()]).toEqual([undefined, undefined]);
    expect(a.send(ping)).toBe(Done.STAGED);
    expect(net.log).toEqual([]);
  });
  test("a peer with our own key is refused, and removed when the key becomes ours", () => {
    const { net, a } = pair();
    expect(a.device.addPeer(a.device.publicKey!)).toBeUndefined();
    const key = new Uint8Array(32).fill(0x40);
    const mine = nobleCrypto.publicKey(key);
    a.addPeer(mine);
    a.perform(a.device.setPrivateKey(key, net.moment));
    expect(a.device.peer(mine)).toBeUndefined();
    expect([...a.device.peers()]).toHaveLength(1);
  });
  test("peers of low order never get a datagram", () => {
    const net = new Network();
    const a = new Node(net, endpoint("192.0.2.1", 1));
    for (const [i, key] of LOW_ORDER.entries()) {
      const peer = a.addPeer(key, { endpoint: endpoint("192.0.2.9", 9), allowed: [`10.0.${i}.0/24`] });
      a.perform(a.device.setPersistentKeepalive(peer, 1, net.moment));
      a.send(packet("10.9.9.9", `10.0.${i}.1`));
    }
    net.pass(2500);
    expect(net.log).toEqual([]);
  });
  test("the key log has the four keys before each handshake message, only while it is on", () => {
    const { net, a, b, ab, ba } = pair({ psk: PSK });
    a.perform(a.device.forceHandshake(ab, net.moment));
    net.settle();
    expect([...a.kinds("keylog"), ...b.kinds("keylog")]).toEqual([]);
    net.pass(1000);
    a.device.keylog = true;
    b.device.keylog = true;
    net.log.length = 0;
    a.effects.length = 0;
    b.effects.length = 0;
    a.perform(a.device.forceHandshake(ab, net.moment));
    net.settle();
    for (const [node, peer, at] of [
      [a, ab, 8],
      [b, ba, 12],
    ] as const) {
      expect(node.effects.map((e) => e.kind).filter((k) => k === "keylog" || k === "send")).toEqual(["keylog", "send"]);
      const { record } = node.kinds("keylog")[0] as { record: KeylogRecord };
      expect(equal(nobleCrypto.publicKey(record.localStaticPrivate), node.device.publicKey!)).toBe(true);
      expect(record.remoteStaticPublic).toEqual(peer.publicKey);
      expect(toHex(record.presharedKey)).toBe(PSK);
      const message = net.log[node === a ? 0 : 1]!.bytes;
      expect(toHex(nobleCrypto.publicKey(record.localEphemeralPrivate))).toBe(toHex(message.slice(at, at + 32)));
    }
    // It opens what was sent.
    const opened = openInitiation(
      transcript(),
      start(nobleCrypto, PROLOGUE),
      { private: b.device.privateKey()!, public: b.device.publicKey! },
      net.log[0]!.bytes,
    );
    expect(toHex(opened!.remote)).toBe(toHex(a.device.publicKey!));
  });
});

test("a forced handshake right after a packet started one: the same message again, logged again, and no 5 s lost", () => {
  const { net, a, b, ab, ba } = pair();
  net.delay = 3;
  a.send(ping);
  net.pass(2, 1);
  a.device.keylog = true;
  a.perform(a.device.forceHandshake(ab, net.moment));
  expect(net.log[1]!.bytes).toEqual(net.log[0]!.bytes);
  const { record } = a.kinds("keylog")[0] as { record: KeylogRecord };
  expect(toHex(nobleCrypto.publicKey(record.localEphemeralPrivate))).toBe(toHex(net.log[1]!.bytes.slice(8, 40)));
  net.pass(20, 1);
  expect(b.inbox).toEqual([ping]);
  expect([ab.lastHandshake, ba.lastHandshake].every((t) => t > 0)).toBe(true);
  // With no response for a second it is a fresh one.
  net.lose = () => true;
  a.perform(a.device.forceHandshake(ab, net.moment));
  net.pass(1000);
  a.perform(a.device.forceHandshake(ab, net.moment));
  const [x, y] = net.log.filter((d) => d.bytes[0] === 1).slice(-2);
  expect(toHex(x!.bytes)).not.toBe(toHex(y!.bytes));
});

describe("peers", () => {
  test("a removed one is gone at once, and its slot serves the next", () => {
    const { net, a, b, ab } = connect(pair());
    for (let i = 0; i < 50; i++) {
      const peer = a.addPeer(nobleCrypto.publicKey(new Uint8Array(32).fill(i + 1)), { endpoint: b.at, allowed: [`10.1.${i}.0/24`] });
      a.send(packet("10.0.0.1", `10.1.${i}.1`));
      a.perform(a.device.removePeer(peer, net.moment));
    }
    expect(a.device.drops().staged_purged).toBe(50);
    expect(a.device.usage()).toEqual({ peers: 1, keypairs: 1, indices: 1, nodes: 2, waiting: 0 });
    a.perform(a.device.removePeer(ab, net.moment));
    expect(a.device.usage()).toEqual({ peers: 0, keypairs: 0, indices: 0, nodes: 0, waiting: 0 });
    b.send(pong);
    net.settle();
    expect(a.device.drops().unknown_index).toBe(1);
    expect(a.send(ping)).toBe(-Drop.NO_PEER);
  });
  test("the endpoint's version never repeats in a slot: a cached address of its last owner is noticed", () => {
    const { net, a, ab } = pair();
    const versions = new Set<number>();
    let peer = ab;
    for (let i = 0; i < 5; i++) {
      const { slot } = peer;
      expect(a.data.sender.endpoint(slot, 4 * a.tables.staged)).toBe(true);
      versions.add(a.data.sender.endpointVersion);
      a.perform(a.device.removePeer(peer, net.moment));
      peer = a.addPeer(nobleCrypto.publicKey(new Uint8Array(32).fill(i + 1)), { endpoint: endpoint("192.0.2.50", i + 1) });
      expect(peer.slot).toBe(slot);
    }
    expect(versions.size).toBe(5);
  });
  test("more than the tables hold are refused", () => {
    const { a } = pair();
    const added = Array.from({ length: 9 }, (_, i) => a.device.addPeer(new Uint8Array(32).fill(i + 100)));
    expect(added.filter((p) => p === "full")).toHaveLength(2);
  });
  test("a hundred handshakes leave nothing behind", () => {
    const { net, a, b, ab } = connect(pair());
    for (let i = 0; i < 100; i++) {
      net.now += 50;
      a.perform(a.device.forceHandshake(ab, net.moment));
      if (i % 3 !== 0) net.settle();
      else net.pass(60);
      a.send(ping);
      net.settle();
    }
    expect(b.inbox).toHaveLength(101);
    for (const n of [a, b]) {
      expect(n.device.usage().keypairs).toBeLessThanOrEqual(3);
      expect(n.device.usage().indices).toBeLessThanOrEqual(4);
      const coarse = (): number => n.tables.u8.subarray(n.tables.coarse, n.tables.coarse + 65_536).reduce((x, y) => x + y, 0);
      expect(coarse()).toBe(n.device.usage().keypairs);
      n.perform(n.device.down(net.moment));
      expect(n.device.usage()).toMatchObject({ keypairs: 0, indices: 0, waiting: 0 });
      expect(coarse()).toBe(0);
    }
  });
});

test("down ends sessions and timers, up starts with persistent keepalives", () => {
  const { net, a, b, ab } = connect(pair());
  a.perform(a.device.setPersistentKeepalive(ab, 25, net.moment));
  a.send(ping);
  a.perform(a.device.down(net.moment));
  net.log.length = 0;
  net.pass(60_000);
  expect(net.log.filter((d) => d.from === a.at)).toEqual([]);
  const [, before] = [net.pass(1), net.log.length];
  a.perform(a.device.up(net.moment));
  net.settle();
  expect(net.log.slice(before).map((d) => d.bytes.length)).toEqual([148, 92, 32]);
  expect(b.send(pong)).toBe(Done.SEALED);
  net.settle();
  expect(a.inbox).toHaveLength(2);
});

test("close() wipes every secret from the tables", () => {
  const { a } = connect(pair());
  const held = a.device.privateKey()!;
  a.send(packet("10.0.0.1", "10.0.0.2"));
  a.device.close();
  const t = a.tables;
  expect(t.i32.slice(t.keypairs, t.indices).every((w) => w === 0)).toBe(true);
  expect(a.device.privateKey()).toBeUndefined();
  expect(held.some((b) => b !== 0)).toBe(true);
});
