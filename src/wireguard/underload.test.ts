// Cookies between devices: what is demanded under load, by whom and from whom, and what each source may then spend (whitepaper section 5.3).
import { describe, expect, test } from "vitest";
import { nobleCrypto as crypto } from "../crypto/noble.ts";
import { CookieMaker } from "./cookie.ts";
import type { Endpoint } from "./endpoint.ts";
import { Initiation } from "./messages.ts";
import { endpoint, type Network, Node, packet, pair, SMALL } from "./rig.cases.ts";

const ping = packet("10.0.0.1", "10.0.0.2");
const types = (net: Network): number[] => net.log.map((d) => d.bytes[0]!);
const hasMac2 = (message: Uint8Array): boolean => message.subarray(message.length - 16).some((b) => b !== 0);

/** Runs `what` while the control thread does not get its turn: messages queue up. */
function behind(node: Node, what: () => void): void {
  node.tick = () => {};
  what();
  delete (node as { tick?: unknown }).tick;
}
/** A message of the right form, as anybody who knows the node's public key can make it. `cookie`: with it, mac2 is right too. */
function forged(node: Node, maker = new CookieMaker(crypto, node.device.publicKey!), now = 0): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(Initiation.LENGTH);
  crypto.random(message);
  message.set([1, 0, 0, 0]);
  maker.fill(message, now);
  return message;
}
/** An eighth of the queue full: the node is under load from its next turn on. */
function load(node: Node, from = endpoint("203.0.113.66", 666)): void {
  behind(node, () => {
    for (let i = 0; i < SMALL.handshakeCells / 8; i++) node.arrive({ from, bytes: forged(node) });
  });
  node.tick();
}
/** An attacker that receives at `from` and has asked for its cookie. */
function withCookie(node: Node, from: Endpoint): CookieMaker {
  const maker = new CookieMaker(crypto, node.device.publicKey!);
  node.arrive({ from, bytes: forged(node, maker, node.net.now) });
  const reply = node.net.log.at(-1)!;
  expect([reply.bytes[0], reply.to]).toEqual([3, from]);
  expect(maker.consume(reply.bytes, node.net.now)).toBe("taken");
  return maker;
}

describe("under load", () => {
  test("an eighth of the queue begins it, one message fewer does not", () => {
    for (const [waiting, demanded] of [
      [SMALL.handshakeCells / 8 - 1, 0],
      [SMALL.handshakeCells / 8, 8],
    ] as const) {
      const { b } = pair();
      behind(b, () => {
        for (let i = 0; i < waiting; i++) b.arrive({ from: endpoint("203.0.113.66", 666), bytes: forged(b) });
      });
      b.tick();
      expect(b.device.drops().cookie_demanded).toBe(demanded);
    }
  });
  test("it lasts for a second after it was last seen", () => {
    const { net, a, b, ab } = pair();
    load(b);
    net.pass(990);
    net.log.length = 0;
    a.perform(a.device.forceHandshake(ab, net.moment));
    net.settle();
    expect(types(net)).toEqual([1, 3]);
    net.pass(1010);
    net.log.length = 0;
    // Nobody remembers the cookie: the same message is welcome now.
    a.perform(a.device.forceHandshake(ab, net.moment));
    net.settle();
    expect(types(net)).toEqual([1, 2, 4]);
  });
  test("a cookie reply starts nothing: the next retransmission carries mac2 and gets through while the load goes on", () => {
    const { net, a, b } = pair();
    load(b);
    net.log.length = 0;
    a.send(ping);
    net.settle();
    expect(types(net)).toEqual([1, 3]);
    expect(hasMac2(net.log[0]!.bytes)).toBe(false);
    net.pass(4900);
    expect(types(net)).toEqual([1, 3]);
    load(b);
    net.log.length = 0;
    net.pass(500);
    expect(types(net)).toEqual([1, 2, 4]);
    expect(hasMac2(net.log[0]!.bytes)).toBe(true);
    expect(b.inbox).toEqual([ping]);
  });
  test("an initiator under load demands a cookie of the responder too, whose index is a keypair's by then", () => {
    const { net, a, b } = pair();
    net.delay = 5;
    a.send(ping);
    net.pass(6, 1);
    // The response is on its way.
    load(a);
    net.pass(20, 1);
    expect(net.log.filter((d) => d.to.port !== 666).map((d) => d.bytes[0])).toEqual([1, 2, 3]);
    expect(b.device.drops().unexpected_cookie + b.device.drops().bad_cookie).toBe(0);
    expect(a.kinds("established")).toEqual([]);
    net.pass(4900);
    load(a);
    net.pass(600);
    const response = net.log.filter((d) => d.bytes[0] === 2).at(-1)!;
    expect(hasMac2(response.bytes)).toBe(true);
    expect(b.inbox).toEqual([ping]);
  });
  test("the answer to a wrong mac2 is 64 bytes to the 148 that came: no amplification; the answer to a wrong mac1 is none", () => {
    const { net, b } = pair();
    load(b);
    net.log.length = 0;
    const from = endpoint("203.0.113.5", 5);
    const good = forged(b);
    b.arrive({ from, bytes: good });
    expect(net.log.map((d) => [d.to, d.bytes.length])).toEqual([[from, 64]]);
    good[20]! ^= 1;
    b.arrive({ from, bytes: good });
    expect(net.log).toHaveLength(1);
    expect(b.device.drops().bad_mac1).toBe(1);
  });
});

