import { describe, expect, test } from "vitest";
import { Done } from "./done.ts";
import { Drop } from "./drop.ts";
import { endpoint, Network, Node, packet, pair } from "./rig.cases.ts";

const ping = packet("10.0.0.1", "10.0.0.2");
const pong = packet("10.0.0.2", "10.0.0.1");
type Pair = ReturnType<typeof pair>;

function connected(): Pair {
  const p = pair();
  p.a.send(ping);
  p.net.settle();
  p.b.send(pong);
  p.net.settle();
  p.net.log.length = 0;
  return p;
}
/** What was sent since the log was cleared: seconds, who, type (5: keepalive). */
function sent({ net, a }: Pair, since: number): [number, string, number][] {
  return net.log.map((d) => [Math.round((d.at - since) / 100) / 10, d.from === a.at ? "a" : "b", d.bytes.length === 32 ? 5 : d.bytes[0]!]);
}
const seconds = (s: number): number => 1000 * s;

describe("retransmit handshake", () => {
  test("20 initiations, 5 s and up to a third apart, all different; then what waits is dropped and silence", () => {
    const { net, a, b, ab } = pair();
    net.lose = () => true;
    a.device.setEndpoint(ab, { ...b.at, source: { ip: new Uint8Array([10, 9, 8, 7]), interface: 3 } });
    a.send(ping);
    net.pass(seconds(200));
    const times = net.log.map((d) => d.at);
    expect(times).toHaveLength(20);
    const gaps = times.slice(1).map((t, i) => t - times[i]!);
    for (const gap of gaps) {
      expect(gap).toBeGreaterThanOrEqual(5000);
      expect(gap).toBeLessThanOrEqual(5345);
    }
    expect(new Set(gaps).size, "jitter").toBeGreaterThan(3);
    expect(new Set(net.log.map((d) => d.bytes.slice(8, 40).join())).size, "ephemeral keys").toBe(20);
    expect(a.kinds("gave-up")).toHaveLength(1);
    expect(a.device.drops().staged_purged).toBe(1);
    expect(ab.endpoint()).toEqual(b.at);
    // A packet starts all over, and now it gets through.
    net.lose = () => false;
    a.send(ping);
    net.settle();
    expect(b.inbox).toEqual([ping]);
    expect(ab.lastHandshake).toBe(net.moment.wall);
  });
  test("goes on for ever while packets come", () => {
    const { net, a } = pair();
    net.lose = () => true;
    for (let i = 0; i < 200; i++) {
      a.send(ping);
      net.pass(seconds(1));
    }
    expect(a.kinds("gave-up")).toEqual([]);
    expect(net.log.length).toBeGreaterThan(36);
  });
  test("packets alone send no more than one initiation in 5 s", () => {
    const { net, a } = pair();
    net.lose = () => true;
    for (let i = 0; i < 450; i++) {
      a.send(ping);
      net.pass(10);
    }
    expect(net.log).toHaveLength(1);
  });
});

describe("an initiation that is sent again before its time", () => {
  test("by force: the retransmissions go on from there, to the last", () => {
    const { net, a, ab } = pair();
    net.lose = () => true;
    a.send(ping);
    net.pass(900);
    a.perform(a.device.forceHandshake(ab, net.moment));
    net.pass(seconds(200));
    expect(net.log).toHaveLength(21);
    expect(a.kinds("gave-up")).toHaveLength(1);
  });
  test("because two crossed: the retransmissions go on from there", () => {
    for (let i = 0; i < 4; i++) {
      const { net, a, b } = pair();
      net.delay = 300;
      a.send(ping);
      b.send(pong);
      // Each gets the other's initiation; what follows is lost.
      net.pass(350);
      net.lose = () => true;
      net.pass(seconds(30), 50);
      net.lose = () => false;
      a.inbox.length = 0;
      net.log.length = 0;
      net.pass(seconds(6), 50);
      expect(net.log.filter((d) => d.bytes[0] === 1).length).toBeGreaterThan(0);
    }
  });
});

