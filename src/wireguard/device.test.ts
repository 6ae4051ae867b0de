import { describe, expect, test } from "vitest";
import { opensslCrypto, opensslPackets } from "../crypto/openssl.ts";
import { Done } from "./data.ts";
import { packet, pair } from "./rig.cases.ts";

describe("two devices", () => {
  test.for([
    { name: "noble", options: {} },
    { name: "openssl", options: { crypto: opensslCrypto(), packets: opensslPackets } },
    { name: "with a preshared key", options: { psk: "e5c3724509a737976de9c9805300e02cbebe04bec97c56fcb9c144a8046843e9" } },
  ])("come up on the first packet and pass packets both ways: $name", ({ options }) => {
    const { net, a, b, ab, ba } = pair(options);
    const ping = packet("10.0.0.1", "10.0.0.2");
    expect(a.send(ping)).toBe(Done.STAGED);
    net.settle();
    expect(b.inbox).toEqual([ping]);
    const pong = packet("fd00::2", "fd00::1", 1000);
    expect(b.send(pong)).toBe(Done.SEAL);
    net.settle();
    expect(a.inbox).toEqual([pong]);
    expect(net.log.map((d) => d.bytes.length)).toEqual([148, 92, 112, 1072]);
    expect(ab.lastHandshake).toBe(net.moment.wall);
    expect(ba.lastHandshake).toBe(net.moment.wall);
    expect([ab.txBytes(), ab.rxBytes()]).toEqual([148 + 112, 92 + 1072]);
    expect([ba.rxBytes(), ba.txBytes()]).toEqual([148 + 112, 92 + 1072]);
  });
});