describe("each source", () => {
  test("spends its own 5 at once and 20 a second, silently refused beyond; others are not touched", () => {
    const { net, a, b } = pair();
    load(b);
    const flooder = endpoint("203.0.113.5", 5);
    const maker = withCookie(b, flooder);
    a.send(ping);
    net.settle();
    const before = b.device.drops();
    net.log.length = 0;
    for (let i = 0; i < 50; i++) b.arrive({ from: flooder, bytes: forged(b, maker, net.now) });
    const drops = b.device.drops();
    expect([drops.bad_initiation - before.bad_initiation, drops.rate_limited - before.rate_limited]).toEqual([5, 45]);
    expect(net.log).toEqual([]);
    // Five seconds later a's retransmission has its cookie, and the flood goes on.
    net.pass(4900);
    load(b);
    for (let i = 0; i < 50; i++) b.arrive({ from: flooder, bytes: forged(b, maker, net.now) });
    net.pass(500);
    expect(b.inbox).toEqual([ping]);
  });
  test("has a cookie of its own: another port or address of the same host must ask again", () => {
    const { net, b } = pair();
    load(b);
    const maker = withCookie(b, endpoint("203.0.113.5", 5));
    for (const from of [endpoint("203.0.113.5", 6), endpoint("203.0.113.6", 5), endpoint("2001:db8::5", 5)]) {
      net.log.length = 0;
      b.arrive({ from, bytes: forged(b, maker, net.now) });
      expect(net.log.map((d) => d.bytes[0])).toEqual([3]);
    }
  });
  test("of IPv6 counts as its /64", () => {
    const { net, b } = pair();
    load(b);
    const bad = (): number => b.device.drops().bad_initiation;
    const before = bad();
    for (let i = 1; i <= 8; i++) {
      const from = endpoint(`2001:db8::${i}`, 5);
      b.arrive({ from, bytes: forged(b, withCookie(b, from), net.now) });
    }
    expect(bad() - before).toBe(5);
    const other = endpoint("2001:db8:0:1::1", 5);
    b.arrive({ from: other, bytes: forged(b, withCookie(b, other), net.now) });
    expect(bad() - before).toBe(6);
  });
});

describe("a cookie reply", () => {
  test("never moves the peer's endpoint, and counts once", () => {
    const { net, a, b, ab } = pair();
    load(b);
    a.send(ping);
    const reply = (): Uint8Array => net.log.findLast((d) => d.bytes[0] === 3)!.bytes;
    net.settle();
    expect(ab.endpoint()).toEqual(b.at);
    // The same from elsewhere, before and after it was taken.
    a.arrive({ from: endpoint("203.0.113.9", 9), bytes: reply() });
    expect(a.device.drops().unexpected_cookie).toBe(1);
    expect(ab.endpoint()).toEqual(b.at);
    expect(ab.rxBytes()).toBe(0);
  });
  test("that is forged, or for an index of nobody, is dropped", () => {
    const { net, a, b } = pair();
    net.lose = () => true;
    a.send(ping);
    load(b);
    b.arrive({ from: a.at, bytes: net.log[0]!.bytes });
    const genuine = net.log.findLast((d) => d.bytes[0] === 3)!.bytes;
    const stray = genuine.slice();
    stray.set([1, 2, 3, 4], 4);
    a.arrive({ from: b.at, bytes: stray });
    expect(a.device.drops().unexpected_cookie).toBe(1);
    const bad = genuine.slice();
    bad[40]! ^= 1;
    a.arrive({ from: b.at, bytes: bad });
    expect(a.device.drops().bad_cookie).toBe(1);
    // The genuine one still counts after that.
    a.arrive({ from: b.at, bytes: genuine });
    net.log.length = 0;
    net.pass(5500);
    expect(hasMac2(net.log[0]!.bytes)).toBe(true);
  });
  test("is not asked for while nothing is wrong: 120 handshakes of 20 peers in a second draw none", () => {
    const { net, b } = pair({ limits: { ...SMALL, peers: 64 } });
    const nodes = Array.from({ length: 20 }, (_, i) => {
      const node = new Node(net, endpoint("198.51.100.1", 100 + i));
      const peer = node.addPeer(b, { endpoint: b.at, allowed: ["10.0.0.2/32"] });
      b.addPeer(node, { allowed: [`10.1.${i}.0/24`] });
      return { node, peer };
    });
    for (let round = 0; round < 6; round++) {
      for (const { node, peer } of nodes) {
        node.perform(node.device.forceHandshake(peer, net.moment));
        net.settle();
      }
      net.pass(160, 40);
    }
    expect(types(net)).not.toContain(3);
    expect(b.kinds("established").length).toBe(120);
  });
});