describe("passive keepalive", () => {
  test("10 s after data that was not answered; none after a keepalive", () => {
    const p = connected();
    const began = p.net.now;
    p.a.send(ping);
    p.net.pass(seconds(60));
    expect(sent(p, began)).toEqual([
      [0, "a", 4],
      [10, "b", 5],
    ]);
  });
  test("not when something was sent meanwhile", () => {
    const p = connected();
    const began = p.net.now;
    p.a.send(ping);
    p.net.pass(seconds(5));
    p.b.send(pong);
    p.net.pass(seconds(20));
    // It is b's packet that waits for an answer now.
    expect(sent(p, began)).toEqual([
      [0, "a", 4],
      [5, "b", 4],
      [15, "a", 5],
    ]);
  });
  test("again 10 s later when more had come", () => {
    const p = connected();
    const began = p.net.now;
    p.a.send(ping);
    p.net.pass(seconds(4));
    p.a.send(ping);
    p.net.pass(seconds(40));
    expect(sent(p, began)).toEqual([
      [0, "a", 4],
      [4, "a", 4],
      [10, "b", 5],
      [20, "b", 5],
    ]);
  });
});

describe("new handshake", () => {
  test("15 s (and up to a third) after data that nothing answered", () => {
    const p = connected();
    const began = p.net.now;
    p.net.lose = () => true;
    p.a.send(ping);
    p.net.pass(seconds(2));
    p.a.send(ping);
    p.net.pass(seconds(18));
    const initiations = sent(p, began).filter(([, who, type]) => who === "a" && type === 1);
    expect(initiations).toHaveLength(1);
    expect(initiations[0]![0]).toBeGreaterThanOrEqual(15);
    expect(initiations[0]![0]).toBeLessThanOrEqual(15.4);
  });
  test("not after anything was heard", () => {
    const p = connected();
    p.a.send(ping);
    p.net.pass(seconds(60));
    expect(p.net.log.some((d) => d.bytes[0] === 1)).toBe(false);
  });
  test("forgets the cached source", () => {
    const { net, a, ab } = connected();
    a.device.setEndpoint(ab, { ...endpoint("192.0.2.2", 2), source: { ip: new Uint8Array([10, 9, 8, 7]), interface: 3 } });
    net.lose = () => true;
    a.send(ping);
    expect(ab.endpoint()!.source).toBeDefined();
    net.pass(seconds(16));
    expect(ab.endpoint()!.source).toBeUndefined();
  });
});

describe("a session's age", () => {
  test("the initiator renews it after 120 s when it sends; the responder does not; no packet is lost", () => {
    const p = connected();
    const began = p.net.now;
    for (let i = 0; i < 400; i++) {
      p.a.send(ping);
      p.net.pass(500);
      p.b.send(pong);
      p.net.pass(500);
    }
    const handshakes = sent(p, began).filter(([, , type]) => type === 1);
    expect(handshakes.map(([, who]) => who)).toEqual(["a", "a", "a"]);
    for (const [i, [at]] of handshakes.entries()) expect(at).toBeCloseTo(120 * (i + 1), -1);
    expect([p.a.inbox.length, p.b.inbox.length]).toEqual([401, 401]);
  });
  test("the initiator renews it after 165 s when it only receives, once", () => {
    const p = connected();
    p.net.pass(seconds(164));
    p.b.send(pong);
    p.net.pass(20);
    expect(p.net.log.filter((d) => d.bytes[0] === 1)).toEqual([]);
    p.net.lose = (d) => d.bytes[0] === 1;
    p.net.pass(seconds(1));
    for (let i = 0; i < 5; i++) {
      p.b.send(pong);
      p.net.pass(100);
    }
    expect(p.net.log.filter((d) => d.bytes[0] === 1)).toHaveLength(1);
  });
  test("after 180 s nothing is sent under it and nothing accepted", () => {
    for (const [age, code] of [
      [179.9, Done.DELIVER],
      [180, -Drop.KEYPAIR_EXPIRED],
    ] as const) {
      const { net, a, b } = connected();
      net.lose = () => true;
      a.send(ping);
      net.pass(seconds(age));
      b.arrive(net.log[0]!);
      expect(b.lastCode).toBe(code);
      expect(a.send(ping)).toBe(age < 180 ? Done.SEALED : Done.STAGED);
    }
  });
  test("540 s without a new one: all keys are wiped, and the next packet comes through again", () => {
    const { net, a, b } = connected();
    net.pass(seconds(539));
    expect(a.device.usage().keypairs).toBe(1);
    net.pass(seconds(2));
    for (const n of [a, b]) {
      expect(n.device.usage()).toMatchObject({ keypairs: 0, indices: 0 });
      expect(n.tables.i32.slice(n.tables.keypairs, n.tables.indices).every((w) => w === 0)).toBe(true);
    }
    a.send(ping);
    net.settle();
    expect(b.inbox).toHaveLength(2);
  });
});

