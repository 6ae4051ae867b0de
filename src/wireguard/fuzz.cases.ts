// Fuzzers of what comes in: datagrams of anybody, handshakes of a peer that misbehaves, inner packets of a peer and of the TUN.
import { toHex } from "../base/bytes.ts";
import type { Dice, Fuzzer } from "../base/random.cases.ts";
import { nobleCrypto } from "../crypto/noble.ts";
import { CookieMaker } from "./cookie.ts";
import type { Endpoint } from "./endpoint.ts";
import { writeU32 } from "./messages.ts";
import { endpoint, Node, packet, pair } from "./rig.cases.ts";

const ping = packet("10.0.0.1", "10.0.0.2");
const pong = packet("10.0.0.2", "10.0.0.1");
const ELSEWHERE = endpoint("203.0.113.66", 666);
/** The longest UDP payload. */
const LONGEST = 65_507;

function check(what: boolean, words: string): void {
  if (!what) throw new Error(words);
}

/** What nobody without keys may change: keypairs with their windows, indices, tries, and what is known of the peers. */
function state(n: Node): string {
  const t = n.tables;
  const words = t.i32.slice(t.keypairs, t.nodes + 64 * 8);
  let hash = 0;
  for (const w of words) hash = (Math.imul(hash, 31) + w) | 0;
  const peers = [...n.device.peers()].map((p) => [p.rxBytes(), p.txBytes(), p.lastHandshake, p.endpoint(), [...p.allowedIps()]]);
  return JSON.stringify([hash, peers, n.device.usage(), n.kinds("established").length, n.inbox.length]);
}

/** Two devices with a session, and all that they said to each other for it. */
function connected(): ReturnType<typeof pair> & { said: Uint8Array[] } {
  const p = pair();
  p.a.send(ping);
  p.net.settle();
  p.b.send(pong);
  p.net.settle();
  p.net.pass(100);
  return { ...p, said: p.net.log.map((d) => d.bytes) };
}

/** A datagram that has never been sealed by a peer: noise, or something genuine that was changed. */
function junk(dice: Dice, genuine: readonly Uint8Array[], target: Node): Uint8Array {
  const way = dice.random();
  if (way < 0.2) {
    const bytes = dice.bytes(dice.below(200));
    if (bytes.length >= 4 && dice.chance(0.8)) bytes.set([dice.below(6), 0, 0, 0]);
    return bytes;
  }
  const original = dice.pick(genuine);
  let bytes = dice.mutated(original);
  if (bytes.length >= 16 && dice.chance(0.3)) bytes.set(dice.pick(genuine).subarray(4, 16), 4);
  if (bytes.length >= 20 && dice.chance(0.2)) bytes = new Uint8Array([...bytes.subarray(0, 16), ...dice.pick(genuine).subarray(16)]);
  // Everybody may know our public key: mac1 can be right.
  if ((bytes.length === 148 || bytes.length === 92) && dice.chance(0.7)) new CookieMaker(nobleCrypto, target.device.publicKey!).fill(bytes, 0);
  return toHex(bytes) === toHex(original) ? new Uint8Array(0) : bytes;
}

/** Nothing is delivered, learnt or changed; nothing but cookies goes out, and none longer than what came; the sessions live on. */
export const datagrams: Fuzzer = {
  name: "datagrams of anybody",
  start: (dice) => {
    let p = connected();
    let before = state(p.b);
    let runs = 0;
    return () => {
      const { net, a, b, said } = p;
      const sent = net.log.length;
      const bytes = junk(dice, said, b);
      // What is not genuine is refused from anywhere; also in heaps, which the control thread finds in its queue.
      const from: Endpoint = dice.chance(0.3) ? a.at : ELSEWHERE;
      b.arrive({ from, bytes });
      for (const { bytes: answer, to } of net.log.slice(sent))
        check(answer.length === 64 && answer[0] === 3 && to.port === from.port && bytes.length >= 92, "an answer that is no cookie");
      net.log.length = 0;
      if (++runs % 64 !== 0) return;
      b.tick();
      check(state(b) === before, "something changed");
      a.send(ping);
      net.settle();
      check(b.inbox.length > 0 && toHex(b.inbox.at(-1)!) === toHex(ping), "the session is gone");
      if (runs % 1024 === 0) p = connected();
      before = state(p.b);
    };
  },
};

/** Every size of a datagram, under the index of a session, of nobody, and as each type; dropped, and what lies behind it in memory stays. */
export const sizes: Fuzzer = {
  name: "datagrams of every size",
  start: (dice) => {
    const { a, b, said } = connected();
    const data = said.find((m) => m[0] === 4)!;
    const before = state(b);
    const bytes = dice.bytes(LONGEST);
    let size = dice.below(LONGEST);
    return () => {
      // Each run takes some sizes in a row; small ones every time.
      for (const length of [dice.below(300), ...Array.from({ length: 16 }, (_, i) => (size + i) % (LONGEST + 1))]) {
        bytes.set(dice.chance(0.5) ? data.subarray(0, 8) : [dice.below(5), 0, 0, 0]);
        writeU32(bytes, 8, dice.below(1000));
        b.arrive({ from: a.at, bytes: bytes.subarray(0, length) });
        check(b.lastCode <= 0 || b.lastCode === 5, `code ${b.lastCode}`);
      }
      b.tick();
      size = (size + 16) % (LONGEST + 1);
      check(state(b) === before, "something changed");
    };
  },
};

