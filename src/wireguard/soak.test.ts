// Hours of devices in seconds: the clock is moved by hand, sessions are renewed thousands of times in both roles, and peers, keys and prefixes come and go.
// Whatever was taken from the tables is given back.
import { expect, test } from "vitest";
import { toHex } from "../base/bytes.ts";
import { type Cidr, formatCidr, parseCidr } from "../base/cidr.ts";
import { Dice, randomOf } from "../base/random.cases.ts";
import { nobleCrypto } from "../crypto/noble.ts";
import type { Peer } from "./peer.ts";
import { endpoint, Network, Node, packet, SMALL } from "./rig.cases.ts";

const NODES = 4;
const address = (n: number): string => `10.0.${n}.1`;
type Member = { node: Node; peers: Map<number, Peer> };

class World {
  readonly net = new Network();
  readonly dice: Dice;
  readonly members: Member[];
  readonly drawn = new Map<string, number>();

  constructor(seed: number) {
    this.dice = new Dice(randomOf(seed));
    this.members = Array.from({ length: NODES }, (_, n) => ({
      node: new Node(this.net, endpoint("192.0.2.1", 1 + n), { limits: { ...SMALL, peers: 16, trieNodes: 64 } }),
      peers: new Map<number, Peer>(),
    }));
    for (const m of this.members) for (let n = 0; n < NODES; n++) this.join(m, n);
  }
  /** `m` knows number n, and where it is. */
  join(m: Member, n: number): void {
    const other = this.members[n]!;
    if (other === m) return;
    // It may have another key by now: then it is somebody else.
    this.leave(m, n);
    m.peers.set(n, m.node.addPeer(other.node, { endpoint: other.node.at, allowed: [`${address(n)}/32`] }));
    this.share(this.members.indexOf(m), n, new Uint8Array(32));
  }
  /** Both get the preshared key, as far as they know each other. */
  share(n: number, other: number, psk: Uint8Array): void {
    for (const [x, y] of [
      [n, other],
      [other, n],
    ] as const) {
      const peer = this.members[x]?.peers.get(y);
      if (peer) this.members[x]!.node.device.setPresharedKey(peer, psk);
    }
  }
  /** Whoever has a new key is made known to all, and who left is perhaps let in again. */
  tell(): void {
    for (const m of this.members)
      for (let n = 0; n < NODES; n++) {
        const peer = m.peers.get(n);
        const known = peer && toHex(peer.publicKey) === toHex(this.members[n]!.node.device.publicKey!);
        if (peer ? !known : this.dice.chance(0.5)) this.join(m, n);
      }
  }
  leave(m: Member, n: number): void {
    const peer = m.peers.get(n);
    if (!peer) return;
    m.node.perform(m.node.device.removePeer(peer, this.net.moment));
    m.peers.delete(n);
  }
  send(from: number, to: number): void {
    this.members[from]!.node.send(packet(address(from), address(to), 8));
  }
  pass(ms: number, step: number): void {
    this.net.pass(ms, step);
    this.net.log.length = 0;
    for (const { node } of this.members) node.inbox.length = 0;
  }

  /** One thing that an administrator, an attacker or a network does. */
  disturb(): void {
    const { dice, net } = this;
    const n = dice.below(NODES);
    const m = this.members[n]!;
    const other = dice.below(NODES);
    const way = dice.pick(["leave", "join", "key", "psk", "prefixes", "force", "down", "lossy", "roam", "keepalive", "sleep", "wall"] as const);
    this.drawn.set(way, (this.drawn.get(way) ?? 0) + 1);
    switch (way) {
      case "leave":
        return this.leave(m, other);
      case "join":
        return this.join(m, other);
      case "key": {
        const key = new Uint8Array(32);
        nobleCrypto.random(key);
        m.node.perform(m.node.device.setPrivateKey(key, net.moment));
        // The others hear of it at once, or late.
        if (dice.chance(0.5)) this.tell();
        return;
      }
      case "psk":
        return this.share(n, other, dice.chance(0.5) ? new Uint8Array(32) : dice.bytes(32));
      case "prefixes": {
        const peer = m.peers.get(other);
        if (!peer) return;
        for (let i = dice.below(6); i > 0; i--) {
          const prefix = parseCidr(`10.${dice.below(4)}.${dice.below(4)}.0/${dice.pick([8, 16, 20, 24, 31])}`) as Cidr;
          if (dice.chance(0.5)) m.node.device.addAllowedIp(peer, prefix);
          else m.node.device.removeAllowedIp(peer, prefix);
        }
        if (dice.chance(0.3)) m.node.device.clearAllowedIps(peer);
        m.node.device.addAllowedIp(peer, parseCidr(`${address(other)}/32`)!);
        return;
      }
      case "force": {
        const peer = m.peers.get(other);
        if (peer) m.node.perform(m.node.device.forceHandshake(peer, net.moment));
        return;
      }
      case "down":
        m.node.perform(m.node.device.down(net.moment));
        this.pass(dice.below(3000), 500);
        return m.node.perform(m.node.device.up(net.moment));
      case "lossy":
        net.lose = dice.chance(0.5) ? () => dice.chance(0.3) : () => true;
        this.pass(dice.below(150_000), 2500);
        net.lose = () => false;
        return;
      case "roam":
        m.node.at = endpoint("192.0.2.1", 100 * (1 + dice.below(500)) + n);
        return;
      case "keepalive": {
        const peer = m.peers.get(other);
        if (peer) m.node.perform(m.node.device.setPersistentKeepalive(peer, dice.pick([0, 0, 25]), net.moment));
        return;
      }
      case "sleep":
        net.now += dice.below(dice.chance(0.1) ? 7_000_000 : 300_000);
        return;
      case "wall":
        net.wallOffset += dice.below(40_000) - 20_000;
    }
  }
  /** What every device must hold, whatever happened. */
  check(what: string): void {
    for (const [n, { node, peers }] of this.members.entries()) {
      const usage = node.device.usage();
      const prefixes = [...peers.values()].reduce((sum, p) => sum + [...p.allowedIps()].length, 0);
      expect(usage.peers, `${what}: peers of ${n}`).toBe(peers.size);
      expect(usage.keypairs, `${what}: keypairs of ${n}`).toBeLessThanOrEqual(3 * peers.size);
      expect(usage.indices, `${what}: indices of ${n}`).toBeLessThanOrEqual(4 * peers.size);
      expect(usage.nodes, `${what}: nodes of ${n}`).toBeLessThanOrEqual(2 * prefixes);
      expect(usage.waiting, `${what}: retired rows of ${n}`).toBe(0);
    }
  }
}