describe("persistent keepalive", () => {
  test("at once, and then whenever the interval passed in silence", () => {
    const net = new Network();
    const a = new Node(net, endpoint("192.0.2.1", 1));
    const b = new Node(net, endpoint("192.0.2.2", 2));
    const ab = a.addPeer(b, { endpoint: b.at, allowed: ["10.0.0.2/32"] });
    b.addPeer(a, { allowed: ["10.0.0.1/32"] });
    const began = net.now;
    a.perform(a.device.setPersistentKeepalive(ab, 25, net.moment));
    net.pass(seconds(80));
    const p = { net, a, b } as Pair;
    expect(sent(p, began)).toEqual([
      [0, "a", 1],
      [0, "b", 2],
      [0, "a", 5],
      [25, "a", 5],
      [50, "a", 5],
      [75, "a", 5],
    ]);
    a.perform(a.device.setPersistentKeepalive(ab, 0, net.moment));
    net.log.length = 0;
    net.pass(seconds(80));
    expect(net.log).toEqual([]);
  });
  test("setting it again does not send another", () => {
    const { net, a, ab } = connected();
    a.perform(a.device.setPersistentKeepalive(ab, 25, net.moment));
    a.perform(a.device.setPersistentKeepalive(ab, 30, net.moment));
    expect(net.log).toHaveLength(1);
  });
});

describe("clocks", () => {
  test("a wall clock that jumps back stops nothing, and the last handshake never decreases", () => {
    const { net, a, ab } = connected();
    const last = ab.lastHandshake;
    net.wallOffset -= 86_400_000;
    for (let i = 0; i < 3; i++) {
      net.pass(seconds(6));
      a.perform(a.device.forceHandshake(ab, net.moment));
      net.settle();
      expect(ab.lastHandshake).toBe(last);
    }
    expect(a.kinds("established")).toHaveLength(4);
  });
  test("the low 32 bits of the clock may wrap during a session", () => {
    const net = new Network();
    net.now = 2 ** 32 - 60_000;
    const a = new Node(net, endpoint("192.0.2.1", 1));
    const b = new Node(net, endpoint("192.0.2.2", 2));
    a.addPeer(b, { endpoint: b.at, allowed: ["10.0.0.2/32"] });
    b.addPeer(a, { endpoint: a.at, allowed: ["10.0.0.1/32"] });
    for (let i = 0; i < 300; i++) {
      a.send(ping);
      net.pass(seconds(1));
    }
    expect(b.inbox).toHaveLength(300);
    expect(net.log.filter((d) => d.bytes[0] === 1)).toHaveLength(3);
  });
  test.for([1, 20, 24.8, 25, 30, 49, 49.7, 60])("a persistent keepalive goes on after %d days in which the peer was away", (days) => {
    const { net, a, b, ab } = connected();
    a.perform(a.device.setPersistentKeepalive(ab, 25, net.moment));
    net.pass(100);
    net.lose = () => true;
    net.pass(seconds(60), 100);
    net.now += days * 86_400_000;
    net.pass(seconds(200), 100);
    net.log.length = 0;
    net.pass(seconds(60), 100);
    expect(net.log.filter((d) => d.bytes[0] === 1).length).toBeGreaterThan(0);
    net.lose = () => false;
    net.pass(seconds(60), 100);
    expect(b.kinds("established").length).toBeGreaterThan(1);
  });
  test("a suspend of an hour: the next packet starts a new session", () => {
    const { net, a, b } = connected();
    net.now += 3_600_000;
    a.tick();
    b.tick();
    a.send(ping);
    net.pass(100);
    expect(b.inbox).toHaveLength(2);
  });
});
