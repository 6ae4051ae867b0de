import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toHex } from "../base/bytes.ts";
import { nobleCrypto } from "../crypto/noble.ts";
import { CookieMaker } from "./cookie.ts";
import { Done } from "./done.ts";
import { makeInitiation } from "./handshake.ts";
import { PROLOGUE, start } from "./noise.ts";
import { connected, endpoint, type Node, packet, pair, SMALL } from "./rig.cases.ts";
import { MAX_LIMITED_SOURCES } from "./constants.ts";
import { RateLimiter } from "./ratelimit.ts";
import { tai64n } from "./tai64n.ts";
import { transcript } from "./vectors.cases.ts";

const ping = packet("10.0.0.1", "10.0.0.2");
const elsewhere = endpoint("203.0.113.66", 666);

/** All that a datagram without authentication must not change: rows, keypairs, tries, indices. Drop counters may move. */
function state(n: Node): string {
  const t = n.tables;
  // The counters lie between them.
  const words = [t.i32.slice(t.peers, t.traffic), t.i32.slice(t.keypairs, t.dirty)].map((w) => toHex(new Uint8Array(w.buffer))).join("");
  const peers = [...n.device.peers()].map((p) => [p.rxBytes(), p.txBytes(), p.lastHandshake, p.endpoint()]);
  return words + JSON.stringify([peers, n.device.usage(), n.kinds("established").length]);
}

describe("datagrams from anybody", () => {
  test("random bytes, with any type and length, change nothing and throw nothing", () => {
    const { b, net } = connected();
    const before = state(b);
    const sent = net.log.length;
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.integer({ min: 0, max: 6 }),
        fc.constantFrom(undefined, 148, 92, 64, 32, 31, 33),
        (bytes, type, length) => {
          const datagram = new Uint8Array(length ?? bytes.length);
          datagram.set(bytes.subarray(0, datagram.length));
          if (datagram.length >= 4 && type > 0) datagram.set([type, 0, 0, 0]);
          b.arrive({ from: elsewhere, bytes: datagram });
          b.tick();
        },
      ),
      { numRuns: 800 },
    );
    expect(state(b)).toBe(before);
    expect(net.log).toHaveLength(sent);
  });
  test("every length from 0 to 65,535 of nonsense", () => {
    const { b } = connected();
    const before = state(b);
    const data = new Uint8Array(65_535).fill(4);
    for (let length = 0; length < 65_536; length += length < 200 ? 1 : 997) {
      data.set([4, 0, 0, 0]);
      b.arrive({ from: elsewhere, bytes: data.subarray(0, length) });
      data.set([1 + (length % 3), 0, 0, 0]);
      b.arrive({ from: elsewhere, bytes: data.subarray(0, length) });
    }
    expect(state(b)).toBe(before);
  });
  test("genuine messages with one bit changed", () => {
    const { a, b, ab, net } = connected();
    net.lose = () => true;
    a.send(ping);
    a.perform(a.device.forceHandshake(ab, net.moment));
    const messages = net.log.slice(-2).map((d) => d.bytes);
    expect(messages.map((m) => m[0])).toEqual([4, 1]);
    const before = state(b);
    for (const message of messages)
      // mac2 is looked at under load only.
      for (let bit = 0; bit < 8 * (message[0] === 1 ? 132 : message.length); bit += message[0] === 1 ? 7 : 1) {
        const bad = message.slice();
        bad[bit >> 3]! ^= 1 << (bit & 7);
        b.arrive({ from: elsewhere, bytes: bad });
        b.tick();
      }
    expect(state(b)).toBe(before);
    for (const bytes of messages) b.arrive({ from: a.at, bytes });
    expect(b.inbox).toHaveLength(2);
  });
  test("all old messages again, from elsewhere and from the right place", () => {
    const { a, b, net } = connected();
    const before = [state(a), state(b)];
    for (const d of net.log.slice()) {
      for (const n of [a, b])
        for (const from of [elsewhere, d.from]) {
          n.arrive({ from, bytes: d.bytes });
          n.tick();
        }
    }
    expect([state(a), state(b)]).toEqual(before);
    expect([a.inbox.length, b.inbox.length]).toEqual([1, 1]);
    expect(b.device.drops()).toMatchObject({ replayed_initiation: 2, replayed: 2 });
    expect(a.device.drops()).toMatchObject({ unexpected_response: 2, replayed: 2 });
  });
  test("inner packets of any bytes from an authenticated peer are delivered whole or dropped", () => {
    const { a, b, net } = connected();
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 20, maxLength: 100 }), fc.constantFrom(4, 6), (bytes, version) => {
        const inner = new Uint8Array(Math.max(bytes.length, 40));
        inner.set(bytes);
        inner[0] = (version << 4) | (inner[0]! & 15);
        inner.set(version === 4 ? [10, 0, 0, 2] : packet("fd00::1", "fd00::2").subarray(24, 40), version === 4 ? 16 : 24);
        expect(a.send(inner)).toBe(Done.SEALED);
        net.settle();
      }),
      { numRuns: 300 },
    );
    for (const got of b.inbox) expect(got.length).toBeLessThanOrEqual(100);
  });
});

