// Where secrets are at each stage of a peer's life, in a device whose secrets' memory is looked at from outside.
import { describe, expect, test } from "vitest";
import { isZero, toHex } from "../base/bytes.ts";
import { endpoint, Network, Node, packet, SMALL } from "./rig.cases.ts";
import { nobleCrypto, noblePackets } from "../crypto/noble.ts";
import { Secrets, secretsSize } from "./secrets.ts";

const PSK = "e5c3724509a737976de9c9805300e02cbebe04bec97c56fcb9c144a8046843e9";

const ways: { name: string; more: ConstructorParameters<typeof Node>[2] }[] = [
  { name: "openssl", more: {} },
  { name: "noble", more: { crypto: nobleCrypto, packets: noblePackets } },
];
describe.for(ways)("$name", ({ more }) => {
  function rig() {
    const memory = new ArrayBuffer(128 + secretsSize(SMALL));
    const secrets = new Secrets(SMALL, memory, 64);
    const net = new Network();
    const a = new Node(net, endpoint("192.0.2.1", 1), { ...more, secrets });
    const b = new Node(net, endpoint("192.0.2.2", 2), more);
    const ab = a.addPeer(b, { endpoint: b.at, allowed: ["10.0.0.2/32"], psk: PSK });
    const ba = b.addPeer(a, { endpoint: a.at, allowed: ["10.0.0.1/32"], psk: PSK });
    const cells = secrets.peer(ab.slot);
    /** Names of the cells that are not empty. */
    const full = (): string[] =>
      [Object.entries(secrets.cells), Object.entries(cells)].map((of) =>
        of
          .filter(([, cell]) => !isZero(cell))
          .map(([name]) => name)
          .join(" "),
      );
    return { memory: new Uint8Array(memory), secrets, net, a, b, ab, ba, cells, full };
  }

  test("only what is needed next is kept: before, during and after a handshake of ours, and of the peer's", () => {
    const { net, a, b, ab, ba, full, cells } = rig();
    expect(full()).toEqual(["privateKey", "presharedKey shared"]);
    expect(toHex(cells.presharedKey)).toBe(PSK);
    net.lose = () => true;
    a.send(packet("10.0.0.1", "10.0.0.2"));
    expect(full()).toEqual(["privateKey", "presharedKey shared ephemeral chain hash"]);
    net.lose = () => false;
    net.pass(6000);
    expect(b.inbox).toHaveLength(1);
    expect(full(), "we were the initiator").toEqual(["privateKey", "presharedKey shared"]);
    net.pass(6000);
    b.perform(b.device.forceHandshake(ba, net.moment));
    net.settle();
    expect(ab.lastHandshake).toBe(net.moment.wall);
    expect(full(), "we were the responder").toEqual(["privateKey", "presharedKey shared"]);
  });
  test("a forged message leaves nothing behind, however far it gets", () => {
    const { net, a, b, ba, full } = rig();
    net.lose = () => true;
    b.perform(b.device.forceHandshake(ba, net.moment));
    const genuine = net.log.at(-1)!.bytes;
    for (const at of [20, 50, 90, 120]) {
      const bad = genuine.slice();
      bad[at]! ^= 1;
      a.arrive({ from: b.at, bytes: bad });
      a.tick();
      expect(full()).toEqual(["privateKey", "presharedKey shared"]);
    }
  });
  test("zero key material, down, a removed peer, a cleared private key, and the end", () => {
    const { net, a, b, ab, full, memory, secrets } = rig();
    a.send(packet("10.0.0.1", "10.0.0.2"));
    net.settle();
    a.perform(a.device.forceHandshake(ab, net.moment));
    net.lose = () => true;
    net.pass(7000);
    a.perform(a.device.forceHandshake(ab, net.moment));
    expect(full()[1]).toBe("presharedKey shared ephemeral chain hash");
    a.perform(a.device.down(net.moment));
    expect(full()[1]).toBe("presharedKey shared");
    a.perform(a.device.up(net.moment));
    a.perform(a.device.forceHandshake(ab, net.moment));
    net.pass(700_000, 100);
    expect(full()[1], "540 s without a session").toBe("presharedKey shared");
    a.perform(a.device.setPrivateKey(new Uint8Array(32), net.moment));
    expect(full()).toEqual(["", "presharedKey"]);
    a.perform(a.device.removePeer(ab, net.moment));
    expect(isZero(memory), "all of it").toBe(true);
    // Another peer in the same place, then the end.
    a.perform(a.device.setPrivateKey(new Uint8Array(32).fill(5), net.moment));
    a.addPeer(b, { endpoint: b.at, psk: PSK });
    secrets.cells.cookieSecret.fill(1);
    expect(isZero(memory)).toBe(false);
    a.device.close();
    expect(isZero(memory), "closed").toBe(true);
  });
});

test("what lies before and after is not touched, and there is room for as many as was said", () => {
  const memory = new Uint8Array(secretsSize({ peers: 3 }) + 128).fill(0xcc);
  const secrets = new Secrets({ peers: 3 }, memory.buffer, 64);
  for (const slot of [2, 0, 1]) for (const cell of Object.values(secrets.peer(slot))) cell.fill(1);
  for (const cell of Object.values(secrets.cells)) cell.fill(1);
  expect(() => secrets.peer(3)).toThrow(RangeError);
  secrets.wipe();
  expect(memory.subarray(0, 64).every((b) => b === 0xcc)).toBe(true);
  expect(memory.subarray(-64).every((b) => b === 0xcc)).toBe(true);
  expect(isZero(memory.subarray(64, -64))).toBe(true);
});
