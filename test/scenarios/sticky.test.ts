// The kernel's scenario list, third topology: two hosts side by side, whose addresses and routes change. Answers leave from the address that was asked
// ("sticky"), as long as that is possible ("not too sticky").
//
//   host 1  wg0 ── veth1 10.0.0.1, fd00:aa::1 ── veth2 10.0.0.2, fd00:aa::2 ── wg0  host 2
import { afterAll, beforeAll, expect, test } from "vitest";
import { Host } from "../device/host.ts";
import { answers } from "../device/tunnel.ts";
import { describeRoot, describeWith } from "../peers.ts";
import { configurePeers, endpointOf, hosts, ip, listening, newKeys, SUBJECT, sysctl, wgSet } from "./network.ts";

describeRoot("scenarios: sticky source addresses", () => {
  describeWith(["wg", "ping"], "two devices", () => {
    const keys = newKeys();
    const { pub } = keys;
    let n1: Host;
    let n2: Host;
    let close: () => Promise<void>;
    beforeAll(async () => {
      ({ n1, n2, close } = await hosts());
      await Promise.all([n1, n2].map((host) => host.device(SUBJECT, "wg0")));
      configurePeers(n1, n2, keys);
      for (const host of [n1, n2]) sysctl(host, "ipv6/conf/all/accept_dad", 0);
      Host.join(n1, "veth1", [], n2, "veth2", []);
      sysctl(n1, "ipv6/conf/veth1/accept_dad", 0);
      sysctl(n2, "ipv6/conf/veth2/accept_dad", 0);
      sysctl(n1, "ipv4/conf/veth1/promote_secondaries", 1);
      await Promise.all([listening(n1, 1), listening(n2, 2)]);
    });
    afterAll(() => close());

    const add = (host: Host, link: string, ...addresses: string[]): void => {
      for (const a of addresses) ip(host, `addr add ${a} dev ${link}`);
    };
    const flush = (): void => {
      for (const [host, link] of [
        [n1, "veth1"],
        [n2, "veth2"],
      ] as const)
        ip(host, `addr flush dev ${link}`);
    };
    const toPeer2 = (endpoint: string): void => {
      wgSet(n1, "wg0", "peer", pub[1], "endpoint", endpoint);
      answers({ host: n1 }, "192.168.241.2", 1);
    };
    /** Host 2 speaks to host 1 at this address, and hears the answer from there. */
    const asked = (endpoint: string): void => {
      wgSet(n2, "wg0", "peer", pub[0], "endpoint", endpoint);
      answers({ host: n2 }, "192.168.241.1", 1);
      expect(endpointOf(n2, "wg0", pub[0])).toBe(endpoint);
    };

    test("the own address is replaced, the old one removed: the next packet works, IPv4 and IPv6", () => {
      add(n1, "veth1", "10.0.0.1/24", "fd00:aa::1/96");
      add(n2, "veth2", "10.0.0.2/24", "fd00:aa::2/96");
      toPeer2("10.0.0.2:2");
      add(n1, "veth1", "10.0.0.10/24");
      ip(n1, "addr del 10.0.0.1/24 dev veth1");
      answers({ host: n1 }, "192.168.241.2", 1);
      toPeer2("[fd00:aa::2]:2");
      add(n1, "veth1", "fd00:aa::10/96");
      ip(n1, "addr del fd00:aa::1/96 dev veth1");
      answers({ host: n1 }, "192.168.241.2", 1);
    });

    test("two addresses on the responder: answers come from the one that was asked", () => {
      flush();
      add(n1, "veth1", "10.0.0.1/24", "10.0.0.2/24", "fd00:aa::1/96", "fd00:aa::2/96");
      add(n2, "veth2", "10.0.0.3/24", "fd00:aa::3/96");
      for (const endpoint of ["10.0.0.1:1", "[fd00:aa::1]:1", "10.0.0.2:1", "[fd00:aa::2]:1"]) asked(endpoint);
    });

    test("the address that is asked belongs to another link: answers come from it", () => {
      // Not a dummy link, which not every kernel has: a bridge without ports holds an address as well.
      ip(n1, "link add dummy0 type bridge");
      add(n1, "dummy0", "10.50.0.1/24");
      ip(n1, "link set dummy0 up");
      ip(n2, "route add 10.50.0.0/24 dev veth2");
      asked("10.50.0.1:1");
      ip(n1, "link del dummy0");
      flush();
      ip(n1, "route flush dev veth1");
      ip(n2, "route flush dev veth2");
    });

    test("a better route by another link appears: the source address follows", () => {
      Host.join(n1, "veth3", [], n2, "veth4", []);
      add(n1, "veth1", "10.0.0.1/24");
      add(n2, "veth2", "10.0.0.2/24");
      add(n1, "veth3", "10.0.0.3/24");
      ip(n1, "route flush dev veth1");
      ip(n1, "route flush dev veth3");
      ip(n1, "route add 10.0.0.0/24 dev veth1 src 10.0.0.1 metric 2");
      toPeer2("10.0.0.2:2");
      expect(endpointOf(n2, "wg0", pub[0])).toBe("10.0.0.1:1");
      ip(n1, "route add 10.0.0.0/24 dev veth3 src 10.0.0.3 metric 1");
      for (const [host, link] of [
        [n1, "veth1"],
        [n2, "veth4"],
        [n1, "all"],
        [n2, "all"],
      ] as const)
        sysctl(host, `ipv4/conf/${link}/rp_filter`, 0);
      answers({ host: n1 }, "192.168.241.2", 1);
      expect(endpointOf(n2, "wg0", pub[0])).toBe("10.0.0.3:1");
    });
  });
});