// An attacker who knows the responder's public key, as a peer of its own: mac1 is right.
function forger(b: Node): (wall: number, key?: Uint8Array) => Uint8Array<ArrayBuffer> {
  const from = start(nobleCrypto, PROLOGUE);
  const macs = new CookieMaker(nobleCrypto, b.device.publicKey!);
  let index = 0;
  return (wall, key = new Uint8Array(32).fill(42)) => {
    const local = { private: key, public: nobleCrypto.publicKey(key) };
    const ss = nobleCrypto.dh(key, b.device.publicKey!)!;
    const message = makeInitiation(transcript(), from, {
      index: index++,
      local,
      ephemeral: local,
      remote: b.device.publicKey!,
      ss,
      timestamp: tai64n(wall),
    })!;
    macs.fill(message, -1e9);
    return message;
  };
}

describe("initiations", () => {
  test("of a stranger are not answered", () => {
    const { b, net } = connected();
    const before = state(b);
    const sent = net.log.length;
    b.arrive({ from: elsewhere, bytes: forger(b)(net.moment.wall) });
    expect(b.device.drops().unknown_peer).toBe(1);
    expect(state(b)).toBe(before);
    expect(net.log).toHaveLength(sent);
  });
  test("of a peer: an older timestamp, and one within 20 ms, are refused", () => {
    const { b, net, ba } = pair();
    const key = new Uint8Array(32).fill(42);
    b.addPeer(nobleCrypto.publicKey(key), { allowed: ["10.5.0.0/16"] });
    const forge = forger(b);
    const [older, newer, next] = [forge(net.moment.wall), forge(net.moment.wall + 100), forge(net.moment.wall + 200)];
    b.arrive({ from: elsewhere, bytes: newer });
    expect(net.log).toHaveLength(1);
    b.arrive({ from: elsewhere, bytes: next });
    expect(b.device.drops().initiation_flood).toBe(1);
    net.pass(100);
    b.arrive({ from: elsewhere, bytes: older });
    expect(b.device.drops().replayed_initiation).toBe(1);
    b.arrive({ from: elsewhere, bytes: next });
    expect(net.log).toHaveLength(2);
    expect(ba.lastHandshake).toBe(0);
  });
  test("in a flood: the queue is bounded, then cookies are demanded, and a genuine peer still gets in", () => {
    const { a, b, net } = pair();
    const forge = forger(b);
    const junk = forge(net.moment.wall);
    // The data thread is ahead of the control thread.
    const hold = b.device.receive.bind(b.device);
    b.tick = () => {};
    for (let i = 0; i < 200; i++) b.arrive({ from: elsewhere, bytes: junk });
    expect(b.device.drops().handshake_queue_full).toBe(200 - 64);
    b.perform(hold(net.moment));
    expect(b.device.drops().cookie_demanded).toBe(64);
    expect(net.log.every((d) => d.bytes.length === 64 && d.bytes[0] === 3)).toBe(true);
    // Under load a genuine initiation is answered with a cookie; the retransmission carries it.
    delete (b as { tick?: unknown }).tick;
    net.log.length = 0;
    a.send(ping);
    net.settle();
    expect(net.log.map((d) => d.bytes[0])).toEqual([1, 3]);
    expect(a.kinds("established")).toEqual([]);
    b.tick = () => {};
    net.pass(4900);
    for (let i = 0; i < 20; i++) b.arrive({ from: elsewhere, bytes: junk });
    delete (b as { tick?: unknown }).tick;
    b.perform(hold(net.moment));
    net.log.length = 0;
    net.pass(500);
    expect(net.log.map((d) => d.bytes[0])).toEqual([1, 2, 4]);
    expect(
      net.log[0]!.bytes.slice(132).some((x) => x !== 0),
      "mac2",
    ).toBe(true);
    expect(b.inbox).toEqual([ping]);
  });
});