/** A peer of ours that has its keys but no manners: its sessions may break, those of others and our tables may not. */
export const handshakes: Fuzzer = {
  name: "handshakes of a peer that misbehaves",
  start: (dice) => {
    const { net, a, b, ab } = pair();
    const c = new Node(net, endpoint("192.0.2.3", 3));
    const cb = c.addPeer(b, { endpoint: b.at, allowed: ["10.0.0.2/32"] });
    b.addPeer(c, { endpoint: c.at, allowed: ["10.0.0.3/32"] });
    c.send(packet("10.0.0.3", "10.0.0.2"));
    net.settle();
    // a is the one without manners: what it sends is caught on its way, and comes late, twice, changed, or not at all.
    const caught: Uint8Array[] = [];
    net.lose = (d) => d.from === a.at && caught.push(d.bytes) > 0;
    let runs = 0;
    return () => {
      net.now += dice.pick([0, 1, 5, 21, 1001, 5400]);
      net.wallOffset += dice.chance(0.02) ? dice.below(2_000_000) - 1_000_000 : 0;
      if (dice.chance(0.3)) a.perform(a.device.forceHandshake(ab, net.moment));
      if (dice.chance(0.05)) a.device.setPresharedKey(ab, dice.chance(0.5) ? new Uint8Array(32) : dice.bytes(32));
      if (dice.chance(0.3)) a.send(ping);
      if (dice.chance(0.3)) b.send(pong);
      for (let i = dice.below(4); i > 0 && caught.length > 0; i--) {
        const message = dice.pick(caught);
        b.arrive({ from: dice.chance(0.8) ? a.at : ELSEWHERE, bytes: dice.chance(0.7) ? message : dice.mutated(message) });
      }
      if (caught.length > 50) caught.splice(0, 40);
      for (const n of [a, b, c]) n.tick();
      net.settle();
      const usage = b.device.usage();
      check(usage.peers === 2 && usage.keypairs <= 8 && usage.indices <= 8 && usage.waiting <= 2, JSON.stringify(usage));
      if (++runs % 40 === 0) {
        // The other peer goes on as if nothing was. It starts anew when its session has aged away.
        const got = b.inbox.length;
        c.perform(c.device.forceHandshake(cb, net.moment));
        net.settle();
        net.pass(25, 25);
        c.send(packet("10.0.0.3", "10.0.0.2"));
        net.settle();
        check(b.inbox.length > got, "the honest peer was not heard");
        b.inbox.length = 0;
        net.log.length = 0;
        b.effects.length = 0;
        a.effects.length = 0;
      }
    };
  },
};

/** An inner packet that is nearly right. */
function inner(dice: Dice, from: readonly string[], to: readonly string[]): Uint8Array {
  const family = dice.below(2);
  const bytes = packet(from[family]!, to[family]!, dice.pick([0, 1, 8, 20, 100, 1380, 1400, 8000]));
  bytes[family === 0 ? 9 : 6] = dice.pick([0, 1, 6, 17, 43, 44, 58, 255]);
  return dice.chance(0.1) ? dice.bytes(dice.below(80)) : dice.mutated(bytes, [0, 0x45, 0x46, 0x60, 0xff, 0x14]);
}

/** What is delivered is the beginning of what was sent, as long as its own header says, from an address of its peer; all else has a name. */
export const innerPackets: Fuzzer = {
  name: "inner packets",
  start: (dice) => {
    const { net, a, b, ab } = connected();
    // a may send to anywhere; b still lets in only what is a's.
    a.device.addAllowedIp(ab, { ip: new Uint8Array(4), prefix: 0 });
    a.device.addAllowedIp(ab, { ip: new Uint8Array(16), prefix: 0 });
    b.inbox.length = 0;
    let runs = 0;
    return () => {
      const bytes = inner(dice, ["10.0.0.1", "fd00::1"], ["10.0.0.2", "fd00::2"]);
      const code = a.send(bytes);
      check(code !== 0 && code >= -40, `code ${code}`);
      net.settle();
      const got = b.inbox.pop();
      check(b.inbox.length === 0, "more came out than went in");
      if (got) {
        const version = got[0]! >> 4;
        const claimed = version === 4 ? (got[2]! << 8) | got[3]! : 40 + ((got[4]! << 8) | got[5]!);
        // A header that claims a little more than there is gets zeros of the padding: WireGuard does not know the length that was.
        const padded = new Uint8Array(bytes.length + 15);
        padded.set(bytes);
        check(claimed === got.length && got.length <= padded.length, "not as long as its header says");
        check(toHex(got) === toHex(padded.subarray(0, got.length)), "not what was sent");
        const source = toHex(version === 4 ? got.subarray(12, 16) : got.subarray(8, 24));
        check(source === "0a000001" || source === "fd000000000000000000000000000001", `source ${source}`);
      }
      b.inbox.length = 0;
      net.log.length = 0;
      if (++runs % 500 === 0) {
        // The session is renewed in time.
        net.pass(30_000, 1000);
        a.send(ping);
        net.settle();
        b.inbox.length = 0;
      }
    };
  },
};