const PATIENCE = 180_000;

test(
  "days of renewals, changes of peers, keys and prefixes, loss, roaming and sleep leave nothing behind",
  () => {
    const seed = Date.now() & 0xffffff;
    const world = new World(seed);
    const began = world.net.now;
    let established = 0;
    try {
      for (let i = 0; established < 1500; i++) {
        // Both ways in turn, so that either starts sessions.
        for (let k = 0; k < 4; k++) world.send(world.dice.below(NODES), world.dice.below(NODES));
        world.pass(2000, 500);
        world.pass(world.dice.pick([1000, 20_000, 61_000, 121_000]), 2500);
        if (world.dice.chance(0.4)) world.disturb();
        if (world.dice.chance(0.2)) world.tell();
        if (i % 20 === 0) world.check(`round ${i}`);
        for (const { node } of world.members) {
          established += node.kinds("established").length;
          node.effects.length = 0;
        }
      }
      const hours = (world.net.now - began) / 3_600_000;
      expect(hours).toBeGreaterThan(5);
      // And it works: everyone knows everyone again, and is heard.
      for (const m of world.members) for (let n = 0; n < NODES; n++) world.join(m, n);
      world.pass(10_000, 500);
      for (let round = 0; round < 8; round++)
        for (let x = 0; x < NODES; x++)
          for (let y = 0; y < NODES; y++)
            if (x !== y) {
              world.send(x, y);
              if (round < 7) world.pass(1000, 500);
            }
      world.net.settle();
      for (const { node } of world.members) expect(new Set(node.inbox.map((p) => p.slice(12, 16).join("."))).size).toBe(NODES - 1);
      // Down: nothing is held but who the peers are. Gone: nothing at all.
      for (const m of world.members) {
        m.node.perform(m.node.device.down(world.net.moment));
        expect(m.node.device.usage()).toMatchObject({ peers: NODES - 1, keypairs: 0, indices: 0, waiting: 0 });
        for (let o = 0; o < NODES; o++) world.leave(m, o);
        expect(m.node.device.usage()).toEqual({ peers: 0, keypairs: 0, indices: 0, nodes: 0, waiting: 0 });
      }
      expect(world.drawn.size).toBe(12);
    } catch (cause) {
      throw new Error(`seed ${seed}: ${String(cause)}`, { cause });
    }
  },
  PATIENCE,
);

test(
  "a session is renewed a thousand times in each role, and no packet is lost",
  () => {
    const net = new Network();
    const nodes = [1, 2].map((n) => new Node(net, endpoint("192.0.2.1", n)));
    const [a, b] = nodes as [Node, Node];
    const ab = a.addPeer(b, { endpoint: b.at, allowed: ["10.0.0.2/32"] });
    b.addPeer(a, { endpoint: a.at, allowed: ["10.0.0.1/32"] });
    const there = packet("10.0.0.1", "10.0.0.2", 8);
    const back = packet("10.0.0.2", "10.0.0.1", 8);
    let packets = 0;
    for (const first of [a, b]) {
      let renewals = 0;
      // Whoever speaks first after a silence in which the session ended is the initiator from then on.
      net.pass(190_000, 10_000);
      const [x, y] = first === a ? [there, back] : [back, there];
      const other = first === a ? b : a;
      while (renewals < 1000) {
        first.send(x);
        net.settle();
        net.pass(1000, 1000);
        other.send(y);
        net.settle();
        net.pass(59_000, 4000);
        packets++;
        expect([first.inbox.length, other.inbox.length]).toEqual([1, 1]);
        const established = first.kinds("established");
        renewals += established.length;
        for (const e of established) expect(e).toMatchObject({ initiator: true });
        for (const n of nodes) {
          n.inbox.length = 0;
          n.effects.length = 0;
          expect(n.device.usage().keypairs).toBeLessThanOrEqual(3);
          expect(n.device.usage().indices).toBeLessThanOrEqual(4);
          expect(n.device.usage().waiting).toBe(0);
        }
        net.log.length = 0;
      }
    }
    expect(packets).toBeGreaterThan(3000);
    expect([...a.device.peers()].map((p) => [...p.allowedIps()].map(formatCidr))).toEqual([["10.0.0.2/32"]]);
    a.perform(a.device.removePeer(ab, net.moment));
    expect(a.device.usage()).toEqual({ peers: 0, keypairs: 0, indices: 0, nodes: 0, waiting: 0 });
  },
  PATIENCE,
);