describe("under load", () => {
  const LARGE = { ...SMALL, handshakeCells: 1024 };
  /** A device in a flood: the ring full of initiations without mac2, from one address each. */
  function flooded() {
    const p = pair({ limits: LARGE });
    const { b, net } = p;
    const bare = forger(b)(net.moment.wall);
    const tick = b.tick.bind(b);
    b.tick = () => {};
    const flood = (n: number): void => {
      for (let i = 0; i < n; i++) b.arrive({ from: endpoint(`198.18.${i >> 8}.${i & 255}`, 1000), bytes: bare });
    };
    return { ...p, flood, tick };
  }

  test("a turn hands out so many cookies, drops what else has none, and makes no session", () => {
    const { b, net, flood, tick } = flooded();
    for (let turn = 1; turn <= 5; turn++) {
      flood(1000);
      tick();
      expect(net.log.map((d) => d.bytes.length)).toEqual(Array.from({ length: 64 * turn }, () => 64));
      expect(b.device.backlog).toBe(false);
      net.now += 5;
    }
    expect(b.device.loaded(net.moment)).toBe(true);
    expect(b.device.drops()).toMatchObject({ cookie_demanded: 5000, bad_initiation: 0, unknown_peer: 0, handshake_queue_full: 0 });
    expect(b.device.usage()).toMatchObject({ keypairs: 0, indices: 0 });
    net.now += 1001;
    expect(b.device.loaded(net.moment)).toBe(false);
  });
  test("who has a cookie gets in behind all of them; who has none, does not", () => {
    const { a, b, ab, net, flood, tick } = flooded();
    const behindTheFlood = (): void => {
      net.now += 1001;
      flood(900);
      a.perform(a.device.forceHandshake(ab, net.moment));
      net.settle();
      tick();
      net.settle();
    };
    behindTheFlood();
    expect(a.kinds("established")).toEqual([]);
    // This time it comes first, and gets a cookie.
    net.now += 1001;
    a.perform(a.device.forceHandshake(ab, net.moment));
    net.settle();
    flood(500);
    tick();
    net.settle();
    behindTheFlood();
    expect(a.kinds("established")).toMatchObject([{ initiator: true }]);
    expect(b.device.usage().keypairs).toBe(1);
  });
  test("macs that are wrong are looked at up to a budget; the rest waits", () => {
    const { b, net, tick } = flooded();
    const bad = forger(b)(net.moment.wall);
    bad.fill(7, 132);
    for (let i = 0; i < 1000; i++) b.arrive({ from: elsewhere, bytes: bad });
    tick();
    expect(b.device.drops().cookie_demanded).toBe(256);
    expect(b.device.backlog).toBe(true);
    expect(net.log).toHaveLength(64);
  });
  test("the limiter remembers a bounded number of sources", () => {
    const limiter = new RateLimiter();
    for (let i = 0; i < 40_000; i++) limiter.allow(new Uint8Array([198, 18, i >> 8, i & 255]), 0);
    expect(limiter.size).toBe(MAX_LIMITED_SOURCES);
  });
});

test("the tables' memory outside the datagram is not touched by opening it", () => {
  const { a, b, net } = connected();
  net.lose = () => true;
  for (let size = 0; size < 64; size++) a.send(packet("10.0.0.1", "10.0.0.2", size));
  const datagrams = net.log.slice(-64);
  const [rows] = [b.tables.end];
  for (const d of datagrams) {
    // Behind the tables is the rig's buffer: a canary before and after the datagram.
    b.tables.u8.fill(0xcc, rows + 200);
    b.arrive(d);
    expect(b.lastCode).toBe(Done.DELIVER);
    expect(b.tables.u8.subarray(rows + 128 + 64 + d.bytes.length, rows + 60_000).every((x) => x === 0xcc)).toBe(true);
  }
});
