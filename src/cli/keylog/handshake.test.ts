import { describe, expect, test } from "vitest";
import { nodeCrypto } from "../../crypto/node.ts";
import { clamp } from "../../wireguard/noise.ts";
import { handshakeOf } from "./handshake.ts";

const random = (): Uint8Array => {
  const key = new Uint8Array(32);
  nodeCrypto.random(key);
  return key;
};
const secret = (): Uint8Array => {
  const key = random();
  clamp(key);
  return key;
};
const [own, remote, ephemeral, preshared] = [secret(), nodeCrypto.publicKey(secret()), secret(), random()];
const event = new Map<string, Uint8Array | string>([
  ["type", "1"],
  ["static", own],
  ["public", nodeCrypto.publicKey(own)],
  ["remote", remote],
  ["shared", nodeCrypto.dh(own, remote)!],
  ["ephemeral", ephemeral],
  ["preshared", preshared],
]);
const keys = ["static", "public", "remote", "shared", "ephemeral"];

describe("handshakeOf()", () => {
  test("the keys", () =>
    expect(handshakeOf(event, nodeCrypto)).toEqual({
      localStaticPrivate: own,
      remoteStaticPublic: remote,
      localEphemeralPrivate: ephemeral,
      presharedKey: preshared,
    }));
  test.for([...keys, "preshared"])("without %s, or with half of it: nothing", (name) => {
    const less = new Map(event);
    less.delete(name);
    expect(handshakeOf(less, nodeCrypto)).toBeUndefined();
    less.set(name, own.subarray(16));
    expect(handshakeOf(less, nodeCrypto)).toBeUndefined();
  });
  test.for(keys)("%s read from elsewhere: nothing", (name) => {
    for (const wrong of [new Uint8Array(32), new Uint8Array(32).fill(255), nodeCrypto.publicKey(secret()).fill(3, 0, 1)])
      expect(handshakeOf(new Map(event).set(name, wrong), nodeCrypto)).toBeUndefined();
  });
  test("all eight bytes too far, as on a kernel with another layout: nothing", () => {
    const memory = new Uint8Array(40 * 8);
    for (const [i, name] of keys.entries()) memory.set(event.get(name) as Uint8Array, i * 32);
    const shifted = keys.map((name, i) => [name, memory.slice(i * 32 + 8, i * 32 + 40)] as const);
    expect(handshakeOf(new Map([...event, ...shifted]), nodeCrypto)).toBeUndefined();
  });
});
