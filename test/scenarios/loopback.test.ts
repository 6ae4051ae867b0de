// The kernel's scenario list, first topology: the UDP sockets of both devices are in host 0 and meet on its loopback; the links are in hosts 1 and 2.
//
//   host 1  wg0 192.168.241.1, fd00::1 ── socket, port 1 ── lo of host 0 ── socket, port 2 ── wg0 192.168.241.2, fd00::2  host 2
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually, type Host } from "../device/host.ts";
import { answers } from "../device/tunnel.ts";
import { describeRoot, describeWith } from "../peers.ts";
import {
  configurePeers,
  endpointOf,
  hosts,
  ip,
  listener,
  listening,
  newKeys,
  onLoopback,
  secondPair,
  sendUdp,
  SUBJECT,
  transfer,
  wg,
  wgSet,
} from "./network.ts";
import { everyKindOfTraffic, flood } from "./traffic.ts";

const MTU = 1420;
/** Of the kernel's list: buffers must not end at 16 bits, and the outer packets are fragments. */
const BIG_MTU = 34_816 - 1500 + MTU;

describeRoot("scenarios: sockets on the loopback of another namespace", () => {
  describeWith(["wg", "ping", "iperf3", "nft"], "two devices", () => {
    const keys = newKeys();
    const { key, pub, psk } = keys;
    let n0: Host;
    let n1: Host;
    let n2: Host;
    let close: () => Promise<void>;
    beforeAll(async () => {
      ({ n0, n1, n2, close } = await hosts());
      await onLoopback(SUBJECT, n0, n1, n2);
      configurePeers(n1, n2, keys);
      await Promise.all([listening(n0, 1), listening(n0, 2)]);
      endpoints(4);
    });
    afterAll(() => close());

    function endpoints(family: 4 | 6): void {
      const at = family === 4 ? "127.0.0.1" : "[::1]";
      wgSet(n1, "wg0", "peer", pub[1], "endpoint", `${at}:2`);
      wgSet(n2, "wg0", "peer", pub[0], "endpoint", `${at}:1`);
    }
    function mtu(bytes: number, name = "wg0"): void {
      for (const host of [n1, n2]) ip(host, `link set ${name} mtu ${bytes}`);
    }

    test("ten flood pings: rx 1372 bytes, tx 1428 or 1460, and the time of the handshake", () => {
      flood(n2, "192.168.241.1");
      const [one, two] = [transfer(n1, "wg0"), transfer(n2, "wg0")];
      expect([two.rx, one.tx]).toEqual([1372, 1372]);
      expect([1428, 1460]).toContain(two.tx);
      expect([1428, 1460]).toContain(one.rx);
      expect(wg(n1, "show", "wg0", "latest-handshakes")).toMatch(/\t[1-9][0-9]+$/);
    });

    test.for([
      [4, MTU],
      [4, BIG_MTU],
      [6, MTU],
      [6, BIG_MTU],
    ] as const)("pings, TCP, UDP, parallel flows; IPv%i outside, MTU %i", async ([family, bytes]) => {
      mtu(bytes);
      endpoints(family);
      await everyKindOfTraffic(n1, n2);
      mtu(MTU);
    });

    test("source address and port of a peer change: it is found again, IPv4 then IPv6", () => {
      ip(n0, "-4 addr del 127.0.0.1/8 dev lo");
      ip(n0, "-4 addr add 127.212.121.99/8 dev lo");
      wgSet(n1, "wg0", "listen-port", "9999");
      wgSet(n1, "wg0", "peer", pub[1], "endpoint", "127.0.0.1:2");
      answers({ host: n1 }, "fd00::2", 1);
      expect(endpointOf(n2, "wg0", pub[0])).toBe("127.212.121.99:9999");
      wgSet(n1, "wg0", "listen-port", "9998");
      wgSet(n1, "wg0", "peer", pub[1], "endpoint", "[::1]:2");
      answers({ host: n1 }, "192.168.241.2", 1);
      expect(endpointOf(n2, "wg0", pub[0])).toBe("[::1]:9998");
    });

    test("crypto routing: a source address that another peer has is dropped, and the endpoint is learnt all the same", async () => {
      wgSet(n1, "wg0", "peer", pub[1], "allowed-ips", "192.168.241.0/24");
      const heard = await listener(n1, 1111);
      sendUdp(n2, "192.168.241.1", 1111, "before");
      await eventually(() => expect(heard.output()).toBe("before"));
      wgSet(n1, "wg0", "peer", pub[2], "allowed-ips", "192.168.241.2/32");
      wgSet(n2, "wg0", "listen-port", "9997");
      sendUdp(n2, "192.168.241.1", 1111, "while");
      await eventually(() => expect(endpointOf(n1, "wg0", pub[1])).toBe("[::1]:9997"));
      wgSet(n1, "wg0", "peer", pub[2], "remove");
      sendUdp(n2, "192.168.241.1", 1111, "after");
      await eventually(() => expect(heard.output()).toMatch(/after$/));
      expect(heard.output()).toBe("beforeafter");
      heard.child.kill();
      wgSet(n2, "wg0", "listen-port", "2");
    });

    test("the private key changes: a handshake with the new one at once", () => {
      wgSet(
        n1,
        "wg0",
        "private-key",
        `@${key[0]}`,
        "peer",
        pub[1],
        "preshared-key",
        `@${psk}`,
        "allowed-ips",
        "192.168.241.2/32",
        "endpoint",
        "127.0.0.1:2",
      );
      wgSet(
        n2,
        "wg0",
        "private-key",
        `@${key[1]}`,
        "listen-port",
        "2",
        "peer",
        pub[0],
        "preshared-key",
        `@${psk}`,
        "allowed-ips",
        "192.168.241.1/32",
      );
      answers({ host: n1 }, "192.168.241.2", 1);
      wgSet(n1, "wg0", "private-key", `@${key[2]}`);
      wgSet(n2, "wg0", "peer", pub[2], "preshared-key", `@${psk}`, "allowed-ips", "192.168.241.1/32", "peer", pub[0], "remove");
      answers({ host: n1 }, "192.168.241.2", 1);
      wgSet(n2, "wg0", "peer", pub[2], "remove");
    });

    test("WireGuard through WireGuard, MTU 1340", async () => {
      await secondPair(n1, n2, keys, "127.212.121.99:9998");
      await everyKindOfTraffic(n1, n2);
    });
  });
});
