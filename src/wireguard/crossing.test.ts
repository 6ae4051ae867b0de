import { describe, expect, test } from "vitest";
import { toHex } from "../base/bytes.ts";
import { nobleCrypto as crypto } from "../crypto/noble.ts";
import { CookieMaker } from "./cookie.ts";
import { makeInitiation, makeResponse, openInitiation, openTimestamp } from "./handshake.ts";
import { PROLOGUE, start } from "./noise.ts";
import { room, transcript } from "./vectors.cases.ts";
import { endpoint, Network, Node, packet, pair } from "./rig.cases.ts";
import { tai64n } from "./tai64n.ts";

const ping = packet("10.0.0.1", "10.0.0.2");
const pong = packet("10.0.0.2", "10.0.0.1");
/** Until both have got the other's packet; milliseconds. */
function bothUp({ net, a, b }: ReturnType<typeof pair>): number {
  const began = net.now;
  while ((a.inbox.length === 0 || b.inbox.length === 0) && net.now - began < 10_000) net.pass(1, 1);
  return net.now - began;
}

describe("two initiations that cross", () => {
  // Four flights are the least: initiation, response, data, data.
  test.for([0, 1, 5, 20, 40, 49])("started in the same millisecond, %i ms apart: both ways within 200 ms", (delay) => {
    for (let i = 0; i < 6; i++) {
      const p = pair();
      p.net.delay = delay;
      p.a.send(ping);
      p.b.send(pong);
      expect(bothUp(p)).toBeLessThan(200);
      // It is the lower key's initiation that won, and there is one session.
      const established = [...p.a.kinds("established"), ...p.b.kinds("established")];
      expect(established).toHaveLength(2);
      const winner = toHex(p.a.device.publicKey!) < toHex(p.b.device.publicKey!) ? p.a : p.b;
      expect(winner.kinds("established")).toMatchObject([{ initiator: true }]);
      p.net.pass(20_000);
      expect(p.net.log.filter((d) => d.bytes[0] === 1).length, "no third initiation").toBeLessThanOrEqual(3);
    }
  });
  test("a few milliseconds apart in start", () => {
    for (const gap of [1, 3, 10, 25, 50]) {
      const p = pair();
      p.net.delay = 20;
      p.a.send(ping);
      p.net.pass(gap, 1);
      p.b.send(pong);
      expect(bothUp(p)).toBeLessThan(200);
    }
  });
  test("one of them lost, whichever: the other recovers without waiting for 5 s", () => {
    for (const lost of [0, 1]) {
      const p = pair();
      p.net.delay = 20;
      let n = 0;
      p.net.lose = () => n++ === lost;
      p.a.send(ping);
      p.b.send(pong);
      expect(bothUp(p)).toBeLessThan(200);
    }
  });
  test("both lost: the retransmission brings it up", () => {
    const p = pair();
    let n = 0;
    p.net.lose = () => n++ < 2;
    p.a.send(ping);
    p.b.send(pong);
    const took = bothUp(p);
    expect(took).toBeGreaterThanOrEqual(5000);
    expect(took).toBeLessThan(5600);
  });
  test("the response to the winner lost: still no more than one retransmission", () => {
    const p = pair();
    let n = 0;
    p.net.lose = (d) => d.bytes[0] === 2 && n++ === 0;
    p.a.send(ping);
    p.b.send(pong);
    expect(bothUp(p)).toBeLessThan(5600);
  });
});

// A peer that knows nothing of our rule (kernel, wireguard-go): it has one handshake state, and the last initiation wins it.
describe("an initiation that crosses a stock peer's", () => {
  const from = start(crypto, PROLOGUE);
  const keys = [1, 200].map((b) => ({ private: new Uint8Array(32).fill(b), public: crypto.publicKey(new Uint8Array(32).fill(b)) }));
  keys.sort((x, y) => (toHex(x.public) < toHex(y.public) ? -1 : 1));

  test.for(["lower", "higher"])("whose key is %s", (which) => {
    const [stock, ours] = which === "lower" ? [keys[0]!, keys[1]!] : [keys[1]!, keys[0]!];
    const net = new Network();
    const at = endpoint("192.0.2.9", 9);
    const node = new Node(net, endpoint("192.0.2.1", 1), { privateKey: ours.private });
    const peer = node.addPeer(stock.public, { endpoint: at, allowed: ["10.0.0.2/32"] });
    const ss = crypto.dh(stock.private, ours.public)!;
    const macs = new CookieMaker(crypto, ours.public);
    node.send(ping);
    // The stock peer's own, on its way at the same time …
    const ephemeral = { private: new Uint8Array(32).fill(77), public: crypto.publicKey(new Uint8Array(32).fill(77)) };
    const timestamp = tai64n(net.moment.wall);
    const its = makeInitiation(transcript(), from, { index: 1, local: stock, ephemeral, remote: ours.public, ss, timestamp })!;
    macs.fill(its, net.now);
    // … is given up when ours arrives, which it answers; our answer to its own it drops.
    const t = transcript();
    const opened = openInitiation(t, from, stock, net.log[0]!.bytes)!;
    openTimestamp(t, ss, net.log[0]!.bytes);
    const session = room();
    const answer = makeResponse(t, opened, { index: 2, ephemeral, psk: new Uint8Array(32) }, session)!;
    macs.fill(answer, net.now);
    node.arrive({ from: at, bytes: its });
    node.arrive({ from: at, bytes: answer });
    expect(node.kinds("established")).toMatchObject([{ initiator: true }]);
    expect(peer.lastHandshake).toBe(net.moment.wall);
    // The packet goes out under the session that the stock peer has.
    const data = net.log.at(-1)!.bytes;
    expect(data[0]).toBe(4);
    const nonce = new Uint8Array(12);
    expect(crypto.open(session.receive, nonce, data.slice(16), new Uint8Array(0))!.slice(0, ping.length)).toEqual(ping);
  });
});
