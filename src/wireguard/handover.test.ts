import { describe, expect, test } from "vitest";
import { readU32 } from "./messages.ts";
import { endpoint, Node, packet, pair } from "./rig.cases.ts";
import { decode, deviceForm, type DeviceSnapshot, encode, wipeSnapshot } from "./snapshot.ts";

const there = packet("10.0.0.1", "10.0.0.2");
const back = packet("10.0.0.2", "10.0.0.1");

/** A node that goes on where `old` stopped; the state goes through bytes. */
function successor(old: Node): Node {
  const { net } = old;
  const bytes = encode(deviceForm, old.device.snapshot());
  net.nodes.splice(net.nodes.indexOf(old), 1);
  const fresh = new Node(net, old.at, { privateKey: new Uint8Array(32) });
  fresh.device.restore(decode(deviceForm, bytes), net.moment);
  old.device.close();
  return fresh;
}
/** Receiver and counter of every data message so far. */
const nonces = (log: readonly { bytes: Uint8Array }[]): string[] =>
  log.filter((d) => d.bytes[0] === 4).map(({ bytes }) => `${readU32(bytes, 4)} ${readU32(bytes, 12)} ${readU32(bytes, 8)}`);

describe("a device's successor", () => {
  test("goes on in both directions, without a handshake, and repeats no nonce", () => {
    const p = pair({ psk: "07".repeat(32) });
    for (let i = 0; i < 300; i++) {
      p.a.send(there);
      p.net.settle();
      p.b.send(back);
      p.net.settle();
    }
    let a = successor(p.a);
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 100; i++) {
        p.b.send(back);
        a.send(there);
        p.net.settle();
      }
      a = successor(a);
    }
    expect(p.b.inbox.length).toBe(800);
    expect(p.net.log.filter((d) => d.bytes[0] === 1).length).toBe(1);
    expect(new Set(nonces(p.net.log)).size).toBe(nonces(p.net.log).length);
    // And what both say of themselves is as it was.
    const [peer] = [...a.device.peers()];
    expect(peer).toMatchObject({ publicKey: p.b.device.publicKey, lastHandshake: p.ab.lastHandshake });
    expect([peer!.txBytes(), peer!.rxBytes()]).toEqual([p.ba.rxBytes(), p.ba.txBytes()]);
    expect([...peer!.allowedIps()].length).toBe(2);
    expect(peer!.endpoint()).toEqual(p.b.at);
  });

  test("refuses what its predecessor received, and takes what is late", () => {
    const p = pair();
    p.a.send(there);
    p.net.settle();
    p.net.delay = 1e9;
    for (let i = 0; i < 20; i++) p.a.send(there);
    const sent = p.net.log.slice(-20);
    for (const d of sent.filter((_, i) => i % 2 === 0)) p.b.arrive(d);
    const before = p.b.inbox.length;
    const b = successor(p.b);
    for (const d of sent) b.arrive(d);
    expect([before, b.inbox.length, b.device.drops().replayed]).toEqual([11, 10, 10]);
  });

  test("renews the session on its predecessor's clock", () => {
    const p = pair();
    p.a.send(there);
    p.net.settle();
    p.net.pass(119_000);
    const a = successor(p.a);
    a.send(there);
    p.net.pass(900);
    expect(p.net.log.filter((d) => d.bytes[0] === 1).length).toBe(1);
    p.net.pass(200);
    a.send(there);
    p.net.pass(100);
    expect(p.net.log.filter((d) => d.bytes[0] === 1).length).toBe(2);
    // An initiation that it sends is newer than those of its predecessor: it was answered.
    expect(p.net.log.filter((d) => d.bytes[0] === 2).length).toBe(2);
  });

  test("sends what waited for a session, in order, and at once starts the handshake that was under way", () => {
    const p = pair();
    p.net.lose = (d) => d.bytes[0] === 1;
    const many = Array.from({ length: 5 }, (_, i) => packet("10.0.0.1", "10.0.0.2", 10 + i));
    for (const each of many) p.a.send(each);
    p.net.settle();
    p.net.lose = () => false;
    const a = successor(p.a);
    p.net.pass(20);
    a.tick();
    p.net.pass(20);
    expect(p.b.inbox).toEqual(many);
  });

  test("a response to the predecessor's initiation does not disturb it", () => {
    const p = pair();
    p.net.delay = 50;
    p.a.send(there);
    p.net.pass(60);
    const a = successor(p.a);
    p.net.pass(1000);
    expect(p.b.inbox).toEqual([there]);
    p.b.send(back);
    p.net.pass(100);
    expect(a.inbox).toEqual([back]);
  });

  test("keeps its timers: passive and persistent keepalives", () => {
    const p = pair();
    p.b.perform(p.b.device.setPersistentKeepalive(p.ba, 30, p.net.moment));
    p.net.pass(100);
    p.a.send(there);
    p.net.pass(5000);
    const b = successor(p.b);
    const before = p.net.log.length;
    p.net.pass(4800);
    expect(p.net.log.length).toBe(before);
    p.net.pass(400); // 10 s after the packet
    expect(p.net.log.length).toBe(before + 1);
    p.net.pass(30_100);
    expect(p.net.log.length).toBe(before + 2);
    expect([...b.device.peers()][0]!.persistentKeepalive).toBe(30);
  });

  test("refuses a state that has no room, is cut or is too long", () => {
    const p = pair();
    p.a.send(there);
    p.net.settle();
    const bytes = encode(deviceForm, p.a.device.snapshot());
    for (const length of [0, 1, 40, 100, bytes.length - 1]) expect(() => decode(deviceForm, bytes.subarray(0, length))).toThrow("Cannot read");
    expect(() => decode(deviceForm, new Uint8Array([...bytes, 0]))).toThrow("1 bytes are left over");
    const many: DeviceSnapshot = decode(deviceForm, bytes);
    const node = new Node(p.net, endpoint("192.0.2.9", 9), { privateKey: new Uint8Array(32) });
    expect(() => node.device.restore({ ...many, peers: [many.peers[0]!, many.peers[0]!] }, p.net.moment)).toThrow("have no room");
  });

  test("wipeSnapshot() leaves no secret", () => {
    const p = pair({ psk: "07".repeat(32) });
    p.a.send(there);
    p.net.settle();
    const snapshot = p.a.device.snapshot();
    const [peer] = snapshot.peers;
    const secrets = [snapshot.privateKey!, peer!.presharedKey, peer!.shared!, peer!.keypairs[0]!.sendKey, peer!.keypairs[0]!.receiveKey];
    expect(secrets.every((s) => s.some((b) => b !== 0))).toBe(true);
    wipeSnapshot(snapshot);
    expect(secrets.every((s) => s.every((b) => b === 0))).toBe(true);
    p.a.send(there);
    p.net.settle();
    expect(p.b.inbox.length).toBe(2);
  });
});
